"""A scripted upstream made of raw bytes: it answers whatever a turn says, and remembers what it was sent."""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Turn:
    """What is done with one request.

    Attributes:
        pieces: written one after the other; an event stands for a wait until it is set.
        then: keep the connection, close it cleanly, reset it, or keep it without reading on.
    """

    pieces: tuple[bytes | asyncio.Event, ...] = ()
    then: Literal["keep", "close", "reset", "stall"] = "keep"


def answer(status: int = 200, *fields: str, body: bytes = b"") -> bytes:
    """A whole, well-formed answer with a Content-Length."""
    head = "".join(f"{field}\r\n" for field in fields)
    return f"HTTP/1.1 {status} Said\r\ncontent-length: {len(body)}\r\n{head}\r\n".encode() + body


OK = Turn((answer(body=b"picture"),))


class FakeUpstream:
    """Plays `turns` in the order in which requests arrive, the last one for ever.

    Attributes:
        received: every request, raw: head and body.
        connections: how many were opened; `open`: how many still are.
        arrived: set with the first request.
        greeting: sent as soon as a connection is opened.
    """

    def __init__(self, turns: tuple[Turn, ...], greeting: bytes = b"") -> None:
        self.turns = list(turns)
        self.greeting = greeting
        self.received: list[bytes] = []
        self.connections = 0
        self.arrived = asyncio.Event()
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._tasks)

    @property
    def url(self) -> str:
        """Its base URL over plain HTTP."""
        return f"http://127.0.0.1:{self.port}"

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        writer.write(self.greeting)
        try:
            while await self._serve(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        self.received.append(head + await reader.readexactly(int(length[1]) if length else 0))
        self.arrived.set()
        turn = self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]
        for piece in turn.pieces:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
                continue
            writer.write(piece)
            await writer.drain()
        return await _ended(turn, writer)

    async def stop(self) -> None:
        """End every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks)


async def _ended(turn: Turn, writer: asyncio.StreamWriter) -> bool:
    if turn.then == "stall":
        await asyncio.Event().wait()
    if turn.then == "close":
        writer.close()
        await writer.wait_closed()
    if turn.then == "reset":
        connection: socket.socket = writer.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    return turn.then == "keep"


@asynccontextmanager
async def fake_upstream(
    *turns: Turn, greeting: bytes = b"", tls: ssl.SSLContext | None = None
) -> AsyncIterator[FakeUpstream]:
    """A fake upstream on a free port of the loopback address."""
    fake = FakeUpstream(turns or (OK,), greeting)
    server = await asyncio.start_server(fake.accept, "127.0.0.1", 0, ssl=tls)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        await fake.stop()
        await server.wait_closed()
