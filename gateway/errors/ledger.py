"""What money or a bound does not allow, and a ledger that cannot be asked."""

from dataclasses import dataclass
from decimal import Decimal

from gateway.errors.root import GatewayError
from gateway.units import Credits


@dataclass(eq=False)
class AboveCeiling(GatewayError):
    """The quote is above the caller's own ceiling (`X-Gateway-Max-Credits`) or its token's grant.

    Attributes:
        quoted: the price.
        ceiling: what the caller set.
        source: `header` or `grant`.
    """

    quoted: Credits
    ceiling: Credits
    source: str
    reason = "above_ceiling"


@dataclass(eq=False)
class BudgetExhausted(GatewayError):
    """A budget on the caller's path cannot bear the call. Nothing was written.

    Attributes:
        quoted: what the call would have set aside.
        budget: the binding budget's name, such as `team/day`.
        limit: its limit.
        remaining: what it has left, never negative.
        reset_s: seconds until its window ends; None when it never does.
        certain: false when an earlier try went unanswered: it may yet be written, and must be voided.
    """

    quoted: Credits
    budget: str
    limit: Credits
    remaining: Credits
    reset_s: int | None
    level: str = "tenant"
    certain: bool = True
    reason = "budget_exhausted"


@dataclass(eq=False)
class TooManyCalls(GatewayError):
    """The tenant has as many calls in flight, or in a second, as its limits allow. Nothing was written.

    Attributes:
        code: which limit: `calls_in_flight` or `calls_per_second`.
        allowed: what it is set to.
        retry_after_s: seconds until the next call may begin; 1 where that depends on when others end.
        certain: false when an earlier try went unanswered: it may yet be written, and must be voided.
    """

    code: str
    allowed: Decimal
    retry_after_s: int
    certain: bool = True
    reason = "too_many_calls"


@dataclass(eq=False)
class LedgerUnavailable(GatewayError):
    """The ledger gave no answer in time, or not one that can be trusted; nothing was sent upstream.

    Attributes:
        code: error class, from a closed set, such as `timeout`, `connection`, `loading`, `readonly`, `oom`.
        sent: false when nothing was written, nor ever will be: the ledger was not even asked, or would not.
    """

    code: str
    sent: bool = True
    reason = "ledger_unavailable"


class LedgerPoisoned(LedgerUnavailable):
    """A stored balance is not a number, or a record contradicts it: this tenant is closed until repaired."""

    reason = "ledger_poisoned"


class LedgerMissing(LedgerUnavailable):
    """A stored balance is gone; it is never taken for nothing spent: this tenant is closed until repaired."""

    reason = "ledger_missing"


class LedgerRegressed(LedgerUnavailable):
    """The store has forgotten entries it had confirmed: its tenant is closed until they are booked again."""

    reason = "ledger_regressed"


class HoldClosed(GatewayError):
    """A hold under this id has already ended; nothing may be held under it again."""

    reason = "hold_closed"


@dataclass(eq=False)
class Busy(GatewayError):
    """A bound of the gateway is reached; nothing was held.

    `retry_after_s` says when to come back.
    """

    retry_after_s: int = 1
    reason = "busy"
