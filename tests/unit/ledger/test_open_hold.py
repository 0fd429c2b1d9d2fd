"""A hold lasts as long as its block and ends once, whatever happens inside; cancelled anywhere, nothing stays held."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.errors import (
    BudgetExhausted,
    GatewayError,
    HoldClosed,
    LedgerPoisoned,
    LedgerUnavailable,
    TenantFrozen,
    TenantUnknown,
)
from gateway.ledger.contract import End, Hold, HoldId, OpenHold, open_hold
from gateway.ledger.settler import Settler
from gateway.ledger.spool import read, written
from gateway.once import FREE, Facts, IdempotencyEnded, IdempotencyOpen, Once, Repeated
from gateway.units import Credits, Flag
from tests.unit.ledger.faulty import PATH, FaultyLedger, failing, unavailable

ONE, AMOUNT, QUOTE = HoldId("one"), Credits(7), Credits(6)
Inside = Callable[[OpenHold], Awaitable[None]]


async def through(ledger: FaultyLedger, inside: Inside) -> BaseException | None:
    """Hold, do `inside`, and wait for the end to be booked; what was raised."""
    settler, raised = Settler(ledger), None
    try:
        async with open_hold(ledger, settler, PATH, AMOUNT, hold_id=ONE) as opened:
            await inside(opened)
    except (GatewayError, RuntimeError) as error:
        raised = error
    assert await settler.drain(10) == 0
    return raised


async def assert_clean(ledger: FaultyLedger) -> None:
    assert (await ledger.audit("studio")).differences == ()


async def nothing(_: OpenHold) -> None:
    await asyncio.sleep(0)


async def sent(opened: OpenHold) -> None:
    opened.sent(QUOTE)
    await asyncio.sleep(0)


async def sent_and_settled(opened: OpenHold) -> None:
    opened.sent(QUOTE)
    await asyncio.sleep(0)
    opened.end(Credits(5), Flag.CONFIRMED, final=True)
    await asyncio.sleep(0)
    opened.end(Credits(4), Flag.CONFIRMED, final=True)


async def said_not_final(opened: OpenHold) -> None:
    opened.sent(QUOTE)
    opened.end(Credits(5), Flag.UNCONFIRMED, final=False)
    await asyncio.sleep(0)
    opened.end(Credits(3), Flag.CONFIRMED, final=False)


async def failed(opened: OpenHold) -> None:
    raise RuntimeError


async def sent_and_failed(opened: OpenHold) -> None:
    opened.sent(QUOTE)
    raise RuntimeError


@pytest.mark.parametrize(
    ("inside", "charged", "flag"),
    [
        (nothing, 0, "confirmed"),
        (failed, 0, "confirmed"),
        (sent, 6, "uncertain"),
        (sent_and_failed, 6, "uncertain"),
        (sent_and_settled, 5, "confirmed"),
        (said_not_final, 3, "confirmed"),
    ],
)
async def test_a_block_ends_its_hold_once_at_what_was_said_last(inside: Inside, charged: int, flag: str) -> None:
    ledger = FaultyLedger()
    raised = await through(ledger, inside)
    assert isinstance(raised, RuntimeError) == (inside in (failed, sent_and_failed))
    assert await ledger.stands() == (charged, 0)
    assert ledger.calls == ["hold one", "settle one"]
    assert [(entry["op"], entry.get("flag")) for entry in ledger.kept.journal["studio"]] == [
        ("hold", None),
        ("settle", flag),
    ]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [unavailable(), LedgerUnavailable("readonly"), LedgerPoisoned("poisoned")])
async def test_a_hold_without_an_answer_is_voided_whether_or_not_it_was_written(
    when: str, error: LedgerUnavailable
) -> None:
    ledger = failing(when, error)
    assert await through(ledger, nothing) is error
    assert ledger.calls == ["hold one", "void one"]
    assert await ledger.stands() == (0, 0)
    with pytest.raises(HoldClosed):
        await ledger.kept.hold(PATH, AMOUNT, hold_id=ONE)
    await assert_clean(ledger)


@pytest.mark.parametrize(
    "error",
    [TenantUnknown(), TenantFrozen(), HoldClosed(), BudgetExhausted(AMOUNT, "tenant/day", AMOUNT, Credits.ZERO, None)],
    ids=lambda error: type(error).__name__,
)
async def test_a_refused_hold_leaves_nothing_to_end(error: GatewayError) -> None:
    ledger = FaultyLedger(before=[error])
    assert await through(ledger, nothing) is error
    assert ledger.calls == ["hold one"]
    assert await ledger.stands() == (0, 0)


async def cancelled_after(steps: int, ledger: FaultyLedger, inside: Inside) -> bool:
    """Cancel a whole call after so many loop cycles; whether it had ended before."""
    settler = Settler(ledger)

    async def call() -> None:
        async with open_hold(ledger, settler, PATH, AMOUNT, hold_id=ONE) as opened:
            await inside(opened)

    task = asyncio.create_task(call())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await settler.drain(10) == 0
    return not task.cancelled()


@pytest.mark.parametrize(
    ("inside", "outcomes"),
    [(nothing, {0}), (sent, {0, 6}), (sent_and_settled, {0, 5, 6})],
    ids=["nothing", "sent", "settled"],
)
async def test_a_call_cancelled_at_any_await_leaves_nothing_held_and_is_booked_once(
    inside: Inside, outcomes: set[int]
) -> None:
    seen, steps, finished = set(), 0, False
    while not finished:
        ledger = FaultyLedger(steps=3)
        finished = await cancelled_after(steps, ledger, inside)
        spent, held = await ledger.stands()
        assert held == 0, steps
        assert len(ledger.kept.journal["studio"]) in (0, 2)
        await assert_clean(ledger)
        seen.add(spent)
        steps += 1
    assert steps > 6
    assert seen == outcomes


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_cancelled_call_is_voided_although_the_first_voids_are_lost(when: str) -> None:
    ledger = FaultyLedger(steps=4)
    settler = Settler(ledger)
    task = asyncio.create_task(_held_for_ever(ledger, settler))
    for _ in range(6):
        await asyncio.sleep(0)
    getattr(ledger, when).extend([unavailable(), unavailable()])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await settler.drain(10) == 0
    assert ledger.calls == ["hold one", "void one", "void one", "void one"]
    assert await ledger.stands() == (0, 0)


async def _held_for_ever(ledger: FaultyLedger, settler: Settler) -> None:
    async with open_hold(ledger, settler, PATH, AMOUNT, hold_id=ONE):
        await asyncio.Event().wait()


@pytest.mark.parametrize("certain", [True, False])
async def test_a_refusal_after_an_unanswered_try_is_voided_because_that_try_may_yet_be_granted(certain: bool) -> None:
    class Refusing(FaultyLedger):
        async def hold(self, *args: object, **named: object) -> Hold:
            raise BudgetExhausted(AMOUNT, "tenant/total", AMOUNT, Credits.ZERO, None, certain=certain)

    ledger = Refusing()
    assert isinstance(await through(ledger, nothing), BudgetExhausted)
    late = FaultyLedger.hold(ledger, PATH, AMOUNT, hold_id=ONE)
    if certain:
        await late
    else:
        with pytest.raises(HoldClosed):
            await late


# --- under an idempotency key -------------------------------------------------------------------------------

KEY, TOLD = Once("ab" * 32, "cd" * 32), Facts(reason="ok", status=200)


async def told(opened: OpenHold) -> None:
    await sent(opened)
    opened.end(Credits(5), Flag.CONFIRMED, final=True)
    await asyncio.sleep(0)
    opened.facts = TOLD.written()


async def never_sent(opened: OpenHold) -> None:
    await sent(opened)
    opened.end(Credits.ZERO, Flag.CONFIRMED, final=True)
    opened.facts = FREE


@pytest.mark.parametrize(("inside", "kept"), [(nothing, None), (never_sent, None), (sent, Facts()), (told, TOLD)])
@pytest.mark.parametrize("losses", [0, 1, 2])
async def test_a_key_ends_with_its_hold_however_often_the_end_has_to_be_tried(
    inside: Inside, kept: Facts | None, losses: int
) -> None:
    ledger = FaultyLedger(after=[None, *[unavailable() for _ in range(losses)]])
    settler = Settler(ledger)
    async with open_hold(ledger, settler, PATH, AMOUNT, hold_id=ONE, once=KEY) as opened:
        await inside(opened)
        with pytest.raises(IdempotencyOpen):
            await ledger.kept.hold(PATH, AMOUNT, hold_id=HoldId("two"), once=KEY)
    assert await settler.drain(10) == 0
    if kept is None:
        assert (await ledger.kept.hold(PATH, AMOUNT, hold_id=HoldId("two"), once=KEY)).once == KEY
        return
    with pytest.raises(IdempotencyEnded) as ended:
        await ledger.kept.hold(PATH, AMOUNT, hold_id=HoldId("two"), once=KEY)
    assert ended.value.first.facts == kept


@pytest.mark.parametrize("certain", [True, False])
async def test_a_taken_key_leaves_nothing_to_end_unless_a_try_before_went_unanswered(certain: bool) -> None:
    ledger = FaultyLedger(before=[IdempotencyOpen(certain=certain)])
    assert isinstance(await through(ledger, nothing), Repeated)
    assert ledger.calls == (["hold one"] if certain else ["hold one", "void one"])


async def test_an_end_from_disk_brings_its_facts_to_the_key() -> None:
    ledger = FaultyLedger()
    hold = await ledger.hold(PATH, AMOUNT, hold_id=ONE, once=KEY)
    assert (await ledger.book(read(written(End.of(hold, Credits(5), Flag.CONFIRMED, TOLD.written()))[:-1]))).applied
    with pytest.raises(IdempotencyEnded) as ended:
        await ledger.hold(PATH, AMOUNT, hold_id=HoldId("two"), once=KEY)
    assert ended.value.first.facts == TOLD
