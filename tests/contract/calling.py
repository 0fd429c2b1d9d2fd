"""Calls made against a store the way a gateway makes them: hold, settle beside the call, ends kept on disk."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from gateway.errors import LedgerUnavailable
from gateway.ledger.budget import Path
from gateway.ledger.contract import Hold, HoldId, Settlement, open_hold
from gateway.ledger.recovery import Recovery
from gateway.ledger.redis import RedisLedger
from gateway.ledger.settler import Settler
from gateway.ledger.spool import Spool
from gateway.ledger.store import Store
from gateway.units import Credits, Flag
from tests.contract.keepers import assert_clean, book

HELD = Credits(7)


@dataclass
class Caller:
    """Makes calls for one tenant.

    Attributes:
        granted: ids of the holds that were granted, with what each call was charged.
        refused: codes of the holds that were refused.
        ended: ends the store has answered, by hold id; the first answer.
        recovered: ids of the holds the store had lost, and whose end was booked all the same.
    """

    tenant: str
    ledger: RedisLedger
    settler: Settler
    spool: Spool
    granted: dict[str, int] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    ended: dict[str, Settlement] = field(default_factory=dict)
    recovered: set[str] = field(default_factory=set)

    @property
    def path(self) -> Path:
        """Who calls."""
        return Path(self.tenant, "ads", "ann")

    async def hold(self, name: str) -> Hold:
        """A hold of its own, to be settled by the test."""
        self.granted[name] = 0
        return await self.ledger.hold(self.path, HELD, hold_id=HoldId(name))

    def settle(self, held: Hold, charged: int) -> None:
        """Let the settler end it."""
        self.granted[held.hold_id] = charged
        self.settler.close(held, Credits(charged), Flag.CONFIRMED)

    async def call(self, name: str, charged: int, *, takes_s: float = 0.0) -> str:
        """One call from hold to settle; `held`, or the code of the refusal. `takes_s`: how long the work lasts."""
        try:
            async with open_hold(self.ledger, self.settler, self.path, HELD, hold_id=HoldId(name)) as opened:
                self.granted[name] = charged
                await asyncio.sleep(takes_s)
                opened.end(Credits(charged), Flag.CONFIRMED, final=True)
        except LedgerUnavailable as refused:
            self.refused[refused.code] += 1
            return refused.code
        return "held"

    async def succeeds(self, charged: int = 3) -> list[str]:
        """Calls until one is held; what those before it were told."""
        told: list[str] = []
        async with asyncio.timeout(20):
            while (said := await self.call(f"again-{len(self.granted)}-{len(told)}", charged)) != "held":
                told.append(said)
                await asyncio.sleep(0.05)
        return told

    async def until_booked(self) -> None:
        """Wait until no end is under way."""
        await until(lambda: self.settler.under_way == 0)

    async def assert_exact(self) -> None:
        """Once all is booked: every call that was held is charged once, nothing is held, and the journal agrees."""
        await self.until_booked()
        assert len(self.spool) == 0
        found = await self.ledger.balances(self.path)
        stands = {(balance.spent.millicredits, balance.held.millicredits) for balance in found}
        assert stands == {(sum(self.granted.values()), 0)}
        await assert_clean(self.ledger, self.tenant)


@asynccontextmanager
async def calling(store: Store, directory: FilePath, tenant: str = "t") -> AsyncIterator[Caller]:
    """A caller with a spool of its own. The store is closed in the end."""
    ledger = RedisLedger(store, book(tenant), hold_ttl_ms=600_000)
    spool = Spool(directory)
    await spool.start()
    ended: dict[str, Settlement] = {}
    recovered: set[str] = set()

    def settled(settlement: Settlement) -> None:
        ended.setdefault(settlement.hold_id, settlement)
        if settlement.recovered:
            recovered.add(settlement.hold_id)

    recovery = Recovery(ledger, found=lambda _: None, settled=settled)
    ledger.watch(recovery.doubted)
    settler = Settler(ledger, ledger, spool, settled=settled, booked=recovery.booked)
    try:
        yield Caller(tenant, ledger, settler, spool, ended=ended, recovered=recovered)
    finally:
        await settler.drain(20)
        await recovery.close()
        await spool.close()
        await store.close()


async def until(reached: Callable[[], bool], *, within_s: float = 20.0) -> None:
    """Wait until `reached` says yes. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not reached():  # noqa: ASYNC110 - what is waited for lies behind sockets and on disk
            await asyncio.sleep(0.01)
