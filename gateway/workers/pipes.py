"""Pipes between the processes: what one of them holds open tells the others that it lives, however it ends."""

import asyncio
import contextlib
import os
from dataclasses import dataclass, field

_READ_BYTES = 4096


async def until_end(descriptor: int) -> None:
    """Return once nobody holds the other end of this pipe any more."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def look() -> None:
        if not os.read(descriptor, _READ_BYTES):
            loop.remove_reader(descriptor)
            ended.set()

    loop.add_reader(descriptor, look)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)


def drained(descriptor: int) -> None:
    """Take all that is in this pipe, which does not block."""
    with contextlib.suppress(BlockingIOError):
        while os.read(descriptor, _READ_BYTES):
            pass


@dataclass(slots=True)
class Pipe:
    """Both ends of one pipe; a process closes those that are not its own."""

    ends: list[int] = field(default_factory=lambda: list(os.pipe()))

    @property
    def reader(self) -> int:
        """Where it is read."""
        return self.ends[0]

    @property
    def writer(self) -> int:
        """Where it is written, or merely held open."""
        return self.ends[1]

    def close(self, *ends: int) -> None:
        """Close these ends, where they are open."""
        for end in ends:
            if end in self.ends:
                self.ends[self.ends.index(end)] = -1
                os.close(end)
