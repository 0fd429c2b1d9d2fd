"""A caller's trace goes through: to the upstream with the gateway as parent, into the log line, to a collector."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.traces.context import read_context
from tests.e2e.conftest import MakeWorld
from tests.e2e.world import World, until
from tests.tools import need_package
from tests.unit.traces.test_context import GOOD, SPAN, TRACE

CALLER = {"traceparent": GOOD, "tracestate": "rojo=1"}


async def call(here: World, **fields: str) -> dict[str, object]:
    """Make a picture, and the line of it."""
    before = len(here.lines())
    seen = await here.ask("POST", "/text2image", json={"prompt": "a fox"}, headers={**here.key(), **fields})
    assert seen.status == 200
    await until(lambda: len(here.lines()) > before)
    return here.lines()[-1]


async def test_the_upstream_is_told_of_the_callers_trace_with_the_gateway_as_parent(here: World) -> None:
    line = await call(here, **CALLER)
    arrived = read_context(here.simulator.received.newest[-1].fields)
    assert arrived is not None
    assert (arrived.trace_id, arrived.flags, arrived.state) == (TRACE, 1, ("rojo=1",))
    assert (line["trace_id"], line["span_id"]) == (TRACE, arrived.span_id)
    assert arrived.span_id != SPAN


@pytest.mark.parametrize("fields", [{}, {"traceparent": GOOD.upper()}, {"tracestate": "rojo=1"}])
async def test_without_a_well_formed_trace_nobody_is_told_of_one(here: World, fields: dict[str, str]) -> None:
    line = await call(here, **fields)
    arrived = here.simulator.received.newest[-1]
    assert (arrived.field("traceparent"), arrived.field("tracestate")) == (None, None)
    assert "trace_id" not in line


async def test_the_upstream_is_told_nothing_where_that_is_not_wanted(make_world: MakeWorld) -> None:
    async with make_world(gateway="traces: {forward: false}\n") as here:
        line = await call(here, **CALLER)
        assert here.simulator.received.newest[-1].field("traceparent") is None
        assert line["trace_id"] == TRACE


async def test_a_refused_request_keeps_its_place_in_the_log_line(here: World) -> None:
    seen = await here.ask(
        "POST", "/text2image", json={"prompt": "a", "steps": "many"}, headers={**here.key(), **CALLER}
    )
    assert seen.status == 400
    await until(here.lines)
    assert here.lines()[-1]["trace_id"] == TRACE


@asynccontextmanager
async def collector(received: list[bytes]) -> AsyncIterator[str]:
    """A collector of spans; its address."""

    async def take(request: web.BaseRequest) -> web.Response:
        body = await request.read()
        received.append(gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body)
        return web.Response(headers={"Content-Type": "application/x-protobuf"})

    runner = web.ServerRunner(web.Server(take))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_spans_are_sent_where_the_standard_variables_say(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter"):
        need_package(package)
    received: list[bytes] = []
    async with collector(received) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        async with make_world(gateway="traces: {spans: true}\n") as here:
            line = await call(here, **CALLER)
            begun = await call(here)
            assert read_context(here.simulator.received.newest[-1].fields) is not None
        # The end of a gateway sends what is left.
        sent = b"".join(received)
    for found in (line, begun):
        assert bytes.fromhex(str(found["trace_id"])) in sent
        assert bytes.fromhex(str(found["span_id"])) in sent
    assert b"dezgo-gateway" in sent
    assert b"POST text2image" in sent
    assert b"a fox" not in sent
    assert b"ann" not in sent


async def test_a_collector_that_is_away_costs_no_call(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter"):
        need_package(package)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    async with asyncio.timeout(60), make_world(gateway="traces: {spans: true}\n") as here:
        for _ in range(3):
            await call(here)
