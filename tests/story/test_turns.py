"""A call that waits for its turn: held meanwhile, sent at most once, and free unless it was sent."""

import asyncio
from dataclasses import replace

import pytest

from gateway.errors import BudgetExhausted, ClientGone, GatewayError, Overloaded
from gateway.messages import Reply
from gateway.once import Once
from gateway.pricing.job import Job
from gateway.turns.gate import Gate
from gateway.units import Credits, Flag
from tests.story.fakes import PATH, Stage, reply

QUOTE = Credits.whole(19)
ONCE = Once.of("key", ("studio",), (b"asked",))


class Gated(Stage):
    """A stage where one call goes at once."""

    def __init__(
        self, *answers: Reply | GatewayError, limit: int = 1_000, waiting_max: int = 5, wait_s: float = 5.0
    ) -> None:
        self.gate = Gate(at_once=1, waiting_max=waiting_max, wait_s=wait_s)
        super().__init__(*answers, limit=limit, turns=self.gate)


async def begun(stage: Stage, **said: object) -> "asyncio.Task[None]":
    """A call that has come as far as it can."""
    task = asyncio.create_task(stage.serve(**said))
    for _ in range(20):
        await asyncio.sleep(0)
    return task


async def test_a_waiting_call_is_held_and_not_sent_until_its_turn() -> None:
    made = Gated(reply(200, reported=QUOTE))
    with made.gate.enter("other", QUOTE):
        task = await begun(made)
        assert made.upstream.calls == []
        assert await made.money() == (Credits.ZERO, QUOTE)
    await task
    assert len(made.upstream.calls) == 1
    assert await made.money() == (QUOTE, Credits.ZERO)
    assert made.receipt.queued_s is not None
    assert made.gate.running == 0


async def test_a_call_that_need_not_wait_is_told_of_no_wait() -> None:
    made = Gated(reply(200, reported=QUOTE))
    await made.serve()
    assert made.receipt.queued_s is None
    assert made.gate.running == 0


async def test_a_full_queue_is_told_before_the_ledger_is_asked() -> None:
    made = Gated(waiting_max=0)
    with made.gate.enter("other", QUOTE), pytest.raises(Overloaded):
        await made.serve()
    assert made.ledger.journal["studio"] == []
    assert (made.settler.ends, made.settler.voids, made.upstream.calls) == ([], [], [])
    assert made.account.in_flight == Credits.ZERO
    assert made.receipt.held is None


async def test_an_empty_budget_is_told_at_once_and_its_place_is_free() -> None:
    made = Gated(limit=10)
    with made.gate.enter("other", QUOTE):
        with pytest.raises(BudgetExhausted):
            await made.serve()
        assert made.gate.waiting == 0


@pytest.mark.parametrize("how", ["waited", "left", "displaced", "cancelled", "draining"])
async def test_a_call_that_is_never_sent_is_given_back_with_its_key(how: str) -> None:
    made = Gated(reply(200, reported=QUOTE), wait_s=0.02 if how == "waited" else 5)
    with made.gate.enter("other", QUOTE):
        task = await begun(made, once=ONCE)
        if how == "left":
            assert made.client.left is not None
            made.client.left()
        elif how == "displaced":
            place = made.gate._queue.displace_last()
            assert place is not None
            made.gate._tell(place, Overloaded("displaced"))
        elif how == "cancelled":
            task.cancel()
        elif how == "draining":
            made.gate.drain()
        (error,) = await asyncio.gather(task, return_exceptions=True)
        expected = {"left": ClientGone, "cancelled": asyncio.CancelledError}.get(how, Overloaded)
        assert isinstance(error, expected)
        assert made.gate.waiting == 0
    assert made.upstream.calls == []
    assert made.settler.ends == [("r1", Credits.ZERO, Flag.CONFIRMED)]
    assert await made.money() == (Credits.ZERO, Credits.ZERO)
    assert made.account.in_flight == Credits.ZERO
    assert (made.receipt.charged, made.receipt.flag) == (Credits.ZERO, Flag.CONFIRMED)
    assert made.receipt.queued_s is not None
    # The key is free: the same call again is a first call.
    await made.serve(once=ONCE, request_id="r2")
    assert len(made.upstream.calls) == 1


async def test_the_turn_lasts_until_the_answer_has_passed() -> None:
    made = Gated(reply(200, b"a", b"b", reported=QUOTE))
    seen: list[int] = []

    async def watching() -> None:
        seen.append(made.gate.running)

    made.upstream.pause = watching
    await made.serve()
    assert seen == [1]
    assert made.gate.running == 0


@pytest.mark.parametrize("error", [reply(500), reply(302)])
async def test_the_turn_ends_however_the_call_ends(error: Reply) -> None:
    made = Gated(replace(error))
    await asyncio.gather(made.serve(), return_exceptions=True)
    assert (made.gate.running, made.gate.waiting) == (0, 0)


async def test_dry_runs_and_free_calls_take_no_turn() -> None:
    made = Gated(reply(200))
    with made.gate.enter("other", QUOTE), made.gate.enter("other", QUOTE):
        await made.exchange.verdict(made.order(Job("text2image")))
        await made.exchange.pass_free(made.order().call, made.client, made.receipt)
        assert made.gate.waiting == 1
    assert PATH.tenant == "studio"
