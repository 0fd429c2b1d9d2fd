"""Failovers, seen from the ledger: found by itself, nothing the new primary knows is booked twice or forgotten."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path as FilePath

import pytest

from gateway.ledger import keys
from gateway.ledger.store import Store
from tests.contract.calling import Caller, calling, until
from tests.contract.faults import AWAY
from tests.servers.cluster import Cluster, SlotMove, cluster
from tests.servers.node import Node, bundled_program
from tests.servers.watched import Watched, watched
from tests.tools import need_tool

DEADLINE_S = 0.5


@pytest.fixture(params=["valkey", "redis"])
def program(request: pytest.FixtureRequest) -> str:
    """Each server program in turn."""
    return bundled_program() if request.param == "valkey" else need_tool("redis-server")


@pytest.fixture
async def group(program: str, tmp_path: FilePath) -> AsyncIterator[Watched]:
    """A primary and a replica with three Sentinels."""
    with watched(program, tmp_path / "group") as made:
        yield made


@pytest.fixture
async def six(tmp_path: FilePath) -> AsyncIterator[Cluster]:
    """Three primaries with a replica each."""
    with cluster(bundled_program(), tmp_path / "six") as made:
        yield made


@pytest.fixture
async def six_of_each(program: str, tmp_path: FilePath) -> AsyncIterator[Cluster]:
    """The same of each program in turn."""
    with cluster(program, tmp_path / "six") as made:
        yield made


def caller_of(url: str, directory: FilePath, tenant: str = "t") -> AbstractAsyncContextManager[Caller]:
    return calling(Store(url, deadline_s=DEADLINE_S), directory / f"spool-{tenant}", tenant)


async def caught_up(replica: Node, primary: Node) -> None:
    await asyncio.to_thread(replica.caught_up, primary)


@asynccontextmanager
async def loaded(caller: Caller, workers: int = 4) -> AsyncIterator[None]:
    """Calls without a pause, for as long as the block lasts."""
    over = asyncio.Event()

    async def calls(worker: int) -> None:
        number = 0
        while not over.is_set():
            await caller.call(f"load-{worker}-{number}", number % 8)
            number += 1

    tasks = [asyncio.create_task(calls(worker)) for worker in range(workers)]
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(*tasks)


# --- Sentinel ---------------------------------------------------------------------------------------------------


async def test_when_sentinels_promote_a_replica_calls_are_refused_till_then_and_go_on_by_themselves(
    group: Watched, tmp_path: FilePath
) -> None:
    async with caller_of(group.url, tmp_path) as caller:
        before = await caller.hold("before")
        first = group.primary
        await caught_up(group.nodes[1], first)
        first.kill()
        assert await caller.call("meanwhile", 2) in AWAY
        caller.settle(before, 5)
        await until(lambda: caller.spool.holds(before.hold_id))
        await asyncio.to_thread(group.promoted, first)
        await caller.succeeds()
        await caller.assert_exact()


async def test_what_a_primary_takes_that_wakes_up_after_its_replica_was_promoted_is_not_acknowledged(
    group: Watched, tmp_path: FilePath
) -> None:
    """Durability `replicated`: it has no replica any more. Alone it would be believed until somebody looks again."""
    async with calling(Store(group.url, deadline_s=DEADLINE_S, replicas=1), tmp_path / "spool") as caller:
        await caller.succeeds()
        await caller.until_booked()
        first = group.primary
        first.pause()
        assert await caller.call("meanwhile", 2) in AWAY
        await asyncio.to_thread(group.promoted, first)
        first.resume()
        for number in range(5):
            await caller.call(f"awake-{number}", 3)
        await asyncio.to_thread(first.linked)
        await caller.succeeds()
        await caller.assert_exact()


# --- cluster ----------------------------------------------------------------------------------------------------


def by_owner(six: Cluster) -> dict[int, str]:
    """A tenant in a slot of each primary, by the primary's port."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < six.primaries:
        found.setdefault(six.owner(six.slot(keys.journal(f"t{number}"))).port, f"t{number}")
        number += 1
    return found


async def test_when_a_node_of_a_cluster_dies_only_its_tenants_wait_till_its_replica_takes_over(
    six_of_each: Cluster, tmp_path: FilePath
) -> None:
    six = six_of_each
    (port, mine), (_, other), _ = by_owner(six).items()
    async with caller_of(six.url, tmp_path, mine) as caller, caller_of(six.url, tmp_path, other) as lucky:
        before = await caller.hold("before")
        await lucky.succeeds()
        slot = six.slot(keys.journal(mine))
        first, replica = six.owner(slot), six.replica(slot)
        assert first.port == port
        await caught_up(replica, first)
        first.kill()
        assert await caller.call("meanwhile", 2) in AWAY
        assert await lucky.call("unharmed", 2) == "held"
        caller.settle(before, 5)
        await until(lambda: caller.spool.holds(before.hold_id))
        await asyncio.to_thread(six.promoted, slot, first)
        await caller.succeeds()
        for each in (caller, lucky):
            await each.assert_exact()


async def test_an_orderly_failover_under_load_loses_and_doubles_nothing(six: Cluster, tmp_path: FilePath) -> None:
    async with caller_of(six.url, tmp_path) as caller:
        await caller.succeeds()
        slot = six.slot(keys.journal("t"))
        async with loaded(caller):
            for _ in range(2):
                await asyncio.to_thread(six.fail_over, slot)
                await asyncio.to_thread(six.whole)
        assert set(caller.refused) <= set(AWAY)
        await caller.assert_exact()


@pytest.mark.parametrize("carried", [0, 2, 1_000_000], ids=["nothing", "a part", "all"])
async def test_while_a_slot_moves_calls_are_held_or_refused_whole_and_go_on_at_its_new_place(
    six: Cluster, tmp_path: FilePath, carried: int
) -> None:
    """A script with keys on both sides runs on neither: the store says so, and the hold is refused."""
    async with caller_of(six.url, tmp_path) as caller:
        before = [await caller.hold(f"before-{n}") for n in range(3)]
        slot = six.slot(keys.journal("t"))
        source = six.owner(slot)
        move = SlotMove(six, slot, source, next(n for n in six.nodes if n.is_primary and n is not source))
        move.begin()
        assert await caller.call("declared", 2) in {"held", "cluster"}
        if carried:
            move.carry(carried)
        assert await caller.call("in the middle", 2) in {"held", "cluster"}
        caller.settle(before[0], 5)
        while move.carry():
            pass
        await asyncio.to_thread(move.end)
        await caller.succeeds()
        for held in before[1:]:
            caller.settle(held, 4)
        await caller.assert_exact()
        assert source.ask("CLUSTER", "COUNTKEYSINSLOT", slot) == 0


async def test_a_slot_that_moves_in_one_step_under_load_loses_and_doubles_nothing(
    six: Cluster, tmp_path: FilePath
) -> None:
    async with caller_of(six.url, tmp_path) as caller:
        await caller.succeeds()
        slot = six.slot(keys.journal("t"))
        source = six.owner(slot)
        async with loaded(caller):
            for target in (next(n for n in six.nodes if n.is_primary and n is not source), source):
                await asyncio.to_thread(six.move_at_once, slot, target)
        assert set(caller.refused) <= set(AWAY)
        await caller.assert_exact()


async def test_scripts_forgotten_by_every_node_are_told_again(six: Cluster, tmp_path: FilePath) -> None:
    async with caller_of(six.url, tmp_path) as caller:
        before = await caller.hold("before")
        for node in six.nodes:
            node.ask("SCRIPT", "FLUSH")
        assert await caller.call("after", 2) == "held"
        caller.settle(before, 5)
        await caller.assert_exact()
