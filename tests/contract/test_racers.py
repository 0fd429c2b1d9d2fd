"""However many race for a budget of K calls, exactly K get it: in one process, over several pools, over processes."""

import asyncio
import sys
from pathlib import Path as FilePath

import pytest

from gateway.errors import BudgetExhausted
from gateway.ledger.budget import Path
from gateway.ledger.contract import HoldId
from gateway.units import Credits, Flag
from tests.contract.keepers import Keeper, StoreKeeper, assert_clean, book
from tests.contract.racing import PRICE, K, limited, race

ROOT = FilePath(__file__).parents[2]
PROCESSES, CALLS = 3, 100


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


async def test_racers_in_several_processes_get_exactly_what_the_budget_bears(on_store: StoreKeeper) -> None:
    await assert_exactly_k(on_store, await raced_in_processes(on_store))


async def test_racers_in_several_processes_with_one_idempotency_key_hold_once(on_store: StoreKeeper) -> None:
    assert await raced_in_processes(on_store, "one") == 1
    ledger = await on_store.ledger(book(on_store.tenant, limited()))
    held = {balance.held for balance in await ledger.balances(Path(on_store.tenant, "ads", "ann"))}
    assert held == {Credits(PRICE)}
    assert (await assert_clean(ledger, on_store.tenant)).entries == 1


async def raced_in_processes(on_store: StoreKeeper, *key: str) -> int:
    """How many holds several processes were granted together."""
    said = ("-m", "tests.contract.racing", on_store.url, on_store.tenant)
    racers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, *said, f"process-{n}", str(CALLS), *key),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        for n in range(PROCESSES)
    ]
    try:
        async with asyncio.timeout(60):
            for racer in racers:
                assert racer.stdout is not None
                assert await racer.stdout.readline() == b"ready\n"
            told = await asyncio.gather(*(racer.communicate(b"go\n") for racer in racers))
    finally:
        for racer in racers:
            if racer.returncode is None:
                racer.kill()
                await racer.wait()
    return sum(int(out) for out, _ in told)


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
