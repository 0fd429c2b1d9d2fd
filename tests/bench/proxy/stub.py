"""An upstream that costs next to nothing: any POST has the same answer, small or large.

`python -m tests.bench.proxy.stub PORT SMALL_BYTES LARGE_BYTES`: a body with `large` in it gets the large answer.
"""

import asyncio
import sys
from typing import cast

import uvloop

_END = b"\r\n\r\n"


def _answer(body_bytes: int) -> bytes:
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nx-credits-cost: 19\r\nx-input-seed: 7\r\n"
        f"Content-Length: {body_bytes}\r\n\r\n"
    )
    return head.encode() + b"\x89PNG" + b"\x00" * (body_bytes - 4)


class _Stub(asyncio.Protocol):
    def __init__(self, small: bytes, large: bytes) -> None:
        self._small = small
        self._large = large
        self._seen = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        while (end := self._seen.find(_END)) >= 0:
            head = self._seen[:end].lower()
            start = head.find(b"content-length:")
            length = int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
            if len(self._seen) < end + 4 + length:
                return
            body, self._seen = self._seen[end + 4 : end + 4 + length], self._seen[end + 4 + length :]
            if self._transport is not None:
                self._transport.write(self._large if b"large" in body else self._small)


async def main(port: int, small: int, large: int) -> None:
    """Serve until killed."""
    answers = _answer(small), _answer(large)
    server = await asyncio.get_running_loop().create_server(lambda: _Stub(*answers), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(*(int(word) for word in sys.argv[1:4])))
