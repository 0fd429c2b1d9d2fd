"""Durability `replicated`: what is acknowledged stands on a replica as well, or is refused and held by nobody."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path as FilePath

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger import keys
from gateway.ledger.store import Store
from gateway.units import Credits, Flag
from tests.contract.calling import calling, until
from tests.servers.node import bundled_program
from tests.servers.pair import Pair, pair
from tests.tools import need_tool

DEADLINE_S = 0.5

# Waiting for a replica keeps the connection from answering others, which are then refused for its sake.
REFUSED = {"replicas", "timeout", "stalled"}


@pytest.fixture(params=["valkey", "redis"])
async def two(request: pytest.FixtureRequest, tmp_path: FilePath) -> AsyncIterator[Pair]:
    """A primary and its replica, of each program in turn."""
    program = bundled_program() if request.param == "valkey" else need_tool("redis-server")
    with pair(program, tmp_path / "pair") as made:
        yield made


def store(two: Pair, replicas: int) -> Store:
    return Store(two.url, deadline_s=DEADLINE_S, replicas=replicas)


async def test_what_is_acknowledged_is_on_the_replica_which_holds_nothing_more_until_it_has_one_itself(
    two: Pair, tmp_path: FilePath
) -> None:
    async with calling(store(two, 1), tmp_path / "spool") as caller:
        for number in range(20):
            if await caller.call(f"n{number}", number % 8) == "held":
                assert two.replica.ask("EXISTS", keys.record("t", f"n{number}")) == 1
        assert len(caller.granted) > 1
        await caller.until_booked()
        two.primary.kill()
        two.promote()
        assert await caller.call("alone", 2) in REFUSED
        two.rejoin()
        await caller.succeeds()
        await caller.assert_exact()


async def test_without_the_replica_holds_are_refused_settles_wait_and_all_goes_on_when_it_is_back(
    two: Pair, tmp_path: FilePath
) -> None:
    async with calling(store(two, 1), tmp_path / "spool") as caller:
        await caller.succeeds()
        before = await caller.hold("before")
        two.replica.kill()
        assert await caller.call("meanwhile", 2) in REFUSED
        caller.settle(before, 5)
        await until(lambda: caller.spool.holds(before.hold_id))
        two.replica.start("--replicaof", "127.0.0.1", str(two.wire.port))
        await asyncio.to_thread(two.replica.linked)
        await caller.succeeds()
        await caller.assert_exact()


async def test_what_a_black_hole_would_have_lost_was_never_acknowledged(two: Pair, tmp_path: FilePath) -> None:
    """The primary takes everything, its replica gets nothing, and neither knows."""
    async with calling(store(two, 1), tmp_path / "spool") as caller:
        await caller.succeeds()
        await caller.until_booked()
        two.wire.swallows = True
        assert {await caller.call(f"lost-{n}", 2) for n in range(3)} <= REFUSED
        two.primary.kill()
        two.promote()
        two.rejoin()
        await caller.succeeds()
        await caller.assert_exact()


async def test_a_store_with_fewer_replicas_than_asked_for_holds_nothing(two: Pair, tmp_path: FilePath) -> None:
    async with calling(store(two, 2), tmp_path / "spool") as caller:
        assert await caller.call("one", 2) in REFUSED
        # Its void is not acknowledged either: it is held till then, and nobody is let upstream for it.
        assert await caller.settler.drain(0) == 1
        assert two.primary.ask("HGET", keys.record("t", "one"), "state") == "open"


async def test_what_is_asked_for_again_on_another_connection_waits_for_the_replica_as_well(
    two: Pair, tmp_path: FilePath
) -> None:
    """The answer `known` tells of a write that another connection has made: that connection's wait does not count."""
    async with calling(store(two, 1), tmp_path / "one") as first, calling(store(two, 1), tmp_path / "two") as second:
        await first.succeeds()
        await second.call("another", 2)
        for caller in (first, second):
            await caller.until_booked()
        opened = await first.hold("settled")
        two.wire.swallows = True
        with pytest.raises(LedgerUnavailable):
            await first.hold("held")
        first.settle(opened, 5)
        await until(lambda: first.spool.holds(opened.hold_id))
        assert two.primary.ask("HGET", keys.record("t", "settled"), "state") == "settled"
        with pytest.raises(LedgerUnavailable):
            await second.hold("held")
        with pytest.raises(LedgerUnavailable):
            await second.ledger.settle(opened, Credits(5), Flag.CONFIRMED)
        for caller in (first, second):
            await caller.settler.drain(0)
