"""Fair: who goes next, and who finds no place. Pure: no clock, no tasks, no waiting.

Start-time fair queueing. Every call has a start on a scale of credits; the lowest goes next. A tenant's next start lies
as far behind its last one as that call costs, so tenants that wait get as many credits' worth of turns each, whatever
their calls cost and however many they send. Within a tenant the first to come goes first. What was used while nobody
waited is held against nobody.

Places are bounded. The last quarter of them is kept for tenants that have less than their share, so that whoever comes
late finds room and nobody need be sent away for it. When all are taken, a newcomer takes the last place of the tenant
with most, as long as it has fewer by two or more.

Every step takes a time logarithmic in the number of tenants that wait.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from heapq import heapify, heappop, heappush

# Of more tenants than this that do not wait it is forgotten, in one rush, what turns they have had.
LINES_MAX = 4_096


# One in so many places is kept for tenants below their share. Of fewer, many tenants alike would often send one another
# away, long after they came; as it is they are refused as they come.
_KEPT_PART = 2


class State(Enum):
    """Where a call is."""

    WAITING = "waiting"
    RUNNING = "running"
    GONE = "gone"


@dataclass(slots=True, eq=False)
class Place:
    """One call's place. `cost`: what it counts for between tenants, at least 1."""

    tenant: str
    cost: int
    state: State


@dataclass(slots=True, eq=False)
class _Line:
    """One tenant's: its waiting calls in order, the start of the first of them, and where its last turn ended."""

    waiting: OrderedDict[Place, None] = field(default_factory=OrderedDict)
    start: int = 0
    finish: int = 0
    in_heap: bool = False


class _Lengths:
    """Lines by how many wait in them."""

    def __init__(self) -> None:
        self._lines: dict[int, OrderedDict[_Line, None]] = {}
        self._longest = 0

    def moved(self, line: _Line, before: int) -> None:
        """`line` had `before` calls and has one more or one less now."""
        if before:
            del self._lines[before][line]
        now = len(line.waiting)
        if now:
            self._lines.setdefault(now, OrderedDict())[line] = None
        self._longest = max(self._longest, now)
        if not self._lines.get(self._longest):
            self._lines.pop(self._longest, None)
            self._longest -= 1

    @property
    def longest(self) -> _Line | None:
        """A line with most calls in it; None when nobody waits."""
        return next(reversed(self._lines[self._longest])) if self._longest else None


class FairQueue:
    """Decides; whoever asks does what it says.

    Args:
        at_once: calls that may run at the same time, at least 1.
        waiting_max: calls that may wait.
    """

    def __init__(self, *, at_once: int, waiting_max: int) -> None:
        self._at_once = at_once
        self._waiting_max = waiting_max
        self._lines: dict[str, _Line] = {}
        self._heap: list[tuple[int, int, _Line]] = []
        self._lengths = _Lengths()
        self._number = 0
        self._now = 0
        self._backlogged = 0
        self.running = 0
        self.waiting = 0

    def enter(self, tenant: str, cost: int) -> tuple[Place | None, Place | None]:
        """A place for one more call, running or waiting, and the one that lost its own for it.

        No place: all are taken, and `tenant` has its share of them. Nobody waits while another call could run.
        """
        if self.running < self._at_once:
            self.running += 1
            return Place(tenant, cost, State.RUNNING), None
        displaced = None
        if self.waiting >= self._waiting_max:
            displaced = self._displaced_by(tenant)
        if displaced is None and not self._has_room(tenant):
            return None, None
        place = Place(tenant, max(1, cost), State.WAITING)
        self._join(self._line(tenant), place)
        return place, displaced

    def leave(self, place: Place) -> Place | None:
        """Give a place up, whatever it is; the call whose turn has come by that."""
        was, place.state = place.state, State.GONE
        if was is State.WAITING:
            self._part(self._lines[place.tenant], place)
        elif was is State.RUNNING:
            self.running -= 1
            if self.waiting:
                return self._next()
        return None

    def displace_last(self) -> Place | None:
        """Take the last place of the tenant with most away; None when nobody waits."""
        longest = self._lengths.longest
        if longest is None:
            return None
        last = next(reversed(longest.waiting))
        last.state = State.GONE
        self._part(longest, last)
        return last

    def ahead(self, tenant: str) -> int:
        """About how many calls would go before one more of `tenant`: of each line as many as of its own, at most."""
        own = self._own(tenant)
        return min(self.waiting, own + self._others(own) * (own + 1))

    def _own(self, tenant: str) -> int:
        line = self._lines.get(tenant)
        return 0 if line is None else len(line.waiting)

    def _others(self, own: int) -> int:
        return self._backlogged - (own > 0)

    def _has_room(self, tenant: str) -> bool:
        if self.waiting < self._waiting_max - self._waiting_max // _KEPT_PART:
            return True
        own = self._own(tenant)
        # As if one more tenant came: it may be the next to do so.
        return self.waiting < self._waiting_max and own < max(1, self._waiting_max // (self._others(own) + 2))

    def _displaced_by(self, tenant: str) -> Place | None:
        longest = self._lengths.longest
        if longest is None or self._own(tenant) + 2 > len(longest.waiting):  # it would make nothing more even
            return None
        return self.displace_last()

    def _line(self, tenant: str) -> _Line:
        line = self._lines.get(tenant)
        if line is None:
            if len(self._lines) >= LINES_MAX + self._waiting_max:
                self._forget()
            line = self._lines[tenant] = _Line(finish=self._now)
        return line

    def _forget(self) -> None:
        self._lines = {name: line for name, line in self._lines.items() if line.waiting}
        self._heap = [entry for entry in self._heap if entry[2].waiting]
        heapify(self._heap)

    def _join(self, line: _Line, place: Place) -> None:
        before = len(line.waiting)
        line.waiting[place] = None
        self.waiting += 1
        self._lengths.moved(line, before)
        if not before:
            self._backlogged += 1
            line.start = max(self._now, line.finish)
            if not line.in_heap:
                self._push(line)

    def _part(self, line: _Line, place: Place) -> None:
        before = len(line.waiting)
        del line.waiting[place]
        self.waiting -= 1
        self._lengths.moved(line, before)
        if before == 1:
            self._backlogged -= 1
        if not self.waiting:
            self._lines.clear()
            self._heap.clear()
            self._now = 0

    def _push(self, line: _Line) -> None:
        self._number += 1
        line.in_heap = True
        heappush(self._heap, (line.start, self._number, line))

    def _next(self) -> Place:
        """Begin the call with the lowest start. A line stands in the heap once, at its start or an earlier one."""
        while True:
            start, _, line = heappop(self._heap)
            line.in_heap = False
            if line.waiting and line.start > start:
                self._push(line)
            elif line.waiting:
                break
        place = next(iter(line.waiting))
        self._now = line.start
        line.finish = line.start = line.start + place.cost
        place.state = State.RUNNING
        self.running += 1
        self._part(line, place)
        if line.waiting:
            self._push(line)
        return place
