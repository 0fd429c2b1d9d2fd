"""A call with an idempotency key is made and charged once, and whoever repeats it is told what it came to."""

import asyncio
import hashlib
import io
import json
from collections import Counter
from typing import Any

import aiohttp
import pytest

from gateway.app import App
from gateway.units import Credits
from tests.e2e.conftest import MakeWorld
from tests.e2e.test_client_disconnect import peer, request_bytes
from tests.e2e.test_metrics import samples, total
from tests.e2e.world import Seen, World, until

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
FORM = b"prompt=a+fox&steps=30"
PARTS = b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na fox\r\n--x--\r\n'

# Content type and body of one call, in all the forms there are.
BODIES = {
    "json": ("application/json", b'{"prompt":"a fox"}'),
    "form": ("application/x-www-form-urlencoded", FORM),
    "multipart": ("multipart/form-data; boundary=x", PARTS),
}


async def call(here: World, key: str = KEY, *, name: str = "rich", verb: str = "POST", **said: Any) -> Seen:
    """A paid call under a key; `said` may bring its kind, body, path, user and further fields."""
    kind, body = said.get("kind", "application/json"), said.get("body", b'{"prompt":"a fox"}')
    fields = {"Content-Type": kind, "Idempotency-Key": key, **said.get("fields", {})}
    who = here.key(name, user=said.get("user", "ann"))
    return await here.ask(verb, said.get("path", "/text2image"), data=body, headers={**who, **fields})


async def repeat(here: World, key: str = KEY, **said: Any) -> Seen:
    """The same call once more, when the first has been booked."""
    await here.settled()
    return await call(here, key, **said)


def assert_ended(answer: Seen, first: Seen, *, charged: int = 19, flag: str = "confirmed") -> None:
    """The answer tells all that is known of the first call."""
    document = answer.json()
    assert (answer.status, document["reason"]) == (409, "idempotency_ended")
    assert answer.fields["content-type"] == "application/problem+json"
    assert (answer.fields["idempotency-replayed"], answer.fields["x-credits-cost"]) == ("true", str(charged))
    assert answer.fields["x-request-id"] != first.fields["x-request-id"]
    assert document["first"] == {
        "request_id": first.fields["x-request-id"],
        "charged": charged,
        "charged_usd": Credits.whole(charged).usd(),
        "flag": flag,
        "status": first.status,
        "reason": "ok",
        "content_type": first.fields["content-type"],
        "bytes": len(first.body),
        "sha256": hashlib.sha256(first.body).hexdigest(),
        "seed": first.fields.get("x-input-seed"),
        "job_id": first.fields.get("x-dezgo-job-id"),
    }


def upstream_calls(here: World) -> int:
    return here.simulator.received.counts.total()


async def assert_paid_once(here: World, *, calls: int = 1) -> None:
    """One call upstream, one charge there, one charge here."""
    assert upstream_calls(here) == here.simulator.book.count == calls
    assert here.simulator.book.total_millicredits == 19_000 * calls
    (balance,) = await here.balances()
    assert (balance.spent, balance.held) == (Credits.whole(19 * calls), Credits.ZERO)
    audit = await here.audit()
    assert (audit.entries, audit.differences) == (2 * calls, ())


@pytest.mark.parametrize("verb", ["POST", "GET"])
@pytest.mark.parametrize("form", BODIES)
async def test_the_same_call_again_is_not_made_and_told_by_its_facts(here: World, form: str, verb: str) -> None:
    kind, body = BODIES[form]
    first = await call(here, verb=verb, kind=kind, body=body)
    assert (first.status, "idempotency-replayed" in first.fields) == (200, False)
    for _ in range(3):
        assert_ended(await repeat(here, verb=verb, kind=kind, body=body), first)
    await assert_paid_once(here)


async def test_fifty_at_once_over_two_gateways_make_one_call_and_one_charge(here: World) -> None:
    here.simulator.faults.next("slow:0.3")
    fields = {**here.key(), "Content-Type": "application/json", "Idempotency-Key": KEY}

    async def ask(session: aiohttp.ClientSession, port: int) -> str:
        url = f"http://127.0.0.1:{port}/text2image"
        async with session.post(url, data=b'{"prompt":"a fox"}', headers=fields) as answer:
            body = await answer.read()
        return "ok" if answer.status == 200 else str(json.loads(body)["reason"])

    app = App(here.settings, log_stream=io.StringIO())
    connector = aiohttp.TCPConnector(limit=100)
    async with app.running() as second, aiohttp.ClientSession(connector=connector) as session:
        ports = (here.running.port, second.port)
        found = Counter(await asyncio.gather(*(ask(session, port) for port in ports * 25)))
        await second.settler.drain(5)
        assert (found["ok"], found["idempotency_open"] + found["idempotency_ended"]) == (1, 49), found
        assert found["idempotency_open"] > 0
        await assert_paid_once(here)
        assert {await ask(session, port) for port in ports} == {"idempotency_ended"}
    await assert_paid_once(here)


@pytest.mark.parametrize(
    "said",
    [
        {"body": b'{"prompt":"a wolf"}'},
        {"body": b'{"prompt": "a fox"}'},
        {"path": "/text2image?a=1"},
        {"path": "/text2image_sdxl"},
        {"kind": "application/json; charset=utf-8"},
        {"verb": "GET"},
    ],
    ids=str,
)
async def test_another_call_under_the_key_is_refused_and_costs_nothing(here: World, said: dict[str, Any]) -> None:
    await call(here)
    answer = await repeat(here, **said)
    assert (answer.status, answer.json()["reason"]) == (422, "idempotency_mismatch")
    assert answer.fields["content-type"] == "application/problem+json"
    assert "idempotency-replayed" not in answer.fields
    await assert_paid_once(here)


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_client_that_left_finds_its_call_open_and_then_ended(here: World, how: str) -> None:
    here.simulator.faults.next("slow:0.4")
    body = b'{"prompt":"a fox"}'
    async with peer(here) as client:
        await client.send(request_bytes(here, fields=f"Idempotency-Key: {KEY}\r\n", body=body))
        await until(lambda: upstream_calls(here) == 1)
        client.leave(how)
    answer = await call(here)
    assert (answer.status, answer.json()["reason"]) == (409, "idempotency_open")
    assert 1 <= int(answer.fields["retry-after"]) <= 5
    await until(lambda: any(line["event"] == "request" and "charged" in line for line in here.lines()))
    told = (await repeat(here)).json()["first"]
    assert (told["status"], told["reason"], told["charged"], told["flag"]) == (200, "ok", 19, "confirmed")
    assert told["sha256"]
    await assert_paid_once(here)


@pytest.mark.parametrize("flavour", ["direct", "rapidapi"])
async def test_an_asynchronous_jobs_answer_is_told_again_byte_for_byte_and_its_job_can_be_polled(
    make_world: MakeWorld, flavour: str
) -> None:
    async with make_world(flavour=flavour) as here:
        here.simulator.faults.next("async_job")
        first = await call(here)
        again = await repeat(here)
        assert (again.status, again.body) == (first.status, first.body)
        told_of = ("content-type", "content-length", "x-credits-cost", "x-dezgo-job-amount-usd", "x-dezgo-job-id")
        assert [again.fields.get(name) for name in told_of] == [first.fields.get(name) for name in told_of]
        assert again.fields["idempotency-replayed"] == "true"
        await assert_paid_once(here)
        job_id = again.json()["tx"]["_id"]
        assert (await here.ask("GET", f"/unstable/job/{job_id}", headers=here.key())).status == 200


async def test_a_call_that_never_reached_the_upstream_gives_its_key_back(here: World) -> None:
    await here.simulator.stop()
    for body in (b'{"prompt":"a fox"}', b'{"prompt":"a wolf"}'):
        assert (await repeat(here, body=body)).json()["reason"] == "upstream_unreachable"
    (balance,) = await here.balances()
    assert (balance.spent, balance.held) == (Credits.ZERO, Credits.ZERO)


@pytest.mark.parametrize(("fault", "charged"), [("status:400", 0), ("status:503", 0), ("status:400 charged", 19)])
async def test_an_error_of_the_upstreams_is_told_again_and_not_asked_for_again(
    here: World, fault: str, charged: int
) -> None:
    here.simulator.faults.next(fault)
    first = await call(here)
    again = await repeat(here)
    assert first.fields["content-type"] == again.fields["content-type"] == "application/problem+json"
    assert (again.status, again.body) == (first.status, first.body)
    assert (again.fields["idempotency-replayed"], again.fields["x-credits-cost"]) == ("true", str(charged))
    assert upstream_calls(here) == 1
    assert (await here.balances())[0].spent == Credits.whole(charged)


@pytest.mark.parametrize(
    ("fault", "reason", "charged", "flag"),
    [
        ("cut:head", "upstream_unanswered", 19, "uncertain"),
        ("cut:100 charge:missing", "upstream_unanswered", 19, "uncertain"),
        ("redirect:http://127.0.0.1:9/elsewhere", "upstream_redirect", None, None),
        ("echo", "upstream_leak", None, None),
    ],
)
async def test_a_call_that_went_wrong_is_told_with_its_reason_and_never_made_again(
    here: World, fault: str, reason: str, charged: int | None, flag: str | None
) -> None:
    here.simulator.faults.next(fault)
    try:
        await call(here)
    except aiohttp.ClientError:
        assert fault.startswith("cut")
    await until(lambda: any(line["event"] == "request" for line in here.lines()))
    answer = await repeat(here)
    told = answer.json()["first"]
    assert (answer.status, told["reason"], told["sha256"]) == (409, reason, None)
    assert charged is None or (told["charged"], told["flag"]) == (charged, flag)
    assert upstream_calls(here) == 1


async def test_an_exhausted_account_gives_the_key_back(here: World) -> None:
    here.simulator.faults.next("exhausted")
    assert (await call(here)).json()["reason"] == "upstream_exhausted"
    await here.settled()
    other = await call(here, body=b'{"prompt":"a wolf"}')
    assert other.json()["reason"] == "upstream_exhausted"  # and not that the key is another call's
    (balance,) = await here.balances()
    assert (balance.spent, balance.held) == (Credits.ZERO, Credits.ZERO)


async def test_what_is_refused_before_it_is_sent_leaves_the_key_free(here: World) -> None:
    assert (await call(here, fields={"X-Gateway-Max-Credits": "1"})).status == 412
    assert (await call(here, body=b'{"steps":"many"}')).status == 400
    for _ in range(2):
        assert (await here.generate(name="poor")).status == 200
    for body in (b'{"prompt":"a fox"}', b'{"prompt":"a wolf"}'):
        assert (await call(here, name="poor", body=body)).json()["reason"] == "budget_exhausted"
    assert (await call(here)).status == 200


async def test_an_empty_budget_does_not_hide_a_first_call(here: World) -> None:
    first = await call(here, name="poor")
    assert (await here.generate(name="poor")).status == 200
    assert (await here.generate(name="poor")).status == 402
    assert_ended(await repeat(here, name="poor"), first)


async def test_quotes_dry_runs_and_free_calls_do_not_look_at_the_key(here: World) -> None:
    for key in (KEY, "two words"):
        assert (await call(here, key, fields={"X-Gateway-Dry-Run": "true"})).status == 200
        assert (await call(here, key, path="/gateway/quote/text2image")).status == 200
        for path in ("/info", "/gateway/budget", "/account/tx/last"):
            fields = {**here.key(), "Idempotency-Key": key}
            assert (await here.ask("GET", path, headers=fields)).status == 200
    assert here.simulator.book.count == 0
    assert (await call(here)).status == 200


async def test_a_key_is_nobodys_but_who_pays(here: World) -> None:
    answers = [await call(here), await call(here, user="bob"), await call(here, name="poor")]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert upstream_calls(here) == 3
    assert_ended(await repeat(here, user="bob"), answers[1])


# --- spellings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [(KEY, f'"{KEY}"'), (f'"{KEY}"', KEY), ('"two words"', '"two words"'), ("k" * 255, f'"{"k" * 255}"')],
)
async def test_quoted_and_bare_are_the_same_key(here: World, one: str, other: str) -> None:
    first = await call(here, one)
    assert_ended(await repeat(here, other), first)
    await assert_paid_once(here)


@pytest.mark.parametrize(
    "key", ["", '""', "two words", "a,b", '"', 'a"b', "a\\b", '"a";p=1', "k" * 256, f'"{"k" * 256}"']
)
async def test_what_is_no_key_is_refused_and_costs_nothing(here: World, key: str) -> None:
    answer = await call(here, key)
    document = answer.json()
    assert (answer.status, document["reason"], document["header"]) == (400, "bad_header", "Idempotency-Key")
    assert upstream_calls(here) == 0
    assert (await here.audit()).entries == 0


async def test_two_keys_are_refused(here: World) -> None:
    fields = f"Idempotency-Key: {KEY}\r\nIdempotency-Key: {KEY}\r\n"
    async with peer(here) as client:
        await client.send(request_bytes(here, fields=fields))
        assert (await client.reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 400 ")
    assert upstream_calls(here) == 0


# --- what is seen of it -------------------------------------------------------------------------------------


async def test_neither_key_nor_body_is_forwarded_logged_counted_or_kept(here: World) -> None:
    key, prompt = "canary-of-a-key-4711", "a-canary-of-a-prompt"
    body = json.dumps({"prompt": prompt}).encode()
    for said in (key, f'"{key}"'):
        await call(here, said, body=body)
        await here.settled()
    await call(here, key, body=b"{}")
    await call(here, f"{key} x")
    (arrival,) = here.simulator.received.newest
    assert arrival.field("idempotency-key") is None
    store = here.running.ledger._store
    kept = [
        await store.call("HGETALL", name) for name in await store.call("KEYS", f"dgw:{{{here.tenant('rich')}}}:once:*")
    ]
    assert len(kept) == 1
    for shown in (here.log.getvalue(), await here.metrics(), repr(kept), repr(here.running)):
        assert key not in shown
        assert prompt not in shown


async def test_lines_and_metrics_tell_repeats_apart_and_give_them_no_money(here: World) -> None:
    here.simulator.faults.next("async_job")
    await call(here)
    await repeat(here)
    await call(here, body=b"{}")
    await call(here, "another")
    await repeat(here, "another")
    await here.settled()
    await until(lambda: len(here.lines()) == 5)
    first, replayed, mismatch, _, ended = here.lines()
    assert (first["outcome"], "replayed" in first, first["once"]) == ("served", False, replayed["once"])
    assert (replayed["outcome"], replayed["reason"], replayed["replayed"]) == ("replayed", "ok", True)
    assert (mismatch["outcome"], mismatch["reason"], mismatch["once"]) == (
        "refused",
        "idempotency_mismatch",
        first["once"],
    )
    assert (ended["outcome"], ended["reason"], ended["replayed"]) == ("refused", "idempotency_ended", True)
    assert len(first["once"]) == 12
    assert not {"held", "charged", "upstream_status"} & (replayed.keys() | mismatch.keys() | ended.keys())
    found = await samples(here)
    assert total(found, "refusals_total", reason="idempotency_mismatch") == 1
    assert total(found, "refusals_total", reason="idempotency_ended") == 1
    assert total(found, "requests_total", outcome="replayed", status_class="2xx") == 1
    assert total(found, "credits_charged_total") == 38
