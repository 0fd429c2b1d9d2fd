"""HTTP as it is really spoken: old versions, reused connections, expectations, odd framings and odd targets."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.units import Credits
from tests.e2e.conftest import MakeWorld
from tests.e2e.odd_messages import FOREIGN, FRAMINGS, GOOD, HEADS, HIDDEN, TARGETS, Made
from tests.e2e.raw import assert_image, chunks, connected, message, told
from tests.e2e.refusals import MARK, assert_refused, lasting_world, nothing_happens
from tests.e2e.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHUNKED = "Transfer-Encoding: chunked"
EXPECT = "Expect: 100-continue"
PAID_BY = 6_000  # millicredits of GOOD

# Every field a client may ever see on a paid answer.
SEEN = {
    "content-type", "content-length", "transfer-encoding", "connection", "date", "server", "x-request-id",
    "x-input-seed", "x-credits-cost", "x-ratelimit-credits-limit", "x-ratelimit-credits-remaining",
    "x-ratelimit-credits-reset", "ratelimit", "ratelimit-policy",
}  # fmt: skip
SEEN_DIRECT = {"x-dezgo-job-id", "x-dezgo-job-amount-usd", "x-dezgo-balance-total-usd"}


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


async def charged(here: World, millicredits: int) -> None:
    """Upstream and ledger agree on the sum, and nothing is held."""
    assert here.simulator.book.total_millicredits == millicredits
    (balance,) = await here.balances()
    assert (balance.spent.millicredits, balance.held) == (millicredits, Credits.ZERO)


# --- versions and connections -------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [(), ("Connection: keep-alive",)])
@pytest.mark.parametrize("fault", [None, "chunked"])
async def test_an_old_client_is_never_answered_in_chunks(here: World, fault: str | None, keep: tuple[str, ...]) -> None:
    here.simulator.faults.always(fault)
    async with connected(here.running.port) as peer:
        await peer.send(message(here, GOOD, *keep, line="POST /text2image HTTP/1.0"))
        answer = await peer.answer()
        if not keep or fault:
            assert await peer.rest() == b""
    assert_image(answer)
    assert answer.framing == ("close" if fault else "length")
    await charged(here, PAID_BY)


async def test_an_answer_of_unknown_length_reaches_a_new_client_in_chunks(here: World) -> None:
    here.simulator.faults.always("chunked")
    answer = await told(here, message(here, GOOD))
    assert_image(answer)
    assert answer.framing == "chunked"


async def test_a_connection_is_used_again_also_after_a_refusal(here: World) -> None:
    async with connected(here.running.port) as peer:
        for line, status in (
            ("POST /text2image HTTP/1.1", 200),
            ("GET /nothing HTTP/1.1", 404),
            ("GET /info HTTP/1.1", 200),
            ("HEAD /info HTTP/1.1", 405),
            ("POST /gateway/quote/text2image HTTP/1.1", 200),
            ("POST /text2image HTTP/1.1", 200),
        ):
            verb = line.split(" ", 1)[0]
            body = GOOD if verb == "POST" else b""
            await peer.send(message(here, body, line=line, kind="application/json" if body else None))
            assert (await peer.answer(verb)).status == status
        await peer.send(message(here, b"{", kind="application/json"))
        assert_refused(await peer.answer(), 400, "bad_body")
        await peer.send(message(here, GOOD, "Connection: close"))
        assert_image(await peer.answer())
        assert await peer.rest() == b""
    await charged(here, 3 * PAID_BY)


async def test_pipelined_requests_are_answered_in_order_and_paid_one_by_one(here: World) -> None:
    seeds = ["11", "22", "33"]
    bodies = [b'{"prompt":"a fox","steps":10,"seed":%s}' % seed.encode() for seed in seeds]
    async with connected(here.running.port) as peer:
        await peer.send(b"".join(message(here, body) for body in bodies))
        answers = [await peer.answer() for _ in seeds]
    assert [answer.fields["x-input-seed"] for answer in answers] == seeds
    assert len({answer.fields["x-request-id"] for answer in answers}) == 3
    await charged(here, 3 * PAID_BY)


async def test_a_body_left_unread_is_never_taken_for_a_request(quiet: World) -> None:
    async with nothing_happens(quiet), connected(quiet.running.port) as peer:
        await peer.send(message(quiet, HIDDEN * 50, key=MARK))
        assert_refused(await peer.answer(), 401, "unauthenticated")
        assert await peer.rest() == b""


async def test_what_follows_a_whole_body_is_the_next_request(here: World) -> None:
    async with connected(here.running.port) as peer:
        await peer.send(message(here, GOOD))
        assert_image(await peer.answer())
        await peer.send(b"more than was announced\r\n\r\n")
        assert_refused(await peer.answer(), 400, "bad_http")
        assert await peer.rest() == b""
    await charged(here, PAID_BY)


async def test_a_client_that_closes_its_half_still_gets_what_it_pays_for(here: World) -> None:
    assert_image(await told(here, message(here, GOOD), then_eof=True))
    await charged(here, PAID_BY)


@pytest.mark.parametrize("protocol", ["h2c", "TLS/1.2"])
async def test_an_offer_to_upgrade_is_left_aside(here: World, protocol: str) -> None:
    async with connected(here.running.port) as peer:
        for _ in range(2):
            await peer.send(message(here, GOOD, "Connection: Upgrade", f"Upgrade: {protocol}"))
            assert_image(await peer.answer())
    await charged(here, 2 * PAID_BY)


# --- expectations -------------------------------------------------------------------------------------------------


async def test_the_body_is_asked_for_once_it_is_known_who_calls(here: World) -> None:
    async with connected(here.running.port) as peer:
        await peer.send(message(here, b"", EXPECT, length=len(GOOD)))
        interim = await peer.answer()
        assert interim.head == b"HTTP/1.1 100 Continue\r\n\r\n"
        await peer.send(GOOD)
        assert_image(await peer.answer())
    await charged(here, PAID_BY)


@pytest.mark.parametrize(
    ("fields", "changes", "status", "reason"),
    [
        ((EXPECT,), {"key": "no.such.token"}, 401, "unauthenticated"),
        ((EXPECT,), {"key": ""}, 401, "unauthenticated"),
        ((EXPECT,), {"line": "POST /unknown HTTP/1.1"}, 403, "unpriced"),
        ((EXPECT,), {"line": "PUT /text2image HTTP/1.1"}, 405, "method_not_allowed"),
        ((EXPECT,), {"length": 10**12}, 413, "body_too_large"),
        ((EXPECT, "Content-Encoding: gzip"), {}, 415, "unsupported_media_type"),
        ((EXPECT, "X-Gateway-Max-Credits: x"), {}, 400, "bad_header"),
        (("Expect: 200-ok",), {}, 417, "expectation_failed"),
        ((EXPECT, "Expect: 200-ok"), {}, 417, "expectation_failed"),
        (("Expect: 100-continue, x",), {}, 417, "expectation_failed"),
    ],
)
async def test_a_refusal_comes_in_place_of_the_word_to_go_on(
    quiet: World, fields: tuple[str, ...], changes: dict[str, str | int], status: int, reason: str
) -> None:
    said = {"length": 1_000, **changes}
    async with nothing_happens(quiet):
        answer = await told(quiet, message(quiet, b"", *fields, **said))  # type: ignore[arg-type]  # a table's row
        assert_refused(answer, status, reason)


async def test_an_old_client_is_not_told_to_go_on(here: World) -> None:
    answer = await told(here, message(here, GOOD, EXPECT, line="POST /text2image HTTP/1.0"))
    assert_image(answer)


async def test_a_body_that_was_asked_for_and_never_comes_is_given_up(make_world: MakeWorld) -> None:
    impatient = {"DEZGO_GATEWAY__BODIES__TIMEOUT_S": "0.3"}
    async with make_world(environ=impatient) as here, nothing_happens(here), connected(here.running.port) as peer:
        await peer.send(message(here, b"", EXPECT, length=5))
        assert (await peer.answer()).status == 100
        assert_refused(await peer.answer(), 408, "body_too_slow")


# --- bodies on the wire -------------------------------------------------------------------------------------------


async def test_a_body_in_pieces_of_one_byte_arrives_whole(here: World) -> None:
    pieces = [bytes([byte]) for byte in message(here, b"", CHUNKED, length="")]
    async with connected(here.running.port) as peer:
        await peer.send(*pieces, *chunks(GOOD, 1))
        assert_image(await peer.answer())
    arrived = here.simulator.received.newest[-1]
    assert (arrived.body, arrived.field("content-length")) == (GOOD, str(len(GOOD)))
    await charged(here, PAID_BY)


@pytest.mark.parametrize("coded", [False, True], ids=["length", "chunked"])
async def test_twenty_megabytes_arrive_byte_for_byte_and_leave_no_bytes_counted(
    make_world: MakeWorld, coded: bool
) -> None:
    bounds = {"BYTES_MAX": str(21 * 2**20), "IN_FLIGHT_BYTES_MAX": str(21 * 2**20)}
    async with make_world(environ={f"DEZGO_GATEWAY__BODIES__{name}": said for name, said in bounds.items()}) as here:
        body = b'{"steps":10,"prompt":"' + "fuchs ä ".encode() * (20 * 2**20 // 9) + b'"}'
        head = message(here, b"", CHUNKED, length="") if coded else message(here, b"", length=len(body))
        for _ in range(2):
            assert_image(await told(here, head, *(chunks(body, 2**16) if coded else [body])))
        digests = [arrived.body_sha256 for arrived in here.simulator.received.newest]
        assert digests == [hashlib.sha256(body).hexdigest()] * 2
        await charged(here, 2 * PAID_BY)


async def test_more_bodies_at_once_than_there_is_room_for_are_refused(make_world: MakeWorld) -> None:
    environ = {
        "DEZGO_GATEWAY__BODIES__IN_FLIGHT_BYTES_MAX": "524288",
        "DEZGO_GATEWAY__BODIES__MEMORY_BYTES_MAX": "524288",
    }
    async with make_world(environ=environ) as here, connected(here.running.port) as first:
        await first.send(message(here, b"", EXPECT, length=400_000))
        assert (await first.answer()).status == 100
        async with nothing_happens(here):
            answer = await told(here, message(here, b" " * 400_000))
        assert_refused(answer, 503, "busy")
        assert 1 <= int(answer.fields["retry-after"]) <= 10
        await first.send(GOOD.ljust(400_000))
        assert_image(await first.answer())
        await charged(here, PAID_BY)


@pytest.mark.parametrize("broken", [b"zz\r\n", b"5\r\nabcdefgh\r\n", b"\x00", b"ffffffffffffffffffff\r\n"])
async def test_framing_that_breaks_later_is_refused_and_nothing_is_held(quiet: World, broken: bytes) -> None:
    async with nothing_happens(quiet), connected(quiet.running.port) as peer:
        await peer.send(message(quiet, b"", EXPECT, CHUNKED, length=""))
        assert (await peer.answer()).status == 100
        await peer.send(chunks(GOOD, 5)[0])
        await peer.send(broken + HIDDEN)
        assert_refused(await peer.answer(), 400, "bad_http")
        assert await peer.rest() == b""


async def test_a_token_after_the_body_is_no_token(quiet: World) -> None:
    ending = f"0\r\nX-Dezgo-Key: {quiet.token()}\r\n\r\n".encode()
    async with nothing_happens(quiet):
        answer = await told(quiet, message(quiet, chunks(GOOD, 29)[0] + ending, CHUNKED, key="", length=""))
    assert_refused(answer, 401, "unauthenticated")


# --- targets, verbs, heads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "to"), [("/text2image/", "/text2image"), ("/text2image/?a=%2f&&b", "/text2image?a=%2f&&b")]
)
async def test_one_trailing_slash_is_forgiven_and_the_query_left_as_it_is(here: World, path: str, to: str) -> None:
    assert_image(await told(here, message(here, GOOD, line=f"POST {path} HTTP/1.1")))
    assert [arrived.target for arrived in here.simulator.received.newest] == [to]
    await charged(here, PAID_BY)


@pytest.mark.parametrize("verb", ["POST", "GET"])
@pytest.mark.parametrize("target", TARGETS)
async def test_another_spelling_of_a_path_is_another_path(quiet: World, target: str, verb: str) -> None:
    async with nothing_happens(quiet):
        answer = await told(quiet, message(quiet, GOOD, line=f"{verb} {target} HTTP/1.1"))
    assert (answer.status, answer.json()["reason"]) in {(403, "unpriced"), (404, "unknown_path"), (400, "bad_http")}


@pytest.mark.parametrize("verb", ["POST", "GET", "OPTIONS"])
@pytest.mark.parametrize("target", FOREIGN)
async def test_a_target_that_is_no_path_is_refused(quiet: World, target: str, verb: str) -> None:
    async with nothing_happens(quiet):
        assert_refused(await told(quiet, message(quiet, GOOD, line=f"{verb} {target} HTTP/1.1")), 400, "bad_http")


@pytest.mark.parametrize("verb", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"])
@pytest.mark.parametrize(("path", "allow"), [("/text2image", "GET, POST"), ("/upscale", "POST"), ("/info", "GET")])
async def test_other_verbs_are_refused_with_those_there_are(quiet: World, verb: str, path: str, allow: str) -> None:
    wire = message(quiet, b"", f"X-A: {MARK}", "Origin: http://a.test", line=f"{verb} {path} HTTP/1.1", kind=None)
    async with nothing_happens(quiet), connected(quiet.running.port) as peer:
        await peer.send(wire)
        answer = await peer.answer(verb)
        await peer.send(wire.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        again = await peer.answer(verb)
        assert await peer.rest() == b""
    assert (answer.status, again.status, answer.fields["allow"]) == (405, 405, allow)
    assert not [name for name in answer.fields if name.startswith("access-control-")]
    if verb != "HEAD":
        assert_refused(answer, 405, "method_not_allowed")


async def test_a_tunnel_is_refused(quiet: World) -> None:
    async with nothing_happens(quiet):
        answer = await told(quiet, message(quiet, line="CONNECT evil.test:80 HTTP/1.1", kind=None), verb="CONNECT")
    assert_refused(answer, 400, "bad_http")


@pytest.mark.parametrize("make", FRAMINGS.values(), ids=FRAMINGS)
async def test_framing_with_two_meanings_is_refused_with_all_that_follows(quiet: World, make: Made) -> None:
    async with nothing_happens(quiet), connected(quiet.running.port) as peer:
        await peer.send(make(quiet) + HIDDEN)
        assert_refused(await peer.answer(), 400, "bad_http")
        assert await peer.rest() == b""


@pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)
async def test_a_head_that_is_no_http_is_refused_without_an_echo(quiet: World, make: Made) -> None:
    async with nothing_happens(quiet), connected(quiet.running.port) as peer:
        await peer.send(make(quiet) + b"\r\n\r\n" + HIDDEN)
        answer = await peer.answer()
        assert_refused(answer, 400, "bad_http")
        assert answer.version in ("HTTP/1.0", "HTTP/1.1")  # whatever was asked in
        assert await peer.rest() == b""


# --- what comes back ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", ["direct", "rapidapi"])
async def test_no_field_passes_that_is_not_on_the_list(make_world: MakeWorld, flavour: str) -> None:
    async with make_world(flavour=flavour) as here:
        here.simulator.faults.always("cookie")
        here.simulator.faults.always("cookie", path="/info")
        paid = await told(here, message(here, GOOD, "Cookie: a=b"))
        free = await told(here, message(here, line="GET /info HTTP/1.1", kind=None))
        assert_image(paid)
        assert set(paid.fields) <= (SEEN | SEEN_DIRECT if flavour == "direct" else SEEN)
        assert set(free.fields) == {"content-type", "content-length", "date", "server", "x-request-id"}
        assert paid.fields["server"] == free.fields["server"] == "dezgo-gateway"
        # The caller's own budget, never the account's.
        assert paid.fields["x-ratelimit-credits-remaining"] == "99994"
        assert all(arrived.field("cookie") is None for arrived in here.simulator.received.newest)


async def test_answers_to_callers_at_once_are_each_their_own(here: World) -> None:
    async def one(seed: int) -> str:
        body = b'{"prompt":"a fox","steps":10,"seed":%d}' % seed
        return (await told(here, message(here, body))).fields["x-input-seed"]

    seeds = range(1, 21)
    assert await asyncio.gather(*map(one, seeds)) == [str(seed) for seed in seeds]
    await charged(here, 20 * PAID_BY)
