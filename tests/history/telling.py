"""A short history that really happened, in memory: one of everything. Tests lie about it and see the lie found."""

import itertools
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field

from gateway.errors import GatewayError
from gateway.ledger.adjustment import AdjustmentRefused, OperationId, Warrant
from gateway.ledger.budget import BudgetBook, Path, Rule, TeamBudgets, TenantBudgets
from gateway.ledger.contract import Hold, HoldId
from gateway.ledger.memory import MemoryLedger
from gateway.ledger.window import Every, Window
from gateway.units import Credits, Flag
from tests.history.checking import History
from tests.history.ops import RecordedHand, RecordedLedger, Recorder, rows
from tests.history.replay import Entry

TENANT, BEGAN_MS, TTL_MS = "t", 1_785_000_000_000, 1_000
ANN, BOB = Path(TENANT, "ads", "ann"), Path(TENANT, "ads", "bob")


def book() -> BudgetBook:
    """A hundred in all, sixty a day for the team, forty for each user."""
    team = TeamBudgets((Rule(Credits(60), Window(Every.DAY)),), (Rule(Credits(40), Window(Every.HOUR)),))
    return BudgetBook({TENANT: TenantBudgets((Rule(Credits(100), Window(Every.TOTAL)),), teams={"ads": team})})


def warrant(operation_id: str) -> Warrant:
    """On nobody's word in particular."""
    return Warrant(OperationId(operation_id), "kim", "a test")


@dataclass
class Teller:
    """Does things one after the other and keeps the history of it."""

    now_ms: int = BEGAN_MS
    recorder: Recorder = field(default_factory=Recorder)
    journal: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._memory = MemoryLedger(book(), hold_ttl_ms=TTL_MS, clock_ms=lambda: self.now_ms)
        self.ledger = RecordedLedger(self._memory, self.recorder)
        self.hand = RecordedHand(self._memory, self.recorder)
        self._numbers = itertools.count()

    async def did(self, work: Awaitable[object]) -> object:
        """Do one thing, refused or not, and stamp its entries."""
        found: object = None
        with suppress(GatewayError, AdjustmentRefused):
            found = await work
        written = self._memory.journal[TENANT][len(self.journal) :]
        self.journal += [Entry(self.now_ms, dict(entry)) for entry in written]
        self.now_ms += 1
        return found

    async def held(self, path: Path, amount: int, name: str) -> Hold:
        """One hold that is granted."""
        hold = await self.did(self.ledger.hold(path, Credits(amount), hold_id=HoldId(f"{TENANT}/{name}")))
        assert isinstance(hold, Hold)
        return hold

    async def history(self) -> History:
        """All of it, at rest."""
        final = {path: rows(await self._memory.balances(path)) for path in (ANN, BOB)}
        ops = [*self.recorder.ops[TENANT], *self.recorder.ops[""]]
        began_ms = min(op.invoked_ns for op in ops) // 1_000_000
        return History(TENANT, book(), TTL_MS, self.journal, ops, final, epoch_ms=BEGAN_MS - began_ms)


async def told() -> History:
    """One of everything: holds, refusals, ends of each kind, adjustments and grants."""
    teller = Teller()
    ledger, hand = teller.ledger, teller.hand
    one = await teller.held(ANN, 20, "one")
    await teller.did(ledger.hold(ANN, Credits(20), hold_id=one.hold_id))
    await teller.held(BOB, 11, "two")
    await teller.did(ledger.hold(ANN, Credits(25), hold_id=HoldId("t/refused")))
    await teller.did(ledger.settle(one, Credits(18), Flag.CONFIRMED))
    await teller.did(ledger.settle(one, Credits(19), Flag.CONFIRMED))
    await teller.did(ledger.hold(ANN, Credits(20), hold_id=one.hold_id))
    await teller.did(ledger.balances(ANN))
    await teller.did(ledger.void(BOB, HoldId("t/never"), Credits(3)))
    await teller.did(ledger.hold(BOB, Credits(3), hold_id=HoldId("t/never")))
    three = await teller.held(BOB, 5, "three")
    await teller.did(ledger.void(BOB, three.hold_id, Credits(5)))
    teller.now_ms += TTL_MS
    await teller.did(ledger.sweep())
    await teller.did(hand.refund(TENANT, one.hold_id, Credits(7), warrant("back")))
    await teller.did(hand.refund(TENANT, one.hold_id, Credits(700), warrant("much")))
    await teller.did(hand.grant(TENANT, "tenant/total", Credits(9), None, warrant("more")))
    four = await teller.held(ANN, 6, "four")
    teller.now_ms += TTL_MS
    await teller.did(ledger.sweep())
    await teller.did(ledger.settle(four, Credits(4), Flag.UNCONFIRMED))
    await teller.did(hand.correct(TENANT, four.hold_id, Credits(2), warrant("right")))
    await teller.did(hand.revoke(TENANT, OperationId("more"), warrant("less")))
    await teller.did(hand.revoke(TENANT, OperationId("more"), warrant("again")))
    await teller.did(ledger.balances(BOB))
    return await teller.history()
