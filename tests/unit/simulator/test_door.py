"""The simulator over a real socket: both flavours, all encodings, all paths, its books."""

import asyncio
import hashlib
import io
import json
from decimal import Decimal

import aiohttp
import pytest

from gateway.simulator.endpoints import PAID
from tests.unit.simulator.conftest import Serve
from tests.unit.simulator.running import KEY, Running, png

NEEDED: dict[str, str | bytes] = {
    "prompt": "a cat",
    "init_image": png(64, 64),
    "mask_image": png(64, 64),
    "image": png(64, 64),
    "mask_prompt": "hair",
}


def form(**values: str | bytes) -> aiohttp.FormData:
    filled = aiohttp.FormData(default_to_multipart=True)
    for name, value in values.items():
        filled.add_field(name, value, filename=name if isinstance(value, bytes) else None)
    return filled


async def test_a_direct_call_is_charged_and_says_so(direct: Running) -> None:
    got = await direct.make(seed=1234)
    (charge,) = direct.simulator.book.charges
    assert got.status == 200
    assert got.one("content-type") == "image/png"
    assert got.one("x-input-seed") == "1234"
    assert got.one("x-dezgo-job-amount-usd") == "0.0019"
    assert got.one("x-dezgo-balance-total-usd") == "9.9981"
    assert got.one("x-dezgo-balance-index") == "1"
    assert got.one("x-dezgo-job-id") == charge.job
    assert got.one("x-dezgo-auth-userid")
    assert not got.all("x-credits-cost")
    assert charge.credits == 19
    assert (charge.seed, charge.status, charge.path) == (1234, 200, "/text2image")


async def test_a_rapidapi_call_is_charged_and_says_so(serve: Serve) -> None:
    rapid = await serve(flavour="rapidapi", quota_credits=1000)
    got = await rapid.make(upscale=2)
    assert got.one("x-credits-cost") == "31"
    assert got.one("x-ratelimit-credits-limit") == "1000"
    assert got.one("x-ratelimit-credits-remaining") == "969"
    assert 0 < int(got.one("x-ratelimit-credits-reset")) <= 30 * 86_400
    assert got.one("server") == "RapidAPI-1.2.8"
    assert got.one("x-rapidapi-version") == "1.2.8"
    assert got.one("x-rapidapi-region") == "AWS - us-east-1"
    assert got.one("x-input-seed").isdigit()
    assert not [name for name, _ in got.fields if name.startswith("x-dezgo")]


async def test_the_charge_of_exact_billing_is_told_exactly(serve: Serve) -> None:
    exact = await serve(billing="exact")
    got = await exact.make()
    assert got.one("x-dezgo-job-amount-usd") == "0.001987272768"
    assert exact.simulator.book.total == Decimal("19.87272768")


@pytest.mark.parametrize("path", sorted(PAID))
async def test_every_paid_path_answers_and_books_one_charge(direct: Running, path: str) -> None:
    got = await direct.send("POST", path, data=form(**NEEDED))
    assert got.status == 200
    assert [charge.path for charge in direct.simulator.book.charges] == [path]
    if "video" in path:
        assert got.one("content-type") == "video/mp4"
        assert got.body[4:8] == b"ftyp"
    elif "moderation" not in path:
        assert got.image.format == "PNG"


@pytest.mark.parametrize(
    ("format_", "content_type", "name"),
    [("png", "image/png", "PNG"), ("jpg", "image/jpeg", "JPEG"), ("webp", "image/webp", "WEBP")],
)
async def test_the_answer_has_the_asked_format_and_size(
    direct: Running, format_: str, content_type: str, name: str
) -> None:
    got = await direct.make(format=format_, width=320, height=448, upscale="2")
    assert got.one("content-type") == content_type
    assert (got.image.format, got.image.size) == (name, (640, 896))


async def test_all_encodings_draw_and_charge_the_same(direct: Running) -> None:
    asked = {"prompt": "käse & wein", "seed": "5", "steps": "20", "width": "320"}
    got = [
        await direct.send("POST", "/text2image", json=asked),
        await direct.send("POST", "/text2image", data=asked),
        await direct.send("POST", "/text2image", data=form(**asked)),
        await direct.send("GET", "/text2image", json=asked),
        await direct.send("POST", "/text2image/", json=asked),
    ]
    assert len({answer.body for answer in got}) == 1
    assert [charge.credits for charge in direct.simulator.book.charges] == [13] * 5


async def test_an_old_client_gets_no_chunked_answer(direct: Running) -> None:
    async with (
        aiohttp.ClientSession(version=aiohttp.HttpVersion10) as old,
        old.post(direct.url + "/text2image", json={"prompt": "p"}, headers={"x-dezgo-key": KEY}) as response,
    ):
        assert "transfer-encoding" not in response.headers
        assert len(await response.read()) == int(response.headers["content-length"])


@pytest.mark.parametrize("key", [None, "", "another"])
async def test_a_wrong_key_is_refused_in_the_words_of_the_flavour(serve: Serve, key: str | None) -> None:
    direct, rapid = await serve(), await serve(flavour="rapidapi")
    refused = await direct.send("POST", "/text2image", key=key, json={"prompt": "p"})
    assert (refused.status, refused.json["title"]) == (401, "Unauthorized")
    refused = await rapid.send("POST", "/text2image", key=key, json={"prompt": "p"})
    assert refused.status == 401
    assert refused.json["message"].startswith("Invalid API key.")
    assert refused.one("x-rapidapi-proxy-response") == "true"
    assert direct.simulator.book.count == rapid.simulator.book.count == 0
    assert direct.simulator.received.counts["/text2image"] == 1


async def test_bad_calls_are_refused_without_a_charge(direct: Running) -> None:
    missing = await direct.send("POST", "/text2image", json={})
    large = await direct.make(width=4096)
    accident = await direct.send("POST", "/upscale", data="[object FormData]", headers={"content-type": "text/plain"})
    assert (missing.status, missing.json["detail"]) == (400, "Parameter 'prompt' is required")
    assert (large.status, large.json["title"]) == (400, "Invalid dimensions")
    assert accident.status == 400
    assert direct.simulator.book.count == 0
    assert not missing.all("x-dezgo-job-amount-usd")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/models", 404),
        ("GET", "/", 404),
        ("GET", "/unstable/job/none", 404),
        ("GET", "/upscale", 405),
        ("POST", "/info", 405),
    ],
)
async def test_what_does_not_exist_is_not_served(direct: Running, method: str, path: str, status: int) -> None:
    assert (await direct.send(method, path)).status == status


async def test_rapidapi_names_the_missing_endpoint(serve: Serve) -> None:
    got = await (await serve(flavour="rapidapi")).send("POST", "/x")
    assert (got.status, got.json) == (404, {"message": "Endpoint '/x' does not exist"})


async def test_the_model_list_has_the_recorded_shape_and_needs_a_key_on_rapidapi_only(serve: Serve) -> None:
    direct, rapid = await serve(), await serve(flavour="rapidapi")
    listed = (await direct.send("GET", "/info", key=None)).json["models"]
    assert len(listed) >= 15
    assert set(listed[0]) == {
        *("id", "name", "family", "description", "license"),
        *("categories", "functions", "nativeResolution", "triggers"),
    }
    assert (await rapid.send("GET", "/info", key=None)).status == 401
    assert (await rapid.send("GET", "/info")).status == 200


async def test_the_balance_can_be_asked_for_directly_only(serve: Serve) -> None:
    direct, rapid = await serve(), await serve(flavour="rapidapi")
    assert (await direct.send("GET", "/account/tx/last")).json["balance"] == 10
    await direct.make()
    assert (await direct.send("GET", "/account/tx/last")).json["balance"] == 9.9981
    assert (await rapid.send("GET", "/account/tx/last")).status == 404


async def test_an_empty_account_refuses_in_the_words_of_its_flavour(serve: Serve) -> None:
    direct = await serve(balance_usd=Decimal("0.0020"))
    rapid = await serve(flavour="rapidapi", quota_credits=20)
    for running, status in ((direct, 402), (rapid, 429)):
        assert (await running.make()).status == 200
        refused = await running.make()
        assert refused.status == status
        assert running.simulator.book.total == 19
    assert b"MONTHLY quota for Credits" in refused.body
    assert rb"https:\/\/rapidapi.com" in refused.body


async def test_the_book_records_who_asked_for_what(direct: Running) -> None:
    body = json.dumps({"prompt": "p", "seed": 3}).encode()
    fields = {"x-request-id": "r-1", "content-type": "application/json"}
    await direct.send("POST", "/text2image", data=body, headers=fields)
    await direct.make("/text2image_sdxl")
    book = (await direct.send("GET", "/_simulator/book", key=None)).json
    assert (book["count"], book["total_credits"], book["balance_usd"]) == (2, "94", "9.9906")
    assert [charge["index"] for charge in book["charges"]] == [1, 2]
    assert book["charges"][0]["request_id"] == "r-1"
    assert book["charges"][0]["body_sha256"] == hashlib.sha256(body).hexdigest()
    assert book["charges"][1]["request_id"] is None
    newest = (await direct.send("GET", "/_simulator/book?newest=1")).json
    assert [charge["index"] for charge in newest["charges"]] == [2]


async def test_arrivals_are_kept_with_their_fields_and_body(direct: Running) -> None:
    await direct.send("POST", "/text2image?a=b", key="wrong", data=b"body", headers={"X-Odd-Case": "1"})
    (arrival,) = direct.simulator.received.newest
    assert (arrival.method, arrival.target, arrival.body) == ("POST", "/text2image?a=b", b"body")
    assert ("X-Odd-Case", "1") in arrival.fields
    assert arrival.body_sha256 == hashlib.sha256(b"body").hexdigest()
    assert (await direct.send("GET", "/_simulator/received")).json == {"counts": {"/text2image": 1}}


async def test_the_same_settings_give_the_same_seeds(serve: Serve) -> None:
    first, second, other = await serve(), await serve(), await serve(seed=2)
    seeds = [(await running.make()).one("x-input-seed") for running in (first, second, other)]
    assert seeds[0] == seeds[1] != seeds[2]


async def test_a_body_above_the_limit_is_refused(direct: Running) -> None:
    got = await direct.send("POST", "/upscale", data=io.BytesIO(bytes(64 * 1024 * 1024 + 1)))
    assert got.status == 413
    assert direct.simulator.book.count == 0


async def test_a_body_that_never_comes_is_given_up(serve: Serve) -> None:
    impatient = await serve(body_timeout_s=0.05)
    host, port = impatient.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /text2image HTTP/1.1\r\nHost: s\r\nContent-Length: 10\r\n\r\nhalf")
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()
    await writer.wait_closed()
    (arrival,) = impatient.simulator.received.newest
    assert arrival.body_sha256 is None
