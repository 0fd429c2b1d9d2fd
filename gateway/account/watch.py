"""Watch: does the account's balance move as our calls report, and by nothing else? Pure.

Balances with an index (direct): each step of the index is one movement. A step that is ours is compared with its
charge; a step that no call of ours can have made, once all calls of that time are answered, is foreign use.
Balances without one (RapidAPI): compared only between two moments with no call under way.

What is called foreign is provable from where this gateway stands: calls that may have been charged without telling
explain what they can. Other gateways of the same account are foreign to this one.
"""

import heapq
from collections import deque
from collections.abc import Callable, Collection

from gateway.account.findings import Compared, Finding, Foreign
from gateway.units import Credits
from gateway.values import value

# Told amounts may be rounded to a whole credit, each on its own.
ROUNDING = Credits.whole(1)

# A call that was never answered may be charged this long afterwards; so many of them are remembered.
DOUBT_S = 600.0
DOUBTS_MAX = 10_000

# A finding of one kind is news again after this long without one.
QUIET_S = 300.0

# Answers kept while a gap before them waits to be explained.
TOLD_MAX = 10_000


@value(frozen=True, slots=True)
class Movement:
    """What an answer told of one call.

    Attributes:
        method: of the call.
        balance: what was left afterwards.
        reported: what it was charged, None when that could not be read.
        owed: `reported`, or what it may have been charged.
    """

    method: str
    balance: Credits
    reported: Credits | None
    owed: Credits


class _Doubts:
    """Calls that may have been charged without telling: what each owes, oldest first, while it is believable."""

    def __init__(self) -> None:
        self._owed: deque[tuple[float, Credits]] = deque(maxlen=DOUBTS_MAX)

    def add(self, owed: Credits, now_s: float) -> None:
        self._owed.append((now_s, owed))

    def explain(self, movements: int, now_s: float) -> tuple[int, Credits]:
        """How many of so many movements may have been such calls, and what those owe; they are forgotten."""
        while self._owed and now_s - self._owed[0][0] > DOUBT_S:
            self._owed.popleft()
        found = [self._owed.popleft()[1] for _ in range(min(movements, len(self._owed)))]
        return len(found), Credits.sum(found)


class Watch:
    """Compares balances with reports; `found` is told what comes out."""

    def __init__(self, found: Callable[[Finding], None]) -> None:
        self._found = found
        self._doubts = _Doubts()
        self._said_s: dict[type[Finding], float] = {}
        self._base: tuple[int, Credits] | None = None
        self._told: dict[int, Movement] = {}
        self._order: list[int] = []
        self._gap: int | None = None
        self._waiting: set[int] = set()
        self._rest: Credits | None = None
        self._calls, self._owed = 0, Credits.ZERO

    def doubted(self, owed: Credits, now_s: float) -> None:
        """A call ended that may have been charged `owed`, and no balance tells."""
        self._doubts.add(owed, now_s)

    def ended(self, number: int, under_way: Collection[int], now_s: float) -> None:
        """The call `number` is no longer under way; its doubt, if any, was told before."""
        if number in self._waiting:
            self._waiting.discard(number)
            self._advance(under_way, now_s)

    # --- balances with an index ----------------------------------------------------------------------------------

    def moved(self, index: int, movement: Movement, under_way: Collection[int], now_s: float) -> None:
        """An answer told `movement` and its place. `under_way` are the calls that are not answered yet."""
        if self._base is None:
            self._base = (index, movement.balance)
        if index <= self._base[0] or index in self._told:
            return
        self._told[index] = movement
        heapq.heappush(self._order, index)
        if len(self._told) > TOLD_MAX:
            # Nobody can say any more what happened before.
            newest = max(self._told)
            self._begin_at(newest, self._told[newest].balance)
        self._advance(under_way, now_s)

    def looked(self, balance: Credits, now_s: float) -> None:
        """With no call under way, the balance was asked for."""
        if self._base is not None:
            index, before = self._base
            _, doubted = self._doubts.explain(DOUBTS_MAX, now_s)
            self._foreign(before - balance - doubted, ROUNDING, now_s)
            self._begin_at(index, balance)

    def _begin_at(self, index: int, balance: Credits) -> None:
        self._base, self._gap = (index, balance), None
        self._told.clear()
        self._order.clear()
        self._waiting.clear()

    def _advance(self, under_way: Collection[int], now_s: float) -> None:
        while self._order and self._base is not None:
            (index, balance), first = self._base, self._order[0]
            if first > index + 1:
                if self._gap is None or first > self._gap:
                    self._gap, self._waiting = first, set(under_way)
                if self._waiting:
                    return
                self._unexplained(first - index - 1, balance - self._told[first].balance, self._told[first], now_s)
            else:
                self._compare(balance - self._told[first].balance, self._told[first], now_s)
            self._base = (first, self._told.pop(heapq.heappop(self._order)).balance)

    def _compare(self, fell: Credits, movement: Movement, now_s: float) -> None:
        # A balance that rose was topped up: that says nothing of the call.
        if movement.reported is None or fell < Credits.ZERO:
            return
        difference = fell - movement.reported
        if Credits.ZERO - ROUNDING <= difference <= ROUNDING:
            difference = Credits.ZERO
        self._found(Compared(movement.method, difference, bool(difference) and self._is_news(Compared, now_s)))

    def _unexplained(self, missing: int, fell: Credits, movement: Movement, now_s: float) -> None:
        doubts, doubted = self._doubts.explain(missing, now_s)
        if missing > doubts:
            self._foreign(fell - movement.owed - doubted, ROUNDING, now_s)

    # --- balances without one ------------------------------------------------------------------------------------

    def counted(self, owed: Credits, now_s: float) -> None:
        """An answer told a balance, and that the call is charged `owed`, but not its place."""
        if self._base is not None:
            # All others have one: whichever this was, it is ours.
            self._doubts.add(owed, now_s)
        self._calls, self._owed = self._calls + 1, self._owed + owed

    def rested(self, balance: Credits, now_s: float) -> None:
        """No call is under way, and `balance` is left."""
        if self._base is not None:
            return
        if self._rest is not None and balance < self._rest - self._owed:
            _, doubted = self._doubts.explain(DOUBTS_MAX, now_s)
            self._foreign(self._rest - balance - self._owed - doubted, ROUNDING * max(1, self._calls), now_s)
        self._rest, self._calls, self._owed = balance, 0, Credits.ZERO

    # --- what comes out ------------------------------------------------------------------------------------------

    def _foreign(self, credits: Credits, rounding: Credits, now_s: float) -> None:
        if credits > rounding:
            self._found(Foreign(credits, self._is_news(Foreign, now_s)))

    def _is_news(self, kind: type[Finding], now_s: float) -> bool:
        said_s = self._said_s.get(kind)
        self._said_s[kind] = now_s
        return said_s is None or now_s - said_s >= QUIET_S
