"""What operators see: metrics that agree with the ledger, health and readiness, on a listener of their own."""

import asyncio
import io
import secrets
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from gateway.app import App
from gateway.ledger.embedded import EmbeddedStore
from gateway.metrics.counting import CATALOGUE, PREFIX
from gateway.units import Credits
from tests.e2e.conftest import MakeWorld
from tests.e2e.world import World, until, world

TENANTS = """
tenants:
  rich-TAG:
    budgets: [{credits: 1000, every: month}, {credits: 500, every: total}]
    teams: {ads: {budgets: [{credits: 100, every: total}]}}
  poor-TAG: {budgets: [{credits: 40, every: total}]}
"""

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def samples(here: World) -> Samples:
    """Every sample of one scrape, without the metrics' common prefix."""
    families = list(text_string_to_metric_families(await here.metrics()))
    return {
        (sample.name.removeprefix(PREFIX), frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def total(found: Samples, name: str, **labels: str) -> float:
    """The sum of a metric's samples with these labels."""
    return sum(value for (said, has), value in found.items() if said == name and labels.items() <= dict(has).items())


async def test_every_family_is_there_and_is_what_the_catalogue_says(make_world: MakeWorld) -> None:
    async with make_world(flavour="rapidapi") as here:
        here.simulator.faults.next("price:1.1")
        await here.generate()
        await here.generate({"prompt": "a", "steps": "many"})
        await here.settled()
        families = {family.name: family for family in text_string_to_metric_families(await here.metrics())}
    for series in CATALOGUE:
        family = families.pop(series.name.removesuffix("_total"))
        assert (family.type, family.documentation) == (series.kind, series.says)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(series.labels)
    assert not families


async def test_credits_in_metrics_are_credits_in_the_ledger(make_world: MakeWorld) -> None:
    async with make_world(tenants=TENANTS) as here:
        here.simulator.faults.next("price:1.1", "charge:missing", "status:500", "cut:head", "price:0.5")
        for _ in range(5):
            await here.generate()
        await here.ask("POST", "/text2image_sdxl", json={"prompt": "a"}, headers=here.key(team="ads"))
        for _ in range(3):
            await here.generate(name="poor")
        await here.settled()
        await until(lambda: sum(line["event"] == "request" for line in here.lines()) == 9)
        found = await samples(here)
        for name in ("rich", "poor"):
            tenant, audit = here.tenant(name), await here.audit(name)
            assert total(found, "credits_charged_total", tenant=tenant) == audit.spent.as_number()
            for balance in await here.balances(name, team="ads" if name == "rich" else None):
                labels = {"tenant": tenant, "budget": balance.budget.name}
                shown = [
                    total(found, f"budget_{what}_credits", **labels) for what in ("limit", "spent", "held", "remaining")
                ]
                amounts = [balance.budget.limit, balance.spent, Credits.ZERO, balance.remaining]
                assert shown == [amount.as_number() for amount in amounts]
        rich, poor = here.tenant("rich"), here.tenant("poor")
        by_flag = {flag: total(found, "credits_charged_total", tenant=rich, flag=flag) for flag in FLAGS}
        assert by_flag == {"confirmed": 20.9 + 9.5 + 75, "unconfirmed": 19, "uncertain": 19}
        assert total(found, "credits_overrun_total", tenant=rich) == 1.9
        assert total(found, "credits_quoted_total", tenant=rich) == 5 * 19 + 75
        assert total(found, "refusals_total", reason="budget_exhausted", tenant=poor) == 1
        assert total(found, "settlements_total") == 8
        assert total(found, "settlements_total", flag="uncertain") == 1
        assert total(found, "upstream_responses_total", status="500") == 1
        assert total(found, "settles_under_way") == 0
        assert total(found, "upstream_account_remaining_credits") == float(here.simulator.book.balance)


async def test_counters_of_two_gateways_add_up_to_the_ledger_and_gauges_of_both_say_the_same(here: World) -> None:
    app = App(here.settings, log_stream=io.StringIO())
    async with app.running() as second:
        for turn in range(6):
            port = (here.running.port, second.port)[turn % 2]
            url = f"http://127.0.0.1:{port}/text2image"
            async with here.session.post(url, json={"prompt": "a fox"}, headers=here.key()) as answer:
                assert answer.status == 200
                await answer.read()
        await second.settler.drain(5)
        await here.settled()
        both = [await samples(here), await samples(replace(here, running=second))]
    rich, spent = here.tenant("rich"), (await here.audit()).spent.as_number()
    # Counters are each gateway's own, money gauges the ledger's: panels take the sum of those and the most of these.
    assert [total(found, "credits_charged_total", tenant=rich) for found in both] == [spent / 2, spent / 2]
    assert [total(found, "budget_spent_credits", tenant=rich) for found in both] == [spent, spent]


FLAGS = ("confirmed", "unconfirmed", "uncertain")


async def test_requests_are_counted_by_route_and_never_by_path(here: World) -> None:
    for path in ("/info", "/nowhere", "/text2image/../info", "/" + "x" * 200, "/gateway/budget"):
        await here.ask("GET", path, headers=here.key())
    await here.ask("POST", "/nowhere", headers=here.key())
    found = await samples(here)
    by_route: dict[str, float] = defaultdict(float)
    for (name, labels), value in found.items():
        if name == "requests_total":
            by_route[dict(labels)["route"]] += value
    assert by_route["info"] + by_route["unmatched"] == 5
    assert by_route["budget"] == 1
    assert sum(by_route.values()) == 6
    assert "nowhere" not in await here.metrics()


PATHS_OF_CLIENTS = ("/text2image", "/info", "/account/tx/last", "/gateway/budget", "/gateway/quote/text2image")
PATHS_OF_OPERATORS = ("/metrics", "/healthz", "/readyz")


async def status_of(here: World, verb: str, base: str, path: str) -> int:
    """What a request with exactly this path is answered; a token and a body come along."""
    target = URL(base + path, encoded=True)
    async with here.session.request(verb, target, headers=here.key(), json={"prompt": "a"}) as answer:
        return answer.status


async def test_clients_reach_none_of_the_operators_paths(here: World) -> None:
    for path in PATHS_OF_OPERATORS:
        for odd in (path, path + "/", "/" + path, "/info/.." + path, path.replace("e", "%65"), path.upper()):
            assert await status_of(here, "GET", here.url, odd) == 404
            assert await status_of(here, "POST", here.url, odd) == 403
    assert here.simulator.received.counts.total() == 0


async def test_operators_have_no_path_of_the_clients_and_three_of_their_own(here: World) -> None:
    spelt_otherwise = ("/", "/metrics/", "//metrics", "/%6detrics", "/info/../metrics", "/METRICS")
    for path in (*PATHS_OF_CLIENTS, "/unstable/job/" + "0" * 24, "/admin", *spelt_otherwise):
        for verb in ("GET", "POST"):
            assert await status_of(here, verb, here.ops_url, path) == 404
    for path in PATHS_OF_OPERATORS:
        assert await status_of(here, "GET", here.ops_url, path) == 200
        assert await status_of(here, "POST", here.ops_url, path) == 405
    assert here.simulator.received.counts.total() == 0


async def test_scrapes_do_not_disturb_calls_nor_each_other(here: World) -> None:
    answers = await asyncio.gather(
        *(here.metrics() for _ in range(8)), *(here.generate() for _ in range(8)), *(here.metrics() for _ in range(8))
    )
    assert len(answers) == 24
    await here.settled()
    await until(lambda: sum(line["event"] == "request" for line in here.lines()) == 8)
    assert total(await samples(here), "credits_charged_total") == 8 * 19


async def ready(here: World) -> tuple[int, list[str]]:
    async with here.session.get(here.ops_url + "/readyz") as answer:
        return answer.status, (await answer.json()).get("missing", [])


async def test_readiness_follows_the_store_and_health_does_not(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path / "store") as store, world(tmp_path, store.url, secrets.token_hex(4)) as here:
        assert await ready(here) == (200, [])
        await here.generate()
        await here.settled()
        await store.stop()
        assert await ready(here) == (503, ["ledger"])
        async with here.session.get(here.ops_url + "/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "alive"})
        refused = await here.generate()
        assert (refused.status, refused.json()["reason"]) == (503, "ledger_unavailable")
        assert int(refused.fields["retry-after"]) > 0
        assert here.simulator.received.counts.total() == 1
        found = await samples(here)
        assert total(found, "ledger_errors_total", code="connection") >= 1
        # No number is better than an old one.
        assert not [name for name, _ in found if name.startswith("budget_")]
        await store.start()
        async with asyncio.timeout(5):  # between two attempts to connect lies up to a second
            while await ready(here) != (200, []):  # noqa: ASYNC110 - a store that is back tells nobody
                await asyncio.sleep(0.02)
        assert (await here.generate()).status == 200
        (balance,) = await here.balances()
        assert (balance.spent, balance.held) == (Credits.whole(38), Credits.ZERO)


async def test_a_call_whose_store_goes_away_is_booked_when_it_is_back(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path / "store") as store, world(tmp_path, store.url, secrets.token_hex(4)) as here:
        here.simulator.faults.next("slow:0.3")
        call = asyncio.create_task(here.generate())
        await until(lambda: here.simulator.received.counts.total() == 1)
        await store.stop()
        assert (await call).status == 200
        await until(lambda: here.running.settler.under_way == 1)
        assert total(await samples(here), "settles_under_way") == 1
        await store.start()
        await until(lambda: here.running.settler.under_way == 0)
        (balance,) = await here.balances()
        assert (balance.spent, balance.held) == (Credits.whole(19), Credits.ZERO)
        assert not (await here.audit()).differences


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text; version=1.0.0", "*/*"])
async def test_a_scrape_says_what_it_is(here: World, accept: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(here.ops_url + "/metrics", headers={"Accept": accept}) as answer,
    ):
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert list(text_string_to_metric_families(await answer.text()))
