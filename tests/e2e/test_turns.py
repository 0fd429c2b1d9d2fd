"""Where the upstream takes only so many calls at once, others wait for their turn; and a tenant's limits on calls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from gateway.units import Credits
from tests.e2e.conftest import MakeWorld
from tests.e2e.test_client_disconnect import peer, request_bytes, spent_and_held
from tests.e2e.test_drain import IMAGE, Life, booked, posted
from tests.e2e.test_streaming import upstream_at
from tests.e2e.world import Seen, World, until
from tests.fake_upstream import FakeUpstream, Turn, fake_upstream

_LIMITED = """
tenants:
  rich-TAG: {budgets: [{credits: 100000, every: month}], limits: {LIMITS}}
"""


def one_at_once(*, wait_s: float = 30, places: float = 10, drain_s: float = 5) -> dict[str, str]:
    return {
        "DEZGO_GATEWAY__UPSTREAM__CALLS_AT_ONCE": "1",
        "DEZGO_GATEWAY__UPSTREAM__QUEUE_MAX": str(places),
        "DEZGO_GATEWAY__UPSTREAM__QUEUE_WAIT_S": str(wait_s),
        "DEZGO_GATEWAY__SHUTDOWN__DRAIN_S": str(drain_s),
    }


@asynccontextmanager
async def busy(make_world: MakeWorld, **said: float) -> AsyncIterator[tuple[World, FakeUpstream, asyncio.Event]]:
    """A world whose one turn is taken until the event is set; its answers follow at once then."""
    go_on = asyncio.Event()
    async with (
        fake_upstream(Turn((go_on, IMAGE))) as fake,
        make_world(environ=upstream_at(fake.url) | one_at_once(**said)) as here,
    ):
        taken = asyncio.create_task(here.generate())
        await until(lambda: len(fake.received) == 1)
        yield here, fake, go_on
        go_on.set()
        assert (await taken).status == 200


async def line_of(here: World, reason: str) -> dict[str, Any]:
    """The log line of the one request that ended so, once it is written."""

    def lines() -> list[dict[str, Any]]:
        return [line for line in here.lines() if line.get("reason") == reason]

    await until(lines)
    (line,) = lines()
    return line


async def queued(here: World) -> float:
    """What the gauge says."""
    (line,) = [line for line in (await here.metrics()).splitlines() if line.startswith("dezgo_gateway_calls_queued ")]
    return float(line.partition(" ")[2])


async def waiting(here: World, many: int) -> None:
    """Wait until so many calls wait for their turn."""
    async with asyncio.timeout(10):
        while await queued(here) != many:  # noqa: ASYNC110 - a gauge is asked, it tells nobody
            await asyncio.sleep(0.01)


def refused(seen: Seen) -> tuple[int, str, bool]:
    return seen.status, seen.json()["reason"], int(seen.fields["retry-after"]) >= 1


async def test_a_call_waits_for_its_turn_and_is_then_served(make_world: MakeWorld) -> None:
    async with busy(make_world) as (here, fake, go_on):
        second = asyncio.create_task(here.generate(name="poor"))
        await waiting(here, 1)
        assert len(fake.received) == 1
        go_on.set()
        assert (await second).status == 200
        assert await queued(here) == 0
        await until(lambda: len(here.lines()) == 2)
        waits = {line["tenant"]: line.get("queued_ms") for line in here.lines()}
        assert waits[here.tenant("rich")] is None
        assert (waits[here.tenant("poor")] or 0) > 0
        assert "dezgo_gateway_queue_wait_seconds_count 1.0" in await here.metrics()


async def test_who_finds_no_place_is_refused_without_a_trace_in_the_ledger(make_world: MakeWorld) -> None:
    async with busy(make_world, places=0) as (here, fake, _):
        seen = await here.generate(name="poor")
        assert refused(seen) == (503, "overloaded", True)
        line = await line_of(here, "overloaded")
        assert (line["code"], "held" in line) == ("full", False)
        assert (await here.audit("poor")).entries == 0
        assert len(fake.received) == 1


async def test_who_waits_for_too_long_is_refused_and_charged_nothing(make_world: MakeWorld) -> None:
    async with busy(make_world, wait_s=0.1) as (here, fake, _):
        seen = await here.generate(name="poor")
        assert refused(seen) == (503, "overloaded", True)
        assert seen.fields["x-credits-cost"] == "0"
        line = await line_of(here, "overloaded")
        assert (line["code"], line["charged"], line["flag"]) == ("waited", 0, "confirmed")
        assert await spent_and_held_of(here, "poor") == (Credits.ZERO, Credits.ZERO)
        assert len(fake.received) == 1


async def spent_and_held_of(here: World, name: str) -> tuple[Credits, Credits]:
    (balance,) = await here.balances(name)
    return balance.spent, balance.held


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_client_that_leaves_while_it_waits_frees_its_place_and_its_hold_at_once(
    make_world: MakeWorld, how: str
) -> None:
    async with busy(make_world) as (here, fake, _):
        async with peer(here) as client:
            await client.send(request_bytes(here))
            await waiting(here, 1)
            client.leave(how)
            await waiting(here, 0)
        line = await line_of(here, "client_gone")
        assert (line["charged"], line["status"]) == (0, 499)
        assert await spent_and_held(here) == (Credits.ZERO, Credits.whole(19))  # the call under way alone
        assert len(fake.received) == 1


async def test_a_client_that_had_sent_its_last_before_it_waited_is_answered_all_the_same(
    make_world: MakeWorld,
) -> None:
    async with busy(make_world) as (here, fake, go_on), peer(here) as client:
        await client.send(request_bytes(here))
        client.writer.write_eof()
        await waiting(here, 1)
        go_on.set()
        assert await client.reader.read(12) == b"HTTP/1.1 200"
        assert len(fake.received) == 2


async def test_the_same_key_again_after_a_wait_in_vain_is_a_first_call(make_world: MakeWorld) -> None:
    async with busy(make_world, wait_s=0.1) as (here, _, go_on):
        key: Any = {"Idempotency-Key": "once"}
        assert (await here.generate(name="poor", **key)).status == 503
        go_on.set()
        await until(lambda: any(line.get("status") == 200 for line in here.lines()))
        seen = await here.generate(name="poor", **key)
        assert (seen.status, "idempotency-replayed" in seen.fields) == (200, False)


async def test_free_calls_take_no_turn(make_world: MakeWorld) -> None:
    async with busy(make_world, places=0) as (here, fake, go_on):
        free = asyncio.create_task(here.ask("GET", "/info", headers=here.key()))
        await until(lambda: len(fake.received) == 2)
        go_on.set()
        assert (await free).status == 200


# --- the way down ---------------------------------------------------------------------------------------------


async def test_calls_that_wait_are_served_while_the_gateway_drains(make_world: MakeWorld, store_url: str) -> None:
    go_on = asyncio.Event()
    async with fake_upstream(Turn((go_on, IMAGE))) as fake, aiohttp.ClientSession() as session:
        life = Life(make_world(environ=upstream_at(fake.url) | one_at_once(drain_s=20)))
        here = await life.begun()
        calls = [asyncio.create_task(posted(session, here)) for _ in range(3)]
        await waiting(here, 2)
        life.stop()
        await until(lambda: here.running.draining)
        go_on.set()
        assert await asyncio.gather(*calls) == [(200, b"image")] * 3
        await life.ended(within_s=20)
    assert await booked(here, store_url) == (Credits.whole(57), Credits.ZERO)


async def test_calls_that_would_wait_beyond_half_of_the_drain_are_refused_cleanly(
    make_world: MakeWorld, store_url: str
) -> None:
    go_on = asyncio.Event()
    async with fake_upstream(Turn((go_on, IMAGE))) as fake, aiohttp.ClientSession() as session:
        life = Life(make_world(environ=upstream_at(fake.url) | one_at_once(drain_s=2)))
        here = await life.begun()
        first = asyncio.create_task(posted(session, here))
        await until(lambda: len(fake.received) == 1)
        second = asyncio.create_task(posted(session, here))
        await waiting(here, 1)
        life.stop()
        status, body = await second
        assert status == 503
        assert b'"reason":"overloaded"' in body
        go_on.set()
        assert await first == (200, b"image")
        await life.ended(within_s=10)
    assert await booked(here, store_url) == (Credits.whole(19), Credits.ZERO)


# --- a tenant's limits on calls ---------------------------------------------------------------------------------


async def test_more_calls_in_flight_than_a_tenant_may_have_are_refused_by_name(make_world: MakeWorld) -> None:
    go_on = asyncio.Event()
    tenants = _LIMITED.replace("LIMITS", "calls_in_flight: 2")
    async with (
        fake_upstream(Turn((go_on, IMAGE))) as fake,
        make_world(environ=upstream_at(fake.url), tenants=tenants) as here,
    ):
        calls = [asyncio.create_task(here.generate()) for _ in range(2)]
        await until(lambda: len(fake.received) == 2)
        seen = await here.generate()
        assert refused(seen) == (429, "too_many_calls", True)
        assert (seen.json()["limit"], seen.json()["allowed"]) == ("calls_in_flight", 2)
        go_on.set()
        assert [(await call).status for call in calls] == [200, 200]
        await here.settled()
        assert (await here.generate()).status == 200
        assert 'refusals_total{reason="too_many_calls"' in await here.metrics()
        assert len(fake.received) == 3


async def test_more_calls_in_a_second_than_a_tenant_may_make_are_told_when_to_come_back(
    make_world: MakeWorld,
) -> None:
    tenants = _LIMITED.replace("LIMITS", "calls_per_second: 0.01, burst: 2")
    async with make_world(tenants=tenants) as here:
        for _ in range(2):
            assert (await here.generate()).status == 200
        dry: Any = {"X-Gateway-Dry-Run": "true"}
        seen = await here.generate(**dry)
        assert seen.status == 200
        seen = await here.generate()
        assert refused(seen) == (429, "too_many_calls", True)
        assert (seen.json()["limit"], seen.json()["allowed"]) == ("calls_per_second", 0.01)
        assert 90 <= int(seen.fields["retry-after"]) <= 100
        assert (await here.audit()).entries == 4
