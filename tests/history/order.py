"""Order: between which states of the journal a question was answered, by what had been answered and asked by then.

Nothing is read off the store's clock: an entry whose effect somebody had been told of before a question was asked comes
before its answer, and an entry that nobody had asked for when it was answered comes after it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

NEVER = 2**63


@dataclass(frozen=True, slots=True)
class Caused:
    """One entry of the journal, and the questions behind it.

    Attributes:
        position: its place.
        invoked_ns: when it was first asked for; 0 when nobody can say.
        answered_ns: when somebody had first been told; `NEVER` when nobody was.
    """

    position: int
    invoked_ns: int
    answered_ns: int


class Order:
    """What the questions say about the order of the journal's `entries` entries."""

    def __init__(self, caused: Sequence[Caused], entries: int) -> None:
        told = sorted((one.answered_ns, one.position) for one in caused if one.answered_ns != NEVER)
        asked = sorted((one.invoked_ns, one.position) for one in caused)
        self._told_ns = [at for at, _ in told]
        self._last_told = list(accumulate((position for _, position in told), max))
        self._asked_ns = [at for at, _ in asked]
        self._first_asked = list(accumulate((position for _, position in reversed(asked)), min))[::-1]
        self._last = entries - 1

    def lower(self, invoked_ns: int) -> int:
        """The last entry that certainly comes before a question asked then; -1 for none."""
        found = bisect_left(self._told_ns, invoked_ns)
        return self._last_told[found - 1] if found else -1

    def upper(self, answered_ns: int) -> int:
        """The last entry that may come before an answer given then."""
        found = bisect_right(self._asked_ns, answered_ns)
        return self._first_asked[found] - 1 if found < len(self._first_asked) else self._last
