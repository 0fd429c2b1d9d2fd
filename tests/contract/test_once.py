"""An idempotency key is taken with the hold, by one call; whoever comes with it later is told what became of it."""

import asyncio
from dataclasses import replace

import pytest

from gateway.errors import BudgetExhausted, HoldClosed, LedgerUnavailable, TenantFrozen
from gateway.ledger import keys
from gateway.ledger.budget import Path
from gateway.ledger.contract import End, Hold, HoldId, Ledger, open_hold
from gateway.ledger.redis import RedisLedger
from gateway.ledger.settler import Settler
from gateway.once import FREE, Facts, First, IdempotencyEnded, IdempotencyMismatch, IdempotencyOpen, Once, Repeated
from gateway.units import Credits, Flag
from tests.contract.keepers import Keeper, StoreKeeper, assert_clean, book, swept, warrant
from tests.contract.test_lost_answers import LossyStore

CALL = Once.of("k1", ("studio",), (b"POST", b"{}"))
OTHER = replace(CALL, fingerprint=Once.of("k1", ("studio",), (b"POST", b"{1}")).fingerprint)
FACTS = Facts(reason="ok", status=200, content_type="image/png", bytes=5, sha256="ab" * 32, seed="7")
AMOUNT, CHARGED = Credits(7), Credits(5)


def payer(keeper: Keeper) -> Path:
    return Path(keeper.tenant, "ads", "ann")


async def held(ledger: Ledger, keeper: Keeper, hold_id: str = "one", once: Once | None = CALL) -> Hold:
    return await ledger.hold(payer(keeper), AMOUNT, hold_id=HoldId(hold_id), once=once)


async def refused(ledger: Ledger, keeper: Keeper, hold_id: str = "two", once: Once = CALL) -> Repeated:
    """What a repeat is told; it writes nothing."""
    before = await keeper.written()
    with pytest.raises(Repeated) as told:
        await held(ledger, keeper, hold_id, once)
    assert await keeper.written() == before
    assert told.value.certain
    return told.value


async def first(ledger: Ledger, keeper: Keeper) -> First:
    told = await refused(ledger, keeper)
    assert isinstance(told, IdempotencyEnded)
    return told.first


async def assert_free(ledger: Ledger, keeper: Keeper) -> None:
    """The key can be taken, by any call."""
    again = await held(ledger, keeper, "again", OTHER)
    assert (again.hold_id, again.once) == ("again", OTHER)


async def test_while_the_first_is_open_a_repeat_is_told_so_and_another_call_is_told_apart(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    assert (await held(ledger, keeper)).once == CALL
    assert isinstance(await refused(ledger, keeper), IdempotencyOpen)
    assert isinstance(await refused(ledger, keeper, once=OTHER), IdempotencyMismatch)
    assert {balance.held for balance in await ledger.balances(payer(keeper))} == {AMOUNT}


async def test_an_ended_first_is_told_with_its_money_and_its_facts(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    await ledger.settle(await held(ledger, keeper), CHARGED, Flag.UNCONFIRMED, FACTS.written())
    assert await first(ledger, keeper) == First("one", CHARGED, Flag.UNCONFIRMED, FACTS)
    assert isinstance(await refused(ledger, keeper, once=OTHER), IdempotencyMismatch)
    assert (await assert_clean(ledger, keeper.tenant)).entries == 2


async def test_the_same_hold_id_again_is_no_repeat_but_the_answer_that_was_lost(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    assert replace(await held(ledger, keeper), balances=()) == replace(await held(ledger, keeper), balances=())
    assert {balance.held for balance in await ledger.balances(payer(keeper))} == {AMOUNT}


async def test_facts_are_written_once_whoever_settles_how_often(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    hold = await held(ledger, keeper)
    for facts in (FACTS.written(), Facts(reason="cancelled").written(), "", FREE):
        await ledger.book(End.of(hold, CHARGED, Flag.CONFIRMED, facts))
    assert (await first(ledger, keeper)).facts == FACTS


@pytest.mark.parametrize("flag", [Flag.CONFIRMED, Flag.UNCERTAIN])
async def test_an_expired_first_is_told_as_uncertain_and_a_late_end_adds_its_facts(keeper: Keeper, flag: Flag) -> None:
    ledger = await keeper.ledger(book(keeper.tenant), hold_ttl_ms=20)
    hold = await held(ledger, keeper)
    await keeper.past(hold.deadline_ms)
    await swept(ledger, {"one"})
    assert await first(ledger, keeper) == First("one", AMOUNT, Flag.UNCERTAIN, Facts())
    await ledger.book(End.of(hold, CHARGED, flag, FACTS.written()))
    assert await first(ledger, keeper) == First("one", CHARGED, flag, FACTS)


async def test_what_an_operator_gave_back_shows_in_what_a_repeat_is_told(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    await ledger.settle(await held(ledger, keeper), CHARGED, Flag.UNCERTAIN, FACTS.written())
    hand = await keeper.adjusting()
    await hand.refund(keeper.tenant, HoldId("one"), Credits(2), warrant())
    assert await first(ledger, keeper) == First("one", Credits(3), Flag.CONFIRMED, FACTS)


async def test_a_refused_hold_leaves_the_key_free(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, team=6))
    before = await keeper.written()
    with pytest.raises(BudgetExhausted):
        await held(ledger, keeper)
    assert await keeper.written() == before
    await assert_free(await keeper.ledger(book(keeper.tenant)), keeper)


async def test_a_repeat_is_answered_also_when_nothing_is_left_to_spend(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant, user=7))
    await ledger.settle(await held(ledger, keeper), AMOUNT, Flag.CONFIRMED, FACTS.written())
    assert (await first(ledger, keeper)).charged == AMOUNT


async def test_a_frozen_tenant_is_refused_as_such_and_its_keys_stay_as_they_are(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    await ledger.settle(await held(ledger, keeper), CHARGED, Flag.CONFIRMED, FACTS.written())
    frozen = await keeper.ledger(book(keeper.tenant, frozen=True))
    before = await keeper.written()
    for once in (CALL, OTHER, replace(CALL, key="00" * 32)):
        with pytest.raises(TenantFrozen):
            await held(frozen, keeper, "two", once)
    assert await keeper.written() == before
    assert (await first(await keeper.ledger(book(keeper.tenant)), keeper)).charged == CHARGED


@pytest.mark.parametrize("expired", [False, True])
async def test_a_voided_hold_gives_its_key_back(keeper: Keeper, *, expired: bool) -> None:
    ledger = await keeper.ledger(book(keeper.tenant), hold_ttl_ms=20 if expired else 60_000)
    hold = await held(ledger, keeper)
    if expired:
        await keeper.past(hold.deadline_ms)
        await swept(ledger, {"one"})
    await ledger.void(payer(keeper), HoldId("one"), AMOUNT, CALL.key)
    await assert_free(ledger, keeper)
    await assert_clean(ledger, keeper.tenant)


async def test_a_hold_whose_call_was_never_sent_gives_its_key_back(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    await ledger.settle(await held(ledger, keeper), Credits.ZERO, Flag.CONFIRMED, FREE)
    await assert_free(ledger, keeper)


async def test_who_no_longer_has_the_key_neither_writes_to_it_nor_gives_it_back(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant), once_kept_ms=20)
    late = [await held(ledger, keeper, name, replace(CALL, key=name)) for name in ("one", "two")]
    await keeper.past(late[-1].deadline_ms - 60_000 + 21)
    taken = await keeper.ledger(book(keeper.tenant))
    for hold in late:
        await held(taken, keeper, f"new-{hold.hold_id}", replace(OTHER, key=hold.hold_id))
    await ledger.settle(late[0], CHARGED, Flag.CONFIRMED, FACTS.written())
    await ledger.void(payer(keeper), late[1].hold_id, AMOUNT, "two")
    for hold in late:
        told = await refused(taken, keeper, "third", replace(OTHER, key=hold.hold_id))
        assert isinstance(told, IdempotencyOpen)


async def test_after_its_time_a_key_is_forgotten_and_nothing_is_left_of_it(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant), once_kept_ms=20)
    hold = await held(ledger, keeper)
    await keeper.past(hold.deadline_ms - 60_000 + 21)
    await ledger.settle(hold, CHARGED, Flag.CONFIRMED, FACTS.written())
    assert ":once:" not in str(await keeper.written())
    await assert_free(ledger, keeper)


async def test_a_key_is_remembered_for_a_day_and_no_longer_than_stated(on_store: StoreKeeper) -> None:
    ledger = await on_store.ledger(book(on_store.tenant))
    await ledger.settle(await held(ledger, on_store), CHARGED, Flag.CONFIRMED, FACTS.written())
    left_ms = await on_store.store.call("PTTL", keys.once(on_store.tenant, CALL.key))
    assert 86_400_000 - 60_000 < left_ms <= 86_400_000


async def test_another_tenants_same_key_is_another_key(on_store: StoreKeeper) -> None:
    neighbour = StoreKeeper(on_store.url)
    for keeper in (on_store, neighbour):
        ledger = await keeper.ledger(book(keeper.tenant))
        assert (await held(ledger, keeper)).hold_id == "one"
    await neighbour.close()


async def test_of_many_racers_with_one_key_over_several_pools_exactly_one_holds(on_store: StoreKeeper) -> None:
    ledgers = [await on_store.ledger(book(on_store.tenant)) for _ in range(4)]
    racing = [held(ledger, on_store, f"{n}-{pool}") for n in range(50) for pool, ledger in enumerate(ledgers)]
    found = await asyncio.gather(*racing, return_exceptions=True)
    assert sum(isinstance(one, Hold) for one in found) == 1
    assert sum(isinstance(one, IdempotencyOpen) for one in found) == len(racing) - 1
    assert {balance.held for balance in await ledgers[0].balances(payer(on_store))} == {AMOUNT}
    assert (await assert_clean(ledgers[0], on_store.tenant)).entries == 1


async def test_racers_that_settle_meanwhile_leave_one_hold_and_one_truth(on_store: StoreKeeper) -> None:
    """Whoever comes while the first ends is told that it is open, or all of its facts: never half of them."""
    ledger = await on_store.ledger(book(on_store.tenant))

    async def call(number: int) -> First | None:
        try:
            hold = await held(ledger, on_store, f"h{number}")
        except IdempotencyOpen:
            return None
        except IdempotencyEnded as ended:
            return ended.first
        await ledger.settle(hold, CHARGED, Flag.CONFIRMED, FACTS.written())
        return None

    found = await asyncio.gather(*(call(number) for number in range(200)))
    told = {one for one in (*found, await call(200)) if one is not None}
    assert [(one.charged, one.facts) for one in told] == [(CHARGED, FACTS)]
    assert (await assert_clean(ledger, on_store.tenant)).entries == 2


async def test_a_call_without_a_key_touches_none(on_store: StoreKeeper) -> None:
    ledger = await on_store.ledger(book(on_store.tenant))
    await ledger.settle(await held(ledger, on_store, once=None), CHARGED, Flag.CONFIRMED, FACTS.written())
    assert ":once:" not in str(await on_store.written())


async def test_a_first_whose_record_is_lost_is_told_as_uncertain(on_store: StoreKeeper) -> None:
    ledger = await on_store.ledger(book(on_store.tenant))
    await ledger.settle(await held(ledger, on_store), CHARGED, Flag.CONFIRMED, FACTS.written())
    await on_store.store.call("UNLINK", keys.record(on_store.tenant, "one"))
    assert await first(ledger, on_store) == First("one", None, Flag.UNCERTAIN, FACTS)


# --- lost answers -------------------------------------------------------------------------------------------


async def lossy(on_store: StoreKeeper) -> tuple[LossyStore, RedisLedger]:
    store = LossyStore(on_store.url, deadline_s=20.0)
    on_store.opened.append(store)
    return store, RedisLedger(store, book(on_store.tenant), hold_ttl_ms=60_000)


@pytest.mark.parametrize("loss", ["question", "answer"])
async def test_a_hold_without_an_answer_finds_its_own_key_when_it_asks_again(on_store: StoreKeeper, loss: str) -> None:
    store, ledger = await lossy(on_store)
    store.losses = (loss,)
    assert (await held(ledger, on_store)).once == CALL
    assert isinstance(await refused(ledger, on_store), IdempotencyOpen)


async def test_a_hold_that_is_never_answered_gives_its_key_back_when_it_is_voided(on_store: StoreKeeper) -> None:
    store, ledger = await lossy(on_store)
    settler = Settler(ledger)
    store.losses = ("answer", "answer")
    with pytest.raises(LedgerUnavailable):
        async with open_hold(ledger, settler, payer(on_store), AMOUNT, hold_id=HoldId("one"), once=CALL):
            raise AssertionError("the call must not be forwarded")
    assert await settler.drain(20) == 0
    await assert_free(ledger, on_store)
    with pytest.raises(HoldClosed):
        await held(ledger, on_store, "one")


async def test_a_key_found_taken_on_a_second_try_is_not_certain_and_the_first_try_is_voided(
    on_store: StoreKeeper,
) -> None:
    """The first question may still be on its way, and find the key free again."""
    store, ledger = await lossy(on_store)
    settler, winner = Settler(ledger), await held(await on_store.ledger(book(on_store.tenant)), on_store, "winner")
    store.losses = ("question",)
    with pytest.raises(IdempotencyOpen) as told:
        async with open_hold(ledger, settler, payer(on_store), AMOUNT, hold_id=HoldId("late"), once=CALL):
            raise AssertionError("the call must not be forwarded")
    assert not told.value.certain
    assert await settler.drain(20) == 0
    await ledger.settle(winner, Credits.ZERO, Flag.CONFIRMED, FREE)
    with pytest.raises(HoldClosed):
        await held(ledger, on_store, "late")
    await assert_free(ledger, on_store)


async def test_a_settle_whose_answer_was_lost_has_written_its_facts_once(on_store: StoreKeeper) -> None:
    store, ledger = await lossy(on_store)
    hold = await held(ledger, on_store)
    settler = Settler(ledger)
    store.losses = ("answer",)
    settler.close(hold, CHARGED, Flag.CONFIRMED, FACTS.written())
    assert await settler.drain(20) == 0
    assert await first(ledger, on_store) == First("one", CHARGED, Flag.CONFIRMED, FACTS)
