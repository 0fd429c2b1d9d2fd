"""Configurations that change while holds are open: nothing is lost, and the next hold goes by the new one."""

import pytest

from gateway.errors import BudgetExhausted, TenantUnknown
from gateway.ledger.budget import BudgetBook, Path, Rule, TeamBudgets, TenantBudgets
from gateway.ledger.contract import Hold, HoldId, Ledger
from gateway.ledger.window import Every, Window
from gateway.units import Credits, Flag
from tests.contract.keepers import Keeper, StoreKeeper, assert_clean, book, swept


def path(keeper: Keeper) -> Path:
    return Path(keeper.tenant, "ads", "ann")


async def hold(ledger: Ledger, keeper: Keeper, millicredits: int, name: str) -> Hold:
    return await ledger.hold(path(keeper), Credits(millicredits), hold_id=HoldId(name))


async def test_a_raised_limit_bears_the_next_hold_besides_all_that_was_spent_and_held_before(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, tenant=10))
    await ledger.settle(await hold(ledger, keeper, 6, "one"), Credits(6), Flag.CONFIRMED)
    await hold(ledger, keeper, 4, "two")
    with pytest.raises(BudgetExhausted):
        await hold(ledger, keeper, 1, "three")
    raised = await keeper.ledger(book(keeper.tenant, tenant=12))
    assert (await hold(raised, keeper, 2, "three")).balances[0].remaining == Credits.ZERO
    with pytest.raises(BudgetExhausted):
        await hold(raised, keeper, 1, "four")
    await assert_clean(raised, keeper.tenant)


async def test_a_limit_of_zero_refuses_the_next_hold_and_settles_the_open_one(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, team=10))
    held = await hold(ledger, keeper, 7, "one")
    closed = await keeper.ledger(book(keeper.tenant, team=0))
    with pytest.raises(BudgetExhausted) as refused:
        await hold(closed, keeper, 1, "two")
    assert (refused.value.limit, refused.value.remaining) == (Credits.ZERO, Credits.ZERO)
    assert (await closed.settle(held, Credits(9), Flag.CONFIRMED)).applied
    team = next(balance for balance in await closed.balances(path(keeper)) if balance.budget.level == "team")
    assert (team.spent, team.held, team.remaining) == (Credits(9), Credits.ZERO, Credits.ZERO)
    await assert_clean(closed, keeper.tenant)


async def test_a_tenant_taken_out_of_the_configuration_settles_what_is_open_and_holds_nothing_new(
    keeper: Keeper,
) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    held = await hold(ledger, keeper, 7, "one")
    without = await keeper.ledger(BudgetBook({}))
    with pytest.raises(TenantUnknown):
        await hold(without, keeper, 1, "two")
    assert (await without.settle(held, Credits(5), Flag.CONFIRMED)).applied
    assert (await without.audit(keeper.tenant)).spent == Credits(5)
    again = await keeper.ledger(book(keeper.tenant))
    assert {balance.spent for balance in await again.balances(path(keeper))} == {Credits(5)}


async def test_holds_of_a_tenant_that_was_taken_out_are_still_expired(on_store: StoreKeeper) -> None:
    ledger = await on_store.ledger(book(on_store.tenant), hold_ttl_ms=1)
    held = await hold(ledger, on_store, 7, "one")
    await on_store.past(held.deadline_ms)
    without = await on_store.ledger(BudgetBook({}))
    assert [ended.charged for ended in await swept(without, {"one"})] == [Credits(7)]
    assert (await assert_clean(without, on_store.tenant)).spent == Credits(7)


async def test_a_tenant_under_a_new_name_begins_with_nothing_and_the_old_ones_holds_end_in_its_books(
    keeper: Keeper,
) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    held = await hold(ledger, keeper, 7, "one")
    renamed = f"{keeper.tenant}-new"
    after = await keeper.ledger(book(renamed))
    fresh = await after.hold(Path(renamed, "ads", "ann"), Credits(2), hold_id=HoldId("two"))
    assert {(balance.spent, balance.held) for balance in fresh.balances} == {(Credits.ZERO, Credits(2))}
    assert (await after.settle(held, Credits(3), Flag.CONFIRMED)).applied
    assert (await after.audit(keeper.tenant)).spent == Credits(3)
    assert (await after.audit(renamed)).spent == Credits.ZERO


async def test_a_team_and_a_budget_that_are_taken_out_keep_what_they_have_spent_until_they_come_back(
    keeper: Keeper,
) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    held = await hold(ledger, keeper, 7, "one")
    total = Window(Every.TOTAL)
    less = BudgetBook({keeper.tenant: TenantBudgets((Rule(Credits(100), total),), teams={"other": TeamBudgets()})})
    fewer = await keeper.ledger(less)
    with pytest.raises(TenantUnknown):
        await hold(fewer, keeper, 1, "two")
    assert (await fewer.settle(held, Credits(4), Flag.CONFIRMED)).applied
    back = await keeper.ledger(book(keeper.tenant))
    assert {balance.spent for balance in await back.balances(path(keeper))} == {Credits(4)}
    await assert_clean(back, keeper.tenant)
