"""A store that answers what it is told to, byte for byte, and counts what arrives."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Words = tuple[str, ...]
# What to answer to a call: bytes, or None to hang up. Awaited, so that it may also be late or never come.
Answer = Callable[[Words], Awaitable[bytes | None]]


@dataclass
class FakeStore:
    """Answers each call with `answer`. The ECHO behind a plain command is answered of itself and not counted."""

    answer: Answer
    url: str = ""
    arrived: list[Words] = field(default_factory=list)
    connections: int = 0
    at_once: int = 0
    at_once_most: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (words := await _read(reader)) is not None:
                answer = bulk(words[1]) if words[0] == "ECHO" and words[1].startswith("~") else await self._count(words)
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _count(self, words: Words) -> bytes | None:
        self.arrived.append(words)
        self.at_once += 1
        self.at_once_most = max(self.at_once, self.at_once_most)
        try:
            return await self.answer(words)
        finally:
            self.at_once -= 1


async def _read(reader: asyncio.StreamReader) -> Words | None:
    """One call; None once the peer has hung up."""
    head = await reader.readline()
    if not head:
        return None
    assert head.startswith(b"*"), head
    words = []
    for _ in range(int(head[1:])):
        size = int((await reader.readline())[1:])
        words.append((await reader.readexactly(size + 2))[:-2].decode())
    return tuple(words)


def bulk(text: str) -> bytes:
    """A text as a store sends it."""
    return b"$%d\r\n%s\r\n" % (len(text.encode()), text.encode())


def ran(words: Words, *answer: str) -> bytes:
    """What a script answers to this call: its name comes last."""
    said = (*answer, words[-1])
    return b"*%d\r\n" % len(said) + b"".join(bulk(text) for text in said)


def always(answer: bytes | None) -> Answer:
    """The same answer to every call."""

    async def given(_: Words) -> bytes | None:
        return answer

    return given


def in_turn(*answers: bytes | None) -> Answer:
    """These answers one after the other."""
    left = list(answers)

    async def given(_: Words) -> bytes | None:
        return left.pop(0)

    return given


async def never(_: Words) -> bytes | None:
    """No answer, ever."""
    await asyncio.Event().wait()
    return None


@asynccontextmanager
async def fake_store(answer: Answer) -> AsyncIterator[FakeStore]:
    """A fake store that listens on loopback for as long as the block lasts."""
    fake = FakeStore(answer)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(fake.serve(reader, writer))
        fake.tasks.add(task)
        task.add_done_callback(fake.tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    fake.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    try:
        yield fake
    finally:
        server.close()
        for task in tuple(fake.tasks):
            task.cancel()
        await asyncio.gather(*fake.tasks, return_exceptions=True)
        await server.wait_closed()
