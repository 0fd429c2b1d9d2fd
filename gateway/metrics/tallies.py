"""Tallies: sums and spreads by label values, counted in whole numbers. Knows no exposition format.

Money is summed in millicredits and divided once, when it is shown: a sum of floats would drift, this agrees with the
ledger to the millicredit after any number of additions. Safe to read in one thread while another one adds.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence

Labels = tuple[str, ...]

OTHER = "other"

# More label combinations than this are counted together, as `other` throughout.
CHILDREN_MAX = 20_000


class Tally:
    """Ever-growing sums, one per combination of label values.

    Args:
        labels: how many label values an addition carries.
        per_unit: how many of what is added make one of what is shown: 1,000 for millicredits shown as credits.
        children_max: how many combinations are kept apart.
    """

    def __init__(self, labels: int, *, per_unit: int = 1, children_max: int = CHILDREN_MAX) -> None:
        self._sums: dict[Labels, int] = {} if labels else {(): 0}
        self._per_unit = per_unit
        self._children_max = children_max
        self._other = (OTHER,) * labels
        self._lock = threading.Lock()

    def add(self, labels: Labels = (), amount: int = 1) -> None:
        """Add `amount` (not negative)."""
        with self._lock:
            known = self._sums.get(labels)
            if known is None and len(self._sums) >= self._children_max:
                labels, known = self._other, self._sums.get(self._other)
            self._sums[labels] = (known or 0) + amount

    def shown(self) -> list[tuple[Labels, float]]:
        """Every sum as it stands, in units."""
        return [(labels, amount / self._per_unit) for labels, amount in self.sums().items()]

    def sums(self) -> dict[Labels, int]:
        """Every sum as it stands, as it was added."""
        with self._lock:
            return self._sums.copy()


class _Child:
    __slots__ = ("counts", "total")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.total = 0.0


class Spread:
    """How values are distributed over buckets, one distribution per combination of label values.

    Args:
        labels: how many label values an observation carries.
        bounds: upper bounds of the buckets, rising; one without bound is added.
        children_max: how many combinations are kept apart.
    """

    def __init__(self, labels: int, *, bounds: Sequence[float], children_max: int = CHILDREN_MAX) -> None:
        self._bounds = tuple(bounds)
        self._children: dict[Labels, _Child] = {}
        self._children_max = children_max
        self._other = (OTHER,) * labels
        self._lock = threading.Lock()

    def observe(self, labels: Labels, value: float) -> None:
        """Count `value`; one that equals a bound lies below it."""
        with self._lock:
            child = self._children.get(labels)
            if child is None:
                key = labels if len(self._children) < self._children_max else self._other
                child = self._children.setdefault(key, _Child(len(self._bounds) + 1))
            child.counts[bisect_left(self._bounds, value)] += 1
            child.total += value

    def shown(self) -> list[tuple[Labels, list[tuple[str, float]], float]]:
        """Every distribution: labels, (upper bound, how many at or below it) in order, and the sum of all values."""
        kept = self.distributions().items()
        return [(labels, list(cumulated(self._bounds, counts)), total) for labels, (counts, total) in kept]

    def distributions(self) -> dict[Labels, tuple[tuple[int, ...], float]]:
        """Every distribution: how many in each bucket alone, and the sum of all values."""
        with self._lock:
            return {labels: (tuple(child.counts), child.total) for labels, child in self._children.items()}


def cumulated(bounds: Sequence[float], counts: Sequence[int]) -> Iterator[tuple[str, float]]:
    """Upper bound and how many at or below it, in order; the last bucket is the one without bound."""
    below = 0
    for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
        below += count
        yield bound, below


class Closed:
    """A closed set of label values: what is not in it is `other`.

    Args:
        values: known beforehand.
        room_for: how many values at most, `values` first; further ones are let in while there is room.
    """

    def __init__(self, values: Sequence[str], *, room_for: int | None = None) -> None:
        self._room_for = len(values) if room_for is None else room_for
        self._known = set(values[: self._room_for])

    def __call__(self, value: str | None, *, absent: str = "none") -> str:
        """The label for `value`; `absent` for None."""
        if value is None:
            return absent
        if value in self._known:
            return value
        if len(self._known) < self._room_for:
            self._known.add(value)
            return value
        return OTHER

    def known(self, value: str) -> str:
        """The label for `value`, which takes no room."""
        return value if value in self._known else OTHER
