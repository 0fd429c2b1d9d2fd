"""An upstream that takes only so many calls at once: `python -m tests.bench.overload.slots PORT AT_ONCE TAKES_S`.

Each call takes as long as every other. One too many is answered at once, with 503: it must not come.
"""

import asyncio
import re
import sys
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BODY = b"\x89PNG" + b"\x00" * 2_044


def _answer(status: int, *fields: str) -> bytes:
    head = "".join(f"{field}\r\n" for field in ("Content-Type: image/png", f"Content-Length: {len(_BODY)}", *fields))
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + _BODY


_DONE, _TOO_MANY = _answer(200, "x-dezgo-job-amount-usd: 0.0019"), _answer(503)


class _Slots:
    def __init__(self, at_once: int, takes_s: float) -> None:
        self.at_once = at_once
        self.takes_s = takes_s
        self.taken = 0


class _Upstream(asyncio.Protocol):
    def __init__(self, slots: _Slots) -> None:
        self._slots = slots
        self._seen = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        end = self._seen.find(b"\r\n\r\n")
        found = _LENGTH.search(self._seen[:end]) if end >= 0 else None
        if end < 0 or len(self._seen) < end + 4 + (int(found[1]) if found else 0):
            return
        self._seen = b""
        if self._slots.taken >= self._slots.at_once:
            self._say(_TOO_MANY)
            return
        self._slots.taken += 1
        asyncio.get_running_loop().call_later(self._slots.takes_s, self._done)

    def _done(self) -> None:
        self._slots.taken -= 1
        self._say(_DONE)

    def _say(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


async def main(port: int, at_once: int, takes_s: float) -> None:
    """Serve until killed."""
    slots, loop = _Slots(at_once, takes_s), asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Upstream(slots), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
