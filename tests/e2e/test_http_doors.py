"""The doors' own rules on top of HTTP: bounds on heads, trailers, pipelines, browsers, proxies in front."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp.web_protocol import RequestHandler

from gateway.units import Credits
from tests.e2e.conftest import MakeWorld
from tests.e2e.odd_messages import GOOD, HIDDEN, LARGE_HEADS, TRAILERS, Made
from tests.e2e.raw import assert_image, chunks, connected, message, told
from tests.e2e.refusals import MARK, assert_refused, lasting_world, nothing_happens
from tests.e2e.test_http import CHUNKED, EXPECT, PAID_BY, charged
from tests.e2e.world import World, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

APP = "https://app.example"
LISTEN = "listen: {host: 127.0.0.1, port: 0"
BROWSERS = (LISTEN, f'{LISTEN}, cors_origins: ["{APP}"]')
PROXIED = (LISTEN, f'{LISTEN}, trusted_proxies: ["127.0.0.1"]')


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def quiet(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[World]:
    """A world in which nothing ever happens."""
    async with lasting_world(tmp_path_factory.mktemp("quiet"), store_url) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def here(make_world: MakeWorld) -> AsyncIterator[World]:
    """A world of the test's own."""
    async with make_world() as made:
        yield made


async def lines(here: World, count: int) -> list[dict[str, object]]:
    """The lines of the first `count` requests."""
    found: list[dict[str, object]] = []

    def enough() -> bool:
        found[:] = [line for line in here.lines() if line["event"] == "request"]
        return len(found) >= count

    await until(enough)
    return found


# --- heads and trailers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", LARGE_HEADS.values(), ids=LARGE_HEADS)
async def test_a_head_beyond_its_bounds_is_431_and_ends_the_connection(quiet: World, make: Made) -> None:
    async with nothing_happens(quiet), connected(quiet.running.port) as peer:
        await peer.send(make(quiet) + HIDDEN)
        assert_refused(await peer.answer(), 431, "head_too_large")
        assert await peer.rest() == b""


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_field_after_the_body_is_refused_with_all_that_follows(
    quiet: World, trailer: str, at_once: bool
) -> None:
    *body, _ = chunks(GOOD, 5)
    head = message(quiet, b"", CHUNKED, length="")
    ending = f"0\r\n{trailer}\r\n\r\n".encode() + HIDDEN
    async with nothing_happens(quiet), connected(quiet.running.port) as peer:
        if at_once:
            await peer.send(head + b"".join(body) + ending)
        else:
            await peer.send(head, *body, *[ending[at : at + 1] for at in range(len(ending))])
        assert_refused(await peer.answer(), 400, "bad_http", says="fields after the body")
        assert await peer.rest() == b""


async def test_what_follows_a_refused_trailer_waits_for_no_deadline_where_nobody_reads_the_body(quiet: World) -> None:
    async with nothing_happens(quiet), connected(quiet.running.port) as peer:
        line = "POST /nowhere HTTP/1.1"
        await peer.send(message(quiet, b"", CHUNKED, length="", line=line) + b"0\r\nX-A: b\r\n\r\n" + HIDDEN)
        assert_refused(await peer.answer(), 403, "unpriced")
        rest = await peer.rest()
    assert b" 200 " not in rest


async def test_a_whole_head_within_its_bounds_is_served(here: World) -> None:
    fields = [f"X-{number}: {'a' * 200}" for number in range(55)]
    assert_image(await told(here, message(here, GOOD, *fields)))
    await charged(here, PAID_BY)


async def test_twins_with_an_underscore_are_other_fields_and_mean_nothing(here: World) -> None:
    twins = (f"X_Dezgo_Key: {MARK}", "Content_Length: 3", "Transfer_Encoding: chunked", "X_Gateway_Dry_Run: true")
    assert_image(await told(here, message(here, GOOD, *twins)))
    (arrived,) = here.simulator.received.newest
    assert arrived.body == GOOD
    assert not [name for name, _ in arrived.fields if "_" in name]
    await charged(here, PAID_BY)
    token = here.token()
    async with nothing_happens(here):
        alone = await told(here, message(here, GOOD, f"X_Dezgo_Key: {token}", key=""))
        assert_refused(alone, 401, "unauthenticated")


HOPS = {
    "Connection": "close, X-Dezgo-Key, Accept-Encoding, X-RapidAPI-Host, Host, Content-Length",
    "Keep-Alive": "timeout=5",
    "TE": "trailers, gzip",
    "Trailer": "X-A",
    "Proxy-Authorization": "Basic a",
    "Proxy-Connection": "close",
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Host": "evil.test",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Uri": "/info",
    "Forwarded": "for=6.6.6.6",
    "X-Real-IP": "6.6.6.6",
    "X-HTTP-Method-Override": "DELETE",
    "Cookie": "a=b",
    "Range": "bytes=0-1",
    "If-None-Match": '"a"',
    "Accept-Encoding": "br",
    "Via": "1.1 a",
    "Idempotency-Key": "0b7cbb70",
    "X-Original-URL": "/info",
}


@pytest.mark.parametrize("flavour", ["direct", "rapidapi"])
async def test_nothing_of_one_hop_and_nothing_forged_reaches_the_upstream(make_world: MakeWorld, flavour: str) -> None:
    async with make_world(flavour=flavour) as here:
        assert_image(await told(here, message(here, GOOD, *[f"{name}: {value}" for name, value in HOPS.items()])))
        (arrived,) = here.simulator.received.newest
        names = [name.lower() for name, _ in arrived.fields]
        own = {"host", "content-type", "content-length", "accept-encoding"}
        own |= {"x-dezgo-key"} if flavour == "direct" else {"x-rapidapi-key", "x-rapidapi-host"}
        assert (set(names), len(names)) == (own, len(own))
        assert arrived.field("accept-encoding") == "identity"
        assert (arrived.body, arrived.target) == (GOOD, "/text2image")


async def test_a_type_that_connection_names_is_gone_before_the_body_is_read(quiet: World) -> None:
    """What is not forwarded is not what the price is read by either."""
    async with nothing_happens(quiet):
        answer = await told(quiet, message(quiet, GOOD, "Connection: Content-Type"))
    assert_refused(answer, 415, "unsupported_media_type")


# --- pipelines and half-closed connections ------------------------------------------------------------------------


async def test_ten_thousand_pipelined_requests_are_answered_in_order_with_few_waiting(here: World) -> None:
    count = 10_000
    one = b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"
    waiting: list[int] = []
    async with connected(here.running.port) as peer:
        await peer.send(one)
        assert (await peer.answer("GET")).status == 404
        (connection,) = _connections()
        sending = asyncio.create_task(peer.send(*[one * 500] * (count // 500)))
        for _ in range(count):
            assert (await peer.answer("GET")).status == 404
            waiting.append(len(connection._messages))
        await sending
    assert 0 < max(waiting) <= 32
    await charged(here, 0)


def _connections() -> list[RequestHandler]:
    """All connections of clients to gateways of this process."""
    return [thing for thing in gc.get_objects() if isinstance(thing, RequestHandler) and thing.transport is not None]


async def test_a_client_that_closes_its_half_behind_two_requests_gets_both_or_pays_for_none_it_does_not_get(
    here: World,
) -> None:
    async with connected(here.running.port) as peer:
        await peer.send(message(here, GOOD) + message(here, GOOD))
        peer.send_no_more()
        answers = 0
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                assert_image(await peer.answer())
                answers += 1
    assert answers >= 1
    await charged(here, answers * PAID_BY)


async def test_a_client_that_closes_its_half_inside_the_next_request_still_gets_what_it_pays_for(
    make_world: MakeWorld,
) -> None:
    async with make_world(delay_s=0.2) as here, connected(here.running.port) as peer:
        await peer.send(message(here, GOOD) + message(here, GOOD[:9], length=len(GOOD)))
        await until(here.simulator.received.counts.total)
        peer.send_no_more()
        assert_image(await peer.answer())
        assert await peer.rest() == b""
        await charged(here, PAID_BY)


async def test_a_client_that_closes_its_half_inside_a_body_pays_nothing(here: World) -> None:
    async with connected(here.running.port) as peer:
        await peer.send(message(here, GOOD[:9], length=len(GOOD)))
        peer.send_no_more()
        rest = await peer.rest()
    assert b" 200 " not in rest
    await charged(here, 0)


# --- expectations -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flavour", "status"), [("direct", 402), ("rapidapi", 429)])
async def test_an_exhausted_budget_is_told_in_place_of_the_word_to_go_on(
    make_world: MakeWorld, flavour: str, status: int
) -> None:
    async with make_world(flavour=flavour) as here:
        token = here.token("poor")
        field = f"{'X-Dezgo-Key' if flavour == 'direct' else 'X-RapidAPI-Key'}: {token}"
        while (await told(here, message(here, GOOD, field, key=""))).status == 200:
            pass
        async with nothing_happens(here, "poor"):
            answer = await told(here, message(here, b"", EXPECT, field, key="", length=len(GOOD)))
        document = assert_refused(answer, status, "budget_exhausted")
        assert (document["budget"], document["quoted"]) == ("tenant/total", 6)


async def test_a_question_for_the_price_is_never_refused_for_an_empty_budget(make_world: MakeWorld) -> None:
    async with make_world(tenants="tenants:\n  poor-TAG: {budgets: [{credits: 0, every: total}]}\n") as here:
        line, key = "POST /gateway/quote/text2image HTTP/1.1", here.token("poor")
        async with connected(here.running.port) as peer:
            await peer.send(message(here, b"", EXPECT, line=line, key=key, length=len(GOOD)))
            assert (await peer.answer()).status == 100
            await peer.send(GOOD)
            assert (await peer.answer()).json()["verdict"] == "refused"


async def test_a_budget_that_bears_the_cheapest_job_is_asked_for_its_body(make_world: MakeWorld) -> None:
    async with make_world(tenants="tenants:\n  poor-TAG: {budgets: [{credits: 6, every: total}]}\n") as here:
        async with connected(here.running.port) as peer:
            await peer.send(message(here, b"", EXPECT, key=here.token("poor"), length=len(GOOD)))
            assert (await peer.answer()).status == 100
            await peer.send(GOOD)
            assert_image(await peer.answer())
        (balance,) = await here.balances("poor")
        assert balance.remaining == Credits.ZERO


# --- browsers -----------------------------------------------------------------------------------------------------


def preflight(here: World, path: str = "/text2image", origin: str = APP, verb: str = "POST") -> bytes:
    asked = (f"Origin: {origin}", f"Access-Control-Request-Method: {verb}", "Access-Control-Request-Headers: x-a")
    return message(here, b"", *asked, line=f"OPTIONS {path} HTTP/1.1", key="", kind=None)


async def test_a_preflight_is_answered_without_a_token_and_holds_nothing(make_world: MakeWorld) -> None:
    async with make_world(replaced=[BROWSERS]) as here, nothing_happens(here):
        answer = await told(here, preflight(here), verb="OPTIONS")
        assert (answer.status, answer.body) == (204, b"")
        assert answer.fields["access-control-allow-origin"] == APP
        assert answer.fields["access-control-allow-methods"] == "GET, POST"
        assert "X-Dezgo-Key" in answer.fields["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in answer.fields
        assert (answer.fields["server"], answer.fields["vary"]) == ("dezgo-gateway", "Origin")
        assert answer.fields["x-request-id"]
        assert_refused(await told(here, preflight(here, origin="https://evil.test")), 405, "method_not_allowed")
        assert_refused(await told(here, preflight(here, path="/nowhere")), 403, "unpriced")
        assert_refused(await told(here, preflight(here, verb="PUT")), 405, "method_not_allowed")


async def test_every_answer_to_a_named_origin_may_be_read_by_its_page(make_world: MakeWorld) -> None:
    async with make_world(replaced=[BROWSERS]) as here:
        paid = await told(here, message(here, GOOD, f"Origin: {APP}"))
        refused = await told(here, message(here, b"{", f"Origin: {APP}"))
        budget = message(here, b"", f"Origin: {APP}", line="GET /gateway/budget HTTP/1.1", kind=None)
        own = await told(here, budget, verb="GET")
        other = await told(here, message(here, GOOD, "Origin: https://evil.test"))
        assert_image(paid)
        assert_refused(refused, 400, "bad_body")
        for answer in (paid, refused, own):
            assert answer.fields["access-control-allow-origin"] == APP
            assert "X-Credits-Cost" in answer.fields["access-control-expose-headers"]
        assert own.status == 200
        assert_image(other)  # it is the browser that keeps this from the page
        assert not [name for name in other.fields if name.startswith("access-control-")]
        assert other.fields["vary"] == "Origin"


# --- proxies in front, and strangers ------------------------------------------------------------------------------


async def test_a_forged_address_is_not_believed_and_a_trusted_proxys_is(make_world: MakeWorld) -> None:
    forged = ("X-Forwarded-For: 6.6.6.6", "X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6")
    async with make_world() as here:
        assert_image(await told(here, message(here, GOOD, *forged)))
        assert (await lines(here, 1))[0]["client"] == "127.0.0.1"
    async with make_world(replaced=[PROXIED]) as here:
        assert_image(await told(here, message(here, GOOD, "X-Forwarded-For: 6.6.6.6, 203.0.113.9")))
        assert (await lines(here, 1))[0]["client"] == "203.0.113.9"
        assert "x-forwarded-for" not in [name.lower() for name, _ in here.simulator.received.newest[0].fields]


async def test_a_flood_of_unknown_paths_is_counted_whole_and_logged_in_part(here: World) -> None:
    count = 300
    async with nothing_happens(here), connected(here.running.port) as peer:
        for number in range(count):
            await peer.send(f"GET /p{number}/{MARK} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert (await peer.answer("GET")).status == 404
    metrics = await here.metrics()
    assert f'dezgo_gateway_refusals_total{{reason="unknown_path",tenant="none"}} {count}.0' in metrics
    assert MARK not in metrics
    assert_image(await told(here, message(here, GOOD)))  # a line of a known tenant is never left out
    await until(lambda: any(line.get("tenant") for line in here.lines()))
    strangers = [line for line in here.lines() if line.get("reason") == "unknown_path"]
    assert 1 <= len(strangers) < count
    assert MARK not in here.log.getvalue()
