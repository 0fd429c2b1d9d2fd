"""Spool: ends of holds on disk while the store cannot take them. One file per process, replayed by whoever finds it.

Rules of this file:

1. An end is on disk, fsynced, before it counts as kept; it leaves the disk only once it is booked.
2. Booking is idempotent by hold id, so no line is ever marked: what is left on disk is booked again, which changes
   nothing where it was booked before.
3. The living lock their file. Whoever gets the lock of another's file has found a dead one's.
4. One thread touches this process's file; all that waits for it is written with one fsync.
"""

import asyncio
import contextlib
import json
import os
import secrets
import zlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from gateway.ledger import keys
from gateway.ledger.contract import End, HoldId
from gateway.ledger.files import locked, sync_folder, write_whole
from gateway.units import MILLICREDITS_MAX, Credits, Flag

SUFFIX: Final = ".ends"

ENTRIES_MAX: Final = 10_000
BYTES_MAX: Final = 16 * 1024 * 1024

# Of the room, in hundredths: from here on nothing new is admitted. The rest is for calls already under way.
_ADMITTED_PERCENT: Final = 75

# A file is written anew when it is this long and at least half of it is booked.
_REWRITTEN_FROM_BYTES: Final = 256 * 1024

# As far as the scripts count.
_INSTANT_MS_MAX: Final = 10**15 - 1

# A disk that takes longer keeps nobody waiting: the end goes on being tried.
_DISK_WITHIN_S: Final = 5

_Done = TypeVar("_Done")


@dataclass(slots=True)
class _Entry:
    line: bytes
    written: bool = False


@dataclass(frozen=True, slots=True)
class Orphan:
    """The file of a process that is gone, locked.

    Attributes:
        path: where it is.
        descriptor: holds the lock.
        ends: what it kept.
        faults: lines that could not be read: the last one, torn by the crash, or damaged ones.
    """

    path: Path
    descriptor: int
    ends: tuple[End, ...]
    faults: int


class Spool:
    """The unsent ends of one process, and those its predecessors left behind.

    Args:
        directory: made with mode 0700 when missing; shared with other processes.
        entries_max: ends kept by this process.
        bytes_max: their size; the file itself is at most about twice as long.
    """

    def __init__(self, directory: Path, *, entries_max: int = ENTRIES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._directory = directory.absolute()
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._kept: dict[HoldId, _Entry] = {}
        self._kept_bytes = 0
        self._unwritten: deque[_Entry] = deque()
        self._own: tuple[Path, int] | None = None
        self._orphans: dict[Path, Orphan] = {}
        self._hand = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._torn = False
        self.faults = 0

    def __len__(self) -> int:
        """How many ends wait on disk: this process's, and those of the files it has taken over."""
        return len(self._kept) + sum(len(orphan.ends) for orphan in self._orphans.values())

    @property
    def full(self) -> bool:
        """Whether nothing new shall be held: the room that is left is for the calls under way."""
        return (
            len(self._kept) * 100 >= self._entries_max * _ADMITTED_PERCENT
            or self._kept_bytes * 100 >= self._bytes_max * _ADMITTED_PERCENT
        )

    def holds(self, hold_id: HoldId) -> bool:
        """Whether the end of this hold is safe on disk."""
        entry = self._kept.get(hold_id)
        return entry is not None and entry.written

    async def start(self) -> None:
        """Make this process's own file. Raises OSError when the directory cannot be used."""
        self._own = await self._in_thread(lambda: _new_file(self._directory))

    async def keep(self, end: End) -> bool:
        """Put `end` on disk; true once it is safe there, false when there is no room or the disk does not take it."""
        line = written(end)
        if end.hold_id in self._kept or not self._fits(line):
            return self.holds(end.hold_id)
        entry = _Entry(line)
        self._kept[end.hold_id] = entry
        self._kept_bytes += len(line)
        self._unwritten.append(entry)
        try:
            async with asyncio.timeout(_DISK_WITHIN_S):
                await self._in_thread(self._commit)
        except TimeoutError:
            return False  # it stays noted: the disk may take it yet
        except OSError:
            self.faults += 1
        if not entry.written:  # also where another's write took it along and failed
            self._forget(end.hold_id)
        return entry.written

    async def booked(self, hold_id: HoldId) -> None:
        """Take the end of this hold off the disk, where it is there: it is booked."""
        if self._forget(hold_id):
            with contextlib.suppress(OSError):  # what stays is booked again by the next process, rule 2
                await self._in_thread(self._tidy)

    async def adopt(self) -> Orphan | None:
        """Take over one file whose process is gone, if there is one; give it to `release` when all is booked.

        Files that cannot be read are left where they are.
        """
        return await self._in_thread(self._adopt)

    async def release(self, orphan: Orphan) -> None:
        """Remove the file: all its ends are booked."""
        with contextlib.suppress(OSError):
            await self._in_thread(lambda: self._release(orphan))

    async def close(self) -> None:
        """Let go of all files. What is not booked stays on disk for the next process."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_DISK_WITHIN_S):
                await self._in_thread(self._let_go)
        self._hand.shutdown(wait=False, cancel_futures=True)

    def _fits(self, line: bytes) -> bool:
        return len(self._kept) < self._entries_max and self._kept_bytes + len(line) <= self._bytes_max

    def _forget(self, hold_id: HoldId) -> bool:
        entry = self._kept.pop(hold_id, None)
        if entry is None:
            return False
        self._kept_bytes -= len(entry.line)
        return True

    async def _in_thread(self, work: Callable[[], _Done]) -> _Done:
        return await asyncio.get_running_loop().run_in_executor(self._hand, work)

    # --- in the thread -------------------------------------------------------------------------------------

    def _commit(self) -> None:
        """Write all that waits, with one fsync; whoever comes after finds nothing left to do."""
        entries = [self._unwritten.popleft() for _ in range(len(self._unwritten))]
        if not entries or self._own is None:
            return
        # After a torn line a new one is begun, so that only the torn one is lost.
        lines = [b"\n" if self._torn else b"", *(entry.line for entry in entries)]
        self._torn = True
        write_whole(self._own[1], b"".join(lines))
        self._torn = False
        for entry in entries:
            entry.written = True

    def _tidy(self) -> None:
        if self._own is None:
            return
        if not self._kept:
            os.ftruncate(self._own[1], 0)
        elif os.fstat(self._own[1]).st_size >= max(_REWRITTEN_FROM_BYTES, 2 * self._kept_bytes):
            self._rewrite(self._own)

    def _rewrite(self, old: tuple[Path, int]) -> None:
        """Begin another file with what is still kept. Killed in between, both are found: rule 2."""
        new = _new_file(self._directory)
        try:
            write_whole(new[1], b"".join(entry.line for entry in list(self._kept.values())))
        except OSError:
            _removed(*new)
            raise
        self._own = new
        _removed(*old)

    def _adopt(self) -> Orphan | None:
        orphan = _orphan_in(self._directory)
        if orphan is not None:  # noted here: whoever asked may have been cancelled meanwhile
            self._orphans[orphan.path] = orphan
            self.faults += orphan.faults
        return orphan

    def _release(self, orphan: Orphan) -> None:
        if self._orphans.pop(orphan.path, None) is not None:
            _removed(orphan.path, orphan.descriptor)

    def _let_go(self) -> None:
        with contextlib.suppress(OSError):
            self._commit()  # of one who was cancelled while it waited
        for orphan in self._orphans.values():
            os.close(orphan.descriptor)
        self._orphans.clear()
        own, self._own = self._own, None
        if own is not None and self._kept:
            os.close(own[1])
        elif own is not None:
            _removed(*own)


# --- lines --------------------------------------------------------------------------------------------------


def written(end: End) -> bytes:
    """One line: checksum, space, JSON, newline."""
    facts = {
        "id": end.hold_id,
        "tenant": end.tenant,
        "places": end.places,
        "charged": end.charged.millicredits,
        "flag": end.flag,
        **({"once": end.once, "facts": end.facts} if end.once else {}),
        "amount": end.amount.millicredits,
        "deadline": end.deadline_ms,
        "path": end.path,
    }
    text = json.dumps(facts, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def read(line: bytes) -> End:
    """Read what `written` wrote, without its newline. Raises ValueError for anything else."""
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        raise ValueError("damaged")
    facts = json.loads(text)
    if not isinstance(facts, dict) or not all(isinstance(facts.get(name), str) for name in ("id", "tenant", "places")):
        raise ValueError("no end")
    charged = Credits(_whole(facts.get("charged"), MILLICREDITS_MAX))
    keys.read(facts["places"])
    # Lines from before there were idempotency keys have neither.
    key = [facts.get(name, "") for name in ("once", "facts")]
    if not all(isinstance(part, str) for part in key):
        raise ValueError("no key")
    flag = Flag(str(facts.get("flag")))
    end = End(HoldId(facts["id"]), facts["tenant"], facts["places"], charged, flag, *key)
    if "deadline" not in facts:  # written by a gateway that did not know of them yet
        return end
    amount, deadline_ms = _whole(facts.get("amount"), MILLICREDITS_MAX), _whole(facts["deadline"], _INSTANT_MS_MAX)
    return replace(end, amount=Credits(amount), deadline_ms=deadline_ms, path=_text(facts.get("path")))


def _text(said: object) -> str:
    if not isinstance(said, str):
        raise ValueError("no text")  # noqa: TRY004 - a line that cannot be read, like any other
    return said


def _whole(number: object, most: int) -> int:
    if type(number) is not int or not 0 <= number <= most:
        raise ValueError("no whole number")
    return number


def _read_all(content: bytes) -> tuple[tuple[End, ...], int]:
    """All ends of a file, and how many lines are none. A last line without its newline is torn."""
    *lines, rest = content.split(b"\n")
    ends, faults = [], 1 if rest else 0
    for line in filter(None, lines):
        try:
            ends.append(read(line))
        except ValueError:
            faults += 1
    return tuple(ends), faults


# --- files --------------------------------------------------------------------------------------------------


def _new_file(directory: Path) -> tuple[Path, int]:
    """A new file of this process, locked, and its name safe on disk."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        path = directory.joinpath(f"{os.getpid()}-{secrets.token_hex(8)}{SUFFIX}")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        # Between these two steps another process may take it for a dead one's, and remove it.
        if locked(descriptor):
            break
        os.close(descriptor)
    sync_folder(directory)
    return path, descriptor


def _orphan_in(directory: Path) -> Orphan | None:
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            if locked(descriptor):
                with os.fdopen(os.dup(descriptor), "rb") as stream:
                    return Orphan(path, descriptor, *_read_all(stream.read()))
            os.close(descriptor)
    return None


def _removed(path: Path, descriptor: int) -> None:
    path.unlink(missing_ok=True)
    os.close(descriptor)
