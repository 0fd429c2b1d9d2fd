"""A ledger in memory that fails as it is told to, and takes its time."""

import asyncio
from dataclasses import dataclass, field

from gateway.errors import LedgerUnavailable
from gateway.ledger.budget import Balance, BudgetBook, Path, Rule, TenantBudgets
from gateway.ledger.contract import Audit, End, Hold, HoldId, Settlement
from gateway.ledger.memory import MemoryLedger
from gateway.ledger.window import Every, Window
from gateway.once import Once
from gateway.units import Credits, Flag

PATH = Path("studio", None, "ann")
BOOK = BudgetBook({"studio": TenantBudgets((Rule(Credits(1_000_000), Window(Every.TOTAL)),))})


def unavailable() -> LedgerUnavailable:
    return LedgerUnavailable("timeout")


@dataclass
class FaultyLedger:
    """Fails `before` it does what it is asked, or `after` (the answer is lost): one entry of the list per call."""

    before: list[BaseException | None] = field(default_factory=list)
    after: list[BaseException | None] = field(default_factory=list)
    steps: int = 1
    kept: MemoryLedger = field(default_factory=lambda: MemoryLedger(BOOK, hold_ttl_ms=60_000))
    calls: list[str] = field(default_factory=list)

    async def _pass(self, faults: list[BaseException | None]) -> None:
        for _ in range(self.steps):
            await asyncio.sleep(0)
        fault = faults.pop(0) if faults else None
        if fault is not None:
            raise fault

    async def hold(self, path: Path, amount: Credits, *, hold_id: HoldId, once: Once | None = None) -> Hold:
        self.calls.append(f"hold {hold_id}")
        await self._pass(self.before)
        held = await self.kept.hold(path, amount, hold_id=hold_id, once=once)
        await self._pass(self.after)
        return held

    async def settle(self, hold: Hold, charged: Credits, flag: Flag, facts: str = "") -> Settlement:
        self.calls.append(f"settle {hold.hold_id}")
        await self._pass(self.before)
        settlement = await self.kept.settle(hold, charged, flag, facts)
        await self._pass(self.after)
        return settlement

    async def book(self, end: End) -> Settlement:
        self.calls.append(f"book {end.hold_id}")
        await self._pass(self.before)
        settlement = await self.kept.book(end)
        await self._pass(self.after)
        return settlement

    async def void(self, path: Path, hold_id: HoldId, amount: Credits, once: str = "") -> None:
        self.calls.append(f"void {hold_id}")
        await self._pass(self.before)
        await self.kept.void(path, hold_id, amount, once)
        await self._pass(self.after)

    async def balances(self, path: Path) -> tuple[Balance, ...]:
        return await self.kept.balances(path)

    async def sweep(self, *, most: int = 100) -> tuple[Settlement, ...]:
        return await self.kept.sweep(most=most)

    async def audit(self, tenant: str) -> Audit:
        return await self.kept.audit(tenant)

    async def stands(self) -> tuple[int, int]:
        """Spent and held."""
        (balance,) = await self.kept.balances(PATH)
        return balance.spent.millicredits, balance.held.millicredits


def failing(when: str, *faults: BaseException) -> FaultyLedger:
    """A ledger whose first calls fail `before` or `after` they do what they are asked."""
    return FaultyLedger(before=[*faults]) if when == "before" else FaultyLedger(after=[*faults])
