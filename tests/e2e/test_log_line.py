"""The canonical line of real calls: what a person asks afterwards stands in it, and nothing written in confidence."""

import re
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.e2e.refusals import lasting_world
from tests.e2e.world import World, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

TENANTS = """
tenants:
  rich-TAG: {budgets: [{credits: 1000000, every: month}]}
  poor-TAG: {budgets: [{credits: 40, every: month}]}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[World]:
    async with lasting_world(tmp_path_factory.mktemp("lines"), store_url, tenants=TENANTS) as made:
        yield made


async def line_of(here: World, request_id: str) -> dict[str, Any]:
    """The line of one request."""

    def found() -> list[dict[str, Any]]:
        return [line for line in here.lines() if line["event"] == "request" and line["request_id"] == request_id]

    await until(found)
    (line,) = found()
    return line


async def told(
    here: World, body: Any, *, name: str = "rich", path: str = "/text2image", **fields: str
) -> dict[str, Any]:
    """Ask, and the line of it."""
    seen = await here.ask("POST", path, json=body, headers={**here.key(name), **fields})
    return await line_of(here, seen.fields["x-request-id"])


async def test_a_served_call_says_what_was_made_and_what_it_cost(here: World) -> None:
    line = await told(here, {"prompt": "a", "width": 1024, "height": 1024, "model": "dreamshaper_8", "seed": "4711"})
    money = {name: line[name] for name in ("quoted", "items", "held", "charged", "saving", "flag", "overrun", "drift")}
    assert money == {
        "quoted": 181,
        "items": "image:181",
        "held": 181,
        "charged": 181,
        "saving": 150,
        "flag": "confirmed",
        "overrun": 0,
        "drift": 0,
    }
    assert (line["method"], line["model"], line["size"], line["steps"]) == (
        "text2image",
        "dreamshaper_8",
        "1024x1024",
        30,
    )
    assert (line["tenant"], line["user"], line["route"]) == (here.tenant("rich"), "ann", "text2image")
    assert (line["outcome"], line["reason"], line["status"], line["upstream_status"]) == ("served", "ok", 200, 200)
    assert line["hold_id"] == line["request_id"]
    assert line["seed"] == "4711"
    assert line["total_ms"] >= line["upstream_ms"] >= line["upstream_head_ms"] > 0
    assert line["total_ms"] > line["hold_ms"] > 0


async def test_a_call_names_the_upstreams_job_and_every_line_of_its_price(here: World) -> None:
    seen = await here.ask("POST", "/text2image", json={"prompt": "a", "upscale": 2}, headers=here.key())
    line = await line_of(here, seen.fields["x-request-id"])
    assert line["job_id"] == seen.fields["x-dezgo-job-id"]
    assert line["items"] == "image:19 upscale:12"


async def test_a_refusal_says_by_what(here: World) -> None:
    budget = await told(here, {"prompt": "a", "steps": 100}, name="poor")
    assert (budget["reason"], budget["binding"], budget["remaining"]) == ("budget_exhausted", "tenant/month", 40)
    assert 0 < budget["reset_s"] <= 31 * 86_400
    assert budget["quoted"] == 66
    assert "hold_id" not in budget
    above = await told(here, {"prompt": "a"}, **{"X-Gateway-Max-Credits": "18.5"})
    assert (above["reason"], above["ceiling"], above["code"]) == ("above_ceiling", 18.5, "header")
    odd = await told(here, {"prompt": "a", "steps": "many"})
    assert (odd["reason"], odd["parameter"]) == ("invalid_parameter", "steps")


TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
LEGAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS, TEXTS, st.sampled_from(("good", "tampered", "made up", "none")))
async def test_whatever_is_sent_only_a_legal_models_name_is_told(
    here: World, prompt: str, negative: str, model: str, token: str
) -> None:
    secret, named = secrets.token_hex(8), secrets.token_hex(8)
    bearer = here.token(user=f"u{secrets.token_hex(4)}")
    sent = {"good": bearer, "tampered": bearer[:-4] + "AAAA", "made up": f"{secret}.{secret}.{secret}", "none": ""}[
        token
    ]
    body = {"prompt": prompt + secret, "negative_prompt": secret + negative, "model": model + named, "steps": 10}
    before = len(here.log.getvalue())
    seen = await here.ask("POST", "/text2image", json=body, headers={"X-Dezgo-Key": sent} if sent else {})
    later = await here.ask("GET", "/gateway/budget", headers=here.key())
    await line_of(here, later.fields["x-request-id"])
    written = here.log.getvalue()[before:]
    assert secret not in written
    assert not sent or sent.split(".")[2] not in written
    legal = token == "good" and LEGAL.fullmatch(model + named) is not None
    assert (named in written) == legal
    # Of strangers' refusals only so many a second have a line.
    lines = [line for line in here.lines() if line.get("request_id") == seen.fields["x-request-id"]]
    assert len(lines) == 1 or token != "good"
    assert all(line.get("model") == (model + named if legal else None) for line in lines)
