"""What the ledger promises of windows: the keeper's clock decides, and a hold is settled where it was admitted."""

from dataclasses import dataclass

import pytest

from gateway.errors import BudgetExhausted, LedgerUnavailable
from gateway.ledger.budget import BudgetBook, Path, Rule, TenantBudgets
from gateway.ledger.contract import HoldId
from gateway.ledger.window import Every, Span, Window
from gateway.units import Credits, Flag
from tests.contract.keepers import HOUR_MS, Keeper, StoreKeeper, assert_clean, book

DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Beat(Window):
    """A window short enough to see the next one; `ends_later_ms` tells the end wrong, as another zone would."""

    length_ms: int = 400
    ends_later_ms: int = 0

    def span(self, instant_ms: int) -> Span:
        start_ms = instant_ms - instant_ms % self.length_ms
        return Span(start_ms, start_ms + self.length_ms + self.ends_later_ms)


BEAT = Beat(Every.HOUR)
KINDS = [Window(every, "Europe/Berlin") for every in (Every.HOUR, Every.DAY, Every.WEEK, Every.MONTH)]


def beaten(tenant: str) -> BudgetBook:
    """A budget that begins anew all the time, beside one that never does."""
    rules = (Rule(Credits(10), BEAT), Rule(Credits(1_000), Window(Every.TOTAL)))
    return BudgetBook({tenant: TenantBudgets(rules)})


async def test_a_new_window_begins_with_nothing_spent_and_a_total_goes_on(keeper: Keeper) -> None:
    ledger, path = await keeper.ledger(beaten(keeper.tenant)), Path(keeper.tenant)
    held = await ledger.hold(path, Credits(10), hold_id=HoldId("one"))
    await ledger.settle(held, Credits(10), Flag.CONFIRMED)
    await keeper.past(held.balances[0].span.end_ms or 0)
    beat, total = (await ledger.hold(path, Credits(9), hold_id=HoldId("two"))).balances
    assert beat.span.start_ms >= (held.balances[0].span.end_ms or 0)
    assert (beat.spent, beat.held) == (Credits.ZERO, Credits(9))
    assert (total.spent, total.held) == (Credits(10), Credits(9))


async def test_a_hold_is_settled_in_the_window_that_admitted_it_however_late(keeper: Keeper) -> None:
    ledger, path = await keeper.ledger(beaten(keeper.tenant)), Path(keeper.tenant)
    held = await ledger.hold(path, Credits(10), hold_id=HoldId("one"))
    await keeper.past(held.balances[0].span.end_ms or 0)
    assert (await ledger.settle(held, Credits(8), Flag.CONFIRMED)).applied
    beat, total = await ledger.balances(path)
    assert (beat.spent, beat.held, total.spent, total.held) == (Credits.ZERO, Credits.ZERO, Credits(8), Credits.ZERO)
    assert (await assert_clean(ledger, keeper.tenant)).balances == 2


async def test_the_same_id_in_a_later_window_is_still_the_hold_of_its_own_window(keeper: Keeper) -> None:
    ledger, path = await keeper.ledger(beaten(keeper.tenant)), Path(keeper.tenant)
    held = await ledger.hold(path, Credits(10), hold_id=HoldId("one"))
    await keeper.past(held.balances[0].span.end_ms or 0)
    again = await ledger.hold(path, Credits(10), hold_id=HoldId("one"))
    assert [balance.span for balance in again.balances] == [balance.span for balance in held.balances]
    assert (await ledger.settle(again, Credits(8), Flag.CONFIRMED)).applied
    await assert_clean(ledger, keeper.tenant)


@pytest.mark.parametrize("window", KINDS, ids=lambda window: str(window.every))
@pytest.mark.parametrize("ahead_ms", [-HOUR_MS, 0, HOUR_MS, -40 * DAY_MS, 40 * DAY_MS])
async def test_a_gateway_whose_clock_is_wrong_books_into_the_windows_of_the_stores_clock(
    on_store: StoreKeeper, window: Window, ahead_ms: int
) -> None:
    on_store.ahead_ms = ahead_ms
    ledger, path = (
        await on_store.ledger(book(on_store.tenant, window=window, user=10)),
        Path(on_store.tenant, "ads", "ann"),
    )
    before_ms = await on_store.now_ms()
    held = await ledger.hold(path, Credits(10), hold_id=HoldId("one"))
    assert {b.span for b in held.balances} <= {window.span(before_ms), window.span(await on_store.now_ms())}
    assert all(balance.span.holds(balance.now_ms) for balance in held.balances)
    if window.span(before_ms) == window.span(await on_store.now_ms()):
        with pytest.raises(BudgetExhausted) as refused:
            await ledger.hold(path, Credits(1), hold_id=HoldId("two"))
        assert refused.value.reset_s is not None
        assert 0 < refused.value.reset_s * 1000 <= 32 * DAY_MS
    await ledger.settle(held, Credits(4), Flag.CONFIRMED)
    await assert_clean(ledger, on_store.tenant)


@pytest.mark.parametrize("ahead_ms", [-HOUR_MS, HOUR_MS])
async def test_what_a_gateway_with_a_wrong_clock_reads_is_what_the_others_wrote(
    on_store: StoreKeeper, ahead_ms: int
) -> None:
    limits, path = book(on_store.tenant, window=Window(Every.DAY)), Path(on_store.tenant, "ads", "ann")
    right = await on_store.ledger(limits)
    held = await right.hold(path, Credits(10), hold_id=HoldId("one"))
    on_store.ahead_ms = ahead_ms
    wrong = await on_store.ledger(limits)
    found = await wrong.balances(path)
    assert all(balance.span.holds(balance.now_ms) for balance in found)
    if found[0].span == held.balances[0].span:
        assert {balance.held for balance in found} == {Credits(10)}


async def test_a_window_that_no_guess_can_name_is_an_unavailable_ledger_and_nothing_is_held(
    on_store: StoreKeeper,
) -> None:
    never = Beat(Every.HOUR, length_ms=10, ends_later_ms=-10)
    ledger = await on_store.ledger(book(on_store.tenant, window=never))
    before = await on_store.written()
    for work in (
        ledger.hold(Path(on_store.tenant), Credits(1), hold_id=HoldId("one")),
        ledger.balances(Path(on_store.tenant)),
    ):
        with pytest.raises(LedgerUnavailable) as refused:
            await work
        assert refused.value.code == "clock"
    assert await on_store.written() == before


async def test_a_window_whose_end_is_moved_goes_on_with_what_it_has_spent(keeper: Keeper) -> None:
    """Two zones may share a window's start and not its end; the books must agree all the same."""
    path, length_ms = Path(keeper.tenant), 2**33
    one, other = (
        BudgetBook(
            {keeper.tenant: TenantBudgets((Rule(Credits(10), Beat(Every.DAY, length_ms=length_ms, ends_later_ms=n)),))}
        )
        for n in (0, HOUR_MS)
    )
    ledger = await keeper.ledger(one)
    held = await ledger.hold(path, Credits(6), hold_id=HoldId("one"))
    moved = await keeper.ledger(other)
    with pytest.raises(BudgetExhausted):
        await moved.hold(path, Credits(6), hold_id=HoldId("two"))
    later = await moved.hold(path, Credits(4), hold_id=HoldId("two"))
    await moved.settle(held, Credits(6), Flag.CONFIRMED)
    await moved.settle(later, Credits(3), Flag.CONFIRMED)
    assert [balance.spent for balance in await moved.balances(path)] == [Credits(9)]
    assert (await assert_clean(moved, keeper.tenant)).balances == 1


async def test_two_budgets_of_one_kind_whose_windows_begin_together_are_counted_apart(keeper: Keeper) -> None:
    rules = tuple(
        Rule(Credits(limit), Window(Every.DAY, zone)) for limit, zone in ((10, "Europe/Berlin"), (6, "Europe/Paris"))
    )
    ledger = await keeper.ledger(BudgetBook({keeper.tenant: TenantBudgets(rules)}))
    held = await ledger.hold(Path(keeper.tenant), Credits(6), hold_id=HoldId("one"))
    assert [(b.budget.limit, b.held) for b in held.balances] == [(Credits(10), Credits(6)), (Credits(6), Credits(6))]
    with pytest.raises(BudgetExhausted) as refused:
        await ledger.hold(Path(keeper.tenant), Credits(1), hold_id=HoldId("two"))
    assert refused.value.limit == Credits(6)
    await ledger.settle(held, Credits(6), Flag.CONFIRMED)
    await assert_clean(ledger, keeper.tenant)


async def test_a_balance_is_kept_four_hundred_days_after_its_window_ended_and_a_total_for_ever(
    on_store: StoreKeeper,
) -> None:
    window, path = Window(Every.MONTH), Path(on_store.tenant, "ads", "ann")
    for limits, name in ((book(on_store.tenant, window=window), "one"), (book(on_store.tenant), "two")):
        ledger = await on_store.ledger(limits)
        await ledger.settle(await ledger.hold(path, Credits(1), hold_id=HoldId(name)), Credits(1), Flag.CONFIRMED)
    for budget in book(on_store.tenant).on_path(path):
        assert await on_store.store.call("PTTL", await on_store.key(budget)) == -1
    for budget in book(on_store.tenant, window=window).on_path(path):
        end_ms = window.span(await on_store.now_ms()).end_ms or 0
        left_ms = await on_store.store.call("PTTL", await on_store.key(budget))
        assert abs(await on_store.now_ms() + left_ms - (end_ms + 400 * DAY_MS)) < 5_000


async def test_balances_forgotten_after_their_time_are_no_differences(
    on_store: StoreKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal remembers them for ever; an audit must not call that a fault."""
    monkeypatch.setattr("gateway.ledger.redis.RETENTION_MS", 0)
    ledger, path = await on_store.ledger(beaten(on_store.tenant)), Path(on_store.tenant)
    held = await ledger.hold(path, Credits(1), hold_id=HoldId("one"))
    await ledger.settle(held, Credits(1), Flag.CONFIRMED)
    end_ms = held.balances[0].span.end_ms or 0
    await on_store.past(end_ms)
    audit = await assert_clean(ledger, on_store.tenant)
    assert (audit.entries, audit.balances, audit.spent) == (2, 1, Credits(1))
