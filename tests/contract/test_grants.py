"""What `adjustment.py` promises of grants, on every keeper."""

import asyncio

import pytest

from gateway.errors import BudgetExhausted, LedgerPoisoned, LedgerUnavailable, TenantUnknown
from gateway.ledger import keys
from gateway.ledger.adjustment import REFUSALS, AdjustmentRefused, Granted, OperationId
from gateway.ledger.budget import BudgetBook, Path, Rule, TenantBudgets
from gateway.ledger.contract import Difference, Hold, HoldId, Ledger
from gateway.ledger.granting import RedisGranting
from gateway.ledger.window import Every, Window
from gateway.units import Credits, Flag
from tests.contract.keepers import HOUR_MS, LEVELS, Keeper, StoreKeeper, assert_clean, book, real_ms, warrant
from tests.contract.test_lost_answers import LossyStore
from tests.contract.test_windows import DAY_MS, beaten

TEAM = "team:ads/total"
NAMES = dict(zip(LEVELS, ("tenant/total", TEAM, "each:ads:ann/total", "user:ann/total"), strict=True))


def path(keeper: Keeper) -> Path:
    return Path(keeper.tenant, "ads", "ann")


async def hold(ledger: Ledger, keeper: Keeper, millicredits: int, hold_id: str = "one") -> Hold:
    return await ledger.hold(path(keeper), Credits(millicredits), hold_id=HoldId(hold_id))


async def grant(
    keeper: Keeper, millicredits: int, until_ms: int | None = None, *, budget: str = TEAM, op: str = "op"
) -> Granted:
    hand = await keeper.adjusting()
    return await hand.grant(keeper.tenant, budget, Credits(millicredits), until_ms, warrant(op))


async def now_ms(ledger: Ledger, keeper: Keeper) -> int:
    return (await ledger.balances(Path(keeper.tenant)))[0].now_ms


async def refused(keeper: Keeper, code: str, amount: int = 5, until_ms: int | None = None, **said: str) -> None:
    before = await keeper.written()
    with pytest.raises(AdjustmentRefused) as error:
        await grant(keeper, amount, until_ms, **said)
    assert (error.value.code, str(error.value)) == (code, REFUSALS[code])
    assert await keeper.written() == before


# --- what a grant does ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
async def test_a_granted_budget_bears_its_limit_and_the_grant_and_not_one_millicredit_more(
    keeper: Keeper, level: str
) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, {level: 10}))
    done = await grant(keeper, 5, budget=NAMES[level])
    assert done == Granted(OperationId("op"), NAMES[level], Credits(5), None, applied=True)
    with pytest.raises(BudgetExhausted) as error:
        await hold(ledger, keeper, 16)
    assert (error.value.level, error.value.limit, error.value.remaining) == (level, Credits(15), Credits(15))
    held = await hold(ledger, keeper, 15)
    assert {b.budget.level: b.granted for b in held.balances if b.granted} == {level: Credits(5)}
    with pytest.raises(BudgetExhausted):
        await hold(ledger, keeper, 1, "two")
    await assert_clean(ledger, keeper.tenant)


async def test_balances_show_what_is_granted_and_what_remains_with_it(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, team=10))
    await grant(keeper, 5)
    await hold(ledger, keeper, 12)
    team = (await ledger.balances(path(keeper)))[1]
    assert (team.budget.limit, team.granted, team.limit, team.remaining) == tuple(map(Credits, (10, 5, 15, 3)))


async def test_a_grant_for_one_budget_opens_no_other(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, team=10, user=10))
    await grant(keeper, 5)
    before = await keeper.written()
    with pytest.raises(BudgetExhausted) as error:
        await hold(ledger, keeper, 11)
    assert error.value.level == "user"
    assert await keeper.written() == before


async def test_grants_add_up(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, team=10))
    later_ms = await now_ms(ledger, keeper) + HOUR_MS
    for number, until_ms in enumerate((None, later_ms, None, later_ms, later_ms + 1)):
        await grant(keeper, 2, until_ms, op=f"op-{number}")
    assert (await hold(ledger, keeper, 20)).balances[1].remaining == Credits.ZERO
    await assert_clean(ledger, keeper.tenant)


async def test_a_grant_ends_with_its_window_and_the_next_one_begins_without(keeper: Keeper) -> None:
    limits = beaten(keeper.tenant)
    ledger, where = await keeper.ledger(limits), Path(keeper.tenant)
    hand = await keeper.adjusting(limits)
    done = await hand.grant(keeper.tenant, "tenant/hour", Credits(5), None, warrant())
    assert done.until_ms is not None
    await keeper.past(done.until_ms)
    beat = (await ledger.balances(where))[0]
    assert beat.span.start_ms >= done.until_ms
    assert (beat.granted, beat.limit) == (Credits.ZERO, Credits(10))
    with pytest.raises(BudgetExhausted):
        await ledger.hold(where, Credits(11), hold_id=HoldId("one"))
    assert (await hand.grant(keeper.tenant, "tenant/hour", Credits(5), None, warrant())).until_ms == done.until_ms
    await assert_clean(ledger, keeper.tenant)


async def test_a_grant_lapses_at_its_instant_and_what_was_spent_of_it_stays_spent(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, team=10))
    until_ms = await now_ms(ledger, keeper) + 1_000
    await grant(keeper, 5, until_ms)
    held = await hold(ledger, keeper, 13)
    await keeper.past(until_ms)
    team = (await ledger.balances(path(keeper)))[1]
    assert (team.granted, team.limit, team.remaining) == (Credits.ZERO, Credits(10), Credits.ZERO)
    with pytest.raises(BudgetExhausted) as error:
        await hold(ledger, keeper, 0, "two")
    assert (error.value.limit, error.value.remaining) == (Credits(10), Credits.ZERO)
    await ledger.settle(held, Credits(13), Flag.CONFIRMED)
    await assert_clean(ledger, keeper.tenant)
    await grant(keeper, 4, op="more")
    assert (await hold(ledger, keeper, 1, "three")).balances[1].remaining == Credits.ZERO
    await assert_clean(ledger, keeper.tenant)


# --- once per id ------------------------------------------------------------------------------------------------


async def test_the_same_grant_again_grants_nothing_more_and_answers_what_it_did(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, team=10))
    until_ms = await now_ms(ledger, keeper) + HOUR_MS
    first = await grant(keeper, 5, until_ms)
    before = await keeper.written()
    again = await grant(keeper, 5, until_ms)
    assert (first.applied, again.applied, again.until_ms) == (True, False, until_ms)
    assert await keeper.written() == before


async def test_the_same_grant_at_once_is_granted_once(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, team=10))
    done = await asyncio.gather(*(grant(keeper, 5) for _ in range(10)))
    assert sum(one.applied for one in done) == 1
    assert (await ledger.balances(path(keeper)))[1].granted == Credits(5)
    await assert_clean(ledger, keeper.tenant)


async def test_an_id_that_was_used_for_something_else_is_refused(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, team=10))
    await grant(keeper, 5)
    await refused(keeper, "other", 6)
    await refused(keeper, "other", 5, budget=NAMES["user"])
    await refused(keeper, "other", 5, await now_ms(ledger, keeper) + HOUR_MS)
    hand = await keeper.adjusting()
    for work in (
        hand.refund(keeper.tenant, HoldId("one"), None, warrant()),
        hand.revoke(keeper.tenant, OperationId("op"), warrant()),
    ):
        with pytest.raises(AdjustmentRefused) as error:
            await work
        assert error.value.code == "other"


async def test_what_cannot_be_granted_is_refused_and_nothing_is_written(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, window=Window(Every.MONTH)))
    month = (await ledger.balances(Path(keeper.tenant)))[0]
    end_ms = month.span.end_ms or 0
    limits = book(keeper.tenant, window=Window(Every.MONTH))
    hand = await keeper.adjusting(limits)
    before = await keeper.written()
    for name, amount, until_ms, code in (
        ("tenant/month", 0, None, "nothing"),
        ("tenant/month", 5, month.now_ms - 1, "until"),
        ("tenant/month", 5, end_ms + 1, "until"),
        ("tenant/week", 5, None, "budget"),
        ("each:ann/month", 5, None, "budget"),
        ("", 5, None, "budget"),
        ("team", 5, None, "budget"),
    ):
        with pytest.raises(AdjustmentRefused) as error:
            await hand.grant(keeper.tenant, name, Credits(amount), until_ms, warrant())
        assert error.value.code == code, name
    for tenant, name in (("nobody", "tenant/month"), (keeper.tenant, "team:sales/month")):
        with pytest.raises(TenantUnknown):
            await hand.grant(tenant, name, Credits(5), None, warrant())
    assert await keeper.written() == before
    assert (await hand.grant(keeper.tenant, "tenant/month", Credits(5), end_ms, warrant())).until_ms == end_ms


# --- taking back ------------------------------------------------------------------------------------------------


async def test_a_grant_taken_back_no_longer_counts_and_others_still_do(keeper: Keeper) -> None:
    ledger, hand = await keeper.ledger(book(keeper.tenant, team=10)), await keeper.adjusting()
    await grant(keeper, 5, op="a")
    await grant(keeper, 8, await now_ms(ledger, keeper) + HOUR_MS, op="b")
    for applied in (True, False):
        taken = await hand.revoke(keeper.tenant, OperationId("a"), warrant("c"))
        assert taken == Granted(OperationId("c"), TEAM, Credits(5), None, applied)
        assert (await ledger.balances(path(keeper)))[1].granted == Credits(8)
    for again in ("a", "c", "never"):
        with pytest.raises(AdjustmentRefused) as error:
            await hand.revoke(keeper.tenant, OperationId(again), warrant(f"of-{again}"))
        assert error.value.code == "lapsed"
    await assert_clean(ledger, keeper.tenant)
    assert not (await grant(keeper, 5, op="a")).applied


async def test_a_grant_that_has_lapsed_is_not_taken_back(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, team=10))
    until_ms = await now_ms(ledger, keeper) + 1_000
    await grant(keeper, 5, until_ms)
    await keeper.past(until_ms)
    with pytest.raises(AdjustmentRefused) as error:
        await (await keeper.adjusting()).revoke(keeper.tenant, OperationId("op"), warrant("b"))
    assert error.value.code == "lapsed"


# --- the books --------------------------------------------------------------------------------------------------


async def test_every_grant_is_an_entry_with_actor_and_reason(keeper: Keeper) -> None:
    ledger, hand = await keeper.ledger(book(keeper.tenant, team=10)), await keeper.adjusting()
    until_ms = await now_ms(ledger, keeper) + HOUR_MS
    await grant(keeper, 5, until_ms, op="a")
    await grant(keeper, 3, op="b")
    await hand.revoke(keeper.tenant, OperationId("a"), warrant("c"))
    same = {"budgets": f"{TEAM}|0|", "actor": "kim", "reason": "ticket 7"}
    assert await keeper.journal() == [
        {"op": "grant", "id": "a", "amount": "5", "until": str(until_ms), **same},
        {"op": "grant", "id": "b", "amount": "3", "until": "", **same},
        {"op": "revoke", "id": "c", "of": "a", "amount": "5", "until": str(until_ms), **same},
    ]


async def test_the_audit_finds_a_grant_nobody_wrote_down(keeper: Keeper) -> None:
    limits = book(keeper.tenant, team=10)
    ledger = await keeper.ledger(limits)
    await grant(keeper, 5)
    await keeper.tamper(limits.on_path(path(keeper))[1], "granted", 7)
    assert (await ledger.audit(keeper.tenant)).differences == (Difference(f"{TEAM}|0|", "granted", 5, 7),)


# --- what only a store can do -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["x", "5", "|", "-5|1", "5|x", "5.0|", "5||", "5| 6", "9999999999999999|"])
async def test_grants_that_cannot_be_read_are_never_built_on_and_end_no_hold_wrongly(
    on_store: StoreKeeper, text: str
) -> None:
    limits = book(on_store.tenant)
    ledger = await on_store.ledger(limits)
    held = await hold(ledger, on_store, 7)
    await on_store.store.call("HSET", await on_store.key(limits.on_path(path(on_store))[1]), "granted", text)
    before = await on_store.written()
    for work in (hold(ledger, on_store, 1, "two"), ledger.balances(path(on_store)), grant(on_store, 5)):
        with pytest.raises(LedgerPoisoned):
            await work
    assert await on_store.written() == before
    assert [(d.field, d.stored) for d in (await ledger.audit(on_store.tenant)).differences] == [("granted", -1)]
    assert (await ledger.settle(held, Credits(7), Flag.CONFIRMED)).applied


async def test_a_balance_has_only_so_many_ends_of_grants_and_lapsed_ones_are_dropped(on_store: StoreKeeper) -> None:
    ledger = await on_store.ledger(book(on_store.tenant))
    soon_ms = await on_store.now_ms() + 2_000
    await grant(on_store, 1, soon_ms, op="soon")
    for number in range(49):
        await grant(on_store, 1, soon_ms + HOUR_MS + number, op=f"op-{number}")
    await refused(on_store, "full", 1, op="more")
    assert (await grant(on_store, 1, soon_ms + HOUR_MS, op="same-end")).applied
    await on_store.past(soon_ms)
    assert (await grant(on_store, 1, op="more")).applied
    await assert_clean(ledger, on_store.tenant)


@pytest.mark.parametrize("ahead_ms", [-40 * DAY_MS, 0, 40 * DAY_MS])
async def test_a_grant_goes_into_the_window_of_the_stores_clock(on_store: StoreKeeper, ahead_ms: int) -> None:
    on_store.ahead_ms = ahead_ms
    limits = book(on_store.tenant, window=Window(Every.MONTH))
    ledger, hand = await on_store.ledger(limits), await on_store.adjusting(limits)
    done = await hand.grant(on_store.tenant, "tenant/month", Credits(5), None, warrant())
    month = (await ledger.balances(path(on_store)))[0]
    if month.span.end_ms == done.until_ms:
        assert month.granted == Credits(5)
    assert done.until_ms in {Window(Every.MONTH).span(real_ms() - back).end_ms for back in (0, 60_000)}


async def test_a_balance_that_begins_with_a_grant_is_kept_as_long_as_any(on_store: StoreKeeper) -> None:
    limits = book(on_store.tenant, window=Window(Every.MONTH))
    ledger, hand = await on_store.ledger(limits), await on_store.adjusting(limits)
    done = await hand.grant(on_store.tenant, "tenant/month", Credits(5), None, warrant())
    await hold(ledger, on_store, 5)
    keys_kept = [await on_store.key(budget) for budget in limits.on_path(path(on_store))]
    kept = {await on_store.kept_until_ms(key) for key in keys_kept}
    assert kept == {(done.until_ms or 0) + 400 * DAY_MS}
    operation = keys.operation(on_store.tenant, "op")
    assert await on_store.kept_until_ms(operation) == (done.until_ms or 0) + 400 * DAY_MS


async def test_a_grant_that_never_lapses_can_be_taken_back_for_ever(on_store: StoreKeeper) -> None:
    await on_store.ledger(book(on_store.tenant))
    await grant(on_store, 5)
    assert await on_store.store.call("PTTL", keys.operation(on_store.tenant, "op")) == -1


@pytest.mark.parametrize("loss", ["question", "answer"])
async def test_a_grant_whose_answer_is_lost_is_safe_to_send_again(on_store: StoreKeeper, loss: str) -> None:
    limits = BudgetBook({on_store.tenant: TenantBudgets((Rule(Credits(10), Window(Every.TOTAL)),))})
    ledger = await on_store.ledger(limits)
    lossy = LossyStore(on_store.url, deadline_s=20.0)
    on_store.opened.append(lossy)
    lossy.losses, hand = (loss,), RedisGranting(lossy, limits)
    with pytest.raises(LedgerUnavailable):
        await hand.grant(on_store.tenant, "tenant/total", Credits(5), None, warrant())
    done = await hand.grant(on_store.tenant, "tenant/total", Credits(5), None, warrant())
    assert done.applied is (loss == "question")
    assert (await ledger.balances(Path(on_store.tenant)))[0].granted == Credits(5)
