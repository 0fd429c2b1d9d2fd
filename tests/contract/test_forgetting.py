"""What a store has forgotten is noticed, never taken for nothing spent, and booked where it can be."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.errors import LedgerMissing, LedgerPoisoned, LedgerRegressed, LedgerUnavailable
from gateway.ledger import keys
from gateway.ledger.adjustment import AdjustmentRefused
from gateway.ledger.budget import Path
from gateway.ledger.contract import Difference, Hold, HoldId
from gateway.ledger.marks import Marks
from gateway.ledger.redis import RedisLedger
from gateway.ledger.repairing import repair
from gateway.ledger.standing import Verdict, accept
from gateway.ledger.trimming import mark_exported, trim
from gateway.units import Credits, Flag
from tests.contract.keepers import LEVELS, Keeper, StoreKeeper, assert_clean, book, swept, warrant

ONE = HoldId("one")
WEEK_MS = 7 * 24 * 3_600_000


def where(keeper: Keeper) -> Path:
    return Path(keeper.tenant, "ads", "ann")


async def hold(ledger: RedisLedger, keeper: StoreKeeper, name: str = "new", amount: int = 1) -> Hold:
    return await ledger.hold(where(keeper), Credits(amount), hold_id=HoldId(name))


async def used(keeper: StoreKeeper, charged: int = 5) -> tuple[RedisLedger, Hold]:
    """A ledger with one settled hold, `one`, and one that is open."""
    ledger = await keeper.ledger(book(keeper.tenant))
    await ledger.settle(await hold(ledger, keeper, "one", 7), Credits(charged), Flag.CONFIRMED)
    return ledger, await hold(ledger, keeper, "open", 3)


async def refused(keeper: StoreKeeper, work: Awaitable[object], kind: type[LedgerUnavailable]) -> None:
    """It fails as it must, and writes nothing."""
    before = await keeper.written()
    with pytest.raises(kind) as error:
        await work
    assert type(error.value) is kind
    assert await keeper.written() == before


async def stands(ledger: RedisLedger, keeper: StoreKeeper) -> set[tuple[int, int]]:
    return {(b.spent.millicredits, b.held.millicredits) for b in await ledger.balances(where(keeper))}


# --- a balance that is gone -------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
async def test_a_balance_that_is_gone_is_never_nothing_spent(on_store: StoreKeeper, level: str) -> None:
    ledger, open_one = await used(on_store)
    budget = next(b for b in book(on_store.tenant).on_path(where(on_store)) if b.level == level)
    await on_store.store.call("DEL", await on_store.key(budget))
    hand = await on_store.adjusting()
    tries: list[Callable[[], Awaitable[object]]] = [
        lambda: hold(ledger, on_store),
        lambda: ledger.settle(open_one, Credits(3), Flag.CONFIRMED),
        lambda: ledger.balances(where(on_store)),
        lambda: hand.refund(on_store.tenant, ONE, None, warrant()),
        lambda: hand.grant(on_store.tenant, budget.name, Credits(1), None, warrant()),
    ]
    for work in tries:
        await refused(on_store, work(), LedgerMissing)
    differences = (await ledger.audit(on_store.tenant)).differences
    assert {(one.balance, one.stored) for one in differences} == {(f"{budget.name}|0|", -1)}


async def test_a_hold_past_its_deadline_waits_for_a_balance_that_is_gone(on_store: StoreKeeper) -> None:
    hasty = await on_store.ledger(book(on_store.tenant), hold_ttl_ms=1)
    late = await hold(hasty, on_store, "late")
    await on_store.past(late.deadline_ms)
    await on_store.store.call("DEL", await on_store.key(late.balances[0].budget))
    await refused(on_store, hasty.sweep(), LedgerMissing)
    await repair(on_store.store, on_store.tenant, warrant())
    assert [one.hold_id for one in await swept(hasty, {"late"})] == ["late"]


async def test_a_revoked_grant_waits_for_a_balance_that_is_gone(on_store: StoreKeeper) -> None:
    _, _ = await used(on_store)
    hand = await on_store.adjusting()
    await hand.grant(on_store.tenant, "tenant/total", Credits(4), None, warrant("g"))
    await on_store.store.call("DEL", keys.balance(on_store.tenant, "tenant/total|0"))
    given = warrant("g").operation_id
    await refused(on_store, hand.revoke(on_store.tenant, given, warrant("r")), LedgerMissing)


async def test_only_the_tenant_that_lost_a_balance_is_closed(on_store: StoreKeeper) -> None:
    ledger, _ = await used(on_store)
    await on_store.store.call("DEL", keys.balance(on_store.tenant, "tenant/total|0"))
    neighbour = StoreKeeper(on_store.url)
    theirs, _ = await used(neighbour)
    assert (await hold(theirs, neighbour)).amount == Credits(1)
    await refused(on_store, hold(ledger, on_store), LedgerMissing)
    await neighbour.close()


async def test_a_register_that_is_gone_closes_nothing_that_is_there_and_believes_nothing_that_is_not(
    on_store: StoreKeeper,
) -> None:
    ledger, open_one = await used(on_store)
    await on_store.store.call("DEL", keys.register(on_store.tenant))
    assert (await hold(ledger, on_store)).amount == Credits(1)
    await ledger.settle(open_one, Credits(3), Flag.CONFIRMED)
    found = (await ledger.audit(on_store.tenant)).differences
    assert {(one.field, one.counted, one.stored) for one in found} == {("named", 1, 0)}
    await on_store.store.call("DEL", keys.balance(on_store.tenant, "tenant/total|0"))
    await refused(on_store, hold(ledger, on_store, "two"), LedgerMissing)
    assert (await repair(on_store.store, on_store.tenant, warrant())).applied
    await hold(ledger, on_store, "two")
    await assert_clean(ledger, on_store.tenant)


async def test_what_the_register_names_and_the_journal_does_not_is_a_difference(on_store: StoreKeeper) -> None:
    ledger, _ = await used(on_store)
    await on_store.store.call("ZADD", keys.register(on_store.tenant), "+inf", "team:old/total|0")
    assert (await ledger.audit(on_store.tenant)).differences == (Difference("team:old/total|0", "named", 0, 1),)
    assert (await repair(on_store.store, on_store.tenant, warrant())).applied
    await assert_clean(ledger, on_store.tenant)


@pytest.mark.parametrize("command", [("SET", "x"), ("RPUSH", "x"), ("HSET", "spent", "x"), ("HSET", "none", "x")])
@pytest.mark.parametrize("which", ["register", "balance", "open", "accepted", "trimmed"])
async def test_a_key_of_another_kind_never_crashes_an_audit_nor_opens_a_budget(
    on_store: StoreKeeper, which: str, command: tuple[str, ...]
) -> None:
    """Whatever is granted then is granted on whole balances: what they say of it is still right."""
    ledger, _ = await used(on_store)
    name = {"register": keys.register, "open": keys.open_holds, "accepted": keys.accepted, "trimmed": keys.trimmed}
    balance = keys.balance(on_store.tenant, "tenant/total|0")
    key = balance if which == "balance" else name[which](on_store.tenant)
    await on_store.store.call("DEL", key)
    await on_store.store.call(command[0], key, *command[1:])
    if which in ("balance", "open"):
        with pytest.raises((LedgerPoisoned, LedgerMissing)):
            await hold(ledger, on_store)
    else:
        await hold(ledger, on_store)
    found = (await ledger.audit(on_store.tenant)).differences
    assert bool(found) == (which in ("register", "balance"))
    await repair(on_store.store, on_store.tenant, warrant())
    await assert_clean(ledger, on_store.tenant)


# --- repair -----------------------------------------------------------------------------------------------------


async def test_a_repair_sets_what_differs_to_what_the_journal_says_and_tells_it(on_store: StoreKeeper) -> None:
    ledger, _ = await used(on_store)
    await (await on_store.adjusting()).grant(on_store.tenant, "tenant/total", Credits(4), None, warrant("g"))
    before = {key: value for key, value in _all(await on_store.written()).items() if ":balance:" in key}
    await on_store.store.call("HSET", keys.balance(on_store.tenant, "tenant/total|0"), "spent", "x")
    await on_store.store.call("HSET", keys.balance(on_store.tenant, "team:ads/total|0"), "held", "99")
    await on_store.store.call("DEL", keys.balance(on_store.tenant, "user:ann/total|0"))
    damaged = await on_store.written()
    only_said = await repair(on_store.store, on_store.tenant, None)
    assert ((len(only_said.differences), only_said.applied), await on_store.written()) == ((5, False), damaged)
    done = await repair(on_store.store, on_store.tenant, warrant("r"))
    assert (done.differences, done.applied) == (only_said.differences, True)
    after = {key: value for key, value in _all(await on_store.written()).items() if ":balance:" in key}
    assert {key: _numbers(value) for key, value in after.items()} == {k: _numbers(v) for k, v in before.items()}
    entry = (await on_store.journal())[-1]
    assert (entry["op"], entry["id"], entry["actor"], entry["reason"]) == ("repair", "r", "kim", "ticket 7")
    assert "team:ads/total|0| held 99 -> 3" in entry["changed"]
    await assert_clean(ledger, on_store.tenant)
    assert not (await repair(on_store.store, on_store.tenant, warrant("r"))).applied
    assert len(await on_store.journal()) == 5


def _all(found: object) -> dict[str, object]:
    assert isinstance(found, dict)
    return found


def _numbers(balance: object) -> dict[str, str]:
    pairs = balance if isinstance(balance, list) else []
    found = dict(zip(pairs[::2], pairs[1::2], strict=True))
    return {"spent": "0", "granted": "", **found}


async def test_an_id_used_for_something_else_repairs_and_accepts_nothing(on_store: StoreKeeper) -> None:
    await used(on_store)
    await (await on_store.adjusting()).refund(on_store.tenant, ONE, None, warrant("r"))
    await on_store.store.call("DEL", keys.balance(on_store.tenant, "tenant/total|0"))
    before = await on_store.written()
    for work in (
        repair(on_store.store, on_store.tenant, warrant("r")),
        accept(on_store.store, on_store.tenant, "", warrant("r")),
    ):
        with pytest.raises(AdjustmentRefused) as error:
            await work
        assert error.value.code == "other"
    assert await on_store.written() == before


async def test_a_tenant_is_repaired_while_its_calls_go_on(on_store: StoreKeeper) -> None:
    ledger, _ = await used(on_store)
    await on_store.store.call("HSET", keys.balance(on_store.tenant, "team:ads/total|0"), "spent", "99")
    going_on = True

    async def calls(name: int) -> int:
        count = 0
        while going_on:
            held = await hold(ledger, on_store, f"{name}-{count}")
            await ledger.settle(held, Credits(1), Flag.CONFIRMED)
            count += 1
            await asyncio.sleep(0.01)  # a journal that never rests cannot be counted to its end
        return count

    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(calls(name)) for name in range(3)]
        done = await repair(on_store.store, on_store.tenant, warrant())
        going_on = False
    assert done.applied
    count = sum(caller.result() for caller in callers)
    assert await stands(ledger, on_store) == {(5 + count, 3)}
    await assert_clean(ledger, on_store.tenant)


# --- marks ------------------------------------------------------------------------------------------------------


async def test_a_store_that_lost_its_newest_entries_is_not_believed_until_that_is_accepted(
    on_store: StoreKeeper,
) -> None:
    ledger, _ = await used(on_store)
    told: list[tuple[str, Verdict | None]] = []
    ledger.watch(lambda tenant, verdict: told.append((tenant, verdict)))
    await on_store.photograph()
    late = await hold(ledger, on_store, "late", 9)
    await on_store.fall_back()
    for _ in range(3):
        await refused(on_store, hold(ledger, on_store), LedgerRegressed)
    assert told == [(on_store.tenant, Verdict.REGRESSED)] * 3
    assert (await accept(on_store.store, on_store.tenant, "", warrant("a"))).applied
    assert not (await accept(on_store.store, on_store.tenant, "", warrant("a"))).applied
    assert (await hold(ledger, on_store)).amount == Credits(1)
    assert told[-1] == (on_store.tenant, Verdict.ACCEPTED)
    assert (await ledger.settle(late, Credits(8), Flag.CONFIRMED)).recovered
    assert await stands(ledger, on_store) == {(13, 4)}
    await assert_clean(ledger, on_store.tenant)


async def test_an_emptied_store_is_not_believed_though_others_have_begun_anew_in_it(on_store: StoreKeeper) -> None:
    ledger, _ = await used(on_store)
    await on_store.fall_back("never photographed")
    stranger = await on_store.ledger(book(on_store.tenant))
    await hold(stranger, on_store, "theirs")
    await refused(on_store, hold(ledger, on_store), LedgerRegressed)


async def test_a_settle_behind_a_gap_is_booked_and_does_not_hide_the_gap(on_store: StoreKeeper) -> None:
    ledger, open_one = await used(on_store)
    told: list[Verdict | None] = []
    ledger.watch(lambda _, verdict: told.append(verdict))
    await on_store.photograph()
    late = await hold(ledger, on_store, "late", 9)
    await on_store.fall_back()
    await on_store.past(late.deadline_ms - 60_000 + 5)  # no store comes back within the millisecond
    assert (await ledger.settle(open_one, Credits(3), Flag.CONFIRMED)).applied
    assert told == [None]
    await refused(on_store, hold(ledger, on_store), LedgerRegressed)


async def test_a_mark_that_was_trimmed_is_no_loss(on_store: StoreKeeper) -> None:
    ledger, _ = await used(on_store)
    told: list[Verdict | None] = []
    ledger.watch(lambda _, verdict: told.append(verdict))
    for name in ("two", "three"):
        through = (await on_store.ids())[-1]
        await mark_exported(on_store.store, on_store.tenant, through)
        await trim(on_store.store, on_store.tenant, last=through, retention_ms=None)
        await hold(ledger, on_store, name)
    assert told == []
    await assert_clean(ledger, on_store.tenant)


async def test_a_gateway_without_a_mark_believes_the_store(on_store: StoreKeeper) -> None:
    await used(on_store)
    fresh = await on_store.ledger(book(on_store.tenant))
    assert (await hold(fresh, on_store)).amount == Credits(1)


async def test_marks_are_of_one_tenant_each(on_store: StoreKeeper) -> None:
    neighbour, marks = StoreKeeper(on_store.url), Marks()
    ledgers = [
        RedisLedger(on_store.store, book(keeper.tenant), hold_ttl_ms=60_000, marks=marks)
        for keeper in (on_store, neighbour)
    ]
    for ledger, keeper in zip(ledgers, (on_store, neighbour), strict=True):
        await hold(ledger, keeper)
    await on_store.fall_back("never photographed")
    await refused(on_store, hold(ledgers[0], on_store, "two"), LedgerRegressed)
    assert (await hold(ledgers[1], neighbour, "two")).amount == Credits(1)
    await neighbour.close()


async def test_a_loss_once_accepted_covers_no_later_one(on_store: StoreKeeper) -> None:
    ledger, _ = await used(on_store)
    await on_store.photograph("first")
    await hold(ledger, on_store, "late")
    await on_store.fall_back("first")
    await accept(on_store.store, on_store.tenant, "", warrant("a"))
    await hold(ledger, on_store, "two")
    await on_store.photograph("second")
    await hold(ledger, on_store, "three")
    await on_store.fall_back("second")
    await refused(on_store, hold(ledger, on_store, "four"), LedgerRegressed)
