"""Stories of calls with an idempotency key: sent once, told again, and the key free or bound as it must be."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import (
    AboveCeiling,
    BudgetExhausted,
    Busy,
    GatewayError,
    LedgerUnavailable,
    UpstreamExhausted,
    UpstreamUnanswered,
    UpstreamUnreachable,
)
from gateway.exchange import Ceiling
from gateway.messages import Reply
from gateway.once import IdempotencyEnded, IdempotencyMismatch, IdempotencyOpen, Once
from gateway.receipt import Receipt
from gateway.units import Credits, Flag
from tests.story.fakes import FakeClient, Stage, chunks, reply

QUOTE = Credits.whole(19)
CALL = Once("ab" * 32, "cd" * 32)
OTHER = replace(CALL, fingerprint="ef" * 32)
JOB = b'{"tx": {"_id": "job_7"}}'


def json_reply(status: int = 200, body: bytes = JOB, **said: Any) -> Reply:
    made = replace(reply(status, **said), fields=(("content-type", "application/json"),), body=chunks(body))
    return replace(made, reported=said.get("reported"))


async def again(stage: Stage, once: Once = CALL, request_id: str = "r2") -> BaseException | None:
    """The same call once more, by a client of its own; what it was refused with."""
    stage.client, stage.receipt = FakeClient(), Receipt(request_id, 0.0)
    try:
        await stage.serve(once=once, request_id=request_id)
    except GatewayError as error:
        return error
    return None


async def once_only(stage: Stage, **said: Any) -> None:
    await stage.serve(once=CALL, **said)


async def test_an_ended_call_is_not_sent_again_and_its_facts_are_told() -> None:
    stage = Stage(reply(200, b"ima", b"ge", reported=QUOTE))
    await once_only(stage)
    told = await again(stage)
    assert isinstance(told, IdempotencyEnded)
    first = told.first
    assert (first.request_id, first.charged, first.flag) == ("r1", QUOTE, Flag.CONFIRMED)
    assert (first.facts.reason, first.facts.status, first.facts.bytes) == ("ok", 200, 5)
    assert len(stage.upstream.calls) == 1
    assert await stage.money() == (QUOTE, Credits.ZERO)
    assert (stage.receipt.replayed, stage.receipt.held, stage.receipt.charged) == (True, None, None)
    assert stage.receipt.upstream_head_s is None


async def test_another_call_under_the_key_is_refused() -> None:
    stage = Stage(reply(200, reported=QUOTE))
    await once_only(stage)
    assert isinstance(await again(stage, OTHER), IdempotencyMismatch)
    assert len(stage.upstream.calls) == 1


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_a_short_json_answer_is_told_again_byte_for_byte(status: int) -> None:
    stage = Stage(json_reply(status, reported=QUOTE))
    await once_only(stage)
    assert await again(stage) is None
    assert (b"".join(stage.client.got), stage.client.status, stage.client.replayed) == (JOB, status, True)
    assert stage.client.standing is None
    assert len(stage.upstream.calls) == 1
    assert await stage.money() == (QUOTE, Credits.ZERO)


async def test_a_job_whose_answer_is_too_long_to_keep_is_told_by_its_id() -> None:
    stage = Stage(json_reply(body=JOB[:-1] + b', "x": "' + b"y" * 5000 + b'"}', reported=QUOTE))
    await once_only(stage)
    told = await again(stage)
    assert isinstance(told, IdempotencyEnded)
    assert told.first.facts.job_id == "job_7"


async def test_a_job_that_could_not_be_noted_is_noted_when_its_answer_is_told_again() -> None:
    stage = Stage(json_reply(reported=QUOTE))
    stage.jobs.error = LedgerUnavailable("timeout")
    await once_only(stage)
    stage.jobs.error = None
    assert await again(stage) is None
    assert stage.jobs.noted == {("studio", "job_7")}


async def test_a_client_that_leaves_while_it_is_told_again_is_only_noted() -> None:
    stage = Stage(json_reply(reported=QUOTE))
    await once_only(stage)
    stage.client, stage.receipt = FakeClient(takes=0), Receipt("r2", 0.0)
    await stage.serve(once=CALL, request_id="r2")
    assert (stage.receipt.client_gone, stage.receipt.replayed) == (True, True)
    assert await stage.money() == (QUOTE, Credits.ZERO)


async def test_a_client_that_leaves_finds_its_call_open_and_then_ended() -> None:
    gate, more = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        gate.set()
        await more.wait()

    stage = Stage(reply(200, b"a", b"b", reported=QUOTE))
    stage.upstream.pause = pause
    stage.client.takes = 0
    first = asyncio.create_task(once_only(stage))
    await gate.wait()
    assert isinstance(await again(stage, request_id="r2"), IdempotencyOpen)
    more.set()
    await first
    told = await again(stage, request_id="r3")
    assert isinstance(told, IdempotencyEnded)
    assert (told.first.facts.reason, told.first.facts.bytes) == ("ok", 2)
    assert told.first.facts.sha256 is not None
    assert len(stage.upstream.calls) == 1


async def test_a_cut_answer_is_told_with_its_doubt() -> None:
    stage = Stage(reply(200, b"a", error=UpstreamUnanswered("cut")))
    with pytest.raises(UpstreamUnanswered):
        await once_only(stage)
    told = await again(stage)
    assert isinstance(told, IdempotencyEnded)
    assert (told.first.charged, told.first.flag) == (QUOTE, Flag.UNCERTAIN)
    assert (told.first.facts.reason, told.first.facts.sha256) == ("upstream_unanswered", None)


@pytest.mark.parametrize("status", [400, 404, 500, 503])
async def test_an_uncharged_refusal_of_the_upstreams_keeps_the_key(status: int) -> None:
    stage = Stage(reply(status, b"no"))
    await once_only(stage)
    told = await again(stage)
    assert isinstance(told, IdempotencyEnded)
    assert (told.first.charged, told.first.facts.status) == (Credits.ZERO, status)
    assert len(stage.upstream.calls) == 1


@pytest.mark.parametrize("answer", [UpstreamUnreachable(), reply(402)], ids=["never sent", "account"])
async def test_what_says_nothing_of_the_call_gives_the_key_back(answer: Reply | GatewayError) -> None:
    stage = Stage(answer, reply(200, reported=QUOTE))
    with pytest.raises((UpstreamUnreachable, UpstreamExhausted)):
        await once_only(stage)
    stage.now_s += 31  # the account may be tried again
    assert await again(stage) is None
    assert stage.client.got == [b"image"]
    assert await stage.money() == (QUOTE, Credits.ZERO)


async def test_a_refusal_before_the_hold_leaves_the_key_free() -> None:
    stage = Stage(reply(200, reported=QUOTE), limit=19)
    with pytest.raises(AboveCeiling):
        await once_only(stage, ceilings=[Ceiling(Credits.whole(1), "header")])
    stage.settler.full = True
    with pytest.raises(Busy):
        await once_only(stage)
    stage.settler.full = False
    await stage.exchange.verdict(stage.order(once=CALL))
    assert await again(stage) is None
    assert await stage.money() == (QUOTE, Credits.ZERO)


async def test_an_empty_budget_leaves_the_key_free_and_does_not_hide_a_first_call() -> None:
    stage = Stage(reply(200, reported=QUOTE), limit=19)
    await once_only(stage)
    assert isinstance(await again(stage, replace(CALL, key="00" * 32)), BudgetExhausted)
    assert isinstance(await again(stage), IdempotencyEnded)


async def test_an_exhausted_account_leaves_the_key_free() -> None:
    stage = Stage(reply(402), reply(200, reported=QUOTE))
    with pytest.raises(UpstreamExhausted):
        await stage.serve()
    assert isinstance(await again(stage), UpstreamExhausted)
    assert len(stage.upstream.calls) == 1
    stage.now_s += 31
    assert await again(stage, request_id="r3") is None


async def test_a_repeat_does_not_count_as_a_call_on_the_shared_account() -> None:
    stage = Stage(reply(200, reported=QUOTE))
    await once_only(stage)
    before = stage.account.in_flight
    await again(stage)
    assert stage.account.in_flight == before


async def test_a_hold_whose_answer_was_lost_is_voided_with_its_key() -> None:
    stage = Stage(reply(200, reported=QUOTE))
    hold = stage.ledger.hold

    async def lost(*args: Any, **named: Any) -> object:
        await hold(*args, **named)
        raise LedgerUnavailable("timeout")

    stage.ledger.hold = lost  # type: ignore[method-assign, assignment]
    with pytest.raises(LedgerUnavailable):
        await once_only(stage)
    stage.ledger.hold = hold  # type: ignore[method-assign]
    assert await again(stage) is None
    assert await stage.money() == (QUOTE, Credits.ZERO)


@pytest.mark.parametrize("body", [(b"a", b"b"), (JOB,)])
async def test_cancelled_at_any_await_the_key_is_free_or_says_what_the_call_came_to(body: tuple[bytes, ...]) -> None:
    found = set()
    for steps in range(40):
        first = reply(200, *body) if len(body) > 1 else json_reply()
        stage = Stage(first, reply())
        task = asyncio.create_task(stage.exchange.serve(stage.order(once=CALL), stage.client))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stage.settler.done()
        sent = len(stage.upstream.calls)
        told = await again(stage)
        if not sent:
            assert (told, stage.client.status, stage.client.replayed) == (None, 200, False)
        else:
            assert len(stage.upstream.calls) == 1
            whole = stage.client.replayed or (isinstance(told, IdempotencyEnded) and told.first.facts.reason == "ok")
            cut = isinstance(told, IdempotencyEnded) and told.first.facts.reason == "cancelled"
            assert whole != cut
            assert not cut or (isinstance(told, IdempotencyEnded) and told.first.flag is not Flag.CONFIRMED)
            found.add(whole)
        assert await stage.money() == (QUOTE, Credits.ZERO)
    assert found == {True, False}
