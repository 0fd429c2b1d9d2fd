"""What the ledger promises of its books: the journal gives every balance, and what is not sound is never built on."""

import asyncio

import pytest

from gateway.errors import BudgetExhausted, GatewayError, LedgerPoisoned, LedgerUnavailable
from gateway.ledger import keys
from gateway.ledger.budget import Path
from gateway.ledger.contract import Difference, Hold, HoldId
from gateway.ledger.redis import RedisLedger, sweep_forever
from gateway.units import Credits, Flag
from tests.contract.keepers import Keeper, StoreKeeper, assert_clean, book, swept


def where(keeper: Keeper) -> Path:
    return Path(keeper.tenant, "ads", "ann")


# --- 6. the journal ---------------------------------------------------------------------------------------------


async def test_the_audit_of_a_tenant_that_never_held_is_clean_and_empty(keeper: Keeper) -> None:
    audit = await assert_clean(await keeper.ledger(book(keeper.tenant)), keeper.tenant)
    assert (audit.tenant, audit.entries, audit.balances, audit.spent) == (keeper.tenant, 0, 0, Credits.ZERO)


async def test_the_journal_tells_of_every_movement_who_paid_how_much_where_and_how_sure_that_is(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant), hold_ttl_ms=1)
    settled, late = [await ledger.hold(where(keeper), Credits(9), hold_id=HoldId(name)) for name in ("a", "b")]
    await ledger.settle(settled, Credits(5), Flag.UNCONFIRMED)
    await keeper.past(late.deadline_ms)
    await swept(ledger, {"b"})
    await ledger.settle(late, Credits(12), Flag.CONFIRMED)
    same = {
        "amount": "9",
        "path": f"{keeper.tenant}/ads/ann",
        "budgets": "tenant/total|0| team:ads/total|0| each:ads:ann/total|0| user:ann/total|0|",
    }
    assert await keeper.journal() == [
        {"op": "hold", "id": "a", **same},
        {"op": "hold", "id": "b", **same},
        {"op": "settle", "id": "a", "charged": "5", "flag": "unconfirmed", **same},
        {"op": "expire", "id": "b", "charged": "9", "flag": "uncertain", **same},
        {"op": "correct", "id": "b", "charged": "12", "flag": "confirmed", **same},
    ]


@pytest.mark.parametrize(("field", "counted"), [("spent", 5), ("held", 7)])
@pytest.mark.parametrize("by", [-1, 1])
async def test_the_audit_finds_a_balance_that_was_tampered_with(
    keeper: Keeper, field: str, counted: int, by: int
) -> None:
    limits = book(keeper.tenant)
    ledger = await keeper.ledger(limits)
    await ledger.settle(await ledger.hold(where(keeper), Credits(9), hold_id=HoldId("a")), Credits(5), Flag.CONFIRMED)
    await ledger.hold(where(keeper), Credits(7), hold_id=HoldId("b"))
    await assert_clean(ledger, keeper.tenant)
    await keeper.tamper(limits.on_path(where(keeper))[1], field, counted + by)
    audit = await ledger.audit(keeper.tenant)
    assert audit.differences == (Difference("team:ads/total|0|", field, counted, counted + by),)


async def test_the_audit_reads_a_long_journal_page_by_page_while_calls_go_on(on_store: StoreKeeper) -> None:
    ledger = await on_store.ledger(book(on_store.tenant))
    going_on = True

    async def calls(name: int) -> int:
        count = 0
        while going_on or count < 150:
            hold = await ledger.hold(where(on_store), Credits(3), hold_id=HoldId(f"{name}-{count}"))
            await ledger.settle(hold, Credits(count % 5), Flag.CONFIRMED)
            count += 1
        return count

    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(calls(name)) for name in range(5)]
        for _ in range(5):
            await assert_clean(ledger, on_store.tenant)
        going_on = False
    entries = (await assert_clean(ledger, on_store.tenant)).entries
    assert entries == 2 * sum(caller.result() for caller in callers) > 1_000


async def test_a_journal_entry_that_is_none_of_ours_stops_the_audit(on_store: StoreKeeper) -> None:
    ledger = await on_store.ledger(book(on_store.tenant))
    await on_store.store.call("XADD", keys.journal(on_store.tenant), "*", "op", "gift", "amount", "5", "budgets", "")
    with pytest.raises(LedgerPoisoned):
        await ledger.audit(on_store.tenant)


# --- values that cannot be trusted ------------------------------------------------------------------------------

POISON = ("x", "", "-1", "+1", " 1", "1 ", "1e3", "0x10", "1.0", "nan", "inf", "1_0", "9" * 16, "9" * 5_000, "٣")


async def three(keeper: StoreKeeper) -> tuple[RedisLedger, Hold, Hold]:
    """A ledger with an open hold, and another one that is past its deadline."""
    ledger = await keeper.ledger(book(keeper.tenant))
    hasty = await keeper.ledger(book(keeper.tenant), hold_ttl_ms=1)
    late = await hasty.hold(where(keeper), Credits(2), hold_id=HoldId("late"))
    held = await ledger.hold(where(keeper), Credits(7), hold_id=HoldId("open"))
    await keeper.past(late.deadline_ms)
    return ledger, held, late


async def assert_refused_whole(keeper: StoreKeeper, ledger: RedisLedger, held: Hold, late: Hold) -> None:
    """Every way to move a balance is refused as poisoned, and none of them writes anything."""
    before = await keeper.written()
    for work in (
        ledger.hold(where(keeper), Credits(1), hold_id=HoldId("new")),
        ledger.settle(held, Credits(3), Flag.CONFIRMED),
        ledger.void(where(keeper), held.hold_id, held.amount),
        ledger._expired(keeper.tenant, late.hold_id),
    ):
        with pytest.raises(LedgerPoisoned) as refused:
            await work
        assert str(refused.value) == "ledger_poisoned"
    assert await keeper.written() == before


@pytest.mark.parametrize("field", ["spent", "held"])
@pytest.mark.parametrize("text", POISON, ids=lambda text: repr(text)[:12])
async def test_a_balance_that_is_no_whole_number_is_never_built_on(
    on_store: StoreKeeper, field: str, text: str
) -> None:
    ledger, held, late = await three(on_store)
    last = book(on_store.tenant).on_path(where(on_store))[-1]
    await on_store.store.call("HSET", await on_store.key(last), field, text)
    await assert_refused_whole(on_store, ledger, held, late)
    with pytest.raises(LedgerPoisoned):
        await ledger.balances(where(on_store))
    found = (await ledger.audit(on_store.tenant)).differences
    assert [(one.balance, one.field, one.stored) for one in found] == [(f"{last.name}|0|", field, -1)]


@pytest.mark.parametrize("command", [("SET", "x"), ("RPUSH", "x"), ("SADD", "x")])
@pytest.mark.parametrize("which", ["balance", "journal", "open"])
async def test_a_key_of_the_wrong_kind_is_never_built_on(
    on_store: StoreKeeper, which: str, command: tuple[str, str]
) -> None:
    ledger, held, late = await three(on_store)
    last = book(on_store.tenant).on_path(where(on_store))[-1]
    key = {
        "balance": await on_store.key(last),
        "journal": keys.journal(on_store.tenant),
        "open": keys.open_holds(on_store.tenant),
    }[which]
    await on_store.store.call("DEL", key)
    await on_store.store.call(command[0], key, command[1])
    if command[0] != "SADD":
        await assert_refused_whole(on_store, ledger, held, late)
        return
    with pytest.raises(LedgerPoisoned):
        await ledger.settle(held, Credits(3), Flag.CONFIRMED)


async def test_a_balance_that_holds_less_than_the_hold_is_never_built_on(on_store: StoreKeeper) -> None:
    ledger, held, late = await three(on_store)
    first = book(on_store.tenant).on_path(where(on_store))[0]
    await on_store.tamper(first, "held", 1)
    before = await on_store.written()
    for work in (
        ledger.settle(held, Credits(3), Flag.CONFIRMED),
        ledger.void(where(on_store), held.hold_id, held.amount),
        ledger._expired(on_store.tenant, late.hold_id),
    ):
        with pytest.raises(LedgerPoisoned):
            await work
    assert await on_store.written() == before


async def test_a_correction_of_more_than_was_spent_is_never_built_on(on_store: StoreKeeper) -> None:
    ledger, _, late = await three(on_store)
    await swept(ledger, {late.hold_id})
    await on_store.tamper(book(on_store.tenant).on_path(where(on_store))[0], "spent", 1)
    before = await on_store.written()
    with pytest.raises(LedgerPoisoned):
        await ledger.settle(late, Credits(0), Flag.CONFIRMED)
    assert await on_store.written() == before


@pytest.mark.parametrize(
    ("field", "text"),
    [("amount", "x"), ("amount", "-1"), ("budgets", "nothing"), ("budgets", "tenant/total|0|"), ("budgets", "")],
)
async def test_a_record_that_contradicts_the_books_is_never_built_on(
    on_store: StoreKeeper, field: str, text: str
) -> None:
    ledger, held, late = await three(on_store)
    for hold in (held, late):
        await on_store.store.call("HSET", keys.record(on_store.tenant, hold.hold_id), field, text)
    before = await on_store.written()
    with pytest.raises(LedgerPoisoned):
        await ledger.settle(held, Credits(3), Flag.CONFIRMED)
    if text not in ("tenant/total|0|", ""):
        with pytest.raises(LedgerPoisoned):
            await ledger._expired(on_store.tenant, late.hold_id)
    assert await on_store.written() == before


@pytest.mark.parametrize("poison", ["balance", "list of open holds"])
async def test_a_poisoned_tenant_keeps_no_other_tenants_holds_from_expiring(on_store: StoreKeeper, poison: str) -> None:
    ledger, _, _ = await three(on_store)
    if poison == "balance":
        await on_store.tamper(book(on_store.tenant).on_path(where(on_store))[0], "held", 0)
    else:
        await on_store.store.call("SET", keys.open_holds(on_store.tenant), "x")
    neighbour = StoreKeeper(on_store.url, tenant=f"{on_store.tenant}z")
    hasty = await neighbour.ledger(book(neighbour.tenant), hold_ttl_ms=1)
    theirs = await hasty.hold(where(neighbour), Credits(5), hold_id=HoldId("theirs"))
    await neighbour.past(theirs.deadline_ms)
    ended = await ledger.sweep()
    assert [settlement.hold_id for settlement in ended] == ["theirs"]
    with pytest.raises(LedgerPoisoned):
        await ledger.sweep()
    await neighbour.close()


# --- the store's own troubles -----------------------------------------------------------------------------------


async def test_a_store_that_forgot_the_scripts_is_told_them_again_and_each_runs_once(on_store: StoreKeeper) -> None:
    ledger, held, _ = await three(on_store)
    steps = (
        lambda: ledger.hold(where(on_store), Credits(4), hold_id=HoldId("new")),
        lambda: ledger.settle(held, Credits(3), Flag.CONFIRMED),
        lambda: ledger.void(where(on_store), HoldId("new"), Credits(4)),
        lambda: swept(ledger, {"late"}),
        lambda: ledger.balances(where(on_store)),
    )
    for step in steps:
        await on_store.store.everywhere("SCRIPT", "FLUSH")
        await step()
    assert {(b.spent, b.held) for b in await ledger.balances(where(on_store))} == {(Credits(5), Credits.ZERO)}
    assert (await assert_clean(ledger, on_store.tenant)).entries == 6


async def test_a_store_out_of_memory_refuses_new_holds_and_ends_open_ones(on_store: StoreKeeper) -> None:
    ledger, held, late = await three(on_store)
    await on_store.store.everywhere("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(LedgerUnavailable) as refused:
            await ledger.hold(where(on_store), Credits(1), hold_id=HoldId("new"))
        assert refused.value.code == "oom"
        assert (await ledger.settle(held, Credits(3), Flag.CONFIRMED)).applied
        await ledger.void(where(on_store), HoldId("never"), Credits(1))
        assert [settlement.charged for settlement in await swept(ledger, {late.hold_id})] == [Credits(2)]
        assert (await ledger.settle(late, Credits(1), Flag.CONFIRMED)).applied
    finally:
        await on_store.store.everywhere("CONFIG", "SET", "maxmemory", "0")
    assert {(b.spent, b.held) for b in await ledger.balances(where(on_store))} == {(Credits(4), Credits.ZERO)}
    await assert_clean(ledger, on_store.tenant)


async def test_an_amount_the_scripts_could_not_count_exactly_is_refused_whole(on_store: StoreKeeper) -> None:
    ledger, held, _ = await three(on_store)
    before = await on_store.written()
    for amount in (-1, 10**15, 2**53, 2**63):
        with pytest.raises(GatewayError):
            await ledger.hold(where(on_store), Credits(amount), hold_id=HoldId("new"))
        with pytest.raises(LedgerUnavailable):
            await ledger.settle(held, Credits(amount), Flag.CONFIRMED)
    assert await on_store.written() == before


async def test_sweeping_for_ever_reports_a_store_that_is_away_and_goes_on(on_store: StoreKeeper) -> None:
    ledger, _, _ = await three(on_store)
    failures, gone = [], await on_store.ledger(book(on_store.tenant))
    budget = book(on_store.tenant).on_path(where(on_store))[0]
    await on_store.tamper(budget, "held", 0)
    task = asyncio.create_task(sweep_forever(gone, every_s=0.001, failed=lambda error: failures.append(error.code)))
    while not failures:  # noqa: ASYNC110 - told by a callback, many times
        await asyncio.sleep(0.001)
    await on_store.tamper(budget, "held", 9)
    while await ledger.open_holds(on_store.tenant) > 1:  # noqa: ASYNC110 - the store is asked, it tells nobody
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert set(failures) == {"poisoned"}
    assert {(b.spent, b.held) for b in await ledger.balances(where(on_store))} == {(Credits(2), Credits(7))}


async def test_a_refusal_is_no_trouble_of_the_store(on_store: StoreKeeper) -> None:
    ledger = await on_store.ledger(book(on_store.tenant, user=1))
    with pytest.raises(BudgetExhausted):
        await ledger.hold(where(on_store), Credits(2), hold_id=HoldId("a"))
