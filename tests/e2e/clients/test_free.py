"""Calls that cost nothing: model lists, the caller's own balance, polls of a job."""

import math

import pytest

from gateway.units import Credits
from tests.e2e.clients.asking import Got, Shape
from tests.e2e.clients.others import ACCOUNT, FREE, KEYLESS, POLLING, STARTING
from tests.e2e.clients.twin import through, twin
from tests.e2e.conftest import MakeWorld
from tests.e2e.world import World


async def nothing_is_booked(here: World) -> None:
    """Neither upstream nor ledger know of any money."""
    assert (here.simulator.book.count, here.simulator.book.total_millicredits) == (0, 0)
    (balance,) = await here.balances()
    assert (balance.spent, balance.held) == (Credits.ZERO, Credits.ZERO)
    assert (await here.audit()).entries == 0


@pytest.mark.parametrize("shape", FREE, ids=[shape.name for shape in FREE])
async def test_the_model_list_is_the_upstreams_own_and_free(shape: Shape, make_world: MakeWorld) -> None:
    async with make_world(flavour=shape.flavour) as here, twin(shape.flavour) as (_, direct):
        answer = await shape.call(through(here, shape, key="" if shape.name in KEYLESS else None))
        expected = await shape.call(direct)
        assert (answer.status, answer.body) == (200, expected.body)
        assert answer.fields["content-type"] == expected.fields["content-type"]
        assert answer.json()["models"]
        assert "x-credits-cost" not in answer.fields
        assert here.simulator.received.counts == {"/info": 1}
        await nothing_is_booked(here)


async def test_the_balance_shown_is_the_callers_own_and_never_asked_upstream(here: World) -> None:
    answer = await ACCOUNT.call(through(here, ACCOUNT))
    balance = answer.json()["balance"]
    assert (answer.status, answer.fields["content-type"]) == (200, "application/json")
    assert isinstance(balance, float)
    assert math.isfinite(balance)
    assert balance == 10.0
    assert not here.simulator.received.counts
    await nothing_is_booked(here)


async def _polled(here: World, path: str, name: str = "rich") -> Got:
    shape = POLLING
    return await shape.way(through(here, shape, key=here.token(name)), shape.verb, path, {})


async def test_a_job_is_paid_once_when_it_starts_and_polled_free_by_its_owner_alone(make_world: MakeWorld) -> None:
    later = frozenset({STARTING.path})
    async with make_world(async_paths=later, drawn=True) as here:
        started = await STARTING.call(through(here, STARTING))
        assert (started.status, started.fields["content-type"]) == (200, "application/json")
        path = POLLING.path + started.json()["tx"]["_id"]
        for _ in range(3):
            polled = await _polled(here, path)
            assert polled.status == 200
        assert (await _polled(here, path, "poor")).status == 404
        state = polled.json()
        assert state["final"] is True
        async with here.session.get(state["files"]["output"]["url"]) as file:
            assert (await file.read()).startswith(b"\x89PNG")
        assert here.simulator.book.total_millicredits == 200_000
        (balance,) = await here.balances()
        assert (balance.spent, balance.held) == (Credits.whole(200), Credits.ZERO)
        assert here.simulator.received.counts["/unstable/job/"] == 3
