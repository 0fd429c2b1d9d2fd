"""What a caller can ask about itself: the model list, its balance, its budgets, and prices in advance. All for free."""

import io
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest
from PIL import Image

from gateway.units import Credits
from tests.e2e.conftest import MakeWorld
from tests.e2e.world import Seen, World

TENANTS = """
tenants:
  rich-TAG:
    budgets:
      - {credits: 1000, every: month, zone: Europe/Berlin, starts_on: 5}
      - {credits: 300, every: total}
    each_user: [{credits: 100, every: day}]
    teams: {ads: {budgets: [{credits: 50, every: week, starts_on: friday}]}}
  poor-TAG: {budgets: [{credits: 40, every: total}]}
"""


def picture(width: int, height: int, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (70, 110, 160)).save(stream, kind)
    return stream.getvalue()


async def untouched(here: World, *names: str) -> None:
    """Nothing went upstream and nothing was written."""
    assert here.simulator.received.counts.total() == 0
    for name in names or ("rich", "poor"):
        assert (await here.audit(name)).entries == 0


# --- the model list ---------------------------------------------------------------------------------------------


async def test_the_model_list_is_open_as_it_is_upstream(here: World) -> None:
    for fields in ({}, here.key(), {"Authorization": f"Bearer {here.token()}"}, {"X-Dezgo-Key": ""}):
        answer = await here.ask("GET", "/info", headers=fields)
        assert (answer.status, answer.fields["content-type"].partition(";")[0]) == (200, "application/json")
        assert {"id", "family", "functions"} <= set(answer.json()["models"][0])
    assert here.simulator.received.counts["/info"] == 4
    assert (await here.audit()).entries == 0


async def test_a_bad_token_is_refused_even_where_none_is_needed(here: World) -> None:
    for fields in ({"X-Dezgo-Key": "DEZGO-0123"}, {"Authorization": "Basic YTpi"}, {"X-Dezgo-Key": here.token()[:-4]}):
        answer = await here.ask("GET", "/info", headers=fields)
        assert (answer.status, answer.json()["reason"]) == (401, "unauthenticated")
        assert answer.fields["www-authenticate"] == 'Bearer error="invalid_token"'
    await untouched(here)


# --- balance and budgets ----------------------------------------------------------------------------------------


async def test_the_last_transaction_is_the_callers_own_balance(here: World) -> None:
    first = await here.ask("GET", "/account/tx/last", headers=here.key("poor"))
    assert (first.status, first.json()) == (200, {"balance": 0.004})
    await here.generate(name="poor")
    await here.settled()
    second = await here.ask("GET", "/account/tx/last/", headers=here.key("poor"))
    assert (second.status, second.json()) == (200, {"balance": 0.0021})
    assert here.simulator.received.counts["/account/tx/last"] == 0


@pytest.mark.parametrize("path", ["/account/tx/last", "/gateway/budget"])
async def test_nobody_is_told_of_a_balance_without_a_token(here: World, path: str) -> None:
    assert (await here.ask("GET", path)).status == 401
    assert (await here.ask("GET", path, headers={"X-Dezgo-Key": "eyJhbGciOiJub25lIn0.e30."})).status == 401
    assert (await here.ask("POST", path, headers=here.key())).status == 405
    assert (await here.ask("GET", path, headers=here.key("nobody"))).status == 403


async def test_a_caller_sees_every_budget_on_its_path_and_no_other(make_world: MakeWorld) -> None:
    async with make_world(tenants=TENANTS) as here:
        await here.ask("POST", "/text2image", json={"prompt": "a"}, headers=here.key(user="ann", team="ads"))
        await here.settled()
        answer = await here.ask("GET", "/gateway/budget", headers=here.key(user="ann", team="ads"))
        document = answer.json()
        assert (document["tenant"], document["team"], document["user"]) == (here.tenant("rich"), "ads", "ann")
        assert document["remaining"] == 31
        budgets = {budget["budget"]: budget for budget in document["budgets"]}
        assert set(budgets) == {"tenant/month", "tenant/total", "team:ads/week", "each:ann/day"}
        assert {budget["spent"] for budget in budgets.values()} == {19}
        assert {budget["held"] for budget in budgets.values()} == {0}
        assert {name: budget["remaining"] for name, budget in budgets.items()} == {
            "tenant/month": 981,
            "tenant/total": 281,
            "team:ads/week": 31,
            "each:ann/day": 81,
        }
        assert (budgets["tenant/total"]["began"], budgets["tenant/total"]["resets"]) == (None, None)
        assert budgets["tenant/month"]["resets_in_s"] > 0
        other = (await here.ask("GET", "/gateway/budget", headers=here.key(user="bob"))).json()
        assert [(b["budget"], b["spent"]) for b in other["budgets"]] == [
            ("tenant/month", 19),
            ("tenant/total", 19),
            ("each:bob/day", 0),
        ]


# --- prices in advance ------------------------------------------------------------------------------------------


async def called(
    here: World, field: str, value: str, *, job: Mapping[str, Any] | None = None, name: str = "rich"
) -> Seen:
    """A paid call with one of the gateway's own request fields."""
    return await here.ask("POST", "/text2image", json=job or {"prompt": "a"}, headers={**here.key(name), field: value})


async def asked(here: World, method: str, fields: Mapping[str, str] | None = None, **body: Any) -> Seen:
    return await here.ask("POST", f"/gateway/quote/{method}", headers={**here.key(), **(fields or {})}, **body)


def form(**fields: str | bytes) -> aiohttp.FormData:
    """A multipart body; bytes become files."""
    made = aiohttp.FormData(default_to_multipart=True)
    for name, value in fields.items():
        if isinstance(value, bytes):
            made.add_field(name, value, filename="in.png", content_type="image/png")
        else:
            made.add_field(name, value)
    return made


def encoded(image: bytes) -> str:
    import base64

    return base64.b64encode(image).decode()


JSON_QUOTES: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("text2image", {"prompt": "a"}, 19),
    ("text2image", {"prompt": "a", "width": 768, "height": 768}, 87),
    ("text2image", {"prompt": "a", "width": "1024", "height": 1024, "steps": None}, 181),
    ("text2image", {"prompt": "a", "upscale": 2}, 31),
    ("text2image_sdxl", {"prompt": "a", "steps": 40}, 96),
    ("upscale", {"image": encoded(picture(768, 768))}, 29),
    ("image2image", {"prompt": "a", "init_image": encoded(picture(1024, 1024, "JPEG"))}, 181),
    ("controlnet", {"prompt": "a", "init_image": encoded(picture(512, 512, "WEBP"))}, 38),
)


@pytest.mark.parametrize(("method", "job", "credits"), JSON_QUOTES)
async def test_a_json_body_is_priced_without_being_sent(
    here: World, method: str, job: dict[str, Any], credits: int
) -> None:
    answer = await asked(here, method, json=job)
    document = answer.json()
    assert (answer.status, document["method"], document["credits"], document["held"]) == (200, method, credits, credits)
    assert document["usd"] == f"0.{credits:04d}"
    assert sum(line["credits"] for line in document["lines"]) == credits
    assert (document["verdict"], document["refused_by"], document["cheaper"]) == ("granted", None, None)
    assert [budget["bears_it"] for budget in document["budgets"]] == [True]
    await untouched(here)


async def test_forms_and_multipart_are_priced_as_their_calls_would_be(here: World) -> None:
    image = picture(1024, 1024)
    quotes = [
        await asked(here, "text2image", data={"prompt": "a", "width": "768", "height": "768"}),
        await asked(here, "text2image", data=form(prompt="a", steps="50")),
        await asked(here, "upscale", data=form(image=image)),
        await asked(here, "image2image", data=form(prompt="a", init_image=image, steps="10")),
    ]
    assert [(quote.status, quote.json()["credits"]) for quote in quotes] == [(200, 87), (200, 33), (200, 51), (200, 60)]
    await untouched(here)


async def test_a_quote_of_a_body_that_would_be_refused_is_refused_alike(here: World) -> None:
    for job, reason in (
        ({"prompt": "a", "steps": "many"}, "invalid_parameter"),
        ({"prompt": "a", "width": 10**9}, "invalid_parameter"),
    ):
        quote, call = await asked(here, "text2image", json=job), await here.generate(job)
        assert (quote.status, quote.json()["reason"]) == (call.status, call.json()["reason"]) == (400, reason)
    assert (await asked(here, "upscale", data=form(image=b"GIF89a"))).json()["reason"] == "bad_image"
    assert (await asked(here, "no_such_method", json={})).json()["reason"] == "unpriced"
    await untouched(here)


async def test_a_quote_says_which_budget_would_refuse_and_what_would_fit(here: World) -> None:
    job = {"prompt": "a", "width": 768, "height": 768}
    quote = await here.ask("POST", "/gateway/quote/text2image", json=job, headers=here.key("poor"))
    dry = await called(here, "X-Gateway-Dry-Run", "true", job=job, name="poor")
    assert (quote.status, dry.status, quote.json()) == (200, 200, dry.json())
    document = dry.json()
    assert (document["verdict"], document["refused_by"]) == ("refused", "tenant/total")
    assert [budget["bears_it"] for budget in document["budgets"]] == [False]
    cheaper = {name: document["cheaper"][name] for name in ("width", "height", "steps", "upscale")}
    await untouched(here)
    # What it proposes is kept: that very call is granted, at the very price.
    again = await here.generate({"prompt": "a", **cheaper}, name="poor")
    assert (again.status, again.fields["x-credits-cost"]) == (200, str(document["cheaper"]["credits"]))


async def test_a_dry_run_walks_the_real_path_and_sends_nothing(here: World) -> None:
    answer = await called(here, "X-Gateway-Dry-Run", "true")
    assert (answer.status, answer.json()["verdict"], answer.json()["credits"]) == (200, "granted", 19)
    assert "x-credits-cost" not in answer.fields
    for said in ("yes", "1", "true, true", ""):
        refused = await called(here, "X-Gateway-Dry-Run", said)
        assert (refused.status, refused.json()["reason"]) == (400, "bad_header")
    await untouched(here)
    assert (await called(here, "X-Gateway-Dry-Run", "false")).fields["x-credits-cost"] == "19"


async def test_a_ceiling_refuses_what_would_cost_more(here: World) -> None:
    for ceiling in ("18", "18.999", "0"):
        refused = await called(here, "X-Gateway-Max-Credits", ceiling)
        document = refused.json()
        assert (refused.status, document["reason"], document["quoted"]) == (412, "above_ceiling", 19)
        assert str(Credits.parse(ceiling)) == str(document["ceiling"])
    for ceiling in ("-1", "1e3", "0x13", "19,0", "19.0001", "", "1" * 40):
        refused = await called(here, "X-Gateway-Max-Credits", ceiling)
        assert (refused.status, refused.json()["reason"]) == (400, "bad_header")
    await untouched(here)
    assert (await called(here, "X-Gateway-Max-Credits", "19")).status == 200


async def test_a_tokens_grants_narrow_what_it_may_do(here: World) -> None:
    few = here.key(credits_max=Credits.whole(18))
    refused = await here.ask("POST", "/text2image", json={"prompt": "a"}, headers=few)
    assert (refused.status, refused.json()["reason"], refused.json()["source"]) == (403, "above_ceiling", "grant")
    only = here.key(methods=frozenset({"upscale"}))
    refused = await here.ask("POST", "/text2image", json={"prompt": "a"}, headers=only)
    assert (refused.status, refused.json()["reason"]) == (403, "method_not_granted")
    quote = await here.ask("POST", "/gateway/quote/text2image", data=json.dumps({"prompt": "a"}), headers=only)
    assert quote.status == 403
    quote = await here.ask("POST", "/gateway/quote/upscale", data=form(image=picture(512, 512)), headers=only)
    assert (quote.status, quote.json()["credits"]) == (200, 12)
    await untouched(here)
