"""Many bad clients in one process: `… PORT PLAN`, the plan as JSON, a token on its input.

They come from an address of their own (127.0.0.2), so that they can be told from honest ones. A line says when all of
them are there and have sent what they send at once; another, as JSON, what they were answered. The input's end is
theirs.
"""

import asyncio
import json
import os
import socket
import sys
from collections import Counter
from dataclasses import dataclass
from typing import cast

import uvloop

SOURCE = "127.0.0.2"
_BATCHES_PER_S = 50
_SLICES = 50
_PIECE = 65_536


# Long enough never to stand in a picture of random bytes.
BOUNDARY = b"no-picture-has-this-in-it"
FORM = f"multipart/form-data; boundary={BOUNDARY.decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What each of `count` connections does.

    Attributes:
        count: of connections.
        per_s: how many are opened each second.
        line: the first line of its request.
        kind: the body's: `json`, `multipart`, `small`, or `none` for a head that never ends.
        body_bytes: announced.
        burst_bytes: of them sent at `burst_bytes_per_s`, the rest one byte a second; or nothing any more.
        reads: whether it reads what comes.
    """

    count: int
    per_s: int = 2_500
    line: str = "POST /text2image HTTP/1.1"
    kind: str = "small"
    body_bytes: int = 0
    burst_bytes: int = 0
    burst_bytes_per_s: int = 2_000_000
    reads: bool = True


def body_of(kind: str, size: int) -> bytes:
    """A body of `size` bytes with a priced image in it."""
    if kind == "none":
        return b""
    if kind == "small":
        return b'{"prompt": "a large fox"}'.ljust(size)
    picture = _picture(size * 3 // 4 - 1_024 if kind == "json" else size - 1_024)
    if kind == "json":
        import base64

        text = b'{"prompt": "a fox", "init_image": "%b"}' % base64.b64encode(picture)
        return text.ljust(size)
    part = b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
    image = part % (b"init_image", b'; filename="a.png"', picture)
    end = b"--" + BOUNDARY + b"--\r\n"
    rest = size - len(image) - len(part % (b"prompt", b"", b"")) - len(end)
    return image + part % (b"prompt", b"", b"a" * rest) + end


def _picture(size: int) -> bytes:
    """A PNG of 512 x 512 by its header, padded to `size` with what no reader decodes."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 512, 512, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", os.urandom(size)) + chunk(b"IEND", b"")


class Held(asyncio.Protocol):
    """One bad client."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self.line: socket.socket | None = None
        self.seen = b""
        self.wire: asyncio.Transport | None = None
        self.free = asyncio.Event()
        self.free.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.wire = cast("asyncio.Transport", transport)
        self.wire.write(self._head)

    def data_received(self, data: bytes) -> None:
        if len(self.seen) < 1_024:
            self.seen += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.wire = None
        self.free.set()

    def pause_writing(self) -> None:
        self.free.clear()

    def resume_writing(self) -> None:
        self.free.set()

    @property
    def answered(self) -> str:
        """The status it got, if any, and whether it was told when to come back."""
        if not self.seen:
            return "nothing"
        said = self.seen.split(b" ", 2)[1].decode()
        return f"{said} with Retry-After" if b"\r\nretry-after: " in self.seen.lower() else said


async def _opened(port: int, plan: Plan, head: bytes, body: bytes) -> Held:
    line = socket.socket()
    line.setblocking(False)
    line.bind((SOURCE, 0))
    loop = asyncio.get_running_loop()
    if not plan.reads:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        await loop.sock_connect(line, ("127.0.0.1", port))
        await loop.sock_sendall(line, head + body)
        silent = Held(head)
        silent.line = line  # only held: whatever comes stays where it is
        return silent
    await loop.sock_connect(line, ("127.0.0.1", port))
    _, held = await loop.create_connection(lambda: Held(head), sock=line)
    began = loop.time()
    for at in range(0, plan.burst_bytes, _PIECE):
        await held.free.wait()
        if held.wire is None:
            break
        held.wire.write(body[at : min(at + _PIECE, plan.burst_bytes)])
        await asyncio.sleep(max(0.0, began + at / plan.burst_bytes_per_s - loop.time()))
    return held


async def _all_opened(port: int, plan: Plan, head: bytes, body: bytes) -> list[Held]:
    loop = asyncio.get_running_loop()
    began, tasks = loop.time(), []
    for number in range(plan.count):
        tasks.append(asyncio.create_task(_opened(port, plan, head, body)))
        if not number % max(1, plan.per_s // _BATCHES_PER_S):
            await asyncio.sleep(max(0.0, began + number / plan.per_s - loop.time()))
    done = await asyncio.gather(*tasks, return_exceptions=True)
    return [held for held in done if isinstance(held, Held)]


async def _trickled(all_held: list[Held]) -> None:
    """A byte from each, every second, spread over it; until nobody is left."""
    while any(held.wire is not None for held in all_held):
        for slice_ in range(_SLICES):
            for held in all_held[slice_::_SLICES]:
                if held.wire is not None:
                    held.wire.write(b"a")
            await asyncio.sleep(1 / _SLICES)


async def main(port: int, plan: Plan) -> None:
    """Come, stay as long as may be, and say what was answered."""
    token = sys.stdin.readline().strip()
    body = body_of(plan.kind, plan.body_bytes)
    kind = FORM if plan.kind == "multipart" else "application/json"
    fields = [plan.line, "Host: gateway", f"X-Dezgo-Key: {token}", f"Content-Type: {kind}"]
    head = "\r\n".join([*fields, f"Content-Length: {len(body)}", "", ""]) if body else f"{plan.line}\r\nHost: "
    held = await _all_opened(port, plan, head.encode(), body)
    sys.stdout.write(f"{len(held)}\n")
    sys.stdout.flush()
    trickling = None
    if plan.burst_bytes < plan.body_bytes or not body:
        trickling = asyncio.create_task(_trickled(held))
    await asyncio.to_thread(sys.stdin.read)
    if trickling is not None:
        trickling.cancel()
    sys.stdout.write(json.dumps(Counter(one.answered for one in held)) + "\n")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), Plan(**json.loads(sys.argv[2]))))
