"""Stores that come back behind their own answers: emptied, restored from an older copy, or evicting."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path as FilePath
from typing import Any

import pytest

from gateway.errors import LedgerMissing, LedgerRegressed, LedgerUnavailable
from gateway.ledger import keys
from gateway.ledger.budget import Path
from gateway.ledger.contract import Hold, HoldId
from gateway.ledger.embedded import EmbeddedStore
from gateway.ledger.marks import Marks, kept_marks
from gateway.ledger.recovery import Recovered, Recovery, Regressed
from gateway.ledger.redis import RedisLedger
from gateway.ledger.settler import Settler
from gateway.ledger.store import Script, Store
from gateway.units import Credits, Flag
from tests.contract.keepers import StoreKeeper, assert_clean, book
from tests.contract.stores import running
from tests.tools import need_tool

PROGRAMS = ("valkey", "redis")


@asynccontextmanager
async def server(program: str, folder: FilePath) -> AsyncIterator[str]:
    """A server of its own in this folder, with what is there."""
    if program == "valkey":
        async with EmbeddedStore(folder) as store:
            yield store.url
        return
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    with running(need_tool("redis-server"), folder) as url:
        yield url


class Gateway:
    """What a gateway has of these books: a ledger, a settler and a recovery."""

    def __init__(self, keeper: StoreKeeper, marks: Marks) -> None:
        self.keeper = keeper
        self.found: list[Regressed | Recovered] = []
        self.ledger = RedisLedger(keeper.open(), book(keeper.tenant), hold_ttl_ms=600_000, marks=marks)
        self.recovery = Recovery(self.ledger, found=self.found.append, grace_s=0.05, again_s=0.01)
        self.ledger.watch(self.recovery.doubted)
        self.settler = Settler(self.ledger, booked=self.recovery.booked)

    async def hold(self, name: str, amount: int = 7) -> Hold:
        return await self.ledger.hold(Path(self.keeper.tenant, "ads", "ann"), Credits(amount), hold_id=HoldId(name))

    async def call(self, name: str, charged: int = 5) -> None:
        """A whole call."""
        self.settler.close(await self.hold(name), Credits(charged), Flag.CONFIRMED)
        await self.settler.drain(20)

    async def closed(self) -> None:
        """Nothing is granted."""
        with pytest.raises(LedgerRegressed):
            await self.hold("refused")

    async def opened(self) -> None:
        async with asyncio.timeout(20):
            while not self.found or self.recovery.regressed:  # noqa: ASYNC110 - told by a call
                await asyncio.sleep(0.005)

    async def stands(self) -> set[tuple[int, int]]:
        found = await self.ledger.balances(Path(self.keeper.tenant, "ads", "ann"))
        return {(balance.spent.millicredits, balance.held.millicredits) for balance in found}

    async def close(self) -> None:
        await self.settler.drain(20)
        await self.recovery.close()


@asynccontextmanager
async def gateway(url: str, marks: Marks | None = None, tenant: str = "studio") -> AsyncIterator[Gateway]:
    keeper = StoreKeeper(url, tenant)
    one = Gateway(keeper, marks or Marks())
    try:
        yield one
    finally:
        await one.close()
        await keeper.close()


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_flush_is_noticed_at_the_next_hold_also_after_a_restart_of_the_gateway(
    tmp_path: FilePath, program: str
) -> None:
    async with server(program, tmp_path / "store") as url:
        async with kept_marks(tmp_path / "marks") as marks, gateway(url, marks) as one:
            await one.call("a")
            await one.keeper.store.call("FLUSHALL")
            await one.closed()
        async with kept_marks(tmp_path / "marks") as marks, gateway(url, marks) as one:
            await one.closed()
            async with asyncio.timeout(20):
                while not one.found:  # noqa: ASYNC110 - told by a call
                    await asyncio.sleep(0.005)
            await asyncio.sleep(0.2)  # longer than the grace: it must not open by itself
            await one.closed()
            assert one.recovery.regressed == 1


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_store_restored_from_an_older_copy_is_noticed_and_made_whole_by_what_is_remembered(
    tmp_path: FilePath, program: str
) -> None:
    store, older = tmp_path / "store", tmp_path / "older"
    async with kept_marks(tmp_path / "marks") as marks:
        async with server(program, store) as url, gateway(url, marks) as one:
            await one.call("early", 2)
        shutil.copytree(store, older)
        async with server(program, store) as url, gateway(url, marks) as one:
            await one.call("a", 3)
            still_open = await one.hold("open")
            remembered = one.recovery._remembered
        async with server(program, older) as url, gateway(url, marks) as one:
            one.recovery._remembered = remembered  # the gateway itself has not stopped
            await one.closed()
            await one.opened()
            assert one.found == [one.found[0], Recovered("studio", 1, "gateway")]
            assert await one.stands() == {(5, 0)}
            one.settler.close(still_open, Credits(4), Flag.CONFIRMED)
            await one.settler.drain(20)
            assert await one.stands() == {(9, 0)}
            await one.call("b", 1)
            audit = await assert_clean(one.ledger, "studio")
            assert audit.spent == Credits(10)
            kinds = [entry["op"] for entry in await one.keeper.journal()]
            assert kinds == ["hold", "settle", "recover", "accept", "recover", "hold", "settle"]


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_restart_with_an_older_copy_and_nothing_remembered_stays_closed(
    tmp_path: FilePath, program: str
) -> None:
    store, older = tmp_path / "store", tmp_path / "older"
    async with server(program, store) as url, kept_marks(tmp_path / "marks") as marks, gateway(url, marks) as one:
        await one.call("early")
    shutil.copytree(store, older)
    async with server(program, store) as url, kept_marks(tmp_path / "marks") as marks, gateway(url, marks) as one:
        await one.call("late")
    async with server(program, older) as url, kept_marks(tmp_path / "marks") as marks, gateway(url, marks) as one:
        await one.closed()
        async with asyncio.timeout(20):
            while not one.found:  # noqa: ASYNC110 - told by a call
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.2)
        await one.closed()


async def test_of_two_gateways_that_lost_entries_one_accepts_and_both_book_theirs_again(store_url: str) -> None:
    keeper = StoreKeeper(store_url)
    async with gateway(store_url, tenant=keeper.tenant) as one, gateway(store_url, tenant=keeper.tenant) as two:
        await one.call("first")
        await two.call("second")
        await keeper.photograph()
        await one.call("a", 3)
        await two.call("b", 4)
        await keeper.fall_back()
        assert await one.stands() == {(10, 0)}
        await one.closed()
        await one.opened()
        assert one.found[-1] == Recovered(keeper.tenant, 1, "gateway")
        await two.call("c", 1)
        await two.opened()
        assert isinstance(two.found[-1], Recovered)
        assert (two.found[-1].by, two.recovery.regressed) == ("other", 0)
        assert await two.stands() == {(18, 0)}
        assert (await assert_clean(one.ledger, keeper.tenant)).spent == Credits(18)
        assert [entry["op"] for entry in await keeper.journal()].count("recover") == 2
    await keeper.close()


async def test_settles_racing_a_recovery_book_each_end_once(store_url: str) -> None:
    keeper = StoreKeeper(store_url)
    async with gateway(store_url, tenant=keeper.tenant) as one:
        await one.call("first", 0)
        await keeper.photograph()
        holds = [await one.hold(f"h{number}") for number in range(40)]
        for held in holds[:20]:
            one.settler.close(held, Credits(1), Flag.CONFIRMED)
        await one.settler.drain(20)
        await keeper.fall_back()
        await one.closed()
        for held in holds:
            one.settler.close(held, Credits(1), Flag.CONFIRMED)
        await one.settler.drain(20)
        await one.opened()
        assert await one.stands() == {(40, 0)}
        await assert_clean(one.ledger, keeper.tenant)
        assert [entry["op"] for entry in await keeper.journal()].count("recover") == 40
    await keeper.close()


async def test_a_balance_that_an_evicting_store_has_dropped_opens_no_budget(tmp_path: FilePath) -> None:
    async with server("redis", tmp_path / "store") as url, gateway(url) as one:
        await one.call("a")
        call, balance = one.keeper.store.call, keys.balance("studio", "tenant/total|0")
        memory = await call("INFO", "memory")
        lines = (
            memory if isinstance(memory, dict) else dict(line.split(":", 1) for line in memory.split() if ":" in line)
        )
        await call("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
        await call("CONFIG", "SET", "maxmemory", int(lines["used_memory"]) + 200_000)
        noise = 0
        while await call("EXISTS", balance) and noise < 100_000:
            await call("SET", f"noise-{noise}", "x" * 500)
            noise += 1
        await call("CONFIG", "SET", "maxmemory", 0)
        assert not await call("EXISTS", balance)
        with pytest.raises(LedgerUnavailable) as refused:
            await one.hold("b")
        assert isinstance(refused.value, LedgerMissing | LedgerRegressed)


async def test_a_hold_and_a_settle_are_one_command_each(on_store: StoreKeeper) -> None:
    runs: list[str] = []

    class Counted(Store):
        async def call(self, *words: str | int) -> object:
            """As `Store.call`, noted."""
            runs.append(str(words[0]))
            return await super().call(*words)

        async def run(self, script: Script, keys: Sequence[str], args: Sequence[str]) -> list[Any]:
            """As `Store.run`, noted."""
            runs.append(script.name)
            return await super().run(script, keys, args)

    store = Counted(on_store.url, deadline_s=20.0)
    on_store.opened.append(store)
    ledger = RedisLedger(store, book(on_store.tenant), hold_ttl_ms=60_000)
    for number in range(3):
        runs.clear()
        held = await ledger.hold(Path(on_store.tenant, "ads", "ann"), Credits(7), hold_id=HoldId(f"h{number}"))
        await ledger.settle(held, Credits(5), Flag.CONFIRMED)
        assert runs == ["hold", "settle"]
