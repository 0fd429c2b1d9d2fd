"""Asynchronous jobs: paid once when started, polled for nothing, and seen by the tenant that started them alone."""

import pytest
from yarl import URL

from gateway.units import Credits
from tests.e2e.conftest import MakeWorld
from tests.e2e.world import World, until

PATH = "/unstable/job/"


async def started(here: World, name: str = "rich") -> str:
    """The id of a new job of a tenant."""
    here.simulator.faults.next("async_job")
    answer = await here.generate(name=name)
    assert (answer.status, answer.fields["content-type"]) == (200, "application/json")
    job_id = answer.json()["tx"]["_id"]
    assert isinstance(job_id, str)
    return job_id


async def polled(here: World, job_id: str, name: str = "rich", **said: str) -> int:
    return (await here.ask("GET", PATH + job_id, headers=here.key(name, **said))).status


@pytest.mark.parametrize("flavour", ["direct", "rapidapi"])
async def test_a_job_is_booked_when_it_starts_and_polls_are_free(make_world: MakeWorld, flavour: str) -> None:
    async with make_world(flavour=flavour) as here:
        job_id = await started(here)
        states = [await here.ask("GET", PATH + job_id, headers=here.key()) for _ in range(3)]
        assert [state.status for state in states] == [200, 200, 200]
        assert [state.json()["final"] for state in states] == [False, False, True]
        assert states[-1].json()["files"]["output"]["url"].endswith(job_id)
        assert all("x-credits-cost" not in state.fields for state in states)
        (balance,) = await here.balances()
        assert (balance.spent, balance.held) == (Credits.whole(19), Credits.ZERO)
        assert (await here.audit()).entries == 2
        assert here.simulator.book.total_millicredits == 19_000


async def test_a_path_that_always_answers_with_a_job_is_booked_at_its_own_price(make_world: MakeWorld) -> None:
    async with make_world(async_paths=frozenset({"/text2image_flux_2_pro"})) as here:
        answer = await here.ask("POST", "/text2image_flux_2_pro", json={"prompt": "a"}, headers=here.key())
        assert await polled(here, answer.json()["tx"]["_id"]) == 200
        assert (await here.balances())[0].spent == Credits.whole(200)


async def test_a_job_is_nobodys_but_its_tenants(here: World) -> None:
    mine, theirs = await started(here), await started(here, "poor")
    assert await polled(here, mine, user="bob") == 200  # the tenant's, whoever of it asks
    assert await polled(here, theirs, "poor") == 200
    before = here.simulator.received.counts[PATH]
    assert await polled(here, mine, "poor") == 404
    assert await polled(here, theirs) == 404
    assert here.simulator.received.counts[PATH] == before == 2


ODD_IDS = {
    "unknown": "0" * 24,
    "empty": "",
    "too long": "a" * 129,
    "dots": "..",
    "encoded dots": "%2e%2e",
    "encoded slash": "a%2fb",
    "slash": "a/b",
    "parameter": "a;b",
    "star": "*",
    "glob": "?",
    "brace": "%7Bx%7D",
    "colon": "a:b",
    "space": "a%20b",
    "nul": "a%00b",
    "not ascii": "%C3%A4",
}


@pytest.mark.parametrize("odd", ODD_IDS)
async def test_an_unknown_or_odd_id_is_not_found_and_never_asked_for_upstream(here: World, odd: str) -> None:
    target = URL(here.url + PATH + ODD_IDS[odd], encoded=True)
    async with here.session.get(target, headers=here.key()) as answer:
        document = await answer.json(content_type="application/problem+json")
    assert answer.status == 404
    assert document["reason"] == "unknown_job"
    assert here.simulator.received.counts.total() == 0


async def test_polling_needs_a_token(here: World) -> None:
    job_id = await started(here)
    assert (await here.ask("GET", PATH + job_id)).status == 401
    assert (await here.ask("GET", PATH + job_id, headers={"X-Dezgo-Key": "no token"})).status == 401
    assert (await here.ask("POST", PATH + job_id, headers=here.key())).status == 405
    assert here.simulator.received.counts[PATH] == 0


async def test_a_polls_answer_is_watched_for_the_key_like_any_other(here: World) -> None:
    job_id = await started(here)
    here.simulator.faults.next("echo", path=PATH + job_id)
    answer = await here.ask("GET", PATH + job_id, headers=here.key())
    assert (answer.status, answer.json()["reason"]) == (502, "upstream_leak")
    await until(lambda: len(here.lines()) == 2)
    assert "charged" not in here.lines()[1]
    assert (await here.balances())[0].spent == Credits.whole(19)
