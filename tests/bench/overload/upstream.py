"""An upstream that keeps no body: `python -m tests.bench.overload.upstream PORT LARGE_BYTES WAIT_S`.

Whoever sends more than a mebibyte waits for its answer; a small body with `large` in it gets the large answer.
"""

import asyncio
import re
import sys
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_WAITS_FROM = 1_048_576
SMALL_BYTES = 2_048


def _answer(body_bytes: int) -> bytes:
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nx-dezgo-job-amount-usd: 0.0019\r\n"
        f"Content-Length: {body_bytes}\r\n\r\n"
    )
    return head.encode() + b"\x89PNG" + b"\x00" * (body_bytes - 4)


class _Upstream(asyncio.Protocol):
    def __init__(self, large: bytes, wait_s: float) -> None:
        self._small, self._large = _answer(SMALL_BYTES), large
        self._wait_s = wait_s
        self._head = b""
        self._length = self._left = 0
        self._first = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        if not self._left:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            found = _LENGTH.search(self._head[:end])
            self._length = self._left = int(found[1]) if found else 0
            data, self._head = self._head[end + 4 :], b""
            self._first = data[:4_096]
        self._left -= len(data)
        if self._left <= 0:
            waits = self._length > _WAITS_FROM
            asyncio.get_running_loop().call_later(self._wait_s if waits else 0, self._said, self._first)

    def _said(self, first: bytes) -> None:
        if self._transport is not None:
            self._transport.write(self._large if b"large" in first else self._small)


async def main(port: int, large: int, wait_s: float) -> None:
    """Serve until killed."""
    answer, loop = _answer(large), asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Upstream(answer, wait_s), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
