"""Watch: who is started when, and when to give up. Pure: told what happened and what time it is.

1. A worker that ends after it has served for a while is replaced at once; one that ends sooner after a wait, which
   doubles with each further one.
2. One that leaves (it was told to end, and finishes its calls) is replaced when it begins to leave.
3. While no worker is ready and one place has failed to start several times in a row, there is no hope.
"""

from dataclasses import dataclass
from typing import Final

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0

# Who has served for so long has not failed, however it ends.
STEADY_S: Final = 5.0

# Failed starts of one place in a row.
STARTS_MAX: Final = 3


@dataclass(slots=True)
class _Place:
    """Where one worker works, one after the other.

    Attributes:
        pid: who works here now; None while nobody does.
        due_s: when the next one is started.
        begun: how many were.
        ready_s: since when the one here is ready; None while it is not.
        short: how many in a row ended soon.
        failed: how many in a row were never ready.
    """

    pid: int | None = None
    due_s: float = 0.0
    begun: int = 0
    ready_s: float | None = None
    short: int = 0
    failed: int = 0


class Watch:
    """Follows the workers of so many places."""

    def __init__(self, places: int) -> None:
        self._places = [_Place() for _ in range(places)]
        self._served = False

    @property
    def restarts(self) -> int:
        """How many workers took the place of another."""
        return sum(max(0, place.begun - 1) for place in self._places)

    @property
    def all_ready(self) -> bool:
        """Whether a ready worker is in every place."""
        return all(place.ready_s is not None for place in self._places)

    @property
    def hopeless(self) -> bool:
        """Whether there is nobody ready, and no use in trying on."""
        nobody = all(place.ready_s is None for place in self._places)
        return nobody and any(place.failed >= STARTS_MAX for place in self._places)

    @property
    def pids(self) -> list[int]:
        """Who works, or is about to."""
        return [place.pid for place in self._places if place.pid is not None]

    @property
    def served(self) -> bool:
        """Whether anybody was ever ready."""
        return self._served

    @property
    def failed(self) -> int:
        """The most failed starts in a row of any place."""
        return max(place.failed for place in self._places)

    def due(self, now_s: float) -> list[int]:
        """The places where a worker is to be started now."""
        return [n for n, place in enumerate(self._places) if place.pid is None and place.due_s <= now_s]

    def wait_s(self, now_s: float) -> float | None:
        """How long until a place is due; None when none will be."""
        waits = [place.due_s - now_s for place in self._places if place.pid is None]
        return max(0.0, min(waits)) if waits else None

    def started(self, number: int, pid: int) -> None:
        """A worker was started in this place."""
        place = self._places[number]
        place.pid, place.begun, place.ready_s = pid, place.begun + 1, None

    def ready(self, pid: int, now_s: float) -> None:
        """A worker takes calls."""
        place = self._of(pid)
        if place is not None and place.ready_s is None:
            place.ready_s, place.failed = now_s, 0
            self._served = True

    def left(self, pid: int, now_s: float) -> None:
        """A worker takes no more calls, of its own will; it may still be there."""
        place = self._of(pid)
        if place is not None:
            place.pid, place.ready_s, place.due_s = None, None, now_s

    def ended(self, pid: int, now_s: float) -> None:
        """A worker is gone. One that had left before changes nothing."""
        place = self._of(pid)
        if place is None:
            return
        served_s = None if place.ready_s is None else now_s - place.ready_s
        place.failed += served_s is None
        place.short = 0 if served_s is not None and served_s >= STEADY_S else place.short + 1
        wait_s = min(FIRST_WAIT_S * 2.0 ** (place.short - 1), LONGEST_WAIT_S) if place.short else 0.0
        place.pid, place.ready_s, place.due_s = None, None, now_s + wait_s

    def _of(self, pid: int) -> _Place | None:
        return next((place for place in self._places if place.pid == pid), None)
