"""A walk over the description: whatever is asked, the answer is one that it names, and the books agree."""

import json
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.units import Credits
from tests.e2e.refusals import lasting_world
from tests.e2e.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = 120
Document = Mapping[str, Any]

VALUES: st.SearchStrategy[Any] = (
    st.integers(-2, 5000)
    | st.sampled_from(["", "30", "030", "1e3", "NaN", "١", "0x10", True, None, 0.5, 10**30, [], {}, "x" * 300])
    | st.text(max_size=12)
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[World]:
    """One world for the whole walk."""
    async with lasting_world(tmp_path_factory.mktemp("walk"), store_url) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(here: World) -> Document:
    """What the gateway says of itself, to anybody."""
    answer = await here.ask("GET", "/gateway/openapi.json")
    assert answer.status == 200
    assert answer.fields["content-type"] == "application/json"
    told: Document = answer.json()
    return told


def fields(here: World, chosen: random.Random) -> dict[str, str]:
    """A token in one of its places, or none, or a wrong one; and the caller's wishes, some of them unreadable."""
    token = chosen.choice([here.token(), here.token(), here.token(), here.token("poor"), "no.such.token", ""])
    place = chosen.choice(["X-Dezgo-Key", "X-RapidAPI-Key", "Authorization"])
    said = {place: f"Bearer {token}" if place == "Authorization" else token} if token else {}
    if not chosen.randrange(4):
        said["X-Gateway-Max-Credits"] = chosen.choice(["1", "1000000", "0.5", "x", "-1"])
    if not chosen.randrange(4):
        said["X-Gateway-Dry-Run"] = chosen.choice(["true", "false", "maybe"])
    return said


def body(operation: Document, chosen: random.Random, values: list[Any]) -> tuple[dict[str, str], bytes]:
    """A body of one of the described kinds, or of none, its priced parameters as they came."""
    contents = operation.get("requestBody", {}).get("content")
    if contents is None or not chosen.randrange(8):
        return {}, b""
    kind = chosen.choice([*contents, "application/json", "application/json", "text/plain"])
    names = [*contents["application/json"]["schema"]["properties"], "prompt", "seed"]
    job = dict(zip(chosen.sample(names, len(names)), values, strict=False))
    if kind == "application/x-www-form-urlencoded":
        return {"Content-Type": kind}, urlencode(job, errors="replace").encode()
    text = json.dumps(job).encode()
    return {"Content-Type": kind}, text if chosen.randrange(8) else text[:-1]


def named(document: Document, operation: Document, status: int) -> Document | None:
    """What the description says of an answer with `status`; None when it says nothing."""
    said: Document | None = operation["responses"].get(str(status))
    if said is not None and "$ref" in said:
        said = document["components"]["responses"][said["$ref"].rsplit("/", 1)[1]]
    return said


def assert_described(document: Document, operation: Document, answer: Any) -> None:
    """The answer is one the description names: status, content type, reason."""
    said = named(document, operation, answer.status)
    kind = answer.fields.get("content-type", "").partition(";")[0]
    if kind != "application/problem+json":
        assert (said is not None and {kind, "*/*"} & set(said["content"])) or "default" in operation["responses"]
        return
    told = answer.json()
    if "reason" not in told:  # the upstream speaks of problems too, in its own words
        assert "default" in operation["responses"], told
        assert said is None or "anyOf" in said["content"][kind]["schema"], told
        return
    assert said is not None, (answer.status, told["reason"])
    schema = said["content"][kind]["schema"]
    whole, narrower = schema.get("anyOf", [schema])[0]["allOf"]
    problem = document["components"]["schemas"][whole["$ref"].rsplit("/", 1)[1]]
    assert set(problem["required"]) <= set(told)
    assert told["reason"] in narrower["properties"]["reason"]["enum"]
    assert told["type"] in narrower["properties"]["type"]["enum"]
    assert answer.fields["x-request-id"] in told["instance"]


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32), values=st.lists(VALUES, min_size=12, max_size=12))
async def test_whatever_is_asked_is_answered_as_described(
    here: World, document: Document, seed: int, values: list[Any]
) -> None:
    chosen = random.Random(seed)  # noqa: S311 - chooses examples
    path = chosen.choice(sorted(document["paths"]))
    verb, operation = chosen.choice([(v, o) for v, o in document["paths"][path].items() if v != "parameters"])
    kind, content = body(operation, chosen, values)
    said = {**fields(here, chosen), **kind}
    answer = await here.ask(verb.upper(), path.replace("{job}", "abc-9"), headers=said, data=content)
    assert answer.status < 500, answer.body  # the upstream is well, so nothing else is to be heard
    assert_described(document, operation, answer)


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
async def test_a_verb_that_is_not_described_is_405_and_says_which_are(
    here: World, document: Document, verb: str
) -> None:
    for path, item in document["paths"].items():
        if verb.lower() in item:
            continue
        answer = await here.ask(verb, path.replace("{job}", "abc-9"), headers=here.key())
        described = sorted(name.upper() for name in item if name != "parameters")
        assert (answer.status, answer.fields["allow"]) == (405, ", ".join(described)), path


async def test_after_the_walk_the_books_agree_and_nothing_is_held(here: World) -> None:
    """Whatever order the tests ran in: ledger and upstream say the same."""
    spent = Credits.ZERO
    for name in ("rich", "poor"):
        (balance,) = await here.balances(name)
        assert balance.held == Credits.ZERO
        assert not (await here.audit(name)).differences
        spent += balance.spent
    assert spent.millicredits == here.simulator.book.total_millicredits


async def test_operators_are_answered_as_described(here: World) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(here.ops_url + "/openapi.json") as answer:
            described = await answer.json()
        for path, item in described["paths"].items():
            for verb in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
                async with session.request(verb, here.ops_url + path) as answer:
                    expected = 200 if verb.lower() in item else 405
                    assert answer.status == expected
