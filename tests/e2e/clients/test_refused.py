"""Calls that are accidents, and calls nobody can pay: the right refusal, and no charge."""

import pytest

from tests.e2e.clients.asking import Shape
from tests.e2e.clients.others import AS_TEXT, BY_UPSTREAM, NO_KEY, POOR
from tests.e2e.clients.test_free import nothing_is_booked
from tests.e2e.clients.twin import through, twin
from tests.e2e.conftest import MakeWorld
from tests.e2e.world import World

TEN = "tenants:\n  rich-TAG: {budgets: [{credits: 10, every: day}]}\n"


async def test_an_unknown_model_is_refused_in_the_upstreams_own_words_and_costs_nothing(make_world: MakeWorld) -> None:
    async with make_world(listed_models_only=True) as here, twin("direct", listed_models_only=True) as (_, direct):
        answer, expected = await BY_UPSTREAM.call(through(here, BY_UPSTREAM)), await BY_UPSTREAM.call(direct)
        assert (answer.status, answer.body) == (400, expected.body)
        assert answer.fields["content-type"] == expected.fields["content-type"]
        assert "model" in answer.json()["detail"]
        assert here.simulator.received.counts == {"/text2image": 1}
        assert here.simulator.book.count == 0
        (balance,) = await here.balances()
        assert (balance.spent.millicredits, balance.held.millicredits) == (0, 0)


async def test_a_call_without_a_key_is_refused_and_never_reaches_the_upstream(here: World) -> None:
    answer = await NO_KEY.call(through(here, NO_KEY, key=""))
    assert (answer.status, answer.fields["content-type"]) == (401, "application/problem+json")
    assert answer.fields["www-authenticate"] == "Bearer"
    assert answer.json()["reason"] == "unauthenticated"
    assert not here.simulator.received.counts
    await nothing_is_booked(here)


async def test_a_form_object_turned_into_text_is_refused_and_never_reaches_the_upstream(
    make_world: MakeWorld,
) -> None:
    async with make_world(flavour="rapidapi") as here:
        answer = await AS_TEXT.call(through(here, AS_TEXT))
        assert (answer.status, answer.json()["reason"]) == (415, "unsupported_media_type")
        assert b"FormData" not in answer.body
        assert not here.simulator.received.counts
        await nothing_is_booked(here)


@pytest.mark.parametrize("shape", POOR, ids=[shape.name for shape in POOR])
async def test_an_empty_budget_is_told_in_the_status_and_words_the_client_knows(
    shape: Shape, make_world: MakeWorld
) -> None:
    async with make_world(flavour=shape.flavour, tenants=TEN) as here:
        answer = await shape.call(through(here, shape))
        told = answer.json()
        assert answer.status == told["status"] == (429 if shape.flavour == "rapidapi" else 402)
        assert told["reason"] == "budget_exhausted"
        assert (told["quoted"], told["remaining"], told["budget"]) == (shape.credits, 10, "tenant/day")
        assert told["message"] == told["detail"]
        assert told["title"]
        assert 1 <= int(answer.fields["retry-after"]) <= 90_000
        assert not here.simulator.received.counts
        await nothing_is_booked(here)
