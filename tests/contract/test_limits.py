"""Limits on calls at once: decided with the hold, by the keeper's clock, and used up by nothing but a hold."""

import asyncio
from decimal import Decimal

import pytest

from gateway.errors import BudgetExhausted, GatewayError, HoldClosed, TooManyCalls
from gateway.ledger.budget import Path
from gateway.ledger.contract import Hold, HoldId, Ledger, open_hold
from gateway.ledger.limits import Limits
from gateway.once import IdempotencyOpen, Once
from gateway.units import Credits, Flag
from tests.contract.keepers import Ends, Keeper, StoreKeeper, assert_clean, book
from tests.contract.racing import PRICE

SLOW = Decimal("0.001")  # one call in a thousand seconds: no test lasts as long
QUICK = Decimal(20)


def path(keeper: Keeper) -> Path:
    return Path(keeper.tenant, "ads", "ann")


async def limited(keeper: Keeper, limits: Limits, *, hold_ttl_ms: int = 60_000, **budgets: int) -> Ledger:
    return await keeper.ledger(book(keeper.tenant, budgets, call_limits=limits), hold_ttl_ms=hold_ttl_ms)


async def hold(ledger: Ledger, keeper: Keeper, name: str, amount: int = 1, once: Once | None = None) -> Hold:
    return await ledger.hold(path(keeper), Credits(amount), hold_id=HoldId(name), once=once)


async def refusal(ledger: Ledger, keeper: Keeper, name: str, amount: int = 1) -> TooManyCalls:
    with pytest.raises(TooManyCalls) as refused:
        await hold(ledger, keeper, name, amount)
    return refused.value


# --- calls in flight ------------------------------------------------------------------------------------------


async def test_one_call_more_in_flight_than_allowed_is_refused_and_nothing_is_written(keeper: Keeper) -> None:
    ledger = await limited(keeper, Limits(calls_in_flight=2))
    await hold(ledger, keeper, "one")
    await hold(ledger, keeper, "two")
    before = await keeper.written()
    refused = await refusal(ledger, keeper, "three")
    assert (refused.code, refused.allowed, refused.retry_after_s) == ("calls_in_flight", Decimal(2), 1)
    assert await keeper.written() == before


async def test_a_call_that_ends_makes_room_for_the_next(keeper: Keeper) -> None:
    ledger = await limited(keeper, Limits(calls_in_flight=1))
    for name in ("one", "two", "three"):
        held = await hold(ledger, keeper, name)
        await refusal(ledger, keeper, f"{name}-beside")
        await ledger.settle(held, Credits(1), Flag.CONFIRMED)
    held = await hold(ledger, keeper, "four")
    await ledger.void(path(keeper), HoldId("four"), Credits(1))
    await hold(ledger, keeper, "five")
    await assert_clean(ledger, keeper.tenant)


async def test_a_hold_past_its_deadline_counts_no_more_though_nobody_has_swept_it(keeper: Keeper) -> None:
    ledger = await limited(keeper, Limits(calls_in_flight=1), hold_ttl_ms=30)
    held = await hold(ledger, keeper, "lost")
    await keeper.past(held.deadline_ms)
    await hold(ledger, keeper, "next")


async def test_asking_for_an_open_hold_again_is_answered_though_the_limit_is_reached(keeper: Keeper) -> None:
    ledger = await limited(keeper, Limits(calls_in_flight=1, calls_per_second=SLOW))
    first = await hold(ledger, keeper, "one")
    for _ in range(3):
        assert (await hold(ledger, keeper, "one")).amount == first.amount
    await ledger.settle(first, Credits(1), Flag.CONFIRMED)
    with pytest.raises(HoldClosed):
        await hold(ledger, keeper, "one")


async def test_a_repeat_under_an_idempotency_key_is_told_of_the_first_call_not_of_a_limit(keeper: Keeper) -> None:
    ledger = await limited(keeper, Limits(calls_in_flight=1, calls_per_second=SLOW))
    once = Once.of("key", (keeper.tenant,), (b"asked",))
    await hold(ledger, keeper, "one", once=once)
    with pytest.raises(IdempotencyOpen):
        await hold(ledger, keeper, "two", once=once)


async def test_a_refused_call_leaves_its_idempotency_key_free(keeper: Keeper) -> None:
    ledger = await limited(keeper, Limits(calls_in_flight=1, calls_per_second=QUICK, burst=5))
    held = await hold(ledger, keeper, "one")
    once = Once.of("key", (keeper.tenant,), (b"asked",))
    with pytest.raises(TooManyCalls):
        await hold(ledger, keeper, "two", once=once)
    await ledger.settle(held, Credits(1), Flag.CONFIRMED)
    assert (await hold(ledger, keeper, "two", once=once)).once == once


# --- calls per second -----------------------------------------------------------------------------------------


async def test_a_pace_lets_the_next_call_go_once_its_interval_is_over(keeper: Keeper) -> None:
    ledger = await limited(keeper, Limits(calls_per_second=QUICK, burst=2))
    for number in range(4):
        held = await hold(ledger, keeper, f"{number}")
        await keeper.past(held.deadline_ms - 60_000 + 51)
    await keeper.past(held.deadline_ms - 60_000 + 200)
    for name in ("rested", "rested-too"):
        await hold(ledger, keeper, name)


@pytest.mark.parametrize("burst", [1, 3])
async def test_a_burst_is_as_many_calls_as_it_says_and_the_refusal_says_when_to_come_back(
    keeper: Keeper, burst: int
) -> None:
    ledger = await limited(keeper, Limits(calls_per_second=SLOW, burst=burst))
    for number in range(burst):
        await hold(ledger, keeper, f"{number}")
    before = await keeper.written()
    refused = await refusal(ledger, keeper, "more")
    assert refused.code == "calls_per_second"
    assert 900 <= refused.retry_after_s <= 1_000
    assert await keeper.written() == before


async def test_what_a_budget_refuses_uses_up_no_pace(keeper: Keeper) -> None:
    ledger = await limited(keeper, Limits(calls_per_second=SLOW, burst=2), tenant=10)
    for number in range(5):
        with pytest.raises(BudgetExhausted):
            await hold(ledger, keeper, f"dear-{number}", 11)
    await hold(ledger, keeper, "one")
    await hold(ledger, keeper, "two")
    await refusal(ledger, keeper, "three")


async def test_the_limit_is_named_before_the_budget(keeper: Keeper) -> None:
    ledger = await limited(keeper, Limits(calls_in_flight=1, calls_per_second=SLOW), tenant=10)
    held = await hold(ledger, keeper, "one")
    assert (await refusal(ledger, keeper, "dear", 11)).code == "calls_in_flight"
    await ledger.settle(held, Credits(1), Flag.CONFIRMED)
    assert (await refusal(ledger, keeper, "dear", 11)).code == "calls_per_second"


async def test_limits_count_from_the_moment_they_are_configured(keeper: Keeper) -> None:
    unlimited = await keeper.ledger(book(keeper.tenant))
    for number in range(3):
        await hold(unlimited, keeper, f"before-{number}")
    assert (await refusal(await limited(keeper, Limits(calls_in_flight=3)), keeper, "more")).code == "calls_in_flight"
    ledger = await limited(keeper, Limits(calls_in_flight=4, calls_per_second=SLOW))
    await hold(ledger, keeper, "slow")
    # Nobody waits for what a slower pace has left.
    await hold(await limited(keeper, Limits(calls_per_second=QUICK)), keeper, "quick")


async def test_a_tenants_limits_are_its_own(keeper: Keeper) -> None:
    ledger = await limited(keeper, Limits(calls_in_flight=1, calls_per_second=SLOW))
    await hold(ledger, keeper, "one")
    await refusal(ledger, keeper, "two")
    other = f"{keeper.tenant}x"
    neighbour = await keeper.ledger(book(other, call_limits=Limits(calls_in_flight=1, calls_per_second=SLOW)))
    await neighbour.hold(Path(other, "ads", "ann"), Credits(1), hold_id=HoldId("one"))


# --- racers ---------------------------------------------------------------------------------------------------


async def test_of_two_thousand_at_once_exactly_as_many_are_held_as_may_be_in_flight(keeper: Keeper) -> None:
    ledger = await limited(keeper, Limits(calls_in_flight=20))
    granted = await asyncio.gather(*(_granted(ledger, keeper, f"racer-{number}") for number in range(2_000)))
    assert sum(held is not None for held in granted) == 20
    assert (await assert_clean(ledger, keeper.tenant)).entries == 20


async def _granted(ledger: Ledger, keeper: Keeper, name: str) -> Hold | None:
    try:
        return await hold(ledger, keeper, name, PRICE)
    except TooManyCalls:
        return None


async def test_two_thousand_that_end_and_come_again_are_never_more_in_flight_than_allowed(keeper: Keeper) -> None:
    ledgers = [await limited(keeper, Limits(calls_in_flight=20), tenant=10**9) for _ in range(2)]
    granted = 0

    async def one(number: int) -> None:
        nonlocal granted
        ledger = ledgers[number % 2]
        held = await _granted(ledger, keeper, f"racer-{number}")
        if held is not None:
            granted += 1
            await asyncio.sleep(0)
            await ledger.settle(held, Credits(PRICE), Flag.CONFIRMED)

    for first in range(0, 2_000, 100):
        await asyncio.gather(*(one(number) for number in range(first, first + 100)))
    opened = most = 0
    for entry in await keeper.journal():
        opened += 1 if entry["op"] == "hold" else -1
        most = max(most, opened)
    assert opened == 0
    assert most == 20
    assert granted >= 20 * 20
    await assert_clean(ledgers[0], keeper.tenant)


async def test_racers_at_one_pace_get_its_burst_and_no_more(keeper: Keeper) -> None:
    ledger = await limited(keeper, Limits(calls_per_second=SLOW, burst=7))
    granted = await asyncio.gather(*(_granted(ledger, keeper, f"racer-{number}") for number in range(300)))
    assert sum(held is not None for held in granted) == 7


# --- lost answers and odd stores ------------------------------------------------------------------------------


async def test_a_certain_refusal_leaves_nothing_to_void(keeper: Keeper) -> None:
    ledger = await limited(keeper, Limits(calls_in_flight=1))
    await hold(ledger, keeper, "one")
    ends = Ends(ledger)
    with pytest.raises(TooManyCalls):
        async with open_hold(ledger, ends, path(keeper), Credits(1), hold_id=HoldId("two")):
            pass
    assert ends.waiting == []


async def test_a_pace_that_is_no_number_closes_the_tenant_and_writes_nothing(on_store: StoreKeeper) -> None:
    ledger = await limited(on_store, Limits(calls_per_second=SLOW))
    await on_store.store.call("SET", f"dgw:{{{on_store.tenant}}}:pace", "soon")
    before = await on_store.written()
    with pytest.raises(GatewayError) as refused:
        await hold(ledger, on_store, "one")
    assert refused.value.reason == "ledger_poisoned"
    assert await on_store.written() == before


async def test_a_pace_is_forgotten_once_it_is_even_again(on_store: StoreKeeper) -> None:
    ledger = await limited(on_store, Limits(calls_per_second=SLOW, burst=2))
    await hold(ledger, on_store, "one")
    left_ms = int(await on_store.store.call("PTTL", f"dgw:{{{on_store.tenant}}}:pace"))
    assert 0 < left_ms <= 1_000_000


async def test_a_clock_that_was_set_back_makes_nobody_wait(on_store: StoreKeeper) -> None:
    ledger = await limited(on_store, Limits(calls_per_second=SLOW, burst=2))
    far_us = (await on_store.now_ms() + 10**9) * 1_000
    await on_store.store.call("SET", f"dgw:{{{on_store.tenant}}}:pace", str(far_us))
    await hold(ledger, on_store, "one")
    await refusal(ledger, on_store, "two")
