"""However many race for a budget of K calls, exactly K get it: in one process, over several pools, over processes."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path as FilePath

import pytest

from gateway.errors import BudgetExhausted
from gateway.ledger.budget import Path
from gateway.ledger.contract import HoldId
from gateway.ledger.window import Every
from gateway.units import Credits, Flag
from tests.contract.keepers import Keeper, StoreKeeper, assert_clean, book, new_tenant
from tests.contract.racing import PRICE, K, limited, mixed, race

ROOT = FilePath(__file__).parents[2]
CALLS = 100
PARALLEL, PROCESSES = 2_000, 4


async def assert_exactly_k(keeper: Keeper, granted: int) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, limited()))
    assert granted == K
    held = {balance.held for balance in await ledger.balances(Path(keeper.tenant, "ads", "ann"))}
    assert held == {Credits(PRICE * K)}
    assert (await assert_clean(ledger, keeper.tenant)).entries == K


@pytest.mark.parametrize("racers", [K - 1, K, 100, 1_000])
async def test_of_any_number_of_racers_exactly_as_many_hold_as_the_budget_bears(keeper: Keeper, racers: int) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, limited()))
    granted = await race(ledger, keeper.tenant, "racer", racers)
    assert granted == min(racers, K)
    if granted == K:
        await assert_exactly_k(keeper, granted)


async def test_racers_over_several_pools_get_exactly_what_the_budget_bears(on_store: StoreKeeper) -> None:
    limits = book(on_store.tenant, limited())
    ledgers = [await on_store.ledger(limits) for _ in range(4)]
    granted = await asyncio.gather(
        *(race(ledger, on_store.tenant, f"pool-{n}", CALLS) for n, ledger in enumerate(ledgers))
    )
    await assert_exactly_k(on_store, sum(granted))


async def test_racers_over_several_pools_with_the_same_ids_hold_each_id_once(on_store: StoreKeeper) -> None:
    limits = book(on_store.tenant, limited())
    ledgers = [await on_store.ledger(limits) for _ in range(4)]
    granted = await asyncio.gather(*(race(ledger, on_store.tenant, "same", K) for ledger in ledgers))
    assert granted == [K] * 4
    await assert_exactly_k(on_store, K)


async def raced(racers: Sequence[asyncio.subprocess.Process], tenant: str, binding: Every, *key: str) -> int:
    """One round: how many holds all of them together were granted."""
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(" ".join((tenant, binding, *key)).encode() + b"\n")
    return sum([int(await said(racer)) for racer in racers])


async def said(racer: asyncio.subprocess.Process) -> bytes:
    assert racer.stdout is not None
    return await racer.stdout.readline()


@asynccontextmanager
async def processes(url: str) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """So many racers, each a process of its own, all ready."""
    racers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.contract.racing", url, f"process-{n}", str(PARALLEL // PROCESSES)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        for n in range(PROCESSES)
    ]
    try:
        async with asyncio.timeout(100):
            assert {await said(racer) for racer in racers} == {b"ready\n"}
            yield racers
            await asyncio.gather(*(racer.communicate(b"") for racer in racers))
    finally:
        for racer in racers:
            if racer.returncode is None:
                racer.kill()
                await racer.wait()


async def test_thousands_in_several_processes_get_exactly_what_the_budget_bears_whichever_window_binds(
    on_store: StoreKeeper,
) -> None:
    """Round after round: six budgets on the path, in windows of every kind; each kind binds in its turn."""
    async with processes(on_store.url) as racers:
        left = [*Every]
        while left:
            tenant = new_tenant()
            path, ledger = Path(tenant, "ads", "ann"), await on_store.ledger(mixed(tenant, left[0]))
            before = await ledger.balances(path)
            granted = await raced(racers, tenant, left[0])
            after = await ledger.balances(path)
            if [b.span for b in before] == [b.span for b in after]:  # else a window ended meanwhile: once more
                assert granted == K, left[0]
                assert {b.held for b in after} == {Credits(PRICE * K)}
                assert (await assert_clean(ledger, tenant)).entries == K
                left.pop(0)


async def test_thousands_in_several_processes_with_one_idempotency_key_hold_once(on_store: StoreKeeper) -> None:
    tenant = new_tenant()
    async with processes(on_store.url) as racers:
        assert await raced(racers, tenant, Every.TOTAL, "one") == 1
    ledger = await on_store.ledger(mixed(tenant, Every.TOTAL))
    held = {balance.held for balance in await ledger.balances(Path(tenant, "ads", "ann"))}
    assert held == {Credits(PRICE)}
    assert (await assert_clean(ledger, tenant)).entries == 1


async def test_racers_that_end_their_holds_never_pass_the_limit_at_any_grant(keeper: Keeper) -> None:
    """Spent and held together stay within the limit whenever a hold is granted, also while others end."""
    ledger = await keeper.ledger(book(keeper.tenant, tenant=PRICE * 10))
    path = Path(keeper.tenant, "ads", "ann")

    async def one(number: int) -> int:
        try:
            hold = await ledger.hold(path, Credits(PRICE), hold_id=HoldId(f"h{number}"))
        except BudgetExhausted:
            return 0
        assert all(b.spent + b.held <= b.budget.limit for b in hold.balances)
        charged = number % (PRICE + 1)
        await ledger.settle(hold, Credits(charged), Flag.CONFIRMED)
        return charged

    charged = sum(await asyncio.gather(*(one(number) for number in range(300))))
    found = await ledger.balances(path)
    assert {(balance.spent, balance.held) for balance in found} == {(Credits(charged), Credits.ZERO)}
    await assert_clean(ledger, keeper.tenant)
