"""Refreshing: the money gauges are read from the ledger, right before they are shown."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Protocol

from gateway.errors import GatewayError
from gateway.ledger.budget import Balance, BudgetBook, Path
from gateway.ledger.open_holds import OpenHolds

# The money gauges of a scrape wait no longer for the ledger than this.
REFRESH_WITHIN_S = 1.0


class Reading(Protocol):
    """A ledger, as far as a scrape reads it."""

    async def balances(self, path: Path) -> tuple[Balance, ...]:
        """See `Ledger.balances`."""
        ...

    async def holds_now(self, tenant: str) -> OpenHolds:
        """How many holds of the tenant are open, and since when the oldest."""
        ...


class Showing(Protocol):
    """What shows the money gauges: `Metrics` or `Totals`."""

    def shows(self, tenant: str) -> bool:
        """Whether the tenant is shown under its own name."""
        ...

    def set_balances(self, balances: Iterable[tuple[str, Balance]], holds: Mapping[str, OpenHolds]) -> None:
        """Show these from now on, and no others."""
        ...


async def refresh(ledger: Reading, book: BudgetBook, metrics: Showing) -> None:
    """Read the balances of the tenants shown apart, and of their teams: the money gauges come from the ledger.

    Balances first: open holds are left out when there is no time for both.
    """
    found: list[tuple[str, Balance]] = []
    holds: dict[str, OpenHolds] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REFRESH_WITHIN_S):
            for path in filter(lambda path: metrics.shows(path.tenant), book.shared_paths):
                with contextlib.suppress(GatewayError):
                    found += [(path.tenant, balance) for balance in await ledger.balances(path)]
            for tenant in filter(metrics.shows, book.tenants):
                with contextlib.suppress(GatewayError):
                    holds[tenant] = await ledger.holds_now(tenant)
    metrics.set_balances(found, holds)
