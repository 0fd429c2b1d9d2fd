"""Ledger: the promises, in prose. Whoever keeps the books keeps these; one test suite holds every keeper to them.

1. Whenever a hold is made, `spent + held <= limit + live grants` in every budget on the path: all are checked and
   written together, or none is.
2. A hold ends exactly once: settled, or expired at its deadline (booked at the held amount, `uncertain`). A late
   settle corrects an expired hold, once. What an operator may change after that: see `adjustment.py`.
3. Identity before balance: the same hold id again changes nothing and answers what is known.
4. A hold is settled in the windows that admitted it, however late.
5. Only the keeper's own clock decides about windows and deadlines.
6. Every movement is in the journal, appended in the same step; a recount of the journal gives the balances.
7. No answer is not a no: after `LedgerUnavailable` the hold may exist. It is voided, or it expires.
8. An idempotency key is taken in the same step that makes the hold, by one call, and remembered from then on for a
   stated time. Its facts are written in the step that ends the hold. A hold that is refused leaves the key free, and
   one that is voided gives it back.
9. What the keeper has lost is never taken for nothing spent: a balance that is gone closes its tenant, and the charge
   of a hold that is gone is booked all the same, once.
10. A tenant's limits on calls are decided in the same step: whenever a hold is made, open holds that are not past their
   deadline are no more than `calls_in_flight`, and no more holds were made than `calls_per_second` and `burst` allow.
   What is refused, for whatever reason, and what is asked again uses up nothing. Limits come after identity, before
   budgets; they count for new holds from the moment they are configured.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType, Protocol

from gateway.errors import BudgetExhausted, Forbidden, HoldClosed, LedgerUnavailable, TooManyCalls
from gateway.ledger import keys
from gateway.ledger.budget import Balance, Path
from gateway.once import FREE, Once, Repeated
from gateway.units import Credits, Flag
from gateway.values import value

HoldId = NewType("HoldId", str)

# How long a hold is remembered after its end and its deadline: a late settle finds what it corrects, a repeated id its
# answer; and a hold nobody remembers before that was lost.
KEPT_MS = 7 * 24 * 3_600_000


class State(StrEnum):
    """A hold is open, settled or expired. Unknown is a hold too old to be remembered, or one that never was."""

    OPEN = "open"
    SETTLED = "settled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@value(frozen=True, slots=True)
class Hold:
    """Credits set aside for one call.

    Attributes:
        hold_id: unique to the call.
        path: whose budgets bear it.
        amount: what is set aside in each of them.
        balances: every budget on the path, this hold included.
        deadline_ms: when it expires, by the keeper's clock.
        once: the key it was made under, if any.
        places: where its balances are kept, as `keys.written`; empty where nobody has written that down yet.
    """

    hold_id: HoldId
    path: Path
    amount: Credits
    balances: tuple[Balance, ...]
    deadline_ms: int
    once: Once | None = None
    places: str = field(default="", compare=False, repr=False)


@value(frozen=True, slots=True)
class Settlement:
    """How a hold ended.

    Attributes:
        hold_id: which hold.
        state: settled or expired; unknown when nobody remembers the hold: nothing is booked.
        charged: what is booked.
        flag: how sure that is.
        applied: false when it had ended before and this call changed nothing.
        recovered: the keeper had lost the hold; its charge was booked all the same.
        entry_id: of the journal entry this call wrote; empty for none, and where entries have no ids.
    """

    hold_id: HoldId
    state: State
    charged: Credits
    flag: Flag
    applied: bool
    recovered: bool = False
    entry_id: str = field(default="", compare=False)


@value(frozen=True, slots=True)
class End:
    """How a hold shall end, without the hold: can be written down, and booked by another process.

    Attributes:
        hold_id: which hold.
        tenant: whose.
        places: the balances that admitted it, as `keys.written`.
        charged: what it is settled at.
        flag: how sure that is.
        once: the hash of the idempotency key it was made under, empty for none.
        facts: kept with that key; `FREE` gives it back; empty for none.
        amount, deadline_ms, path: the hold's own, for a keeper that has lost it; without them it cannot be booked then.
    """

    hold_id: HoldId
    tenant: str
    places: str
    charged: Credits
    flag: Flag
    once: str = ""
    facts: str = ""
    amount: Credits = Credits.ZERO
    deadline_ms: int = 0
    path: str = ""

    @classmethod
    def of(cls, hold: Hold, charged: Credits, flag: Flag, facts: str = "") -> "End":
        """The end of `hold` at `charged`."""
        places = hold.places or keys.written(keys.places_of(hold.balances))
        key = "" if hold.once is None else hold.once.key
        lost = (hold.amount, hold.deadline_ms, str(hold.path))
        return cls(hold.hold_id, hold.path.tenant, places, charged, flag, key, facts if key else "", *lost)


@dataclass(frozen=True, slots=True)
class Difference:
    """One balance that does not equal the recount of the journal."""

    balance: str
    field: str
    counted: int
    stored: int


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of a recount: how many entries and balances were read, and what differs (nothing should)."""

    tenant: str
    entries: int
    balances: int
    spent: Credits
    differences: tuple[Difference, ...]


class Ledger(Protocol):
    """Keeps every tenant's balances. See the promises at the head of this file."""

    async def hold(self, path: Path, amount: Credits, *, hold_id: HoldId, once: Once | None = None) -> Hold:
        """Set `amount` aside in every budget on `path`, or in none.

        The same open id again returns that hold and sets nothing more aside.

        Args:
            path: tenant/team/user; whose budgets must all bear it.
            amount: not negative, in millicredits (1 credit = 0.0001 USD).
            hold_id: unique to one call.
            once: the idempotency key the hold takes, and what the call asks; None for a call without.

        Raises:
            BudgetExhausted: some budget lacks `amount`; it is named; nothing was written.
            TooManyCalls: a limit of the tenant's is reached; it is named; nothing was written.
            TenantUnknown: nobody configured this tenant.
            TenantFrozen: an operator froze it.
            HoldClosed: this id has ended already.
            Repeated: the key is taken. Mismatch: by another call; open or ended: by this one, under another hold id.
            LedgerUnavailable: no answer in time. It may have been written; then it is voided or
                expires. Do not forward the call.
        """
        ...

    async def settle(self, hold: Hold, charged: Credits, flag: Flag, facts: str = "") -> Settlement:
        """End `hold` at `charged`: give the held amount back and book the charge, also above what was held.

        Ended before: nothing changes and the recorded end is returned, save that an expired hold is corrected. A hold
        the keeper has lost is booked as well, as long as its record would still be remembered.
        `facts` are kept with the key the hold was made under, if it is still the hold's; `FREE` gives the key back.

        Raises:
            LedgerUnavailable: it may have been booked. Safe to send again.
        """
        ...

    async def book(self, end: End) -> Settlement:
        """Settle the hold that `end` was written down of; as `settle`."""
        ...

    async def void(self, path: Path, hold_id: HoldId, amount: Credits, once: str = "") -> None:
        """Make sure that a hold whose answer was lost holds nothing, whether or not it was written.

        An id that was never seen is closed for good, so that a hold still on its way finds nothing to do. The key with
        the hash `once`, if the hold took it, is given back.

        Raises:
            LedgerUnavailable: try again; past its deadline the hold expires.
        """
        ...

    async def balances(self, path: Path) -> tuple[Balance, ...]:
        """Every budget on `path` as it stands now, from the tenant down; raises as `hold`."""
        ...

    async def sweep(self, *, most: int = 100) -> tuple[Settlement, ...]:
        """Expire up to `most` holds past their deadline; each is booked at its held amount, `uncertain`."""
        ...

    async def audit(self, tenant: str) -> Audit:
        """Recount the tenant's balances from its journal."""
        ...


class Closer(Protocol):
    """Takes over the end of a hold: books it, however often that has to be tried."""

    def close(self, hold: Hold, charged: Credits, flag: Flag, facts: str = "") -> None:
        """Book the end of `hold`; returns at once, never raises, survives the caller's cancellation."""
        ...

    def void(self, path: Path, hold_id: HoldId, amount: Credits, once: str = "") -> None:
        """Undo a hold whose answer never came; as `close`."""
        ...


class OpenHold:
    """A hold in use. `end` says what it is settled at; unsaid, it ends at nothing.

    Once `sent` was called, unsaid means the quote, `uncertain`: the upstream may have charged it. `facts` are kept with
    the key it was made under; until `sent` was called, they give it back.
    """

    __slots__ = ("_closer", "_open", "charged", "facts", "flag", "hold")

    def __init__(self, hold: Hold, closer: Closer) -> None:
        self.hold = hold
        self.charged = Credits.ZERO
        self.flag = Flag.CONFIRMED
        self.facts = FREE
        self._closer = closer
        self._open = True

    def sent(self, quoted: Credits) -> None:
        """From here on doubt costs the quote."""
        self.charged, self.flag, self.facts = quoted, Flag.UNCERTAIN, ""

    def end(self, charged: Credits, flag: Flag, *, final: bool) -> None:
        """Settle at `charged`: now when that is `final`, else when the block is left unless said otherwise.

        Under a key never now: how the answer ends is among the facts, and they are written in the same step.
        """
        self.charged, self.flag = charged, flag
        if final and self.hold.once is None:
            self.close()

    def close(self) -> None:
        """Hand the end over to be booked, once. Wall 6: every hold ends here."""
        if self._open:
            self._open = False
            self._closer.close(self.hold, self.charged, self.flag, self.facts)


class open_hold:  # noqa: N801 - used as a function is
    """Hold `amount` for the length of a block, and end it exactly once, whatever happens inside.

    Raises what `Ledger.hold` raises; then nothing stays held.
    """

    __slots__ = ("_closer", "_holding", "_opened")

    def __init__(
        self,
        ledger: Ledger,
        closer: Closer,
        path: Path,
        amount: Credits,
        *,
        hold_id: HoldId,
        once: Once | None = None,
    ) -> None:
        self._closer = closer
        self._holding = ledger.hold, path, amount, hold_id, once
        self._opened: OpenHold | None = None

    async def __aenter__(self) -> OpenHold:
        hold, path, amount, hold_id, once = self._holding
        try:
            self._opened = OpenHold(await hold(path, amount, hold_id=hold_id, once=once), self._closer)
        except BaseException as error:
            if not _definite(error):
                self._closer.void(path, hold_id, amount, once.key if once else "")
            raise
        return self._opened

    async def __aexit__(self, *_: object) -> None:
        if self._opened is not None:
            self._opened.close()


def _definite(error: BaseException) -> bool:
    """Whether it says for certain that nothing was written, nor ever will be."""
    if isinstance(error, LedgerUnavailable):
        return not error.sent
    return isinstance(error, Forbidden | HoldClosed) or (
        isinstance(error, BudgetExhausted | TooManyCalls | Repeated) and error.certain
    )
