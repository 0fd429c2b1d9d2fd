"""Disk: bodies too large for memory, each in a file without a name.

1. The loop never waits for a disk: every step is one thread's, with a deadline, in the order it was asked for.
2. A file is gone when its request is, however that ended, and when the process is.
3. Disk full, disk broken and disk slow are Busy to who sends, and an OSError to who reads.
4. One large body is read at a time, in another process: what that takes does not grow with the crowd.
"""

import asyncio
import errno
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path
from typing import TypeVar

from gateway.errors import Busy
from gateway.pricing.job import Job
from gateway.web.reader import Reader
from gateway.web.reading import Asked

# What is read back in one step.
PIECE_BYTES = 65_536

# Pieces of all bodies that are read back at the same time: what comes of them at once keeps everybody else waiting.
READS_MAX = 4

# What one body takes in memory at most: on its way to the disk two reads of its connection, one being written and one
# behind it; on its way back a piece, and what the other end has not taken yet.
WINDOW_BYTES, BACK_BYTES = 524_288, 262_144

# What the rest of an answer takes that waits for a slow client: a piece, and what was written and is not taken.
ANSWER_BYTES = 131_072

# Left free for whoever shares the disk, such as the bundled store: books come before pictures.
RESERVE_BYTES = 67_108_864

STEP_TIMEOUT_S = 5.0

T = TypeVar("T")


class Disk:
    """Where large bodies wait.

    Args:
        directory: for the files; made when it is not there.
        bytes_max: of all of them together.

    Attributes:
        bytes: of bodies there now, or announced.
    """

    def __init__(self, directory: Path, *, bytes_max: int) -> None:
        self._directory = directory
        self._bytes_max = bytes_max
        self._hand = ThreadPoolExecutor(1, thread_name_prefix="disk")
        self.reader = Reader()
        self.turn = asyncio.Lock()
        self.reads = asyncio.Semaphore(READS_MAX)
        self.bytes = 0

    async def start(self) -> None:
        """Try it. Raises OSError when the directory does not take files."""
        await self.step(self._tried)

    def _tried(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.opened() as file:
            file.write(b"\0")

    async def close(self) -> None:
        """Wait for the step under way. No body may be left."""
        await self.reader.close()
        await asyncio.to_thread(self._hand.shutdown)

    def opened(self) -> FileIO:
        """A fresh file, already without a name. Raises OSError. Blocks."""
        return tempfile.TemporaryFile(dir=self._directory, buffering=0)

    def take(self, count: int) -> None:
        """Set `count` bytes aside. Raises Busy when that passes the bound; then nothing was set aside."""
        if self.bytes + count > self._bytes_max:
            raise Busy
        self.bytes += count

    def give(self, count: int) -> None:
        """Give `count` bytes back."""
        self.bytes -= count

    async def step(self, step: Callable[[], T]) -> T:
        """`step`, after all that were asked for before. Raises OSError, TimeoutError too."""
        async with asyncio.timeout(STEP_TIMEOUT_S):
            return await asyncio.get_running_loop().run_in_executor(self._hand, step)

    def later(self, step: Callable[[], None]) -> None:
        """`step`, after all that were asked for before; nobody waits for it."""
        try:
            self._hand.submit(step)
        except RuntimeError:  # closed: nothing is under way any more
            step()


class Spooled:
    """One body on disk: written piece by piece, then read as often as wanted. A `Stored` of `messages`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._file: FileIO | None = None
        self._bytes = 0

    def __len__(self) -> int:
        return self._bytes

    async def write(self, piece: bytes | bytearray) -> None:
        """Add `piece`. Raises Busy when the disk does not take it."""
        try:
            await self._disk.step(lambda: self._append(piece))
        except OSError:
            raise Busy from None
        self._bytes += len(piece)

    def _append(self, piece: bytes | bytearray) -> None:
        if self._file is None:
            self._file = self._disk.opened()
        _refuse_full(self._file.fileno(), len(piece))
        left = memoryview(piece)
        while left:
            left = left[os.write(self._file.fileno(), left) :]

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of it, piece by piece. Raises OSError."""
        for at in range(0, self._bytes, PIECE_BYTES):
            async with self._disk.reads:
                piece = await self._disk.step(lambda at=at: self._piece(at))  # type: ignore[misc]  # binds it now
            yield piece

    def _piece(self, at: int) -> bytes:
        wanted = min(PIECE_BYTES, self._bytes - at)
        piece = os.pread(self._number(), wanted, at)
        if len(piece) != wanted:
            raise OSError(errno.EIO, "the file is shorter than what was written")
        return piece

    async def job(self, asked: Asked) -> Job:
        """What the body asks for, found beside the loop, one body at a time.

        Raises:
            Busy: it cannot be read.
            What `read_job` raises.
        """
        async with self._disk.turn:
            try:
                return await self._disk.reader.job(asked, self._number())
            except OSError:
                raise Busy from None

    def _number(self) -> int:
        if self._file is None:
            raise OSError(errno.EBADF, "the file is closed")
        return self._file.fileno()

    def close(self) -> None:
        """Let the file go, after the steps that are under way. Safe to call again."""
        self._disk.later(self._close)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _refuse_full(number: int, count: int) -> None:
    """Raise OSError where `count` bytes more would leave less than the reserve."""
    disk = os.fstatvfs(number)
    if disk.f_blocks and disk.f_bavail * disk.f_frsize < count + RESERVE_BYTES:
        raise OSError(errno.ENOSPC, "no room beside the reserve")


def files_max(*, disk_bytes: int, memory_bytes: int, threshold_bytes: int) -> int:
    """How many files there may be at once: each takes some memory, and a request's body more than the threshold."""
    return min(disk_bytes // max(1, threshold_bytes), memory_bytes // BACK_BYTES) + memory_bytes // ANSWER_BYTES
