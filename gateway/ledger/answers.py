"""Answers: what the scripts said, as types and errors."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from gateway.errors import BudgetExhausted, LedgerMissing, LedgerPoisoned, TooManyCalls
from gateway.ledger import keys
from gateway.ledger.budget import Balance, Budget, binding
from gateway.ledger.contract import HoldId, Settlement, State
from gateway.ledger.grants import live, whole
from gateway.ledger.limits import Limits
from gateway.ledger.window import Span
from gateway.units import Credits, Flag

# What stands in the place of a balance's numbers when it is gone and must be there.
MISSING = "missing"


def read_places(written: str) -> tuple[keys.Place, ...]:
    """Places as a record or a journal entry has them. Raises LedgerPoisoned for anything else."""
    try:
        return keys.read(written)
    except ValueError:
        raise LedgerPoisoned("poisoned") from None


def balance_keys(tenant: str, written: str) -> tuple[str, ...]:
    """The keys of these places. Raises LedgerPoisoned as `read_places`."""
    try:
        return keys.balance_keys(tenant, written)
    except ValueError:
        raise LedgerPoisoned("poisoned") from None


def hold_keys(tenant: str, hold_id: HoldId, written: str, once: str = "", *further: str) -> list[str]:
    """The keys of a script about one hold, in their order; raises as `read_places`.

    Args:
        tenant: whose.
        hold_id: which.
        written: its places.
        once: the hash of its idempotency key, empty for none.
        further: keys between the balances and that.
    """
    return [
        keys.record(tenant, hold_id),
        keys.open_holds(tenant),
        keys.journal(tenant),
        keys.register(tenant),
        *balance_keys(tenant, written),
        *further,
        *([keys.once(tenant, once)] if once else []),
    ]


def stored(numbers: Sequence[str], now_ms: int) -> list[Any]:
    """Spent, held and live grants of each place, from a snapshot's text.

    Raises:
        LedgerMissing: a balance is gone.
        LedgerPoisoned: some text is no number.
    """
    if MISSING in numbers:
        raise LedgerMissing("missing")
    found: list[Any] = list(numbers)
    try:
        found[2::3] = [live(written, now_ms) for written in numbers[2::3]]
    except ValueError:
        raise LedgerPoisoned("poisoned") from None
    return found


def balances(
    budgets: Sequence[Budget], spans: Sequence[Span], numbers: Sequence[Any], now_ms: int
) -> tuple[Balance, ...]:
    """Each budget with its spent, held and granted. Raises LedgerPoisoned."""
    try:
        amounts = [Credits(whole(number)) for number in numbers]
    except ValueError:
        raise LedgerPoisoned("poisoned") from None
    found = zip(budgets, spans, amounts[::3], amounts[1::3], amounts[2::3], strict=True)
    return tuple([Balance(budget, span, spent, held, now_ms, granted) for budget, span, spent, held, granted in found])


def exhausted(found: tuple[Balance, ...], amount: Credits) -> BudgetExhausted:
    """The refusal, which names the budget that binds."""
    refusing = binding(found, amount)
    return BudgetExhausted(
        quoted=amount,
        budget=refusing.budget.name,
        limit=refusing.limit,
        remaining=refusing.remaining,
        reset_s=refusing.reset_s,
        level=refusing.budget.level,
    )


def limited(limits: Limits, which: str, wait_us: int) -> TooManyCalls:
    """The refusal, which names the limit; for calls in flight nobody knows when the next one ends."""
    allowed = limits.calls_per_second if which == "calls_per_second" else limits.calls_in_flight
    return TooManyCalls(which, Decimal(allowed or 0), max(1, -(-wait_us // 1_000_000)))


def settlement(hold_id: HoldId, charged: Credits, flag: Flag, answer: Sequence[str]) -> Settlement:
    """How settle.lua says the hold ended. Raises LedgerMissing."""
    verdict = answer[0]
    if verdict == "missing":
        raise LedgerMissing("missing")
    if verdict in ("settled", "recovered"):
        recovered = verdict == "recovered"
        return Settlement(hold_id, State.SETTLED, charged, flag, True, recovered, answer[1])  # noqa: FBT003 - applied
    if verdict == "known" and answer[2] == State.SETTLED:
        return Settlement(hold_id, State.SETTLED, Credits(int(answer[3])), Flag(answer[4]), applied=False)
    # Closed before it could hold, or too old to be known: nothing is booked.
    state = State.UNKNOWN if verdict == "unknown" else State.SETTLED
    return Settlement(hold_id, state, Credits.ZERO, Flag.CONFIRMED, applied=False)
