"""What `adjustment.py` promises of refunds and corrections, on every keeper."""

import asyncio

import pytest

from gateway.errors import LedgerPoisoned, LedgerUnavailable
from gateway.ledger import keys
from gateway.ledger.adjusting import RedisAdjusting
from gateway.ledger.adjustment import REFUSALS, Adjusted, AdjustmentRefused, OperationId, Warrant
from gateway.ledger.budget import Path
from gateway.ledger.contract import HoldId, Ledger, State
from gateway.ledger.window import Every, Window
from gateway.units import Credits, Flag
from tests.contract.keepers import Keeper, StoreKeeper, assert_clean, book, swept, warrant
from tests.contract.test_lost_answers import LossyStore
from tests.contract.test_windows import beaten

ONE = HoldId("one")


def path(keeper: Keeper) -> Path:
    return Path(keeper.tenant, "ads", "ann")


async def charged(keeper: Keeper, *amounts: int, flag: Flag = Flag.UNCERTAIN) -> Ledger:
    """A ledger with ended holds, named `one`, `two` …, charged these amounts."""
    ledger = await keeper.ledger(book(keeper.tenant))
    for name, amount in zip(("one", "two", "three"), amounts, strict=False):
        held = await ledger.hold(path(keeper), Credits(7), hold_id=HoldId(name))
        await ledger.settle(held, Credits(amount), flag)
    return ledger


async def stands(ledger: Ledger, keeper: Keeper) -> set[tuple[int, int]]:
    found = await ledger.balances(path(keeper))
    return {(balance.spent.millicredits, balance.held.millicredits) for balance in found}


def adjusted(before: int, after: int, *, operation: str = "op", applied: bool = True) -> Adjusted:
    return Adjusted(OperationId(operation), ONE, Credits(before), Credits(after), applied)


async def refused(
    keeper: Keeper, code: str, *, amount: int | None = None, hold_id: str = "one", op: str = "op"
) -> None:
    """This refund is refused, and nothing is written."""
    before = await keeper.written()
    given = None if amount is None else Credits(amount)
    with pytest.raises(AdjustmentRefused) as error:
        await (await keeper.adjusting()).refund(keeper.tenant, HoldId(hold_id), given, warrant(op))
    assert (error.value.code, str(error.value)) == (code, REFUSALS[code])
    assert await keeper.written() == before


# --- refunds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", [None, 12])
async def test_a_refund_gives_back_the_whole_charge_in_every_budget_that_bore_it(
    keeper: Keeper, amount: int | None
) -> None:
    ledger = await charged(keeper, 12, 5)
    given = None if amount is None else Credits(amount)
    done = await (await keeper.adjusting()).refund(keeper.tenant, ONE, given, warrant())
    assert done == adjusted(12, 0)
    assert await stands(ledger, keeper) == {(5, 0)}
    assert (await assert_clean(ledger, keeper.tenant)).spent == Credits(5)


async def test_refunds_in_parts_never_give_back_more_than_was_charged(keeper: Keeper) -> None:
    ledger, hand = await charged(keeper, 12), await keeper.adjusting()
    assert await hand.refund(keeper.tenant, ONE, Credits(5), warrant("a")) == adjusted(12, 7, operation="a")
    await refused(keeper, "too_much", amount=8)
    assert await hand.refund(keeper.tenant, ONE, None, warrant("b")) == adjusted(7, 0, operation="b")
    await refused(keeper, "too_much", amount=1)
    await refused(keeper, "too_much")
    assert await stands(ledger, keeper) == {(0, 0)}
    await assert_clean(ledger, keeper.tenant)


async def test_nothing_is_no_refund(keeper: Keeper) -> None:
    await charged(keeper, 12)
    await refused(keeper, "too_much", amount=0)


async def test_the_same_operation_again_gives_nothing_more_back_and_answers_what_it_did(keeper: Keeper) -> None:
    ledger, hand = await charged(keeper, 12), await keeper.adjusting()
    await hand.refund(keeper.tenant, ONE, Credits(5), warrant("a"))
    await hand.refund(keeper.tenant, ONE, Credits(2), warrant("b"))
    before = await keeper.written()
    again = await hand.refund(keeper.tenant, ONE, Credits(5), warrant("a"))
    assert again == adjusted(12, 7, operation="a", applied=False)
    assert await keeper.written() == before
    assert await stands(ledger, keeper) == {(5, 0)}


async def test_the_same_operation_at_once_is_done_once(keeper: Keeper) -> None:
    ledger, hand = await charged(keeper, 12), await keeper.adjusting()
    done = await asyncio.gather(*(hand.refund(keeper.tenant, ONE, Credits(5), warrant()) for _ in range(10)))
    assert sum(one.applied for one in done) == 1
    assert {(one.before, one.after) for one in done} == {(Credits(12), Credits(7))}
    assert await stands(ledger, keeper) == {(7, 0)}


async def test_refunds_at_once_under_their_own_ids_give_back_no_more_than_was_charged(keeper: Keeper) -> None:
    ledger, hand = await charged(keeper, 12), await keeper.adjusting()
    asked = (hand.refund(keeper.tenant, ONE, Credits(5), warrant(f"op-{n}")) for n in range(10))
    done = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, Adjusted) for one in done) == 2
    assert await stands(ledger, keeper) == {(2, 0)}
    await assert_clean(ledger, keeper.tenant)


async def test_an_operation_id_used_for_something_else_is_refused(keeper: Keeper) -> None:
    await charged(keeper, 12, 9)
    hand = await keeper.adjusting()
    await hand.refund(keeper.tenant, ONE, Credits(5), warrant())
    await refused(keeper, "other", amount=4)
    await refused(keeper, "other")
    await refused(keeper, "other", amount=5, hold_id="two")
    with pytest.raises(AdjustmentRefused) as error:
        await hand.correct(keeper.tenant, ONE, Credits(5), warrant())
    assert error.value.code == "other"


async def test_an_operation_id_of_another_tenant_is_another_operation(keeper: Keeper) -> None:
    await charged(keeper, 12)
    await (await keeper.adjusting()).refund(keeper.tenant, ONE, None, warrant())
    other = f"{keeper.tenant}x"
    neighbour, where = await keeper.ledger(book(other)), Path(other, "ads", "ann")
    await neighbour.settle(await neighbour.hold(where, Credits(7), hold_id=ONE), Credits(7), Flag.CONFIRMED)
    assert (await (await keeper.adjusting()).refund(other, ONE, None, warrant())).applied
    await assert_clean(neighbour, other)


async def test_only_what_has_ended_and_is_known_can_be_refunded(keeper: Keeper) -> None:
    ledger = await charged(keeper)
    await ledger.hold(path(keeper), Credits(7), hold_id=ONE)
    await refused(keeper, "open")
    await refused(keeper, "unknown", hold_id="never")
    await ledger.void(path(keeper), HoldId("void"), Credits(7))
    await refused(keeper, "unknown", hold_id="void")
    await assert_clean(ledger, keeper.tenant)


async def test_a_refund_is_given_back_in_the_windows_that_admitted_the_hold(keeper: Keeper) -> None:
    ledger, where = await keeper.ledger(beaten(keeper.tenant)), Path(keeper.tenant)
    held = await ledger.hold(where, Credits(10), hold_id=ONE)
    await ledger.settle(held, Credits(10), Flag.UNCERTAIN)
    await keeper.past(held.balances[0].span.end_ms or 0)
    await (await keeper.adjusting()).refund(keeper.tenant, ONE, Credits(4), warrant())
    assert [(b.spent, b.held) for b in await ledger.balances(where)] == [
        (Credits.ZERO, Credits.ZERO),
        (Credits(6), Credits.ZERO),
    ]
    await assert_clean(ledger, keeper.tenant)


async def test_what_is_refunded_can_be_spent_again(keeper: Keeper) -> None:
    await charged(keeper, 12)
    ledger = await keeper.ledger(book(keeper.tenant, tenant=12))
    await (await keeper.adjusting()).refund(keeper.tenant, ONE, Credits(7), warrant())
    held = await ledger.hold(path(keeper), Credits(7), hold_id=HoldId("more"))
    assert held.balances[0].remaining == Credits.ZERO


# --- expired holds and late ends --------------------------------------------------------------------------------


async def test_after_a_refund_a_late_settle_finds_the_hold_ended(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant), hold_ttl_ms=1)
    held = await ledger.hold(path(keeper), Credits(7), hold_id=ONE)
    await keeper.past(held.deadline_ms)
    await swept(ledger, {ONE})
    await (await keeper.adjusting()).refund(keeper.tenant, ONE, Credits(5), warrant())
    before = await keeper.written()
    late = await ledger.settle(held, Credits(7), Flag.UNCERTAIN)
    assert (late.state, late.charged, late.flag, late.applied) == (State.SETTLED, Credits(2), Flag.CONFIRMED, False)
    await ledger.void(path(keeper), ONE, Credits(7))
    assert await keeper.written() == before
    assert await stands(ledger, keeper) == {(2, 0)}
    await assert_clean(ledger, keeper.tenant)


async def test_an_expired_hold_that_was_settled_late_is_refunded_at_what_is_booked_now(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant), hold_ttl_ms=1)
    held = await ledger.hold(path(keeper), Credits(7), hold_id=ONE)
    await keeper.past(held.deadline_ms)
    await swept(ledger, {ONE})
    await ledger.settle(held, Credits(3), Flag.CONFIRMED)
    await refused(keeper, "too_much", amount=4)
    assert await (await keeper.adjusting()).refund(keeper.tenant, ONE, None, warrant()) == adjusted(3, 0)
    await assert_clean(ledger, keeper.tenant)


# --- corrections ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", [0, 3, 12, 40])
async def test_a_correction_books_another_charge_upwards_or_downwards(keeper: Keeper, to: int) -> None:
    ledger = await charged(keeper, 12, 5)
    done = await (await keeper.adjusting()).correct(keeper.tenant, ONE, Credits(to), warrant())
    assert done == adjusted(12, to)
    assert await stands(ledger, keeper) == {(to + 5, 0)}
    assert (await assert_clean(ledger, keeper.tenant)).spent == Credits(to + 5)


async def test_a_correction_can_be_undone_and_after_it_no_more_than_is_booked_can_be_refunded(keeper: Keeper) -> None:
    ledger, hand = await charged(keeper, 12), await keeper.adjusting()
    await hand.refund(keeper.tenant, ONE, None, warrant("a"))
    assert await hand.correct(keeper.tenant, ONE, Credits(12), warrant("b")) == adjusted(0, 12, operation="b")
    assert await hand.correct(keeper.tenant, ONE, Credits(4), warrant("c")) == adjusted(12, 4, operation="c")
    await refused(keeper, "too_much", amount=5)
    assert await stands(ledger, keeper) == {(4, 0)}
    await assert_clean(ledger, keeper.tenant)


# --- the journal ------------------------------------------------------------------------------------------------


async def test_every_adjustment_is_an_entry_with_actor_and_reason_and_no_entry_is_changed(keeper: Keeper) -> None:
    await charged(keeper, 12)
    before, hand = await keeper.journal(), await keeper.adjusting()
    await hand.refund(keeper.tenant, ONE, Credits(5), warrant("a"))
    await hand.correct(keeper.tenant, ONE, Credits(7), warrant("b"))
    same = {
        "of": "one",
        "charged": "7",
        "flag": "confirmed",
        "path": f"{keeper.tenant}/ads/ann",
        "budgets": "tenant/total|0| team:ads/total|0| each:ads:ann/total|0| user:ann/total|0|",
        "actor": "kim",
        "reason": "ticket 7",
    }
    assert await keeper.journal() == [
        *before,
        {"op": "refund", "id": "a", "amount": "5", **same},
        {"op": "adjust", "id": "b", "amount": "7", **same},
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        *(("", "kim", "why"), ("a b", "kim", "why"), ("x" * 65, "kim", "why"), ("-", "kim", "why")),
        *(("op", "", "why"), ("op", "=1+1", "why"), ("op", "kim\t", "why")),
        *(("op", "kim", ""), ("op", "kim", "-why"), ("op", "kim", "a\nb"), ("op", "kim", "x" * 501)),
    ],
)
def test_a_warrant_has_an_id_an_actor_and_a_reason_on_one_line_each(wrong: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="begins with a letter or digit"):
        Warrant(OperationId(wrong[0]), wrong[1], wrong[2])


# --- what only a store can do -----------------------------------------------------------------------------------


async def test_a_hold_whose_record_is_forgotten_is_refunded_from_the_journal_and_once(on_store: StoreKeeper) -> None:
    ledger, hand = await charged(on_store, 12, 5), await on_store.adjusting()
    await hand.refund(on_store.tenant, ONE, Credits(2), warrant("a"))
    await on_store.store.call("DEL", keys.record(on_store.tenant, ONE))
    asked = (hand.refund(on_store.tenant, ONE, Credits(6), warrant(f"b{n}")) for n in range(5))
    done = await asyncio.gather(*asked, return_exceptions=True)
    assert [(one.before, one.after) for one in done if isinstance(one, Adjusted)] == [(Credits(10), Credits(4))]
    assert await hand.correct(on_store.tenant, ONE, Credits(9), warrant("c")) == adjusted(4, 9, operation="c")
    assert await stands(ledger, on_store) == {(14, 0)}
    await assert_clean(ledger, on_store.tenant)


async def test_what_was_done_is_still_known_when_hold_and_journal_are_gone(on_store: StoreKeeper) -> None:
    await charged(on_store, 12)
    hand = await on_store.adjusting()
    await hand.refund(on_store.tenant, ONE, None, warrant())
    await on_store.store.call("DEL", keys.record(on_store.tenant, ONE), keys.journal(on_store.tenant))
    assert await hand.refund(on_store.tenant, ONE, None, warrant()) == adjusted(12, 0, applied=False)
    await refused(on_store, "unknown", op="other")


async def test_an_operation_and_the_record_it_touched_are_remembered_for_their_time(on_store: StoreKeeper) -> None:
    await charged(on_store, 12)
    await on_store.store.call("DEL", keys.record(on_store.tenant, ONE))
    await (await on_store.adjusting()).refund(on_store.tenant, ONE, Credits(1), warrant())
    for key, days in ((keys.operation(on_store.tenant, "op"), 400), (keys.record(on_store.tenant, ONE), 7)):
        left_ms = await on_store.store.call("PTTL", key)
        assert 0 <= days * 24 * 3_600_000 - left_ms < 60_000


async def test_a_balance_the_store_has_forgotten_is_not_made_anew(
    on_store: StoreKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("redis", "adjusting"):
        monkeypatch.setattr(f"gateway.ledger.{module}.RETENTION_MS", 0)
    ledger, where = await on_store.ledger(beaten(on_store.tenant)), Path(on_store.tenant)
    held = await ledger.hold(where, Credits(10), hold_id=ONE)
    await ledger.settle(held, Credits(10), Flag.UNCERTAIN)
    await on_store.past((held.balances[0].span.end_ms or 0) + 1)
    await (await on_store.adjusting()).refund(on_store.tenant, ONE, None, warrant())
    beat, total = keys.places_of(held.balances)
    assert await on_store.store.call("EXISTS", beat.key(on_store.tenant)) == 0
    assert await on_store.store.call("HGET", total.key(on_store.tenant), "spent") == "0"
    assert (await assert_clean(ledger, on_store.tenant)).spent == Credits.ZERO


@pytest.mark.parametrize("loss", ["question", "answer"])
async def test_an_operation_whose_answer_is_lost_is_safe_to_send_again(on_store: StoreKeeper, loss: str) -> None:
    ledger = await charged(on_store, 12)
    lossy = LossyStore(on_store.url, deadline_s=20.0)
    on_store.opened.append(lossy)
    lossy.losses, hand = (loss,), RedisAdjusting(lossy)
    with pytest.raises(LedgerUnavailable):
        await hand.refund(on_store.tenant, ONE, Credits(5), warrant())
    done = await hand.refund(on_store.tenant, ONE, Credits(5), warrant())
    assert done == adjusted(12, 7, applied=loss == "question")
    assert await stands(ledger, on_store) == {(7, 0)}


@pytest.mark.parametrize("which", ["spent", "record", "budgets", "journal", "operation"])
async def test_what_cannot_be_trusted_is_never_adjusted(on_store: StoreKeeper, which: str) -> None:
    await charged(on_store, 12)
    record, journal = keys.record(on_store.tenant, ONE), keys.journal(on_store.tenant)
    last = await on_store.key(book(on_store.tenant).on_path(path(on_store))[-1])
    words: dict[str, tuple[str, ...]] = {
        "spent": ("HSET", last, "spent", "11"),
        "record": ("HSET", record, "charged", "12x"),
        "budgets": ("HSET", record, "budgets", "nothing"),
        "journal": ("SET", journal, "x"),
        "operation": ("SET", keys.operation(on_store.tenant, "op"), "x"),
    }
    await on_store.store.call(*words[which])
    before = await on_store.written()
    with pytest.raises(LedgerPoisoned):
        await (await on_store.adjusting()).refund(on_store.tenant, ONE, None, warrant())
    assert await on_store.written() == before


async def test_an_adjusted_balance_is_kept_no_longer_and_no_shorter_than_before(on_store: StoreKeeper) -> None:
    ledger = await on_store.ledger(book(on_store.tenant, window=Window(Every.MONTH)))
    held = await ledger.hold(path(on_store), Credits(10), hold_id=ONE)
    await ledger.settle(held, Credits(10), Flag.UNCERTAIN)
    kept = [place.key(on_store.tenant) for place in keys.places_of(held.balances)]
    before = [await on_store.kept_until_ms(key) for key in kept]
    await (await on_store.adjusting()).refund(on_store.tenant, ONE, Credits(4), warrant())
    assert [await on_store.kept_until_ms(key) for key in kept] == before
    assert min(before) > 0
