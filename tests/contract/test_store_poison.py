"""A key of the ledger that is not what it must be stops what is built on it, and nothing else, until it is repaired."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.errors import LedgerPoisoned
from gateway.ledger import keys
from gateway.ledger.budget import Path
from gateway.ledger.contract import Hold, HoldId
from gateway.ledger.redis import RedisLedger
from gateway.units import Credits, Flag
from tests.contract.keepers import StoreKeeper, assert_clean, book

LEVELS = ("balance of tenant", "balance of team", "balance of each user", "balance of user")


async def the_key(keeper: StoreKeeper, which: str) -> str:
    """The key of that name; a record is that of the hold `next`."""
    if which in LEVELS:
        return await keeper.key(book(keeper.tenant).on_path(path(keeper))[LEVELS.index(which)])
    named = {
        "record": keys.record(keeper.tenant, "next"),
        "open holds": keys.open_holds(keeper.tenant),
        "journal": keys.journal(keeper.tenant),
        "tenants": keys.TENANTS,
    }
    return named[which]


def path(keeper: StoreKeeper) -> Path:
    return Path(keeper.tenant, "ads", "ann")


@asynccontextmanager
async def of_wrong_type(keeper: StoreKeeper, key: str) -> AsyncIterator[None]:
    """The key holds a string instead, for as long as the block lasts; an operator puts back what was there."""
    aside = f"{key}:aside" if "{" in key else f"{{{key}}}:aside"  # in the same slot
    existed = await keeper.store.call("EXISTS", key)
    if existed:
        await keeper.store.call("RENAME", key, aside)
    await keeper.store.call("SET", key, "x")
    yield
    await keeper.store.call("DEL", key)
    if existed:
        await keeper.store.call("RENAME", aside, key)


async def next_hold(keeper: StoreKeeper, ledger: RedisLedger) -> Hold:
    return await ledger.hold(path(keeper), Credits(7), hold_id=HoldId("next"))


@pytest.mark.parametrize("which", [*LEVELS, "record", "open holds", "journal"])
async def test_a_hold_over_a_key_of_the_wrong_type_is_refused_whole_and_granted_once_it_is_repaired(
    on_store: StoreKeeper, which: str
) -> None:
    ledger = await on_store.ledger(book(on_store.tenant))
    first = await ledger.hold(path(on_store), Credits(7), hold_id=HoldId("first"))
    key = await the_key(on_store, which)
    async with of_wrong_type(on_store, key):
        before = await on_store.written()
        with pytest.raises(LedgerPoisoned) as refused:
            await next_hold(on_store, ledger)
        assert refused.value.code == "poisoned"
        assert await on_store.written() == before
    second = await next_hold(on_store, ledger)
    for held in (first, second):
        assert (await ledger.settle(held, Credits(5), Flag.CONFIRMED)).applied
    assert (await assert_clean(ledger, on_store.tenant)).spent == Credits(10)


async def test_a_list_of_tenants_of_the_wrong_type_stops_sweeps_and_no_call(on_store: StoreKeeper) -> None:
    ledger = await on_store.ledger(book(on_store.tenant))
    async with of_wrong_type(on_store, keys.TENANTS):
        with pytest.raises(LedgerPoisoned):
            await ledger.sweep()
        held = await next_hold(on_store, ledger)
        assert (await ledger.settle(held, Credits(5), Flag.CONFIRMED)).applied
    assert await ledger.sweep() == ()
    await assert_clean(ledger, on_store.tenant)
