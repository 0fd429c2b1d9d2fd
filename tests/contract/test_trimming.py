"""What trimming promises: a recount gives the same before and after, and nothing goes that nobody has elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.errors import LedgerPoisoned
from gateway.ledger import keys
from gateway.ledger.adjustment import AdjustmentRefused
from gateway.ledger.budget import Path
from gateway.ledger.contract import Audit, HoldId, Ledger
from gateway.ledger.journal import last_of
from gateway.ledger.redis import RedisLedger
from gateway.ledger.store import Store
from gateway.ledger.trimming import mark_exported, trim
from gateway.units import Credits, Flag
from tests.contract.keepers import HOUR_MS, StoreKeeper, assert_clean, book, warrant
from tests.contract.test_windows import beaten

ONE = HoldId("one")


def path(keeper: StoreKeeper) -> Path:
    return Path(keeper.tenant, "ads", "ann")


async def call(ledger: Ledger, keeper: StoreKeeper, name: str, amount: int = 7, charged: int | None = 5) -> None:
    """A hold, settled unless `charged` is None."""
    held = await ledger.hold(path(keeper), Credits(amount), hold_id=HoldId(name))
    if charged is not None:
        await ledger.settle(held, Credits(charged), Flag.UNCERTAIN)


async def ids(keeper: StoreKeeper) -> list[str]:
    return [entry_id for entry_id, _ in await keeper.store.call("XRANGE", keys.journal(keeper.tenant), "-", "+")]


async def export(keeper: StoreKeeper, entry_id: str | None = None) -> str:
    """Say that all, or all up to an entry, was exported; up to where."""
    given = entry_id or (await ids(keeper))[-1]
    await mark_exported(keeper.store, keeper.tenant, given)
    return given


async def trimmed(keeper: StoreKeeper, last: str = "+", retention_ms: int | None = None) -> int:
    return await trim(keeper.store, keeper.tenant, last=last, retention_ms=retention_ms)


async def refused(keeper: StoreKeeper, last: str = "+", retention_ms: int | None = None) -> None:
    before = await keeper.written()
    with pytest.raises(AdjustmentRefused) as error:
        await trimmed(keeper, last, retention_ms)
    assert error.value.code == "kept"
    assert await keeper.written() == before


async def seen(ledger: Ledger, keeper: StoreKeeper) -> tuple[object, ...]:
    """All balances, and what the audit counts besides entries."""
    audit = await assert_clean(ledger, keeper.tenant)
    found = await ledger.balances(path(keeper))
    return *((b.spent, b.held, b.granted) for b in found), audit.spent, audit.balances


# --- what stays the same ----------------------------------------------------------------------------------------


async def test_trimmed_entries_give_way_to_one_and_every_balance_still_follows_from_the_journal(
    on_store: StoreKeeper,
) -> None:
    ledger, hand = await on_store.ledger(book(on_store.tenant)), await on_store.adjusting()
    await call(ledger, on_store, "one")
    await call(ledger, on_store, "open", 9, None)
    await hand.refund(on_store.tenant, ONE, Credits(2), warrant("r"))
    await hand.grant(on_store.tenant, "tenant/total", Credits(4), None, warrant("g"))
    before = await seen(ledger, on_store)
    through = await export(on_store)
    assert await trimmed(on_store, through) == 5
    (opening,) = await on_store.journal()
    assert opening == {
        "op": "opening",
        "id": through,
        "entries": "5",
        "amount": "3",
        "budgets": "each:ads:ann/total|0| team:ads/total|0| tenant/total|0| user:ann/total|0|",
        "spent": "3 3 3 3",
        "held": "9 9 9 9",
        "granted": ";;4|;",
    }
    assert await seen(ledger, on_store) == before
    assert await trimmed(on_store, through) == 0


async def test_what_was_open_ends_and_what_is_remembered_is_refunded_after_a_trim_as_before(
    on_store: StoreKeeper,
) -> None:
    ledger, hand = await on_store.ledger(book(on_store.tenant)), await on_store.adjusting()
    await call(ledger, on_store, "one")
    held = await ledger.hold(path(on_store), Credits(9), hold_id=HoldId("open"))
    await hand.grant(on_store.tenant, "tenant/total", Credits(4), None, warrant("g"))
    await trimmed(on_store, await export(on_store))
    await ledger.settle(held, Credits(8), Flag.CONFIRMED)
    await hand.refund(on_store.tenant, ONE, None, warrant("r"))
    await hand.revoke(on_store.tenant, warrant("g").operation_id, warrant("v"))
    assert await seen(ledger, on_store) == (*((Credits(8), Credits.ZERO, Credits.ZERO),) * 4, Credits(8), 4)
    # An opening stands after entries that came later than what it sums up: sums in between may be negative.
    first, *_, last = await ids(on_store)
    assert (await last_of(on_store.store, on_store.tenant, "open")) is not None
    assert first != last
    await trimmed(on_store, await export(on_store))
    assert len(await ids(on_store)) == 1
    assert await seen(ledger, on_store) == (*((Credits(8), Credits.ZERO, Credits.ZERO),) * 4, Credits(8), 4)


async def test_a_hold_neither_remembered_nor_in_the_journal_is_unknown(on_store: StoreKeeper) -> None:
    ledger = await on_store.ledger(book(on_store.tenant))
    await call(ledger, on_store, "one")
    await trimmed(on_store, await export(on_store))
    await on_store.store.call("DEL", keys.record(on_store.tenant, ONE))
    with pytest.raises(AdjustmentRefused) as error:
        await (await on_store.adjusting()).refund(on_store.tenant, ONE, None, warrant())
    assert error.value.code == "unknown"


async def test_a_long_journal_is_trimmed_in_steps_and_openings_are_summed_up_again(
    on_store: StoreKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ledger.journal._PAGE", 3)
    ledger = await on_store.ledger(book(on_store.tenant))
    for number in range(7):
        await call(ledger, on_store, f"h{number}")
    before = await seen(ledger, on_store)
    kept = (await ids(on_store))[-3:]
    assert await trimmed(on_store, await export(on_store, (await ids(on_store))[10])) == 11
    assert (await ids(on_store))[:3] == kept
    assert [entry["op"] for entry in await on_store.journal()] == ["settle", "hold", "settle", *["opening"] * 4]
    assert await seen(ledger, on_store) == before
    # The last one stands alone, and an opening alone is not summed up.
    assert await trimmed(on_store, await export(on_store)) == 6
    assert await seen(ledger, on_store) == before


async def test_an_opening_forgets_windows_the_store_has_forgotten_and_grants_that_have_lapsed(
    on_store: StoreKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("redis", "trimming"):
        monkeypatch.setattr(f"gateway.ledger.{module}.RETENTION_MS", 0)
    limits, where = beaten(on_store.tenant), Path(on_store.tenant)
    ledger, hand = await on_store.ledger(limits), await on_store.adjusting(limits)
    held = await ledger.hold(where, Credits(6), hold_id=ONE)
    await ledger.settle(held, Credits(6), Flag.CONFIRMED)
    lapse_ms = await on_store.now_ms() + 1_000
    await hand.grant(on_store.tenant, "tenant/total", Credits(4), lapse_ms, warrant())
    await on_store.past(max(lapse_ms, held.balances[0].span.end_ms or 0) + 1)
    await trimmed(on_store, await export(on_store))
    (opening,) = await on_store.journal()
    assert (opening["budgets"], opening["spent"], opening["granted"]) == ("tenant/total|0|", "6", "")
    assert (await assert_clean(ledger, on_store.tenant)).spent == Credits(6)


# --- what is kept -----------------------------------------------------------------------------------------------


async def test_what_was_not_exported_is_kept_whole(on_store: StoreKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a first step would only drop what was."""
    monkeypatch.setattr("gateway.ledger.journal._PAGE", 1)
    ledger = await on_store.ledger(book(on_store.tenant))
    await call(ledger, on_store, "one")
    await refused(on_store)
    first, _ = await ids(on_store)
    await export(on_store, first)
    await refused(on_store)
    assert await trimmed(on_store, first) == 1
    await refused(on_store)


async def test_what_is_older_than_a_stated_retention_may_go_unexported_and_nothing_younger(
    on_store: StoreKeeper,
) -> None:
    ledger = await on_store.ledger(book(on_store.tenant))
    await call(ledger, on_store, "one")
    await refused(on_store, retention_ms=HOUR_MS)
    await on_store.past(await on_store.now_ms() + 20)
    last = (await ids(on_store))[-1]
    assert await trimmed(on_store, last, retention_ms=5) == 2
    await assert_clean(ledger, on_store.tenant)


async def test_the_script_itself_keeps_what_was_not_exported(
    on_store: StoreKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def agreed(*_: object) -> None:
        return None

    monkeypatch.setattr("gateway.ledger.trimming._refuse_unexported", agreed)
    await call(await on_store.ledger(book(on_store.tenant)), on_store, "one")
    await refused(on_store)
    await refused(on_store, retention_ms=HOUR_MS)
    await export(on_store, (await ids(on_store))[0])
    await refused(on_store)


async def test_the_mark_of_what_was_exported_only_goes_forward(on_store: StoreKeeper) -> None:
    for marked, stands in (("5-1", "5-1"), ("5-0", "5-1"), ("5-10", "5-10"), ("5-9", "5-10"), ("40-0", "40-0")):
        await mark_exported(on_store.store, on_store.tenant, marked)
        assert await on_store.store.call("GET", keys.exported(on_store.tenant)) == stands
    for wrong in ("", "x", "5", "5-x", "-1-0"):
        with pytest.raises(LedgerPoisoned):
            await mark_exported(on_store.store, on_store.tenant, wrong)


async def test_trimming_a_journal_with_nothing_in_it_does_nothing(on_store: StoreKeeper) -> None:
    assert await trimmed(on_store) == 0
    assert await on_store.written() == {}


# --- meanwhile --------------------------------------------------------------------------------------------------


class Meddler(Store):
    """Lets something happen right after the n-th call that begins with `word`."""

    word = "XRANGE"
    after = 2
    then: Callable[[], Awaitable[Any]] | None = None

    async def call(self, *words: str | int) -> Any:
        """As `Store.call`."""
        answer = await super().call(*words)
        self.after -= words[0] == self.word
        if self.after == 0 and self.then is not None:
            then, self.then = self.then, None
            await then()
        return answer


@pytest.mark.parametrize("after", range(1, 6))
async def test_a_trim_between_any_two_pages_of_an_audit_leaves_it_sound(
    on_store: StoreKeeper, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr("gateway.ledger.journal._PAGE", 3)
    limits = book(on_store.tenant)
    ledger = await on_store.ledger(limits)
    for number in range(4):
        await call(ledger, on_store, f"h{number}")
    through = await export(on_store, (await ids(on_store))[4])
    meddler = Meddler(on_store.url, deadline_s=20.0)
    on_store.opened.append(meddler)
    meddler.after, meddler.then = after, lambda: trimmed(on_store, through)
    audit = await assert_clean(RedisLedger(meddler, limits, hold_ttl_ms=1), on_store.tenant)
    assert meddler.then is None
    assert audit.spent == Credits(20)


async def test_of_two_trims_at_once_none_sums_up_what_the_other_dropped(on_store: StoreKeeper) -> None:
    ledger = await on_store.ledger(book(on_store.tenant))
    for number in range(4):
        await call(ledger, on_store, f"h{number}")
    before, (_, second, *_) = await seen(ledger, on_store), await ids(on_store)
    through = await export(on_store)
    meddler = Meddler(on_store.url, deadline_s=20.0)
    on_store.opened.append(meddler)
    meddler.after, meddler.then = 1, lambda: trimmed(on_store, second)
    assert await trim(meddler, on_store.tenant, last=through, retention_ms=None) == 6
    assert await seen(ledger, on_store) == before
    assert sum(int(entry["entries"]) for entry in await on_store.journal()) == 8


async def test_trims_audits_and_calls_go_on_beside_one_another(
    on_store: StoreKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ledger.journal._PAGE", 20)
    ledger = await on_store.ledger(book(on_store.tenant))

    async def calls(name: int) -> None:
        for number in range(60):
            await call(ledger, on_store, f"{name}-{number}", 3, number % 5)

    async def trims() -> None:
        for _ in range(10):
            last = (await ids(on_store) or ["0-0"])[-1]
            await mark_exported(on_store.store, on_store.tenant, last)
            await trimmed(on_store, last)

    async def audits() -> list[Audit | BaseException]:
        """Trims without end may keep an audit from ending: then it says so, never that the books are wrong."""
        asked = [await asyncio.gather(ledger.audit(on_store.tenant), return_exceptions=True) for _ in range(10)]
        return [audit for (audit,) in asked]

    async with asyncio.TaskGroup() as group:
        for name in range(4):
            group.create_task(calls(name))
        group.create_task(trims())
        audited = group.create_task(audits())
    for audit in audited.result():
        said = audit.differences if isinstance(audit, Audit) else getattr(audit, "code", audit)
        assert said in ((), "busy")
    assert await seen(ledger, on_store) == (*((Credits(480), Credits.ZERO, Credits.ZERO),) * 4, Credits(480), 4)
