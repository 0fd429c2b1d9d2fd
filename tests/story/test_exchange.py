"""One story for each way a paid call can end: what the client gets, what is booked, and that nothing stays held."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import (
    AboveCeiling,
    BudgetExhausted,
    Busy,
    GatewayError,
    LedgerUnavailable,
    TenantUnknown,
    UpstreamExhausted,
    UpstreamLeak,
    UpstreamRedirect,
    UpstreamUnanswered,
    UpstreamUnreachable,
)
from gateway.exchange import Ceiling
from gateway.ledger.budget import Path
from gateway.messages import Reply
from gateway.pricing.job import Job
from gateway.units import Credits, Flag
from tests.story.fakes import Stage, chunks, reply

QUOTE = Credits.whole(19)
CONFIRMED, UNCONFIRMED, UNCERTAIN = Flag.CONFIRMED, Flag.UNCONFIRMED, Flag.UNCERTAIN


async def test_a_reported_charge_is_booked_and_the_image_streams_through() -> None:
    stage = Stage(reply(200, b"ima", b"ge", reported=QUOTE))
    await stage.serve()
    assert b"".join(stage.client.got) == b"image"
    assert await stage.money() == (QUOTE, Credits.ZERO)
    assert stage.settler.ends == [("r1", QUOTE, CONFIRMED)]
    assert stage.receipt.quoted == stage.receipt.held == stage.receipt.charged == QUOTE
    assert stage.client.standing is not None
    assert stage.client.standing.remaining == Credits.whole(81)


@pytest.mark.parametrize(
    ("answer", "booked", "flag"),
    [
        (reply(200, reported=Credits.whole(25)), Credits.whole(25), CONFIRMED),  # overrun: booked in full
        (reply(200, reported=Credits.ZERO), Credits.ZERO, CONFIRMED),
        (reply(500, reported=QUOTE), QUOTE, CONFIRMED),  # a named charge counts on every status
        (reply(400, reported=QUOTE), QUOTE, CONFIRMED),
        (reply(200), QUOTE, UNCONFIRMED),
        (reply(204), QUOTE, UNCONFIRMED),
        (reply(200, malformed=True), QUOTE, UNCONFIRMED),
        (reply(500, malformed=True), QUOTE, UNCONFIRMED),
        (reply(400), Credits.ZERO, CONFIRMED),
        (reply(404), Credits.ZERO, CONFIRMED),
        (reply(429), Credits.ZERO, CONFIRMED),
        (reply(500), Credits.ZERO, UNCONFIRMED),
        (reply(503), Credits.ZERO, UNCONFIRMED),
        (reply(502, api_reached=False), Credits.ZERO, CONFIRMED),
        (reply(504, api_reached=False), QUOTE, UNCERTAIN),  # passed on, and not waited for
        (reply(200, api_reached=False), QUOTE, UNCONFIRMED),  # whoever made it, it is an image
    ],
)
async def test_every_answer_is_passed_on_and_booked_by_the_table(answer: Reply, booked: Credits, flag: Flag) -> None:
    stage = Stage(replace(answer, body=chunks(b"answer")))
    await stage.serve()
    assert stage.client.status == answer.status
    assert stage.settler.ends == [("r1", booked, flag)]
    assert await stage.money() == (booked, Credits.ZERO)


@pytest.mark.parametrize(
    ("answer", "booked", "flag"),
    [
        (UpstreamUnreachable("dns"), Credits.ZERO, CONFIRMED),
        (UpstreamUnanswered("timeout"), QUOTE, UNCERTAIN),
        (UpstreamUnanswered("reset"), QUOTE, UNCERTAIN),
    ],
)
async def test_a_call_without_an_answer_is_free_only_if_nothing_was_sent(
    answer: GatewayError, booked: Credits, flag: Flag
) -> None:
    stage = Stage(answer)
    with pytest.raises(type(answer)):
        await stage.serve()
    assert stage.settler.ends == [("r1", booked, flag)]
    assert (stage.receipt.charged, stage.receipt.flag) == (booked, flag)
    assert await stage.money() == (booked, Credits.ZERO)


@pytest.mark.parametrize(
    ("reported", "status", "booked", "flag"),
    [
        (None, 200, QUOTE, UNCERTAIN),
        (Credits.whole(7), 200, Credits.whole(7), CONFIRMED),
        (None, 400, Credits.ZERO, CONFIRMED),
    ],
)
async def test_an_answer_cut_short_costs_what_its_head_said_or_the_quote(
    reported: Credits | None, status: int, booked: Credits, flag: Flag
) -> None:
    stage = Stage(reply(status, b"ima", error=UpstreamUnanswered("cut"), reported=reported))
    with pytest.raises(UpstreamUnanswered):
        await stage.serve()
    assert stage.settler.ends == [("r1", booked, flag)]


@pytest.mark.parametrize(
    ("answer", "error", "booked", "flag"),
    [
        (reply(302), UpstreamRedirect, QUOTE, UNCONFIRMED),
        (reply(307, reported=Credits.whole(3)), UpstreamRedirect, Credits.whole(3), CONFIRMED),
        (reply(200, leaking=True, reported=QUOTE), UpstreamLeak, QUOTE, CONFIRMED),
        (reply(401), UpstreamExhausted, Credits.ZERO, CONFIRMED),
        (reply(402), UpstreamExhausted, Credits.ZERO, CONFIRMED),
        (reply(429, api_reached=False), UpstreamExhausted, Credits.ZERO, CONFIRMED),
        (reply(403, api_reached=False), UpstreamExhausted, Credits.ZERO, CONFIRMED),
    ],
)
async def test_what_concerns_us_alone_is_not_passed_on_but_booked(
    answer: Reply, error: type[GatewayError], booked: Credits, flag: Flag
) -> None:
    stage = Stage(replace(answer, body=chunks(b"secret")))
    with pytest.raises(error):
        await stage.serve()
    assert stage.client.status is None
    assert stage.settler.ends == [("r1", booked, flag)]


@pytest.mark.parametrize("takes", [0, 1, 2])
async def test_a_client_that_leaves_stops_neither_the_answer_nor_its_booking(takes: int) -> None:
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        for part in (b"a", b"b", b"c", b"d"):
            read.append(part)
            yield part

    stage = Stage(replace(reply(200), body=body()))
    stage.client.takes = takes
    await stage.serve()
    assert read == [b"a", b"b", b"c", b"d"]
    assert stage.receipt.client_gone
    assert stage.settler.ends == [("r1", QUOTE, UNCONFIRMED)]


async def test_a_refusal_for_lack_of_budget_sends_nothing_and_names_the_budget() -> None:
    stage = Stage(limit=18)
    with pytest.raises(BudgetExhausted) as refused:
        await stage.serve()
    assert (refused.value.budget, refused.value.remaining) == ("tenant/total", Credits.whole(18))
    assert not stage.upstream.calls
    assert await stage.money() == (Credits.ZERO, Credits.ZERO)


async def test_the_last_credit_can_be_spent() -> None:
    stage = Stage(reply(200, reported=QUOTE), limit=19)
    await stage.serve()
    assert await stage.money() == (QUOTE, Credits.ZERO)


async def test_holding_the_ceiling_sets_more_aside_and_gives_it_back() -> None:
    stage = Stage(reply(200, reported=QUOTE), limit=20, hold_ceiling=True)
    await stage.serve()
    assert stage.receipt.held == Credits.whole(20)
    assert await stage.money() == (QUOTE, Credits.ZERO)


@pytest.mark.parametrize(("ceiling", "passes"), [(18, False), (19, True)])
async def test_a_call_above_its_ceiling_is_refused_before_anything_is_held(ceiling: int, passes: bool) -> None:
    stage = Stage(reply(200, reported=QUOTE))
    serving = stage.serve(ceilings=[Ceiling(Credits.whole(ceiling), "header")])
    if passes:
        await serving
    else:
        with pytest.raises(AboveCeiling):
            await serving
        assert not stage.upstream.calls
        assert not stage.ledger.journal


async def test_an_unknown_tenant_and_a_full_settler_hold_nothing() -> None:
    stage = Stage()
    with pytest.raises(TenantUnknown):
        await stage.exchange.serve(replace(stage.order(), path=Path("nobody")), stage.client)
    stage.settler.full = True
    with pytest.raises(Busy):
        await stage.serve()
    assert not stage.upstream.calls
    assert not stage.ledger.journal


async def test_a_hold_without_an_answer_is_not_forwarded_and_voided() -> None:
    stage = Stage()
    hold = stage.ledger.hold

    async def lost(*args: Any, **named: Any) -> object:
        await hold(*args, **named)
        raise LedgerUnavailable("timeout")

    stage.ledger.hold = lost  # type: ignore[method-assign, assignment]
    with pytest.raises(LedgerUnavailable):
        await stage.serve()
    assert not stage.upstream.calls
    assert stage.settler.voids == ["r1"]
    assert await stage.money() == (Credits.ZERO, Credits.ZERO)


async def test_cancelled_at_any_await_nothing_stays_held_and_doubt_costs_the_quote() -> None:
    ends = set()
    for steps in range(40):
        stage = Stage(reply(200, b"a", b"b", reported=None))
        task = asyncio.create_task(stage.exchange.serve(stage.order(), stage.client))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        spent, held = await stage.money()
        assert held == Credits.ZERO
        sent = bool(stage.upstream.calls)
        assert spent == (QUOTE if sent else Credits.ZERO)
        ends.add((sent, task.cancelled()))
    assert {(False, True), (True, True), (True, False)} <= ends


async def test_an_asynchronous_job_is_noted_before_its_id_reaches_the_client() -> None:
    answer = replace(
        reply(200, reported=QUOTE),
        fields=(("content-type", "application/json; charset=utf-8"),),
        body=chunks(b'{"tx": {"_id"', b': "job_7"}}'),
    )
    stage = Stage(answer)
    await stage.serve()
    assert stage.jobs.noted == {("studio", "job_7")}
    assert b"".join(stage.client.got) == b'{"tx": {"_id": "job_7"}}'


@pytest.mark.parametrize("body", [b"[1]", b'{"tx": 7}', b'{"tx": {"_id": "../x"}}', b"{" * 100_000, b"\xff", b""])
async def test_json_that_names_no_job_passes_untouched(body: bytes) -> None:
    fields = (("content-type", "application/json"),)
    stage = Stage(replace(reply(200, reported=QUOTE), fields=fields, body=chunks(body, b" ")))
    await stage.serve()
    assert b"".join(stage.client.got) == body + b" "
    assert not stage.jobs.noted


async def test_a_job_that_cannot_be_noted_is_still_answered_and_the_receipt_says_so() -> None:
    fields = (("content-type", "application/json"),)
    stage = Stage(replace(reply(200, reported=QUOTE), fields=fields, body=chunks(b'{"tx": {"_id": "j"}}')))
    stage.jobs.error = LedgerUnavailable("timeout")
    await stage.serve()
    assert stage.client.got
    assert stage.receipt.code == "job_not_noted"


async def test_a_verdict_says_what_would_happen_and_moves_nothing() -> None:
    stage = Stage(limit=100)
    granted = await stage.exchange.verdict(stage.order())
    assert (granted.quote.total, granted.refused_by) == (QUOTE, None)
    refused = await stage.exchange.verdict(stage.order(Job("text2image", 1024, 1024)))
    assert refused.refused_by == "tenant/total"
    above = await stage.exchange.verdict(stage.order(ceilings=[Ceiling(Credits.whole(1), "header")]))
    assert above.refused_by == "ceiling"
    assert not stage.upstream.calls
    assert not stage.ledger.journal


async def test_a_free_call_holds_nothing_and_is_still_kept_from_leaking() -> None:
    stage = Stage(reply(200, b"list"), reply(200, leaking=True), reply(302))
    order = stage.order()
    await stage.exchange.pass_free(order.call, stage.client, stage.receipt)
    assert stage.client.got == [b"list"]
    assert stage.client.standing is None
    for error in (UpstreamLeak, UpstreamRedirect):
        with pytest.raises(error):
            await stage.exchange.pass_free(order.call, stage.client, stage.receipt)
    assert not stage.ledger.journal
