"""Thousands of operations over a line on which everything goes wrong that can: every answer is explained, once."""

import asyncio
from pathlib import Path

import pytest

from tests.bench.rounds import ClientProcess, Lane, Round
from tests.contract.keepers import new_tenant
from tests.faults.plans import Fault, Kind, Seeded, Side
from tests.faults.proxy import FaultProxy

SEED, OPERATIONS, DEADLINE_S = 20260717, 3_000, 0.1

# All calls share one connection: what happens to one of them, or to the line, happens to those behind it as well.
EVERYTHING = {
    Fault(Kind.EAT): 0.004,
    Fault(Kind.EAT, Side.REQUEST): 0.001,
    Fault(Kind.EAT, at=2, size=3): 0.0004,
    Fault(Kind.CUT): 0.004,
    Fault(Kind.CUT, at=11): 0.002,
    Fault(Kind.CUT, Side.REQUEST, at=30): 0.002,
    Fault(Kind.TWICE): 0.002,
    Fault(Kind.ECHO, seconds=0.01): 0.002,
    Fault(Kind.TWICE, Side.REQUEST): 0.004,
    Fault(Kind.TWICE, Side.REQUEST, answers=2): 0.001,
    Fault(Kind.DELAY, seconds=0.05): 0.002,
    Fault(Kind.DELAY, seconds=DEADLINE_S * 1.5): 0.001,
    Fault(Kind.DELAY, Side.REQUEST, seconds=0.05): 0.002,
    Fault(Kind.DELAY, Side.REQUEST, seconds=DEADLINE_S * 1.5): 0.001,
    Fault(Kind.STALL, at=5): 0.001,
    Fault(Kind.STALL, Side.REQUEST, at=50): 0.001,
    Fault(Kind.HALF, at=4): 0.001,
    Fault(Kind.HALF, Side.REQUEST, at=4): 0.001,
}


@pytest.fixture(params=["valkey", "redis", "redis62", "redis82"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Every store of one node. The nodes of a cluster tell one another's addresses, which lead past the line."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


async def trouble(proxy: FaultProxy) -> None:
    """Now and then all connections end at once, or pass nothing more, or no new ones are taken."""
    while True:
        await asyncio.sleep(0.3)
        proxy.cut_all()
        await asyncio.sleep(0.5)
        proxy.stall_all()
        await asyncio.sleep(1)
        proxy.refusing = True
        await asyncio.sleep(0.05)
        proxy.refusing = False


@pytest.mark.timeout(110)
async def test_everything_may_go_wrong_on_the_line_and_every_answer_is_explained(
    store_url: str, tmp_path: Path
) -> None:
    """The journal, replayed, gives every answer and every balance; every hold has ended once; the audit is clean."""
    tenants = (new_tenant(), new_tenant(), new_tenant())
    of = Round(0, SEED, OPERATIONS, tenants, room=OPERATIONS // 2 // len(tenants))
    async with FaultProxy(store_url, Seeded(SEED, EVERYTHING)) as proxy:
        clients = ClientProcess(Lane(0, proxy.url, store_url, DEADLINE_S, 48, tmp_path))
        troubling = asyncio.create_task(trouble(proxy))
        ran = await clients.run(of)
        troubling.cancel()
        await asyncio.gather(troubling, return_exceptions=True)
        await clients.end(of)
        for n, tenant in enumerate(tenants):  # the one whose turn it is in a round is audited as well
            checked = await clients.check(Round(0, SEED, OPERATIONS, tenants, of.room), [tenant])
            assert checked.shown == [], n
            assert checked.entries["hold"] == checked.entries["settle"] + checked.entries["expire"] > 0
        await clients.close()
    assert (ran.given_up, ran.asked_again > 50) == (0, True)
    assert {kind for kind in Kind if proxy.counts[kind]} == {*Kind}
    assert {kind for kind, verdict in ran.verdicts if verdict == "unknown"} >= {"hold", "settle"}
