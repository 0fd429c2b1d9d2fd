"""What callers send stays theirs: no token or prompt in a log line, metric or upstream field; no name to be learned."""

import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.bad_tokens import token
from tests.e2e.raw import message, told
from tests.e2e.refusals import assert_refused, lasting_world
from tests.e2e.world import World
from tests.unit.parse.pictures import encoded

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[World]:
    async with lasting_world(tmp_path_factory.mktemp("private"), store_url) as made:
        yield made


PROMPTS = {
    "plain": "a fox in the snow",
    "not Latin": "狐狸 🦊 e\u0301 \u202eevil\u202c",
    "controls": "fox\x1b[31m\x07\r\nX-A: b",
    "templates": "{{7*7}} ${jndi:ldap://x/} %s%n '; DROP TABLE x; --",
    "1 MB": "fox " * 250_000,
}


@pytest.mark.parametrize("kind", PROMPTS)
async def test_a_prompt_arrives_byte_for_byte_and_stands_in_no_log_line_and_no_metric(here: World, kind: str) -> None:
    mark = secrets.token_hex(8)
    body = json.dumps({"prompt": f"{mark} {PROMPTS[kind]}", "steps": 10}, ensure_ascii=kind == "controls").encode()
    assert (await told(here, message(here, body))).status == 200
    newest = here.simulator.received.newest[-1]
    assert (newest.body_sha256, newest.body_bytes) == (hashlib.sha256(body).hexdigest(), len(body))
    refused = json.dumps({"prompt": mark, "steps": f"{mark}!"}).encode()
    assert_refused(await told(here, message(here, refused)), 400, "invalid_parameter", hides=mark)
    await here.settled()
    assert mark not in here.log.getvalue()
    assert mark not in await here.metrics()


async def test_no_byte_of_an_image_is_logged(here: World) -> None:
    image = base64.b64encode(encoded("PNG", 40, 30)).decode()
    good = json.dumps({"image": image}).encode()
    assert (await told(here, message(here, good, line="POST /upscale HTTP/1.1"))).status == 200
    bad = json.dumps({"image": image[:-8]}).encode()
    assert_refused(await told(here, message(here, bad, line="POST /upscale HTTP/1.1")), 400, "bad_image")
    assert image[:24] not in here.log.getvalue()


BODY = b'{"prompt":"a","steps":10}'


@pytest.mark.parametrize(
    ("fields", "line", "status"),
    [
        (("X-Dezgo-Key: {}",), "POST /text2image HTTP/1.1", 200),
        (("Authorization: Bearer {}", "X-RapidAPI-Key: {}"), "POST /text2image HTTP/1.1", 200),
        (("X-Dezgo-Key: {}x",), "POST /text2image HTTP/1.1", 401),
        (("Cookie: token={}",), "POST /text2image HTTP/1.1", 401),
        (("X-Dezgo-Key: {}", "Cookie: token={}"), "POST /text2image HTTP/1.1", 200),
        (("X-Dezgo-Key: {}",), "POST /text2image?access_token={} HTTP/1.1", 400),
        (("X-Dezgo-Key: {}",), "POST /{} HTTP/1.1", 403),
    ],
)
async def test_a_token_is_neither_logged_nor_forwarded(
    here: World, fields: tuple[str, ...], line: str, status: int
) -> None:
    bearer = here.token(user=f"u{secrets.token_hex(4)}")
    wire = message(here, BODY, *(field.format(bearer) for field in fields), line=line.format(bearer), key="")
    assert (await told(here, wire)).status == status
    for part in (bearer, bearer.split(".")[2]):
        assert part not in here.log.getvalue()
        for arrived in here.simulator.received.newest:
            assert part not in repr(arrived.fields) + arrived.target
            assert part.encode() not in arrived.body


async def test_refusals_of_tokens_are_the_same_whatever_is_known_of_their_tenant_key_or_issuer(here: World) -> None:
    """ID26: who holds no key learns of no name."""
    known = here.tenant("rich")
    tokens = {
        "known tenant, wrong signature": token(secret="x" * 64, tenant=known),
        "unknown tenant, wrong signature": token(secret="x" * 64, tenant="nobody"),
        "unknown key": token(header={"kid": "k9"}),
        "unknown issuer": token(iss="somebody"),
        "another audience": token(aud="somebody"),
        "expired": token(exp=1),
        "wrong algorithm": token(header={"typ": "refresh+jwt"}),
    }
    answers = set()
    for make in tokens.values():
        answer = await told(here, message(here, BODY, key=make(here)))
        document = {name: value for name, value in answer.json().items() if name != "instance"}
        fields = {name: value for name, value in answer.fields.items() if name not in ("x-request-id", "date")}
        answers.add((answer.status, json.dumps(document, sort_keys=True), json.dumps(fields, sort_keys=True)))
    assert len(answers) == 1
