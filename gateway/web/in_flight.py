"""In flight: what the bodies of all requests together take, in memory and on disk."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import Busy
from gateway.web.disk import BACK_BYTES, WINDOW_BYTES, Disk, Spooled


class InFlight:
    """Counts the body bytes held by all requests together; more than a bound is Busy.

    The last quarter of the memory is for bodies that stay there: however many large ones come, small ones find room.

    Args:
        bytes_max: in memory.
        disk: where larger bodies go; it has a bound of its own.

    Attributes:
        bytes: in memory now, or announced.
    """

    def __init__(self, bytes_max: int, disk: Disk) -> None:
        self._bytes_max = bytes_max
        self._large_max = max(WINDOW_BYTES, bytes_max * 3 // 4)
        self.disk = disk
        self.bytes = 0

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """A request's share of the bounds, given back when the block is left; its file goes with it."""
        share = Share(self)
        try:
            yield share
        finally:
            share.end()

    def take(self, count: int, *, large: bool = False) -> None:
        """Add `count` bytes, of a body on disk if `large`. Raises Busy past the bound; then nothing was added."""
        if self.bytes + count > (self._large_max if large else self._bytes_max):
            raise Busy
        self.bytes += count


class Share:
    """What one request holds of `InFlight`.

    Attributes:
        file: where its body is, once it is too large for memory.
    """

    __slots__ = ("_all", "_bytes", "_on_disk", "file")

    def __init__(self, all_bodies: InFlight) -> None:
        self._all = all_bodies
        self._bytes = 0
        self._on_disk = 0
        self.file: Spooled | None = None

    def grow_to(self, count: int) -> None:
        """Hold at least `count` bytes, wherever the body is. Raises Busy; then nothing was added."""
        if self.file is None:
            if count > self._bytes:
                self._all.take(count - self._bytes)
                self._bytes = count
        elif count > self._on_disk:
            self._all.disk.take(count - self._on_disk)
            self._on_disk = count

    def to_disk(self, count: int, *, memory: int = WINDOW_BYTES) -> Spooled:
        """From now on hold `count` bytes on disk, and in memory only what is on its way there. Raises Busy."""
        if memory > self._bytes:
            self._all.take(memory - self._bytes, large=True)
            self._bytes = memory
        self._shrink_to(memory)
        self.file = Spooled(self._all.disk)
        self.grow_to(count)
        return self.file

    def is_on_disk(self) -> None:
        """All of it is there: from now on it takes memory only on its way back."""
        self._shrink_to(BACK_BYTES)

    def _shrink_to(self, count: int) -> None:
        self._all.bytes -= self._bytes - count
        self._bytes = count

    def end(self) -> None:
        """Give everything back."""
        self._shrink_to(0)
        if self.file is not None:
            self._all.disk.give(self._on_disk)
            self._on_disk = 0
            self.file.close()
