"""Each fault, over a real socket: what the client meets, and what the book says of it."""

import asyncio
import json
from decimal import Decimal

import aiohttp
import pytest

from gateway.simulator.deliver import GARBAGE
from tests.unit.simulator.conftest import Serve
from tests.unit.simulator.running import KEY, Running

CHARGE = "x-dezgo-job-amount-usd"


async def raw(running: Running, fault: str) -> bytes:
    """All bytes a faulty answer consists of, up to the end of the connection."""
    running.simulator.faults.next(fault)
    body = b'{"prompt":"p"}'
    host, port = running.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /text2image HTTP/1.1\r\nHost: s\r\nContent-Type: application/json\r\nConnection: close\r\n"
        + f"X-Dezgo-Key: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    async with asyncio.timeout(10):
        received = await reader.read()
    writer.close()
    await writer.wait_closed()
    return received


@pytest.mark.parametrize(
    ("fault", "status", "booked"),
    [
        ("status:400", 400, 0),
        ("status:500", 500, 0),
        ("status:503 charged", 503, 1),
        ("status:200 uncharged", 200, 0),
        ("status:202", 202, 1),
        ("status:204", 204, 1),
        ("exhausted", 402, 0),
        ("status:402", 402, 0),
        ("status:401", 401, 0),
        ("redirect:http://elsewhere.test/x", 302, 0),
        ("redirect:http://elsewhere.test/x status:307 charged", 307, 1),
        ("html_5xx", 500, 0),
        ("html_5xx status:502 charged", 502, 1),
        ("rapidapi_gateway", 502, 0),
        ("echo", 200, 1),
        ("cookie", 200, 1),
        ("price:0", 200, 1),
        ("async_job status:202", 202, 1),
    ],
)
async def test_a_faulty_answer_is_booked_as_its_kind_or_the_fault_says(
    direct: Running, fault: str, status: int, booked: int
) -> None:
    got = await direct.make(fault=fault)
    assert got.status == status
    assert direct.simulator.book.count == booked
    assert len(got.all(CHARGE)) == booked
    assert (await direct.make()).status == 200  # a fault comes once


@pytest.mark.parametrize(
    ("flavour", "fault", "told"),
    [
        ("direct", "charge:missing", []),
        ("direct", "charge:duplicate", ["0.0019", "0.0001"]),
        ("direct", "charge:malformed", ["nineteen"]),
        ("direct", "charge:zero", ["0"]),
        ("direct", "charge:huge", ["9" * 15]),
        ("rapidapi", "charge:missing", []),
        ("rapidapi", "charge:duplicate", ["19", "1"]),
        ("rapidapi", "charge:malformed", ["nineteen"]),
        ("rapidapi", "charge:zero", ["0"]),
        ("rapidapi", "charge:huge", ["9" * 15]),
    ],
)
async def test_a_charge_told_wrongly_is_booked_truly(serve: Serve, flavour: str, fault: str, told: list[str]) -> None:
    running = await serve(flavour=flavour)
    got = await running.make(fault=fault)
    assert got.all(CHARGE if flavour == "direct" else "x-credits-cost") == told
    (charge,) = running.simulator.book.charges
    assert charge.credits == 19
    assert charge.told == tuple(told)


async def test_a_folded_charge_stands_on_two_lines(direct: Running) -> None:
    assert b"\r\nx-dezgo-job-amount-usd: 0.001\r\n 9\r\n" in await raw(direct, "charge:folded")
    assert direct.simulator.book.total == 19


@pytest.mark.parametrize(("factor", "amount"), [("2", "0.0038"), ("0.5", "0.00095"), ("0", "0.0000")])
async def test_a_drifting_price_is_really_charged(direct: Running, factor: str, amount: str) -> None:
    got = await direct.make(fault=f"price:{factor}")
    assert got.one(CHARGE) == amount
    assert direct.simulator.book.total == 19 * Decimal(factor)


@pytest.mark.parametrize("bytes_", [0, 1, 1000])
async def test_a_cut_answer_ends_after_exactly_so_many_bytes_and_is_booked(direct: Running, bytes_: int) -> None:
    head, _, body = (await raw(direct, f"cut:{bytes_}")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"x-dezgo-job-amount-usd: 0.0019" in head
    assert len(body) == bytes_
    assert direct.simulator.book.count == 1


async def test_a_client_sees_a_cut_answer_as_incomplete(direct: Running) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await direct.make(fault="cut:100")
    with pytest.raises(aiohttp.ClientPayloadError):
        await direct.make(fault="cut:100 chunked")


@pytest.mark.parametrize(("fault", "booked"), [("cut:head", 1), ("cut:head uncharged", 0)])
async def test_a_connection_cut_before_the_answer_sends_nothing(direct: Running, fault: str, booked: int) -> None:
    assert await raw(direct, fault) == b""
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await direct.make(fault=fault)
    assert direct.simulator.book.count == 2 * booked


async def test_garbage_is_no_http_and_is_booked(direct: Running) -> None:
    assert await raw(direct, "garbage") == GARBAGE
    with pytest.raises(aiohttp.ClientResponseError):
        await direct.make(fault="garbage")
    assert direct.simulator.book.count == 2


async def test_an_odd_status_is_sent_as_it_is(direct: Running) -> None:
    assert (await raw(direct, "status:999")).startswith(b"HTTP/1.1 999 Unknown\r\n")
    early = await raw(direct, "status:103")
    assert early.startswith(b"HTTP/1.1 103 Early Hints\r\n")
    assert early.endswith(b"\r\n\r\n")
    assert b"content-length: 0\r\n" in early


async def test_a_whole_chunked_answer_by_hand_ends_as_one(direct: Running) -> None:
    assert (await raw(direct, "charge:folded chunked")).endswith(b"\r\n0\r\n\r\n")


async def test_a_chunked_answer_has_no_length(direct: Running) -> None:
    got = await direct.make(fault="chunked")
    assert not got.all("content-length")
    assert got.one("transfer-encoding") == "chunked"
    assert got.image.size == (512, 512)


async def test_a_slow_body_is_whole_in_the_end(direct: Running) -> None:
    got = await direct.make(fault="slow_body:0.05")
    assert len(got.body) == int(got.one("content-length"))
    assert got.image.size == (512, 512)


async def test_a_slow_answer_is_booked_although_the_client_gives_up(direct: Running) -> None:
    direct.simulator.faults.next("slow:30")
    call = asyncio.create_task(direct.make())
    async with asyncio.timeout(10):
        while not direct.simulator.book.count:  # noqa: ASYNC110 - the book has no bell to wait for
            await asyncio.sleep(0.005)
    assert not call.done()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert direct.simulator.book.total == 19


async def test_a_redirect_names_its_target(direct: Running) -> None:
    got = await direct.make(fault="redirect:http://elsewhere.test/x")
    assert got.one("location") == "http://elsewhere.test/x"


async def test_an_echo_carries_the_key_in_fields_and_body(direct: Running) -> None:
    got = await direct.make(fault="echo")
    assert got.one("x-echo-x-dezgo-key") == KEY
    assert ["x-dezgo-key", KEY] in got.json["headers"]


async def test_the_gateway_of_rapidapi_answers_for_an_unreachable_api(serve: Serve) -> None:
    got = await (await serve(flavour="rapidapi")).make(fault="rapidapi_gateway")
    assert got.one("x-rapidapi-proxy-response") == "true"
    assert set(got.json) == {"messages", "info"}
    assert got.one("content-type") == "application/json"


async def test_an_html_error_is_html(direct: Running) -> None:
    got = await direct.make(fault="html_5xx")
    assert got.one("content-type").startswith("text/html")
    assert got.body.startswith(b"<!DOCTYPE html>")


async def test_a_cookie_can_be_set_and_the_seed_left_out(direct: Running) -> None:
    assert (await direct.make(fault="cookie")).one("set-cookie").startswith("simulator=1")
    assert not (await direct.make(fault="no_seed")).all("x-input-seed")
    assert not (await direct.make(fault="status:503 charged")).all("x-input-seed")


@pytest.mark.parametrize("way", ["fault", "settings"])
async def test_a_job_is_polled_free_of_charge_until_its_file_lies_on_another_host(serve: Serve, way: str) -> None:
    running = await serve(async_paths=frozenset({"/text2image_flux_2_pro"} if way == "settings" else ()))
    got = await running.make("/text2image_flux_2_pro", fault="async_job" if way == "fault" else "", seed=9)
    assert got.one("content-type") == "application/json"
    job = f"/unstable/job/{got.json['tx']['_id']}"
    states = [(await running.send("GET", job)).json for _ in range(4)]
    assert [state["status"] for state in states] == ["queued", "running", "success", "success"]
    assert [state["final"] for state in states] == [False, False, True, True]
    url = states[2]["files"]["output"]["url"]
    assert not url.startswith(running.url)
    assert (await running.send("GET", url, key=None)).image.size == (1024, 1024)
    assert (await running.send("GET", job, key=None)).status == 401
    assert running.simulator.book.total == 200


async def test_faults_are_switched_over_http(direct: Running) -> None:
    async def switch(orders: object) -> int:
        return (await direct.send("POST", "/_simulator/faults", key=None, data=json.dumps(orders))).status

    assert await switch({"next": ["status:500", "status:501"], "always": "status:502"}) == 204
    assert [(await direct.make()).status for _ in range(3)] == [500, 501, 502]
    assert await switch({"always": None}) == 204
    assert await switch({"next": "status:500", "path": "/info"}) == 204
    assert [(await direct.send("GET", "/info")).status for _ in range(2)] == [500, 200]
    assert await switch({"next": "status:500"}) == 204
    assert await switch({"clear": True}) == 204
    assert (await direct.make()).status == 200


@pytest.mark.parametrize(
    "orders", ["{", "[]", '{"next": 5}', '{"next": ["odd"]}', '{"always": 5}', '{"next": "echo", "path": []}']
)
async def test_an_order_for_faults_that_makes_no_sense_is_refused(direct: Running, orders: str) -> None:
    assert (await direct.send("POST", "/_simulator/faults", data=orders)).status == 400
    assert (await direct.make()).status == 200


async def test_a_fault_in_a_field_counts_only_when_allowed(serve: Serve) -> None:
    for allowed, status in ((True, 503), (False, 200)):
        running = await serve(allow_header_faults=allowed)
        fields = {"x-simulator-fault": "status:503"}
        got = await running.send("POST", "/text2image", json={"prompt": "p"}, headers=fields)
        assert got.status == status
    odd = await (await serve(allow_header_faults=True)).send(
        "POST", "/text2image", json={"prompt": "p"}, headers={"x-simulator-fault": "odd"}
    )
    assert odd.status == 400
