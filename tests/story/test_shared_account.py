"""The account all callers share: what it cannot bear is refused before anything is held or sent, and comes back."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from gateway.account.findings import Exhausted, Recovered
from gateway.errors import BudgetExhausted, GatewayError, UpstreamExhausted, UpstreamUnanswered, UpstreamUnreachable
from gateway.exchange import Ceiling
from gateway.messages import Account, Reply
from gateway.pricing.job import Job
from gateway.units import Credits, Flag
from tests.story.fakes import Stage, reply

QUOTE = Credits.whole(19)


def told(credits: int, *, index: int | None = None) -> Reply:
    """A charged answer that says what is left."""
    return reply(200, reported=QUOTE, account=Account(Credits.whole(credits), index=index))


async def refused(stage: Stage, request_id: str = "r1") -> UpstreamExhausted:
    with pytest.raises(UpstreamExhausted) as error:
        await stage.serve(request_id=request_id)
    return error.value


async def test_what_the_account_cannot_bear_is_refused_before_anything_is_held_or_sent() -> None:
    stage = Stage(told(18))
    await stage.serve()
    written = len(stage.ledger.journal)
    error = await refused(stage)
    assert error.status is None
    assert len(stage.upstream.calls) == 1
    assert len(stage.ledger.journal) == written
    assert await stage.money() == (QUOTE, Credits.ZERO)


async def test_the_floor_is_kept() -> None:
    stage = Stage(told(59), told(40), floor=40)
    await stage.serve()
    await stage.serve(request_id="r2")
    await refused(stage)
    assert len(stage.upstream.calls) == 2


async def test_what_others_have_in_flight_counts_as_gone() -> None:
    stage = Stage(told(30), told(11))
    await stage.serve()
    sent, go_on = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        sent.set()
        await go_on.wait()

    stage.upstream.pause = pause
    first = asyncio.create_task(stage.serve(request_id="r2"))
    await sent.wait()
    await refused(stage)
    go_on.set()
    await first
    assert len(stage.upstream.calls) == 2


@pytest.mark.parametrize(
    ("answer", "closes"),
    [
        (reply(401), True),
        (reply(402), True),
        (reply(402, reported=Credits.ZERO), True),
        (reply(429, api_reached=False), True),
        (reply(401, api_reached=False), True),
        (reply(403, api_reached=False), False),  # perhaps about this one request: not everybody's business
        (reply(403), False),
        (reply(429), False),
        (reply(400), False),
        (reply(500), False),
        (UpstreamUnreachable(), False),
        (UpstreamUnanswered("timeout"), False),
    ],
)
async def test_an_answer_that_speaks_of_the_account_stops_the_calls_after_it(
    answer: Reply | GatewayError, closes: bool
) -> None:
    stage = Stage(answer, reply(200, reported=QUOTE))
    with contextlib.suppress(UpstreamExhausted, UpstreamUnreachable, UpstreamUnanswered):
        await stage.serve()
    if closes:
        await refused(stage)
    else:
        await stage.serve(request_id="r2")
    assert len(stage.upstream.calls) == (1 if closes else 2)


async def test_an_exhausted_account_is_tried_once_per_cool_down_and_comes_back_by_itself() -> None:
    stage = Stage(reply(402), reply(402), told(1_000), told(981), limit=1_000)
    await refused(stage)
    for _ in range(3):
        await refused(stage)
    assert len(stage.upstream.calls) == 1
    stage.now_s += 30.0
    assert (await refused(stage, "r2")).status == 402
    assert (await refused(stage)).status is None
    stage.now_s += 30.0
    await stage.serve(request_id="r3")
    await stage.serve(request_id="r4")
    assert len(stage.upstream.calls) == 4
    assert [type(finding) for finding in stage.found] == [Exhausted, Recovered]
    assert await stage.money() == (QUOTE * 2, Credits.ZERO)


async def test_a_caller_without_budget_takes_nobodys_turn() -> None:
    stage = Stage(reply(402), told(1_000), limit=50)
    await refused(stage)
    stage.now_s += 30.0
    with pytest.raises(BudgetExhausted):
        await stage.serve(job=Job("text2image", 1024, 1024), request_id="r2")
    await stage.serve(request_id="r3")
    assert not stage.account.exhausted
    assert stage.account.in_flight == Credits.ZERO


async def test_a_call_that_is_cancelled_gives_back_what_it_did_not_send() -> None:
    for steps in range(12):
        stage = Stage(reply(200, b"a", b"b", reported=QUOTE))
        task = asyncio.create_task(stage.exchange.serve(stage.order(), stage.client))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stage.settler.done()
        sent = bool(stage.upstream.calls)
        # Sent, and no balance told: it may be gone.
        assert stage.account.in_flight == (QUOTE if sent else Credits.ZERO)


@pytest.mark.parametrize(
    ("error", "gone"), [(UpstreamUnreachable("dns"), Credits.ZERO), (UpstreamUnanswered("timeout"), QUOTE)]
)
async def test_a_call_without_an_answer_counts_as_gone_unless_it_was_never_sent(
    error: GatewayError, gone: Credits
) -> None:
    stage = Stage(error)
    with pytest.raises(type(error)):
        await stage.serve()
    assert stage.account.in_flight == gone


async def test_nothing_changes_for_a_charge_that_is_booked_when_the_account_is_empty_afterwards() -> None:
    stage = Stage(told(0))
    await stage.serve()
    assert stage.settler.ends == [("r1", QUOTE, Flag.CONFIRMED)]


async def test_a_dry_run_names_the_account_and_a_ceiling_comes_first() -> None:
    stage = Stage(told(18))
    await stage.serve()
    assert (await stage.exchange.verdict(stage.order())).refused_by == "shared-account"
    above = await stage.exchange.verdict(stage.order(ceilings=[Ceiling(Credits.whole(1), "header")]))
    assert above.refused_by == "ceiling"
    assert not stage.account.exhausted


async def test_a_free_call_tells_of_the_account_and_is_served_by_an_exhausted_one() -> None:
    stage = Stage(reply(402), reply(200, b"list", account=Account(Credits.whole(7))), reply(429, api_reached=False))
    await refused(stage)
    order = stage.order()
    await stage.exchange.pass_free(order.call, stage.client, stage.receipt)
    assert stage.account.remaining == Credits.whole(7)
    assert stage.account.exhausted
    with pytest.raises(UpstreamExhausted):
        await stage.exchange.pass_free(order.call, stage.client, stage.receipt)
    assert stage.account.in_flight == Credits.ZERO


async def test_a_leaking_answer_still_tells_what_is_left() -> None:
    stage = Stage(replace(told(500), leaking=True))
    with pytest.raises(GatewayError):
        await stage.serve()
    assert stage.account.remaining == Credits.whole(500)
