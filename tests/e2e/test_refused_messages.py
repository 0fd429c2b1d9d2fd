"""What the HTTP parser refuses by itself is answered, counted and logged like everything else."""

import asyncio
import json

from tests.e2e.conftest import MakeWorld
from tests.e2e.world import World


async def told(here: World, message: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", here.running.port)
    try:
        writer.write(message)
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()


async def test_a_message_that_is_no_http_is_counted_and_logged_under_the_id_it_was_answered_with(here: World) -> None:
    answer = await told(here, b"GET /info HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 400 " in head.splitlines()[0]
    request_id = json.loads(body)["instance"].rsplit(":", 1)[1]
    assert f"X-Request-Id: {request_id}".encode() in head
    metrics = await here.metrics()
    assert 'dezgo_gateway_refusals_total{reason="bad_http",tenant="none"} 1.0' in metrics
    async with asyncio.timeout(5):
        while not here.lines():  # noqa: ASYNC110 - lines are written by a thread
            await asyncio.sleep(0.01)
    (line,) = [line for line in here.lines() if line.get("request_id") == request_id]
    assert (line["status"], line["reason"], line["route"]) == (400, "bad_http", "unmatched")


async def test_the_model_list_is_open_without_a_token_only_where_it_is_upstream(make_world: MakeWorld) -> None:
    async with make_world(flavour="direct") as direct:
        assert (await direct.ask("GET", "/info")).status == 200
        assert (await direct.ask("GET", "/info", headers={"X-Dezgo-Key": "no.such.token"})).status == 401
    async with make_world(flavour="rapidapi") as market:
        assert (await market.ask("GET", "/info")).status == 401
        assert (await market.ask("GET", "/info", headers=market.key())).status == 200
