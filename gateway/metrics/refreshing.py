"""Refreshing: the money gauges are read from the ledger, right before they are shown."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from gateway.errors import GatewayError
from gateway.ledger.budget import Balance, BudgetBook, Path
from gateway.ledger.open_holds import OpenHolds

# The money gauges of a scrape wait no longer for the ledger than this.
REFRESH_WITHIN_S = 1.0
# Questions under way to it at the same time: few, so that calls are not held up behind them.
AT_ONCE = 4

Key = TypeVar("Key")
Found = TypeVar("Found")


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
            async for path, balances in _asked(ledger.balances, _paths(book, metrics)):
                found += [(path.tenant, balance) for balance in balances]
            async for tenant, now in _asked(ledger.holds_now, filter(metrics.shows, book.tenants)):
                holds[tenant] = now  # noqa: PERF403 - what was read in time is kept
    metrics.set_balances(found, holds)


def _paths(book: BudgetBook, metrics: Showing) -> Iterable[Path]:
    return (path for path in book.shared_paths if metrics.shows(path.tenant))


async def _asked(ask: Callable[[Key], Awaitable[Found]], keys: Iterable[Key]) -> AsyncIterator[tuple[Key, Found]]:
    """What the ledger says of each key, in their order; those it gives no answer to are left out."""

    async def answer(key: Key) -> tuple[tuple[Key, Found], ...]:
        try:
            return ((key, await ask(key)),)
        except GatewayError:
            return ()

    rest = iter(keys)
    while some := tuple(itertools.islice(rest, AT_ONCE)):
        for found in await asyncio.gather(*map(answer, some)):
            for said in found:
                yield said
