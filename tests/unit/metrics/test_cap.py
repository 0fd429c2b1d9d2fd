"""However many tenants are configured, a scrape stays small and reads few balances."""

from collections import Counter
from typing import Any

from gateway.ledger.budget import Balance, BudgetBook, Path, Rule, TenantBudgets
from gateway.ledger.memory import MemoryLedger
from gateway.ledger.open_holds import OpenHolds
from gateway.ledger.window import Every, Window
from gateway.metrics.counting import Metrics
from gateway.metrics.refreshing import refresh
from gateway.receipt import Receipt
from gateway.units import Credits

TENANTS = 100_000
SHOWN = 200
BUDGETS = TenantBudgets(budgets=(Rule(Credits.whole(100), Window(Every.MONTH, "UTC", 1)),))
NAMES = [f"tenant-{number}" for number in range(TENANTS)]


class Counting:
    """A ledger that counts which balances are read."""

    def __init__(self, inner: MemoryLedger) -> None:
        self._inner = inner
        self.read: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()

    async def balances(self, path: Path) -> tuple[Balance, ...]:
        self.read[path.tenant] += 1
        return await self._inner.balances(path)

    async def holds_now(self, tenant: str) -> OpenHolds:
        self.asked[tenant] += 1
        return OpenHolds(2, 1_500)


def charged(tenant: str) -> Receipt:
    return Receipt(
        "4f2a", 0.0, tenant=tenant, method="text2image", held=Credits.whole(1), quoted=Credits.whole(1),
        charged=Credits.whole(1), flag="confirmed", outcome="served", status=200, total_s=0.1,
    )  # fmt: skip


async def test_a_scrape_of_a_hundred_thousand_tenants_shows_the_first_and_sums_the_rest() -> None:
    book = BudgetBook(dict.fromkeys(NAMES, BUDGETS))
    metrics = Metrics(methods=("text2image",), routes=("text2image",), tenants=book.tenants, tenants_max=SHOWN)
    ledger: Any = Counting(MemoryLedger(book, hold_ttl_ms=60_000, clock_ms=lambda: 1_800_000_000_000))
    await refresh(ledger, book, metrics)
    assert set(ledger.read) == set(ledger.asked) == set(NAMES[:SHOWN])
    for name in (*NAMES[:1000], *NAMES[-1000:]):
        metrics.record(charged(name))
    text = metrics.render()[0].decode()
    lines = [line for line in text.splitlines() if line.startswith("dezgo_gateway_credits_charged_total{")]
    assert len(lines) == SHOWN + 1
    assert sum(float(line.rsplit(" ", 1)[1]) for line in lines) == 2000
    assert 'tenant="other"} 1800.0' in text.replace('flag="confirmed",method="text2image",', "")
    assert len(text) < 500_000
