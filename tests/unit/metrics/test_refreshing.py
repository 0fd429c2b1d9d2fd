"""The money gauges are read from the ledger a few at a time, in order; what cannot be read is left out."""

import asyncio
from collections.abc import Iterable, Mapping

from gateway.errors import LedgerUnavailable
from gateway.ledger.budget import Balance, Budget, BudgetBook, Path, Rule, TenantBudgets
from gateway.ledger.open_holds import OpenHolds
from gateway.ledger.window import Every, Span, Window
from gateway.metrics.refreshing import AT_ONCE, refresh
from gateway.units import Credits

RULE = Rule(Credits.whole(100), Window(Every.MONTH, "UTC", 1))
NAMES = [f"tenant-{number}" for number in range(5 * AT_ONCE)]
BOOK = BudgetBook(dict.fromkeys(NAMES, TenantBudgets(budgets=(RULE,))))
SPOILT = NAMES[AT_ONCE + 1]


class Slow:
    """A ledger whose answers come in no order, and for one tenant not at all."""

    def __init__(self) -> None:
        self.asked = self.at_once = 0

    async def _answer(self, tenant: str) -> None:
        self.asked += 1
        self.at_once = max(self.at_once, self.asked)
        for _ in range(1 + NAMES.index(tenant) % 3):
            await asyncio.sleep(0)
        self.asked -= 1
        if tenant == SPOILT:
            raise LedgerUnavailable("timeout")

    async def balances(self, path: Path) -> tuple[Balance, ...]:
        await self._answer(path.tenant)
        budget = Budget("tenant/month", "tenant", Credits.whole(100), RULE.window)
        return (Balance(budget, Span(0, 10_000), Credits.ZERO, Credits.ZERO, now_ms=4_500),)

    async def holds_now(self, tenant: str) -> OpenHolds:
        await self._answer(tenant)
        return OpenHolds(1, 1_500)


class Shown:
    """What a scrape would show."""

    def __init__(self) -> None:
        self.balances: list[str] = []
        self.holds: list[str] = []

    def shows(self, tenant: str) -> bool:
        return tenant != NAMES[-1]

    def set_balances(self, balances: Iterable[tuple[str, Balance]], holds: Mapping[str, OpenHolds]) -> None:
        self.balances, self.holds = [tenant for tenant, _ in balances], list(holds)


async def test_what_can_be_read_is_shown_in_order_and_few_are_asked_for_at_once() -> None:
    ledger, shown = Slow(), Shown()
    await refresh(ledger, BOOK, shown)
    assert shown.balances == shown.holds == [name for name in NAMES[:-1] if name != SPOILT]
    assert ledger.at_once == AT_ONCE
    assert ledger.asked == 0
