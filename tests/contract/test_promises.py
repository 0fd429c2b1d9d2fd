"""What `contract.py` promises of holding and settling, on every keeper."""

import asyncio

import pytest

from gateway.errors import BudgetExhausted, HoldClosed, TenantFrozen, TenantUnknown
from gateway.ledger.budget import Path
from gateway.ledger.contract import Hold, HoldId, Ledger, Settlement, State, open_hold
from gateway.ledger.settler import Settler
from gateway.units import Credits, Flag
from tests.contract.keepers import LEVELS, Keeper, assert_clean, book

ONE = HoldId("one")


def path(keeper: Keeper) -> Path:
    return Path(keeper.tenant, "ads", "ann")


async def hold(ledger: Ledger, keeper: Keeper, millicredits: int, hold_id: str = "one") -> Hold:
    return await ledger.hold(path(keeper), Credits(millicredits), hold_id=HoldId(hold_id))


async def stands(ledger: Ledger, keeper: Keeper) -> set[tuple[int, int]]:
    """Spent and held of all four budgets: one pair, as each of them bears every call."""
    found = await ledger.balances(path(keeper))
    assert len(found) == len(LEVELS)
    return {(balance.spent.millicredits, balance.held.millicredits) for balance in found}


# --- 1. all or nothing ----------------------------------------------------------------------------------------


async def test_a_hold_is_set_aside_in_every_budget_on_its_path(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    held = await hold(ledger, keeper, 7)
    assert [(b.budget.level, b.spent, b.held) for b in held.balances] == [
        (level, Credits.ZERO, Credits(7)) for level in LEVELS
    ]
    assert await stands(ledger, keeper) == {(0, 7)}
    await assert_clean(ledger, keeper.tenant)


@pytest.mark.parametrize("level", LEVELS)
async def test_each_budget_alone_can_refuse_is_named_and_then_nothing_is_written(keeper: Keeper, level: str) -> None:
    limits = book(keeper.tenant, {level: 10})
    ledger = await keeper.ledger(limits)
    await ledger.settle(await hold(ledger, keeper, 3), Credits(3), Flag.CONFIRMED)
    await hold(ledger, keeper, 4, "two")
    before = await keeper.written()
    with pytest.raises(BudgetExhausted) as refused:
        await hold(ledger, keeper, 4, "three")
    named = next(budget.name for budget in limits.on_path(path(keeper)) if budget.level == level)
    said = refused.value
    assert (said.level, said.budget, said.limit, said.remaining) == (level, named, Credits(10), Credits(3))
    assert (said.quoted, said.reset_s) == (Credits(4), None)
    assert await keeper.written() == before
    assert (await hold(ledger, keeper, 3, "three")).amount == Credits(3)


async def test_of_several_budgets_that_refuse_the_one_with_least_left_is_named(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, tenant=9, team=5, each_user=7, user=5))
    with pytest.raises(BudgetExhausted) as refused:
        await hold(ledger, keeper, 10)
    assert (refused.value.level, refused.value.remaining) == ("team", Credits(5))


async def test_the_last_credit_can_be_held_and_not_one_millicredit_more(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, team=10))
    with pytest.raises(BudgetExhausted):
        await hold(ledger, keeper, 11)
    assert {b.remaining for b in (await hold(ledger, keeper, 10)).balances if b.budget.level == "team"} == {Credits(0)}
    with pytest.raises(BudgetExhausted):
        await hold(ledger, keeper, 1, "two")


async def test_nothing_can_be_held_also_where_nothing_is_left(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, tenant=0))
    held = await hold(ledger, keeper, 0)
    assert (await ledger.settle(held, Credits(0), Flag.CONFIRMED)).applied
    assert await stands(ledger, keeper) == {(0, 0)}
    await assert_clean(ledger, keeper.tenant)


async def test_a_refusal_of_nothing_names_the_budget_that_is_overdrawn(keeper: Keeper) -> None:
    """Both have nothing left, but only one of them refuses a call for nothing."""
    ledger = await keeper.ledger(book(keeper.tenant, tenant=10))
    await ledger.settle(await hold(ledger, keeper, 10), Credits(10), Flag.CONFIRMED)
    lower = await keeper.ledger(book(keeper.tenant, tenant=10, team=5))
    with pytest.raises(BudgetExhausted) as refused:
        await hold(lower, keeper, 0, "two")
    assert refused.value.level == "team"


async def test_amounts_up_to_the_largest_are_exact(keeper: Keeper) -> None:
    most = 10**12
    ledger = await keeper.ledger(book(keeper.tenant, tenant=most, team=most, each_user=most, user=most))
    held = await hold(ledger, keeper, most - 1)
    assert {balance.remaining for balance in held.balances} == {Credits(1)}
    with pytest.raises(BudgetExhausted):
        await hold(ledger, keeper, 2, "two")
    await ledger.settle(held, Credits(most), Flag.CONFIRMED)
    assert await stands(ledger, keeper) == {(most, 0)}
    assert (await assert_clean(ledger, keeper.tenant)).spent == Credits(most)


# --- 2. a hold ends once --------------------------------------------------------------------------------------


@pytest.mark.parametrize("charged", [0, 3, 7, 12])
async def test_a_settled_hold_gives_back_what_was_held_and_books_the_charge_in_full(
    keeper: Keeper, charged: int
) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, tenant=10))
    settlement = await ledger.settle(await hold(ledger, keeper, 7), Credits(charged), Flag.UNCONFIRMED)
    assert settlement == Settlement(ONE, State.SETTLED, Credits(charged), Flag.UNCONFIRMED, applied=True)
    assert await stands(ledger, keeper) == {(charged, 0)}
    assert (await assert_clean(ledger, keeper.tenant)).spent == Credits(charged)


async def test_after_an_overrun_nothing_remains_and_the_next_hold_is_refused(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, tenant=10))
    await ledger.settle(await hold(ledger, keeper, 7), Credits(12), Flag.CONFIRMED)
    assert (await ledger.balances(path(keeper)))[0].remaining == Credits.ZERO
    with pytest.raises(BudgetExhausted):
        await hold(ledger, keeper, 1, "two")


async def test_a_second_settle_changes_nothing_and_returns_what_was_booked(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    held = await hold(ledger, keeper, 7)
    await ledger.settle(held, Credits(5), Flag.UNCERTAIN)
    before = await keeper.written()
    again = await ledger.settle(held, Credits(6), Flag.CONFIRMED)
    assert again == Settlement(ONE, State.SETTLED, Credits(5), Flag.UNCERTAIN, applied=False)
    assert await keeper.written() == before


async def test_settles_at_once_book_one_of_them(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    held = await hold(ledger, keeper, 7)
    ends = await asyncio.gather(*(ledger.settle(held, Credits(n), Flag.CONFIRMED) for n in range(1, 21)))
    applied = [settlement for settlement in ends if settlement.applied]
    assert len(applied) == 1
    assert {settlement.charged for settlement in ends} == {applied[0].charged}
    assert await stands(ledger, keeper) == {(applied[0].charged.millicredits, 0)}


async def test_settling_what_nobody_can_remember_any_more_books_nothing(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    held = await hold(ledger, keeper, 7)
    week_ms = 7 * 24 * 3_600_000
    unknown = Hold(HoldId("never"), held.path, held.amount, held.balances, held.deadline_ms - week_ms - 120_000)
    before = await keeper.written()
    settlement = await ledger.settle(unknown, Credits(7), Flag.CONFIRMED)
    assert (settlement.applied, settlement.charged) == (False, Credits.ZERO)
    assert await keeper.written() == before


# --- 3. identity before balance -------------------------------------------------------------------------------


async def test_the_same_id_again_is_the_same_hold_and_holds_nothing_more(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, tenant=10))
    first = await hold(ledger, keeper, 7)
    before = await keeper.written()
    again = await hold(ledger, keeper, 7)
    assert (again.hold_id, again.path, again.amount, again.deadline_ms) == (
        first.hold_id,
        first.path,
        first.amount,
        first.deadline_ms,
    )
    assert await keeper.written() == before
    assert (await ledger.settle(again, Credits(6), Flag.CONFIRMED)).applied
    assert await stands(ledger, keeper) == {(6, 0)}


async def test_the_same_id_at_once_is_held_once(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, tenant=10))
    await asyncio.gather(*(hold(ledger, keeper, 7) for _ in range(20)))
    assert await stands(ledger, keeper) == {(0, 7)}
    assert (await assert_clean(ledger, keeper.tenant)).entries == 1


@pytest.mark.parametrize("amount", [0, 7, 1_000_000])
async def test_an_id_that_has_ended_is_never_held_again(keeper: Keeper, amount: int) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    await ledger.settle(await hold(ledger, keeper, 7), Credits(7), Flag.CONFIRMED)
    before = await keeper.written()
    with pytest.raises(HoldClosed):
        await hold(ledger, keeper, amount)
    assert await keeper.written() == before


async def test_the_same_id_of_another_tenant_is_another_hold(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    await hold(ledger, keeper, 7)
    other = f"{keeper.tenant}x"
    neighbour = await keeper.ledger(book(other))
    await neighbour.hold(Path(other, "ads", "ann"), Credits(5), hold_id=ONE)
    assert {balance.held for balance in await neighbour.balances(Path(other, "ads", "ann"))} == {Credits(5)}
    await assert_clean(neighbour, other)


# --- 7. no answer is not a no ---------------------------------------------------------------------------------


async def test_a_voided_hold_holds_nothing_and_is_booked_at_nothing(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    await hold(ledger, keeper, 7)
    for _ in range(2):
        await ledger.void(path(keeper), ONE, Credits(7))
        assert await stands(ledger, keeper) == {(0, 0)}
    assert (await assert_clean(ledger, keeper.tenant)).entries == 2


async def test_a_hold_that_arrives_after_its_void_finds_nothing_to_do(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    await ledger.void(path(keeper), ONE, Credits(7))
    with pytest.raises(HoldClosed):
        await hold(ledger, keeper, 7)
    assert await stands(ledger, keeper) == {(0, 0)}
    assert (await assert_clean(ledger, keeper.tenant)).entries == 0


async def test_a_void_after_the_settle_leaves_what_was_booked(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    held = await hold(ledger, keeper, 7)
    await ledger.settle(held, Credits(7), Flag.CONFIRMED)
    before = await keeper.written()
    await ledger.void(path(keeper), ONE, Credits(7))
    assert await keeper.written() == before


async def test_a_settle_after_the_void_books_nothing(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    held = await hold(ledger, keeper, 7)
    await ledger.void(path(keeper), ONE, Credits(7))
    settlement = await ledger.settle(held, Credits(7), Flag.CONFIRMED)
    assert (settlement.applied, settlement.charged) == (False, Credits.ZERO)
    assert await stands(ledger, keeper) == {(0, 0)}


async def test_a_void_and_a_hold_at_once_leave_nothing_held(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    for number in range(20):
        hold_id = HoldId(f"race-{number}")
        both = (hold(ledger, keeper, 7, hold_id), ledger.void(path(keeper), hold_id, Credits(7)))
        held, _ = await asyncio.gather(*both, return_exceptions=True)
        assert isinstance(held, Hold | HoldClosed)
    assert await stands(ledger, keeper) == {(0, 0)}
    await assert_clean(ledger, keeper.tenant)


async def test_a_call_cancelled_anywhere_leaves_nothing_held(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    settler, steps, finished = Settler(ledger), 0, False

    async def call(number: int) -> None:
        async with open_hold(ledger, settler, path(keeper), Credits(7), hold_id=HoldId(f"cancelled-{number}")):
            await asyncio.sleep(0)

    while not finished:
        task = asyncio.create_task(call(steps))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        finished, steps = not task.cancelled(), steps + 1 + steps // 20
    assert await settler.drain(20) == 0
    assert await stands(ledger, keeper) == {(0, 0)}
    await assert_clean(ledger, keeper.tenant)


# --- who may hold ---------------------------------------------------------------------------------------------


async def test_a_lowered_limit_refuses_new_holds_and_lets_open_ones_settle(keeper: Keeper) -> None:
    held = await hold(await keeper.ledger(book(keeper.tenant)), keeper, 70)
    ledger = await keeper.ledger(book(keeper.tenant, tenant=50))
    assert (await ledger.balances(path(keeper)))[0].remaining == Credits.ZERO
    with pytest.raises(BudgetExhausted) as refused:
        await hold(ledger, keeper, 1, "two")
    assert refused.value.remaining == Credits.ZERO
    assert (await ledger.settle(held, Credits(60), Flag.CONFIRMED)).applied
    assert await stands(ledger, keeper) == {(60, 0)}
    await hold(await keeper.ledger(book(keeper.tenant, tenant=61)), keeper, 1, "two")


async def test_a_frozen_tenant_holds_nothing_new_and_settles_what_is_open(keeper: Keeper) -> None:
    held = await hold(await keeper.ledger(book(keeper.tenant)), keeper, 7)
    ledger = await keeper.ledger(book(keeper.tenant, frozen=True))
    with pytest.raises(TenantFrozen):
        await hold(ledger, keeper, 7, "two")
    assert (await ledger.settle(held, Credits(5), Flag.CONFIRMED)).applied
    assert await stands(ledger, keeper) == {(5, 0)}


@pytest.mark.parametrize("wrong", [("nobody", "ads"), (None, "sales")])
async def test_a_path_nobody_configured_is_refused(keeper: Keeper, wrong: tuple[str | None, str]) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    stranger = Path(wrong[0] or keeper.tenant, wrong[1], "ann")
    with pytest.raises(TenantUnknown):
        await ledger.hold(stranger, Credits(1), hold_id=ONE)
    with pytest.raises(TenantUnknown):
        await ledger.balances(stranger)
