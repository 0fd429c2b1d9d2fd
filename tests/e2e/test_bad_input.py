"""Input that is refused: a clear document each time, which names the fault and never the value, and no charge."""

import base64
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.units import Credits
from tests.e2e import bad_bodies as bodies
from tests.e2e.bad_bodies import FORM, JSON, LAST, MULTIPART, Bad, named, written
from tests.e2e.bad_tokens import BAD, NOBODY, Maker, token
from tests.e2e.conftest import MakeWorld
from tests.e2e.raw import chunks, connected, message, told
from tests.e2e.refusals import MARK, assert_refused, lasting_world, nothing_happens
from tests.e2e.world import SHIPPED, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = b'{"prompt":"a fox","steps":10}'
ENCODINGS = ("json", "form", "multipart")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[World]:
    """One world for all: nothing ever happens in it."""
    async with lasting_world(tmp_path_factory.mktemp("refusing"), store_url) as made:
        yield made


def posted(here: World, path: str, kind: str | None, body: bytes, *fields: str) -> bytes:
    return message(here, body, *fields, line=f"POST {path} HTTP/1.1", kind=kind)


# --- parameters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ["steps", "width", "height"])
@pytest.mark.parametrize("text", bodies.NOT_WHOLE, ids=lambda text: text[:12])
async def test_what_is_no_whole_number_is_refused_by_name(here: World, encoding: str, name: str, text: str) -> None:
    if (encoding, len(text)) == ("multipart", 4_000):
        text += "9" * 4_000
    async with nothing_happens(here):
        answer = await told(here, posted(here, "/text2image", *written(name, text)[encoding]))
    document = assert_refused(answer, 400, "invalid_parameter", says=name, hides=text if len(text) > 5 else MARK)
    assert document["parameter"] == name


@pytest.mark.parametrize("name", ["steps", "width", "height"])
@pytest.mark.parametrize("literal", bodies.NOT_WHOLE_IN_JSON)
async def test_json_of_another_kind_is_no_whole_number(here: World, name: str, literal: str) -> None:
    async with nothing_happens(here):
        answer = await told(here, posted(here, "/text2image", JSON, f'{{"{name}":{literal}}}'.encode()))
    assert_refused(answer, 400, "invalid_parameter", says=name)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("path", "name", "text"), bodies.OTHER_VALUES)
async def test_values_out_of_type_or_bounds_are_refused_by_name(
    here: World, path: str, name: str, text: str, encoding: str
) -> None:
    async with nothing_happens(here):
        answer = await told(here, posted(here, path, *written(name, text)[encoding]))
    assert_refused(answer, 400, "invalid_parameter", says=name)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", bodies.DISGUISES)
async def test_a_priced_name_twice_or_in_disguise_is_refused(here: World, encoding: str, name: str) -> None:
    async with nothing_happens(here):
        answer = await told(here, posted(here, "/text2image", *bodies.twice(name)[encoding]))
    document = assert_refused(answer, 400, "duplicate_parameter", says="steps")
    assert document["parameter"] == "steps"


@pytest.mark.parametrize("name", ["steps", "Width", "upscale[]", "%6cora1", "%EF%BD%93teps"])
async def test_a_priced_parameter_in_the_query_is_refused(here: World, name: str) -> None:
    async with nothing_happens(here):
        answer = await told(here, posted(here, f"/text2image?x=1&{name}={MARK}", JSON, GOOD))
    assert_refused(answer, 400, "duplicate_parameter", says="URL")


# --- bodies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [*bodies.TYPES, *bodies.BROKEN], ids=lambda bad: bad.name)
async def test_a_body_that_is_not_what_it_says_is_refused(here: World, bad: Bad) -> None:
    async with nothing_happens(here):
        answer = await told(here, posted(here, bad.path, bad.kind, bad.body, *bad.fields))
    assert_refused(answer, bad.status, bad.reason, says=bad.says)


@pytest.mark.parametrize(
    ("content", "detail"), [row[1:] for row in bodies.IMAGES], ids=[row[0] for row in bodies.IMAGES]
)
@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_an_image_without_one_certain_size_is_refused(
    here: World, content: bytes, detail: str, encoding: str
) -> None:
    text = base64.b64encode(content).decode()
    kind, body = {
        "json": (JSON, json.dumps({"image": text}).encode()),
        "form": (FORM, f"image={quote(text, safe='')}".encode()),
        "multipart": (MULTIPART, named("image", content, '; filename="a.png"\r\nContent-Type: image/png') + LAST),
    }[encoding]
    async with nothing_happens(here):
        answer = await told(here, posted(here, "/upscale", kind, body))
    assert assert_refused(answer, 400, "bad_image", says=detail)["parameter"] == "image"


@pytest.mark.parametrize("text", bodies.NOT_BASE64, ids=range(len(bodies.NOT_BASE64)))
@pytest.mark.parametrize("encoding", ["json", "form"])
async def test_an_image_that_is_not_plain_base64_is_refused(here: World, text: str, encoding: str) -> None:
    kind, body = written("image", text)[encoding]
    async with nothing_happens(here):
        answer = await told(here, posted(here, "/upscale", kind, body))
    assert_refused(answer, 400, "bad_image", says="base64", hides=text)


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_a_method_priced_by_its_image_needs_one(here: World, encoding: str) -> None:
    async with nothing_happens(here):
        answer = await told(here, posted(here, "/controlnet", *written("control_scale", "1")[encoding]))
    assert_refused(answer, 400, "invalid_parameter", says="init_image")


async def test_a_body_above_the_bound_is_refused_announced_or_not(make_world: MakeWorld) -> None:
    async with make_world(environ={"DEZGO_GATEWAY__BODIES__BYTES_MAX": "2048"}) as here:
        head = message(here, line="POST /text2image HTTP/1.1", length=10**12)
        whole = b'{"prompt":"' + b"a" * 2_035 + b'"}'
        longer = whole[:-2] + b'a"}'
        chunked = message(here, b"", "Transfer-Encoding: chunked", length="")
        async with nothing_happens(here):
            for pieces in ([head], [message(here, longer)], [chunked, *chunks(longer, 100)]):
                document = assert_refused(await told(here, *pieces), 413, "body_too_large", says="2048")
                assert document["body_bytes_max"] == 2_048
        assert len(whole) == 2_048
        assert (await told(here, message(here, whole))).status == 200


@pytest.mark.parametrize("sent", [b"", GOOD[:5]])
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_that_does_not_come_in_time_is_refused(make_world: MakeWorld, sent: bytes, framing: str) -> None:
    async with make_world(environ={"DEZGO_GATEWAY__BODIES__TIMEOUT_S": "0.3"}) as here:
        if framing == "length":
            wire = message(here, sent, length=len(GOOD))
        else:
            wire = message(here, b"".join(chunks(sent, 5)[:-1]), "Transfer-Encoding: chunked", length="")
        async with nothing_happens(here):
            assert_refused(await told(here, wire), 408, "body_too_slow", says="0.3")


# --- who calls ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["X-Dezgo-Key: {}", "X-RapidAPI-Key: {}", "authorization: bearer {}"])
@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
async def test_a_token_that_proves_nothing_is_refused(here: World, make: Maker, field: str) -> None:
    bad = make(here)
    async with nothing_happens(here):
        answer = await told(here, message(here, GOOD, field.format(bad), key=""))
    assert_refused(answer, 401, "unauthenticated", hides=bad)
    assert answer.fields["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("field", ["X-A: b", "X-Dezgo-Key: ", "X_Dezgo_Key: {}", "X-Api-Key: {}", "Cookie: token={}"])
async def test_a_request_without_a_token_where_it_belongs_is_refused(here: World, field: str) -> None:
    async with nothing_happens(here):
        answer = await told(here, message(here, GOOD, field.format(here.token()), key=""))
    assert_refused(answer, 401, "unauthenticated")
    assert answer.fields["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("field", ["Authorization: Bearer {}", "X-RapidAPI-Key: {}", "X-Dezgo-Key: {}"])
async def test_two_different_tokens_are_refused(here: World, field: str) -> None:
    other = here.token("poor")
    async with nothing_happens(here):
        answer = await told(here, message(here, GOOD, field.format(other)))
    assert_refused(answer, 400, "ambiguous_credentials", hides=other)


@pytest.mark.parametrize("name", ["key", "api_key", "access_token", "X-Dezgo-Key", "to%6ben"])
async def test_a_token_in_the_url_or_in_the_body_is_refused(here: World, name: str) -> None:
    spare = here.token()
    async with nothing_happens(here):
        for path in (f"/text2image?{name}={spare}", f"/info?{name}={spare}"):
            line = f"{'GET' if path.startswith('/info') else 'POST'} {path} HTTP/1.1"
            assert_refused(await told(here, message(here, GOOD, line=line)), 400, "token_in_url", hides=spare)
        answer = await told(here, posted(here, "/text2image", FORM, f"prompt=a&{name}={spare}".encode()))
    assert_refused(answer, 400, "token_in_url", hides=spare)


@pytest.mark.parametrize(("make", "reason"), NOBODY.values(), ids=NOBODY)
async def test_a_caller_without_a_budget_is_refused(here: World, make: Maker, reason: str) -> None:
    async with nothing_happens(here):
        assert_refused(await told(here, message(here, GOOD, key=make(here))), 403, reason)


# --- routes and the gateway's own fields --------------------------------------------------------------------------

ROUTES = (
    ("POST /text2image_flux_9 HTTP/1.1", 403, "unpriced", None),
    ("POST / HTTP/1.1", 403, "unpriced", None),
    (f"POST /{MARK} HTTP/1.1", 403, "unpriced", None),
    (f"GET /{MARK} HTTP/1.1", 404, "unknown_path", None),
    ("GET /robots.txt HTTP/1.1", 404, "unknown_path", None),
    ("GET /metrics HTTP/1.1", 404, "unknown_path", None),
    ("GET /gateway/quote/nothing HTTP/1.1", 404, "unknown_path", None),
    ("GET /unstable/job/not-mine HTTP/1.1", 404, "unknown_job", None),
    ("GET /unstable/job/..%2finfo HTTP/1.1", 404, "unknown_job", None),
    ("PUT /text2image HTTP/1.1", 405, "method_not_allowed", "GET, POST"),
    ("GET /upscale HTTP/1.1", 405, "method_not_allowed", "POST"),
    ("DELETE /info HTTP/1.1", 405, "method_not_allowed", "GET"),
    ("POST /info HTTP/1.1", 405, "method_not_allowed", "GET"),
    ("POST /account/tx/last HTTP/1.1", 405, "method_not_allowed", "GET"),
    ("GET /gateway/quote/text2image HTTP/1.1", 405, "method_not_allowed", "POST"),
)


@pytest.mark.parametrize(("line", "status", "reason", "allowed"), ROUTES)
async def test_what_has_no_price_or_no_such_verb_is_refused(
    here: World, line: str, status: int, reason: str, allowed: str | None
) -> None:
    async with nothing_happens(here):
        answer = await told(here, message(here, GOOD, line=line))
    assert_refused(answer, status, reason)
    assert answer.fields.get("allow") == allowed


async def test_a_method_that_is_switched_off_is_refused(make_world: MakeWorld) -> None:
    tariff = (SHIPPED / "tariff.yaml").read_text().replace("  text2video:", "  text2video:\n    enabled: false", 1)
    async with make_world(tariff=tariff) as here, nothing_happens(here):
        for path in ("/text2video", "/gateway/quote/text2video"):
            assert_refused(await told(here, posted(here, path, JSON, GOOD)), 403, "unpriced")


@pytest.mark.parametrize("said", ["", "-1", "1e3", "20 credits", "0x10", "1,5", "NaN", "9" * 13, "1.2345", MARK])
async def test_an_unreadable_ceiling_is_refused(here: World, said: str) -> None:
    async with nothing_happens(here):
        answer = await told(here, message(here, GOOD, f"X-Gateway-Max-Credits: {said}"))
    assert_refused(answer, 400, "bad_header", says="X-Gateway-Max-Credits")


async def test_a_ceiling_in_other_digits_is_no_header_at_all(here: World) -> None:
    async with nothing_happens(here):
        answer = await told(here, message(here, GOOD, "X-Gateway-Max-Credits: ٣"))
    assert_refused(answer, 400, "bad_http", hides="٣")


@pytest.mark.parametrize("fields", [("yes",), ("1",), ("",), ("true", "true"), ("true", "false"), (MARK,)])
@pytest.mark.parametrize("path", ["/text2image", "/gateway/quote/text2image"])
async def test_an_unreadable_wish_for_a_dry_run_is_refused(here: World, path: str, fields: tuple[str, ...]) -> None:
    wish = [f"X-Gateway-Dry-Run: {said}" for said in fields]
    async with nothing_happens(here):
        answer = await told(here, message(here, GOOD, *wish, line=f"POST {path} HTTP/1.1"))
    assert_refused(answer, 400, "bad_header", says="X-Gateway-Dry-Run")


async def test_two_ceilings_are_refused(here: World) -> None:
    fields = ("X-Gateway-Max-Credits: 7", "X-Gateway-Max-Credits: 7")
    async with nothing_happens(here):
        assert_refused(await told(here, message(here, GOOD, *fields)), 400, "bad_header")


@pytest.mark.parametrize(("said", "status"), [("5.999", 412), ("0", 412), ("6", 200), ("7", 200)])
async def test_a_ceiling_refuses_what_is_above_it_and_nothing_else(
    make_world: MakeWorld, said: str, status: int
) -> None:
    async with make_world() as here:
        answer = await told(here, message(here, GOOD, f"X-Gateway-Max-Credits: {said}"))
        assert answer.status == status
        assert here.simulator.book.total_millicredits == (6_000 if status == 200 else 0)
        if status == 412:
            document = assert_refused(answer, 412, "above_ceiling", says="6")
            assert (document["quoted"], document["source"]) == (6, "header")
        (balance,) = await here.balances()
        assert (balance.spent.millicredits, balance.held) == (here.simulator.book.total_millicredits, Credits.ZERO)


@pytest.mark.parametrize(
    ("grants", "reason", "says"),
    [
        ({"methods": ["upscale"]}, "method_not_granted", "text2image"),
        ({"methods": []}, "method_not_granted", "text2image"),
        ({"credits_max": "5.999"}, "above_ceiling", "5.999"),
        ({"credits_max": 0}, "above_ceiling", "0"),
    ],
)
async def test_a_grant_that_does_not_cover_the_call_refuses_it(
    here: World, grants: dict[str, Any], reason: str, says: str
) -> None:
    async with nothing_happens(here):
        assert_refused(await told(here, message(here, GOOD, key=token(**grants)(here))), 403, reason, says=says)


async def test_a_dry_run_says_the_price_and_does_nothing(here: World) -> None:
    async with nothing_happens(here):
        answer = await told(here, message(here, GOOD, "X-Gateway-Dry-Run: TRUE"))
    assert (answer.status, answer.fields["content-type"]) == (200, "application/json")
    document = answer.json()
    assert (document["credits"], document["verdict"], document["refused_by"]) == (6, "granted", None)


# --- anything at all ----------------------------------------------------------------------------------------------

PATHS = ("/text2image", "/upscale", "/controlnet", "/text2image_sdxl", "/gateway/quote/upscale", "/info", "/x")
KINDS = (JSON, FORM, MULTIPART, "multipart/form-data; boundary=a", "text/plain", "application/json; charset=utf-16")
PIECES = st.sampled_from(
    [b"{", b"}", b'"', b":", b",", b"steps", b"image", b"=", b"&", b"%", b"--", b"\r\n", b"-b0und", b"1", b"\x00",
     b"\xff", b"Content-Disposition: form-data; name=", b"null", b"[", b"]", b"\\u", b"\x89PNG\r\n\x1a\n", b"\xff\xd8"]
)  # fmt: skip
BYTES = st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=30).map(b"".join))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=BYTES, kind=st.sampled_from(KINDS), path=st.sampled_from(PATHS), verb=st.sampled_from(["POST", "GET"]))
async def test_no_body_whatever_breaks_the_gateway_or_leaves_a_hold(
    here: World, body: bytes, kind: str, path: str, verb: str
) -> None:
    answer = await told(here, message(here, body, line=f"{verb} {path} HTTP/1.1", kind=kind), verb=verb)
    assert 200 <= answer.status < 500
    (balance,) = await here.balances()
    assert balance.held == Credits.ZERO


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wire=st.binary(max_size=200), dressed=st.booleans())
async def test_no_bytes_whatever_on_the_wire_break_the_gateway(here: World, wire: bytes, dressed: bool) -> None:
    sent = message(here, line="GET /info HTTP/1.1", kind=None)[:-4] + b"\r\n" + wire if dressed else wire
    async with connected(here.running.port) as peer:
        await peer.send(sent + b"\r\n\r\n")
        peer.send_no_more()
        answer = await peer.rest()
    here.canary.look("raw", answer)
    assert not re.match(rb"HTTP/\S+ 5", answer)
    assert b"aiohttp" not in answer
    assert b"Python" not in answer
    (balance,) = await here.balances()
    assert balance.held == Credits.ZERO
