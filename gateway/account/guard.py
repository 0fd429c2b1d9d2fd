"""The guard of the shared account: admits what it can bear beside its floor, and follows what answers say. Pure.

1. What was admitted counts as gone until a balance holds it, or until it is certain that it was not charged.
2. Nothing is admitted into the floor, not even to find out. Where the upstream itself would refuse without a charge,
   one call is let through per `exhausted_s`.
3. What is not known admits: the upstream has the last word.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from gateway.account.belief import Belief, belief, is_newer
from gateway.account.findings import Exhausted, Finding, Recovered
from gateway.account.watch import Movement, Watch
from gateway.errors import UpstreamExhausted
from gateway.messages import Account
from gateway.pricing.charge import Outcome
from gateway.units import Credits

# A call that was never answered counts as gone until a later call's balance is known, but no longer than this or twice.
UNSURE_S = 600.0

# Ways to end that are provably free.
_FREE = frozenset({Outcome.REFUSED, Outcome.NOT_REACHED, Outcome.NEVER_SENT})

# Ways to end that only an account with credits allows.
_BORNE = frozenset({Outcome.REPORTED, Outcome.MALFORMED, Outcome.SUCCEEDED})


class _Unsure:
    """Credits that may have been charged and may not be in the balance yet, in two lots: a lot leaves as a whole."""

    def __init__(self) -> None:
        self._newer, self._older = Credits.ZERO, Credits.ZERO
        self._turned_at, self._turned_s = 0, 0.0

    @property
    def amount(self) -> Credits:
        return self._newer + self._older

    def add(self, amount: Credits, number: int, now_s: float) -> None:
        if not self.amount:
            self._turned_at, self._turned_s = number, now_s
        self._newer += amount

    def seen(self, began: int, number: int, now_s: float) -> None:
        """A balance came that was asked for by call `began`; `number` is the last call begun."""
        if self.amount and began > self._turned_at:
            self._turn(number, now_s)

    def age(self, number: int, now_s: float) -> None:
        if self.amount and now_s - self._turned_s >= UNSURE_S:
            self._turn(number, now_s)

    def _turn(self, number: int, now_s: float) -> None:
        self._older, self._newer = self._newer, Credits.ZERO
        self._turned_at, self._turned_s = number, now_s


@dataclass(slots=True)
class _Closed:
    """Why calls are refused.

    Attributes:
        by_answer: the upstream said so: everything is refused. Else only what the balance cannot bear.
        short: the smallest amount refused.
        probe_at_s: when one call may find out.
        probe: the number of the call that is finding out.
    """

    by_answer: bool
    short: Credits
    probe_at_s: float
    probe: int | None = None


class Draw:
    """One call's claim on the account, for the length of a `with` block."""

    __slots__ = ("_guard", "amount", "method", "number", "over", "was_sent")

    def __init__(self, guard: "SharedAccount", number: int, amount: Credits, method: str) -> None:
        self._guard = guard
        self.number = number
        self.amount = amount
        self.method = method
        self.was_sent = self.over = False

    def sent(self) -> None:
        """From here on the call may be charged, unless an answer says otherwise."""
        self.was_sent = True

    def answered(
        self, told: Account, outcome: Outcome, reported: Credits | None = None, *, exhausted: bool = False
    ) -> None:
        """The call has ended as `outcome`; its answer told this of account and charge.

        Args:
            told: the account's numbers.
            outcome: what the answer's head means for money.
            reported: the charge it names.
            exhausted: it was refused because of the account, not because of the call.
        """
        if not self.over:
            self.over = True
            self._guard.answered(self, told, outcome, reported, exhausted=exhausted)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.answered(Account(), Outcome.UNANSWERED if self.was_sent else Outcome.NEVER_SENT)


class SharedAccount:
    """The one account all callers share, as far as this gateway knows it.

    Args:
        floor: credits that are never drawn.
        exhausted_s: seconds between two attempts to find out whether an exhausted account is filled again.
        found: is told of every finding.
        clock_s: monotonic seconds.
    """

    def __init__(
        self,
        *,
        floor: Credits,
        exhausted_s: float,
        found: Callable[[Finding], None],
        clock_s: Callable[[], float],
    ) -> None:
        self._floor = floor
        self._exhausted_s = exhausted_s
        self._found = found
        self._clock_s = clock_s
        self._belief: Belief | None = None
        self._closed: _Closed | None = None
        self._number = 0
        self._open: dict[int, Credits] = {}
        self._drawn = Credits.ZERO
        self._unsure = _Unsure()
        self._watch = Watch(found)

    @property
    def remaining(self) -> Credits | None:
        """Credits left as far as is known; None when it is not."""
        return None if self._belief is None else self._belief.remaining

    @property
    def limit(self) -> Credits | None:
        """Credits of the plan's period, None when not known."""
        return None if self._belief is None else self._belief.limit

    @property
    def reset_s(self) -> float | None:
        """Seconds until the plan's period ends, 0 or more; None when not known."""
        ends_s = None if self._belief is None else self._belief.ends_s
        return None if ends_s is None else max(0.0, ends_s - self._clock_s())

    @property
    def in_flight(self) -> Credits:
        """What was admitted, may be charged, and is not known to be in the balance. Never negative."""
        return self._drawn + self._unsure.amount

    @property
    def exhausted(self) -> bool:
        """Whether calls are refused for the account's sake, all or the larger ones."""
        return self._closed is not None

    # --- calls -------------------------------------------------------------------------------------------------

    def bears(self, amount: Credits) -> bool:
        """Whether `admit` would do so now, but for an attempt to find out."""
        self._forget(self._clock_s())
        return self._fits(amount) and not (self._closed is not None and self._closed.by_answer)

    def admit(self, amount: Credits, method: str) -> Draw:
        """Count `amount` as gone and let the call be sent.

        Raises:
            UpstreamExhausted: the account cannot bear it; nothing was counted.
        """
        if self.bears(amount):
            if self._closed is not None and amount >= self._closed.short:
                self._reopen()
            return self._begin(amount, method)
        now_s = self._clock_s()
        if self._closed is None:
            self._close(amount, now_s, by_answer=False)
        elif self._may_probe(amount, now_s):
            draw = self._begin(amount, method)
            self._closed.probe, self._closed.probe_at_s = draw.number, now_s + self._exhausted_s
            return draw
        else:
            self._closed.short = min(self._closed.short, amount)
        raise UpstreamExhausted

    def free_call(self) -> Draw:
        """Follow a call that costs nothing; it is never refused."""
        return self._begin(Credits.ZERO, "free")

    def answered(
        self, draw: Draw, told: Account, outcome: Outcome, reported: Credits | None, *, exhausted: bool
    ) -> None:
        """Take in how a draw ended. For `Draw` alone."""
        now_s = self._clock_s()
        self._drawn -= self._open.pop(draw.number)
        owed = Credits.ZERO if outcome in _FREE else draw.amount if reported is None else reported
        heard = belief(told, heard_at=self._number, now_s=now_s)
        if heard is not None:
            self._hear(draw, heard, owed, reported, now_s)
        elif owed:
            self._unsure.add(owed, self._number, now_s)
            self._watch.doubted(owed, now_s)
        self._watch.ended(draw.number, self._open, now_s)
        if exhausted:
            self._refused(draw, now_s)
        elif self._closed is not None:
            self._probed(self._closed, draw, outcome, now_s)

    # --- looks: asking for the balance beside the calls ----------------------------------------------------------

    def look(self) -> int | None:
        """Whether an exhausted account's balance can be asked for now: a ticket for `looked`, or None."""
        return self._number if self._closed is not None and not self._open else None

    def looked(self, ticket: int, remaining: Credits) -> None:
        """The balance asked for with `ticket` was `remaining`.

        It counts when no call was under way meanwhile: else nobody knows which of the two came first.
        """
        if ticket != self._number:
            return
        known, now_s = self._belief, self._clock_s()
        self._unsure = _Unsure()
        self._watch.looked(remaining, now_s)
        self._believe(Belief(remaining, index=None if known is None else known.index, heard_at=ticket))

    # --- inside --------------------------------------------------------------------------------------------------

    def _begin(self, amount: Credits, method: str) -> Draw:
        self._number += 1
        self._open[self._number] = amount
        self._drawn += amount
        return Draw(self, self._number, amount, method)

    def _fits(self, amount: Credits) -> bool:
        return self._belief is None or self._belief.remaining - self.in_flight - amount >= self._floor

    def _forget(self, now_s: float) -> None:
        """Let go of what time has overtaken: a balance of a past period, doubts that grew old."""
        self._unsure.age(self._number, now_s)
        if self._belief is not None and self._belief.ends_s is not None and now_s > self._belief.ends_s:
            self._belief = None
            if self._closed is not None and not self._closed.by_answer:
                self._reopen()

    def _hear(self, draw: Draw, heard: Belief, owed: Credits, reported: Credits | None, now_s: float) -> None:
        if is_newer(heard, self._belief, began=draw.number):
            self._believe(heard)
        self._unsure.seen(draw.number, self._number, now_s)
        if heard.index is not None:
            movement = Movement(draw.method, heard.remaining, reported, owed)
            self._watch.moved(heard.index, movement, self._open, now_s)
            return
        self._watch.counted(owed, now_s)
        if not self._open and self._belief is not None:
            self._watch.rested(self._belief.remaining, now_s)

    def _believe(self, heard: Belief) -> None:
        self._belief = heard
        if self._closed is not None and not self._closed.by_answer and self._fits(self._closed.short):
            self._reopen()

    def _close(self, amount: Credits, now_s: float, *, by_answer: bool) -> None:
        self._closed = _Closed(by_answer, amount, now_s + self._exhausted_s)
        self._found(Exhausted("answer" if by_answer else "balance", self.remaining))

    def _reopen(self) -> None:
        self._closed = None
        self._found(Recovered(self.remaining))

    def _may_probe(self, amount: Credits, now_s: float) -> bool:
        closed = self._closed
        if closed is None or closed.probe is not None or now_s < closed.probe_at_s:
            return False
        # Rule 2: between "bears it" and "refuses it itself" lies the floor.
        return self._fits(amount) or (self._belief is not None and self._belief.remaining < amount)

    def _refused(self, draw: Draw, now_s: float) -> None:
        """The upstream refused a call for the account's sake."""
        closed = self._closed
        if closed is not None and closed.probe == draw.number:
            # As was to be expected: nothing has changed.
            closed.probe, closed.probe_at_s = None, now_s + self._exhausted_s
        elif closed is None or not closed.by_answer:
            self._close(draw.amount, now_s, by_answer=True)

    def _probed(self, closed: _Closed, draw: Draw, outcome: Outcome, now_s: float) -> None:
        """A call ended that was not refused for the account's sake: what does it say of a closed account?"""
        if closed.probe != draw.number:
            return
        closed.probe = None
        if closed.by_answer and outcome in _BORNE:
            self._reopen()
        elif outcome is Outcome.REFUSED or not draw.was_sent:
            # It told nothing of the account: the next one may try at once.
            closed.probe_at_s = now_s
