"""What the ledger promises of holds that nobody ended: they expire once, at their deadline, and can be corrected."""

import asyncio

import pytest

from gateway.errors import HoldClosed
from gateway.ledger.budget import Path
from gateway.ledger.contract import Hold, HoldId, Ledger, Settlement, State
from gateway.ledger.open_holds import OpenHolds
from gateway.units import Credits, Flag
from tests.contract.keepers import Keeper, StoreKeeper, assert_clean, book, swept

ONE = HoldId("one")
TTL_MS = 20


async def expiring(keeper: Keeper, millicredits: int = 7) -> tuple[Ledger, Hold]:
    """A ledger whose holds expire soon, and one of them past its deadline."""
    ledger = await keeper.ledger(book(keeper.tenant), hold_ttl_ms=TTL_MS)
    held = await ledger.hold(Path(keeper.tenant, "ads", "ann"), Credits(millicredits), hold_id=ONE)
    await keeper.past(held.deadline_ms)
    return ledger, held


async def stands(ledger: Ledger, keeper: Keeper) -> set[tuple[int, int]]:
    found = await ledger.balances(Path(keeper.tenant, "ads", "ann"))
    return {(balance.spent.millicredits, balance.held.millicredits) for balance in found}


def expired(amount: int) -> Settlement:
    return Settlement(ONE, State.EXPIRED, Credits(amount), Flag.UNCERTAIN, applied=True)


@pytest.mark.parametrize("amount", [0, 7])
async def test_a_hold_past_its_deadline_is_booked_at_the_held_amount_as_uncertain(keeper: Keeper, amount: int) -> None:
    ledger, _ = await expiring(keeper, amount)
    assert await swept(ledger, {ONE}) == [expired(amount)]
    assert await stands(ledger, keeper) == {(amount, 0)}
    audit = await assert_clean(ledger, keeper.tenant)
    assert (audit.entries, audit.spent) == (2, Credits(amount))


async def test_a_hold_before_its_deadline_is_left_alone(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant), hold_ttl_ms=3_600_000)
    await ledger.hold(Path(keeper.tenant, "ads", "ann"), Credits(7), hold_id=ONE)
    before = await keeper.written()
    assert await swept(ledger, {ONE}) == []
    assert await keeper.written() == before


async def test_an_expiry_that_comes_early_by_the_stores_clock_changes_nothing(on_store: StoreKeeper) -> None:
    """A sweeper may have seen a clock that was set back since."""
    ledger = await on_store.ledger(book(on_store.tenant), hold_ttl_ms=3_600_000)
    await ledger.hold(Path(on_store.tenant, "ads", "ann"), Credits(7), hold_id=ONE)
    before = await on_store.written()
    assert await ledger._expired(on_store.tenant, ONE) == ()
    assert await on_store.written() == before


async def test_the_deadline_is_the_keepers_own_clock_plus_the_time_to_live(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant), hold_ttl_ms=5_000)
    held = await ledger.hold(Path(keeper.tenant, "ads", "ann"), Credits(7), hold_id=ONE)
    assert held.deadline_ms == held.balances[0].now_ms + 5_000


@pytest.mark.parametrize("charged", [0, 3, 7, 12])
async def test_a_late_settle_corrects_an_expired_hold_in_either_direction_and_once(
    keeper: Keeper, charged: int
) -> None:
    ledger, held = await expiring(keeper)
    await swept(ledger, {ONE})
    settlement = await ledger.settle(held, Credits(charged), Flag.CONFIRMED)
    assert settlement == Settlement(ONE, State.SETTLED, Credits(charged), Flag.CONFIRMED, applied=True)
    assert await stands(ledger, keeper) == {(charged, 0)}
    before = await keeper.written()
    again = await ledger.settle(held, Credits(99), Flag.UNCERTAIN)
    assert (again.applied, again.charged, again.flag) == (False, Credits(charged), Flag.CONFIRMED)
    assert await keeper.written() == before
    audit = await assert_clean(ledger, keeper.tenant)
    assert (audit.entries, audit.spent) == (3, Credits(charged))


async def test_a_correction_moves_nothing_that_others_spent_or_hold(keeper: Keeper) -> None:
    ledger, held = await expiring(keeper)
    where = Path(keeper.tenant, "ads", "ann")
    await ledger.settle(await ledger.hold(where, Credits(40), hold_id=HoldId("two")), Credits(40), Flag.CONFIRMED)
    await swept(ledger, {ONE})
    await (await keeper.ledger(book(keeper.tenant))).hold(where, Credits(20), hold_id=HoldId("three"))
    await ledger.settle(held, Credits(1), Flag.CONFIRMED)
    assert await stands(ledger, keeper) == {(41, 20)}


async def test_a_late_void_takes_an_expired_hold_back(keeper: Keeper) -> None:
    ledger, held = await expiring(keeper)
    await swept(ledger, {ONE})
    await ledger.void(held.path, ONE, held.amount)
    assert await stands(ledger, keeper) == {(0, 0)}
    assert (await assert_clean(ledger, keeper.tenant)).spent == Credits.ZERO


async def test_an_expired_id_is_never_held_again(keeper: Keeper) -> None:
    ledger, held = await expiring(keeper)
    await swept(ledger, {ONE})
    with pytest.raises(HoldClosed):
        await ledger.hold(held.path, Credits(7), hold_id=ONE)
    assert await stands(ledger, keeper) == {(7, 0)}


async def test_a_hold_settled_before_the_sweep_does_not_expire(keeper: Keeper) -> None:
    ledger, held = await expiring(keeper)
    assert (await ledger.settle(held, Credits(3), Flag.CONFIRMED)).applied
    before = await keeper.written()
    assert await swept(ledger, {ONE}) == []
    assert await keeper.written() == before


async def test_one_sweep_expires_no_more_than_it_is_told_and_the_next_one_the_rest(keeper: Keeper) -> None:
    ledger, held = await expiring(keeper)
    for number in range(4):
        await ledger.hold(held.path, Credits(1), hold_id=HoldId(f"more-{number}"))
    last = await ledger.hold(held.path, Credits(1), hold_id=HoldId("last"))
    await keeper.past(last.deadline_ms)
    counts = []
    while ended := await ledger.sweep(most=2):
        counts.append(len(ended))
    assert max(counts) <= 2
    assert await stands(ledger, keeper) == {(12, 0)}


async def test_four_racing_sweepers_expire_each_hold_once(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant), hold_ttl_ms=1)
    where = Path(keeper.tenant, "ads", "ann")
    held = [await ledger.hold(where, Credits(n), hold_id=HoldId(f"h{n}")) for n in range(1, 41)]
    await keeper.past(held[-1].deadline_ms)
    sweepers = [await keeper.ledger(book(keeper.tenant)) for _ in range(4)]
    ids: set[str] = {hold.hold_id for hold in held}
    found = [s for part in await asyncio.gather(*(swept(sweeper, ids) for sweeper in sweepers)) for s in part]
    assert sorted(settlement.hold_id for settlement in found) == sorted(ids)
    assert await stands(ledger, keeper) == {(sum(range(1, 41)), 0)}
    assert (await assert_clean(ledger, keeper.tenant)).entries == 80


async def test_a_sweep_racing_a_settle_ends_at_the_true_charge_whoever_comes_first(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant), hold_ttl_ms=1)
    where = Path(keeper.tenant, "ads", "ann")
    held = [await ledger.hold(where, Credits(10), hold_id=HoldId(f"h{n}")) for n in range(30)]
    await keeper.past(held[-1].deadline_ms)
    settles = [ledger.settle(hold, Credits(4), Flag.CONFIRMED) for hold in held]
    sweeps = [swept(ledger, {hold.hold_id for hold in held}) for _ in range(3)]
    mixed = [work for pair in zip(settles[:3], sweeps, strict=True) for work in pair] + settles[3:]
    await asyncio.gather(*mixed)
    assert await stands(ledger, keeper) == {(120, 0)}
    assert (await assert_clean(ledger, keeper.tenant)).spent == Credits(120)


async def test_those_who_watch_are_told_how_many_holds_are_open_and_since_when_the_oldest(
    on_store: StoreKeeper,
) -> None:
    ledger = await on_store.ledger(book(on_store.tenant), hold_ttl_ms=60_000)
    where = Path(on_store.tenant, "ads", "ann")
    assert await ledger.holds_now(on_store.tenant) == OpenHolds(0, None)
    first, second = [await ledger.hold(where, Credits(1), hold_id=HoldId(f"h{n}")) for n in range(2)]
    made_ms = first.deadline_ms - 60_000
    await on_store.past(made_ms + 50)
    found = await ledger.holds_now(on_store.tenant)
    assert found.count == 2
    assert found.oldest_ms is not None
    assert 50 <= found.oldest_ms < 60_000
    await ledger.settle(first, Credits(1), Flag.CONFIRMED)
    await ledger.settle(second, Credits(1), Flag.CONFIRMED)
    assert await ledger.holds_now(on_store.tenant) == OpenHolds(0, None)


async def test_the_list_of_open_holds_tells_how_many_are_open(on_store: StoreKeeper) -> None:
    ledger = await on_store.ledger(book(on_store.tenant), hold_ttl_ms=1)
    where = Path(on_store.tenant, "ads", "ann")
    held = [await ledger.hold(where, Credits(1), hold_id=HoldId(f"h{n}")) for n in range(4)]
    assert await ledger.open_holds(on_store.tenant) == 4
    await ledger.settle(held[0], Credits(1), Flag.CONFIRMED)
    await ledger.void(where, held[1].hold_id, Credits(1))
    assert await ledger.open_holds(on_store.tenant) == 2
    await on_store.past(held[-1].deadline_ms)
    await swept(ledger, {hold.hold_id for hold in held})
    assert await ledger.open_holds(on_store.tenant) == 0


async def test_an_ended_hold_is_remembered_for_a_week_after_its_deadline_and_an_open_one_for_ever(
    on_store: StoreKeeper,
) -> None:
    """Forgetting an open hold would keep its credits held for good."""
    ledger = await on_store.ledger(book(on_store.tenant))
    where, week_ms = Path(on_store.tenant, "ads", "ann"), 7 * 24 * 3_600_000
    held = await ledger.hold(where, Credits(1), hold_id=ONE)
    key = f"dgw:{{{on_store.tenant}}}:hold:"
    assert await on_store.store.call("PTTL", f"{key}one") == -1
    await ledger.settle(held, Credits(1), Flag.CONFIRMED)
    await ledger.void(where, HoldId("never"), Credits(1))
    for hold_id in ("one", "never"):
        deadline_ms = held.deadline_ms - await on_store.now_ms() if hold_id == "one" else 0
        left_ms = await on_store.store.call("PTTL", f"{key}{hold_id}")
        assert abs(left_ms - week_ms - deadline_ms) < 5_000


async def test_an_expired_hold_is_remembered_for_a_week_to_be_corrected(on_store: StoreKeeper) -> None:
    ledger, _ = await expiring(on_store)
    await swept(ledger, {ONE})
    week_ms = 7 * 24 * 3_600_000
    assert week_ms - 60_000 < await on_store.store.call("PTTL", f"dgw:{{{on_store.tenant}}}:hold:one") <= week_ms
