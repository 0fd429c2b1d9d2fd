"""The end of a hold its store has lost is booked all the same, once, for as long as nobody can have forgotten it."""

import asyncio

import pytest

from gateway.ledger import keys
from gateway.ledger.contract import End, Hold, HoldId, Settlement, State
from gateway.ledger.redis import RedisLedger
from gateway.ledger.spool import read, written
from gateway.units import Credits, Flag
from tests.contract.keepers import Keeper, StoreKeeper, assert_clean, book, warrant
from tests.contract.test_forgetting import hold, stands, where

ONE = HoldId("one")
WEEK_MS = 7 * 24 * 3_600_000


async def lost(keeper: StoreKeeper, amount: int = 7) -> tuple[RedisLedger, Hold]:
    """A hold that its store has forgotten, together with everything."""
    ledger = await keeper.ledger(book(keeper.tenant))
    held = await hold(ledger, keeper, "lost", amount)
    await keeper.fall_back("never photographed")
    assert await keeper.written() == {}
    return ledger, held


@pytest.mark.parametrize("charged", [0, 5, 7, 12])
async def test_a_hold_the_store_has_lost_is_booked_once_in_any_number_of_repeats(
    on_store: StoreKeeper, charged: int
) -> None:
    ledger, held = await lost(on_store)
    booked = await ledger.settle(held, Credits(charged), Flag.UNCONFIRMED)
    assert booked == Settlement(held.hold_id, State.SETTLED, Credits(charged), Flag.UNCONFIRMED, True, True)
    (entry,) = await on_store.journal()
    said = {"op": "recover", "id": "lost", "amount": "7", "charged": str(charged), "flag": "unconfirmed"}
    assert entry == said | {
        "path": f"{on_store.tenant}/ads/ann",
        "budgets": keys.written(keys.places_of(held.balances)),
    }
    before = await on_store.written()
    for again in (
        ledger.settle(held, Credits(3), Flag.CONFIRMED),
        ledger.book(End.of(held, Credits(4), Flag.CONFIRMED)),
    ):
        assert await again == Settlement(held.hold_id, State.SETTLED, Credits(charged), Flag.UNCONFIRMED, applied=False)
    assert await on_store.written() == before
    assert await stands(ledger, on_store) == {(charged, 0)}
    assert (await assert_clean(ledger, on_store.tenant)).spent == Credits(charged)


async def test_a_lost_hold_is_booked_from_the_spool_and_an_older_line_is_not_guessed_at(on_store: StoreKeeper) -> None:
    ledger, held = await lost(on_store)
    end = End.of(held, Credits(5), Flag.CONFIRMED)
    bare = End(end.hold_id, end.tenant, end.places, end.charged, end.flag)
    assert (await ledger.book(bare)).state is State.UNKNOWN
    line = written(end).removesuffix(b"\n")
    assert [(await ledger.book(read(line))).applied for _ in range(3)] == [True, False, False]
    assert await stands(ledger, on_store) == {(5, 0)}


async def test_settles_of_a_lost_hold_at_once_book_one_of_them(on_store: StoreKeeper) -> None:
    ledger, held = await lost(on_store)
    other = await on_store.ledger(book(on_store.tenant))
    ends = await asyncio.gather(
        *(one.settle(held, Credits(n), Flag.CONFIRMED) for n in range(1, 11) for one in (ledger, other))
    )
    (applied,) = [one for one in ends if one.applied]
    assert {one.charged for one in ends} == {applied.charged}
    assert await stands(ledger, on_store) == {(applied.charged.millicredits, 0)}
    await assert_clean(ledger, on_store.tenant)


async def test_a_void_of_a_lost_hold_closes_its_id_and_nothing_is_booked(on_store: StoreKeeper) -> None:
    ledger, held = await lost(on_store)
    await ledger.void(where(on_store), held.hold_id, held.amount)
    assert not (await ledger.settle(held, Credits(5), Flag.CONFIRMED)).applied
    assert await stands(ledger, on_store) == {(0, 0)}


async def test_an_end_older_than_records_are_kept_is_never_booked_a_second_time(keeper: Keeper) -> None:
    """A record outlives its hold's deadline by a week, however early it ended: what comes later may be booked."""
    ledger = await keeper.ledger(book(keeper.tenant))
    held = await ledger.hold(where(keeper), Credits(7), hold_id=ONE)
    for age_ms, state in ((WEEK_MS + 120_000, State.UNKNOWN), (WEEK_MS - 120_000, State.SETTLED)):
        old = Hold(HoldId(f"old-{age_ms}"), held.path, held.amount, held.balances, held.deadline_ms - 60_000 - age_ms)
        ended = await ledger.settle(old, Credits(5), Flag.CONFIRMED)
        assert (ended.state, ended.applied, ended.recovered) == (state, *(state is State.SETTLED,) * 2)
    assert (await assert_clean(ledger, keeper.tenant)).spent == Credits(5)


async def test_a_refund_of_a_recovered_hold_gives_back_what_was_booked(on_store: StoreKeeper) -> None:
    ledger, held = await lost(on_store)
    await ledger.settle(held, Credits(5), Flag.UNCERTAIN)
    hand = await on_store.adjusting()
    assert (await hand.refund(on_store.tenant, held.hold_id, None, warrant())).before == Credits(5)
    await assert_clean(ledger, on_store.tenant)
