"""Whatever happens to the store: a hold says why it is refused, no settle is lost, and all goes on by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path as FilePath

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger.budget import Path
from gateway.ledger.contract import HoldId, open_hold
from gateway.ledger.redis import RedisLedger
from gateway.ledger.settler import Settler
from gateway.ledger.spool import Spool
from gateway.ledger.store import Store
from gateway.units import Credits, Flag
from tests.contract.faults import DEADLINE_S, FAULTS, Fault
from tests.contract.keepers import assert_clean, book
from tests.servers.node import bundled_program, node
from tests.tools import need_tool

WHERE = Path("t", "ads", "ann")
STRUCK = [fault for fault in FAULTS if fault.strike is not None]


@dataclass
class Caller:
    """Makes calls against one store, the way a gateway does."""

    ledger: RedisLedger
    settler: Settler
    spool: Spool

    async def call(self, name: str, charged: int) -> str:
        """One call from hold to settle; `held`, or the code of the refusal."""
        try:
            async with open_hold(self.ledger, self.settler, WHERE, Credits(7), hold_id=HoldId(name)) as opened:
                opened.end(Credits(charged), Flag.CONFIRMED, final=True)
        except LedgerUnavailable as refused:
            return refused.code
        return "held"

    async def succeeds(self, charged: int) -> list[str]:
        """Calls until one is held; what those before it were told."""
        told: list[str] = []
        async with asyncio.timeout(20):
            while (said := await self.call(f"again-{len(told)}", charged)) != "held":
                told.append(said)
                await asyncio.sleep(0.05)
        return told

    async def spent(self) -> set[tuple[int, int]]:
        """Spent and held of each budget."""
        found = await self.ledger.balances(WHERE)
        return {(balance.spent.millicredits, balance.held.millicredits) for balance in found}


@asynccontextmanager
async def calling(url: str, directory: FilePath) -> AsyncIterator[Caller]:
    """A caller with a spool of its own."""
    store = Store(url, deadline_s=DEADLINE_S, connections_max=4)
    ledger = RedisLedger(store, book("t"), hold_ttl_ms=600_000)
    spool = Spool(directory)
    await spool.start()
    settler = Settler(ledger, spool=spool)
    try:
        yield Caller(ledger, settler, spool)
    finally:
        await settler.drain(20)
        await spool.close()
        await store.close()


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not reached():  # noqa: ASYNC110 - what is waited for lies behind sockets and on disk
            await asyncio.sleep(0.01)


@pytest.fixture(params=["valkey", "redis"])
def program(request: pytest.FixtureRequest) -> str:
    """Each server program in turn."""
    return bundled_program() if request.param == "valkey" else need_tool("redis-server")


@pytest.mark.parametrize("fault", STRUCK, ids=lambda fault: fault.name.replace(" ", "_"))
async def test_under_each_fault_holds_say_so_settles_are_kept_and_the_books_are_exact_afterwards(
    fault: Fault, program: str, tmp_path: FilePath
) -> None:
    assert fault.strike is not None
    with node(program, tmp_path / "node") as one:
        async with calling(one.url, tmp_path / "spool") as caller:
            before = await caller.ledger.hold(WHERE, Credits(7), hold_id=HoldId("before"))
            with fault.strike(one):
                said = await caller.call("meanwhile", 2)
                caller.settler.close(before, Credits(5), Flag.CONFIRMED)
                if fault.settle == "are booked":
                    await until(lambda: caller.settler.under_way == 0)
                else:
                    await until(lambda: caller.spool.holds(before.hold_id))
            assert said in fault.hold
            await caller.succeeds(3)
            await until(lambda: caller.settler.under_way == 0)
            assert not caller.spool.holds(before.hold_id)
            assert await caller.spent() == {(5 + 3 + (2 if said == "held" else 0), 0)}
            await assert_clean(caller.ledger, "t")
