"""Standings: what the ledger says of budgets and open holds. Without a fresh reading the series are absent."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import Metric

from gateway.ledger.budget import Balance
from gateway.ledger.open_holds import OpenHolds
from gateway.metrics.exposing import gauged
from gateway.metrics.series import Series, gauge

# Budgets shown in one scrape; each is up to six series.
BALANCES_MAX = 2_000

LIMIT = gauge("budget_limit_credits", "Limit of a budget, its live grants included.", "tenant", "budget")
GRANTED = gauge("budget_granted_credits", "Live grants of a budget.", "tenant", "budget")
SPENT = gauge("budget_spent_credits", "Settled credits of a budget's window.", "tenant", "budget")
HELD = gauge("budget_held_credits", "Credits of a budget's open holds.", "tenant", "budget")
REMAINING = gauge("budget_remaining_credits", "Credits a budget can still hold.", "tenant", "budget")
RESET = gauge("budget_reset_seconds", "Seconds until a budget begins anew; absent if never.", "tenant", "budget")
OPEN = gauge("holds_open", "Holds that have not ended, on whichever gateway.", "tenant")
OLDEST = gauge("oldest_hold_seconds", "Seconds since the oldest open hold was made; absent without one.", "tenant")

STANDING_SERIES: tuple[Series, ...] = (LIMIT, GRANTED, SPENT, HELD, REMAINING, RESET, OPEN, OLDEST)

_WAYS: Mapping[Series, Callable[[Balance], float | None]] = {
    LIMIT: lambda balance: balance.limit.as_number(),
    GRANTED: lambda balance: balance.granted.as_number(),
    SPENT: lambda balance: balance.spent.as_number(),
    HELD: lambda balance: balance.held.as_number(),
    REMAINING: lambda balance: balance.remaining.as_number(),
    RESET: lambda balance: balance.reset_s,
}


class Standings:
    """The last reading.

    Args:
        shows: whether a tenant is shown under its own name; others cannot be added up and are left out.
    """

    def __init__(self, shows: Callable[[str], bool]) -> None:
        self._shows = shows
        self._balances: dict[tuple[str, str], Balance] = {}
        self._holds: dict[str, OpenHolds] = {}

    def set(self, balances: Iterable[tuple[str, Balance]], holds: Mapping[str, OpenHolds]) -> None:
        """Show these budgets and holds by tenant from now on, and no others."""
        shown: dict[tuple[str, str], Balance] = {}
        for tenant, balance in balances:
            if len(shown) < BALANCES_MAX and self._shows(tenant):
                shown[tenant, balance.budget.name] = balance
        self._balances = shown
        self._holds = {tenant: found for tenant, found in holds.items() if self._shows(tenant)}

    def families(self) -> Iterator[Metric]:
        """Everything as it stands."""
        balances, holds = self._balances, self._holds
        for series, way in _WAYS.items():
            yield gauged(series, _seen(balances, way))
        yield gauged(OPEN, (((tenant,), found.count) for tenant, found in holds.items()))
        yield gauged(OLDEST, (((tenant,), _seconds(found.oldest_ms)) for tenant, found in holds.items()))


def _seen(
    balances: Mapping[tuple[str, str], Balance], way: Callable[[Balance], float | None]
) -> Iterator[tuple[tuple[str, str], float | None]]:
    for labels, balance in balances.items():
        yield labels, way(balance)


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1_000
