"""Marks: the newest journal entry this process has seen of each tenant. A store that lacks it has forgotten something.

Rules of this file:

1. A mark goes forward only, save where a loss was accepted. Only an entry that the store has placed after the mark
   moves it: one that was written behind a gap says nothing of what is missing before it.
2. No request waits for the disk. What changed is written at most once a second, in a thread, and at the end: fsynced
   beside the old file, then renamed over it. A disk that does not take it is counted, and tried again.
3. The living lock their file. Whoever starts takes the newest mark of all files there, then removes those of the dead.
"""

import asyncio
import contextlib
import json
import os
import re
import secrets
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

from gateway.ledger.files import locked, sync_folder, write_whole
from gateway.ledger.journal import order

SUFFIX: Final = ".marks"
PART: Final = ".part"

# Tenants whose marks are kept; of more, the one longest known is let go, and its store believed.
TENANTS_MAX: Final = 10_000
BYTES_MAX: Final = 4 * 1024 * 1024

WRITTEN_EVERY_S: Final = 1

# A disk that takes longer does not keep the process from ending.
_DISK_WITHIN_S: Final = 5

_ID = re.compile(r"[0-9]{1,15}-[0-9]{1,15}", re.ASCII)

_Done = TypeVar("_Done")


class Marks:
    """The marks of one process, and those its predecessors left.

    Args:
        directory: made with mode 0700 when missing; shared with other processes. None keeps them in memory alone.
        tenants_max: how many are kept.
    """

    def __init__(self, directory: Path | None = None, *, tenants_max: int = TENANTS_MAX) -> None:
        self._directory = None if directory is None else directory.absolute()
        self._tenants_max = tenants_max
        self._newest: dict[str, str] = {}
        self._began: dict[str, str] = {}
        self._changed = False
        self._own: tuple[Path, int] | None = None
        self._hand = ThreadPoolExecutor(max_workers=1, thread_name_prefix="marks")
        self.faults = 0

    def newest(self, tenant: str) -> str:
        """The tenant's mark, empty for none."""
        return self._newest.get(tenant, "")

    def began(self, tenant: str) -> str:
        """The first mark this process had of the tenant: what came before it, it cannot know. `0-0` for none."""
        return self._began.get(tenant, "0-0")

    def saw(self, tenant: str, entry_id: str) -> None:
        """Note an entry the store has placed after the mark; of two answers at once the older changes nothing."""
        known = self._newest.get(tenant)
        if known is None:
            self._make_room()
            self._began[tenant] = entry_id
        elif order(entry_id) <= order(known):
            return
        self._newest[tenant] = entry_id
        self._changed = True

    def move(self, tenant: str, old: str, new: str, *, anew: bool) -> None:
        """Put `new` in the place of `old`, unless another mark stands there by now. `anew`: a loss was accepted."""
        if self._newest.get(tenant) == old:
            self._newest[tenant] = new
            if anew:
                self._began[tenant] = new
            self._changed = True

    def _make_room(self) -> None:
        while len(self._newest) >= self._tenants_max:
            oldest = next(iter(self._newest))
            del self._newest[oldest], self._began[oldest]

    # --- on disk --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take over what is there and make this process's own file. Raises OSError when the directory is of no use."""
        if self._directory is not None:
            directory = self._directory
            found = await self._in_thread(lambda: self._begin(directory))
            for tenant, entry_id in found.items():
                self.saw(tenant, entry_id)

    async def keep_forever(self, *, every_s: float) -> None:
        """Write what changed, again and again, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            await self.keep()

    async def keep(self) -> None:
        """Write the marks, where they have changed. Never raises for the disk's sake: it is tried again."""
        if not self._changed or self._own is None:
            return
        self._changed = False
        content = written(self._newest)
        try:
            await self._in_thread(lambda: self._write(content))
        except OSError:
            self.faults += 1
            self._changed = True

    async def close(self) -> None:
        """Write once more and let go of the file; it stays for the next process."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DISK_WITHIN_S):
                await self.keep()
        own, self._own = self._own, None
        if own is not None:
            os.close(own[1])
        self._hand.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], _Done]) -> _Done:
        return await asyncio.get_running_loop().run_in_executor(self._hand, work)

    # --- in the thread --------------------------------------------------------------------------------------

    def _begin(self, directory: Path) -> dict[str, str]:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found: dict[str, str] = {}
        dead: list[tuple[Path, int]] = []
        try:
            for path, content, descriptor in _files_in(directory):
                if descriptor is not None:
                    dead.append((path, descriptor))
                with contextlib.suppress(ValueError):
                    _merge(found, read(content))
            self._own = _new_file(directory.joinpath(f"{os.getpid()}-{secrets.token_hex(8)}{SUFFIX}"), written(found))
            for path, _ in dead:
                path.unlink(missing_ok=True)
        finally:
            for _, descriptor in dead:
                os.close(descriptor)
        return found

    def _write(self, content: bytes) -> None:
        if self._own is not None:
            path, old = self._own
            self._own = _new_file(path, content)
            os.close(old)


@asynccontextmanager
async def kept_marks(directory: Path, *, every_s: int = WRITTEN_EVERY_S) -> AsyncIterator[Marks]:
    """Marks that are written to `directory` for as long as the block lasts. Raises OSError when it is of no use."""
    marks = Marks(directory)
    await marks.start()
    keeping = asyncio.create_task(marks.keep_forever(every_s=every_s))
    try:
        yield marks
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await marks.close()


def _merge(found: dict[str, str], others: Mapping[str, str]) -> None:
    for tenant, entry_id in others.items():
        if order(entry_id) > order(found.get(tenant, "0-0")):
            found[tenant] = entry_id


# --- one file -----------------------------------------------------------------------------------------------


def written(marks: Mapping[str, str]) -> bytes:
    """The file: checksum, space, JSON, newline."""
    text = json.dumps(marks, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def read(content: bytes) -> dict[str, str]:
    """Read what `written` wrote. Raises ValueError for anything else."""
    checksum, _, text = content.removesuffix(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        raise ValueError("damaged")
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("no marks") from None
    if not isinstance(found, dict) or not all(isinstance(one, str) and _ID.fullmatch(one) for one in found.values()):
        raise ValueError("no marks")
    return found


def _files_in(directory: Path) -> Iterator[tuple[Path, bytes, int | None]]:
    """Each file with what is in it and, where its process is gone, the descriptor that now holds its lock."""
    for path in sorted((*directory.glob(f"*{SUFFIX}"), *directory.glob(f"*{SUFFIX}{PART}"))):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            # What was not yet renamed was not yet kept.
            content = b"" if path.suffix == PART else _content(descriptor)
            if locked(descriptor):
                yield path, content, descriptor
            else:
                os.close(descriptor)
                yield path, content, None


def _content(descriptor: int) -> bytes:
    """What is in the file, which is closed when it cannot be read."""
    try:
        return os.pread(descriptor, BYTES_MAX, 0)
    except OSError:
        os.close(descriptor)
        raise


def _new_file(path: Path, content: bytes) -> tuple[Path, int]:
    """Put `content` under this name, whole or not at all; the descriptor returned holds its lock. Raises OSError."""
    part = path.with_name(path.name + PART)
    while True:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        # Between these two steps another process may take it for a dead one's, and remove it.
        if locked(descriptor):
            break
        os.close(descriptor)
    try:
        write_whole(descriptor, content)
        part.rename(path)
        sync_folder(path.parent)
    except OSError:
        part.unlink(missing_ok=True)
        os.close(descriptor)
        raise
    return path, descriptor
