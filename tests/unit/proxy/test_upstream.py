"""The back door: what goes out, what comes in."""

import asyncio
import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import UpstreamUnanswered
from gateway.messages import Account, Flavour
from gateway.units import Credits
from tests.fake_upstream import OK, Turn, answer, fake_upstream
from tests.unit.proxy.bench import KEY, answered, call, joined, told, upstream

CLIENTS = (
    ("accept", "image/png"),
    ("content-type", "application/json"),
    ("accept-encoding", "gzip"),
    ("authorization", "Bearer of-the-client"),
    ("connection", "close, X-Dezgo-Key"),
    ("content-length", "999"),
    ("cookie", "client=1"),
    ("expect", "100-continue"),
    ("host", "elsewhere.example"),
    ("if-none-match", "*"),
    ("range", "bytes=0-1"),
    ("transfer-encoding", "chunked"),
    ("user-agent", "client/1"),
    ("x-dezgo-key", "of-the-client"),
    ("x-forwarded-for", "192.0.2.1"),
    ("x-rapidapi-key", "of-the-client"),
)


def head_lines(raw: bytes) -> list[str]:
    head, _, _ = raw.partition(b"\r\n\r\n")
    return head.decode().split("\r\n")


@pytest.mark.parametrize(
    ("flavour", "keyed"),
    [
        (Flavour.DIRECT, [f"X-Dezgo-Key: {KEY}"]),
        (Flavour.RAPIDAPI, [f"X-RapidAPI-Key: {KEY}", "X-RapidAPI-Host: {host}"]),
    ],
)
async def test_only_allowed_fields_and_the_key_go_out(flavour: Flavour, keyed: list[str]) -> None:
    async with joined(OK, flavour=flavour) as (fake, door):
        await told(door, call(fields=CLIENTS, query="a=%2F&a=b+c;", body=b"{}"))
    host = f"127.0.0.1:{fake.port}"
    line, *fields = head_lines(fake.received[0])
    assert line == "POST /text2image?a=%2F&a=b+c; HTTP/1.1"
    assert fields == [
        f"Host: {host}",
        "accept: image/png",
        "content-type: application/json",
        "Accept-Encoding: identity",
        *(field.format(host=host) for field in keyed),
        "Content-Length: 2",
    ]


async def test_a_field_the_client_named_in_connection_stays_here_but_never_our_key() -> None:
    fields = (("connection", "close, Accept, x-dezgo-KEY"), ("accept", "image/png"))
    async with joined() as (fake, door):
        await told(door, call(fields=fields))
    lines = head_lines(fake.received[0])
    assert not [line for line in lines if line.lower().startswith("accept:")]
    assert f"X-Dezgo-Key: {KEY}" in lines


@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize("body", [b"", b"{}", bytes(range(256)) * 12_000])
async def test_a_body_goes_out_byte_for_byte_with_its_length(verb: str, body: bytes) -> None:
    async with joined() as (fake, door):
        outcome = await told(door, call(verb, body=body))
    assert outcome.body == b"picture"
    head, _, sent = fake.received[0].partition(b"\r\n\r\n")
    assert sent == body
    assert b"chunked" not in head.lower()


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60))
def test_a_raw_query_is_never_rewritten(query: str) -> None:
    async def arrived() -> bytes:
        async with joined() as (fake, door):
            await told(door, call(query=query))
        return fake.received[0]

    suffix = f"?{query}" if query else ""
    assert head_lines(asyncio.run(arrived()))[0] == f"POST /text2image{suffix} HTTP/1.1"


async def test_no_second_request_is_made_out_of_line_breaks() -> None:
    async with joined() as (fake, door):
        for asked in (call(query="a HTTP/1.1\r\nX: y\r\n\r\n"), call(fields=(("accept", "a\r\nx: y"),))):
            assert (await told(door, asked)).ending == "upstream_unreachable connect"
    assert fake.received == []


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
async def test_a_redirect_is_returned_and_not_followed(status: int) -> None:
    async with fake_upstream() as elsewhere:
        fields = (f"location: {elsewhere.url}/", "refresh: 0;url=/", "x-dezgo-job-amount-usd: 0.0019")
        async with joined(Turn((answer(status, *fields),))) as (fake, door):
            outcome = await told(door, call())
    assert outcome.reply is not None
    assert (outcome.reply.status, outcome.reply.reported) == (status, Credits.whole(19))
    assert (len(fake.received), elsewhere.connections) == (1, 0)


async def test_a_cookie_of_the_upstream_is_never_sent_back() -> None:
    async with joined(Turn((answer(200, "set-cookie: session=1; path=/"),)), OK) as (fake, door):
        await told(door, call())
        await told(door, call())
    assert b"cookie" not in fake.received[1].lower()


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fake_upstream() as proxy, joined() as (fake, door):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        assert (await told(door, call())).ending == "whole"
    assert (proxy.connections, fake.connections) == (0, 1)


async def test_every_field_arrives_in_order_and_in_lower_case() -> None:
    outcome = await answered(answer(200, "X-Input-Seed: 7", "Set-Cookie: a", "set-cookie: b", "X: caf\xe9"))
    assert outcome.reply is not None
    names = [name for name, _ in outcome.reply.fields]
    assert names == ["content-length", "x-input-seed", "set-cookie", "set-cookie", "x"]
    assert outcome.reply.field("x-input-seed") == "7"


@pytest.mark.parametrize("lies", [False, True])
async def test_a_coded_body_passes_byte_for_byte(lies: bool) -> None:
    body = b"not gzip at all" if lies else gzip.compress(b"picture")
    outcome = await answered(answer(200, "content-encoding: gzip", body=body))
    assert (outcome.body, outcome.ending) == (body, "whole")


@pytest.mark.parametrize(
    ("raw", "announced"),
    [
        (answer(body=b"OK"), 2),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nO\r\n1\r\nK\r\n0\r\nx-late: 1\r\n\r\n", None),
        (b"HTTP/1.0 200 OK\r\n\r\nOK", None),
        (b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + answer(body=b"OK"), 2),
        (b"HTTP/1.1 100 Go on\r\n\r\n" * 500 + answer(body=b"OK"), 2),
    ],
)
async def test_each_way_to_frame_a_body_is_read(raw: bytes, announced: int | None) -> None:
    outcome = await answered(raw)
    assert outcome.reply is not None
    assert (outcome.body, outcome.ending, outcome.reply.body_bytes) == (b"OK", "whole", announced)


async def test_a_body_is_passed_on_before_its_end_is_here() -> None:
    go_on = asyncio.Event()
    start, end = b"x" * 1000, b"y" * 1000
    head = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 2000\r\n\r\n"
    async with joined(Turn((head + start, go_on, end))) as (_, door):
        reply = await door.forward(call())
        first = await anext(reply.body)
        go_on.set()
        rest = [piece async for piece in reply.body]
        await reply.close()
    assert start.startswith(first)
    assert first + b"".join(rest) == start + end


@pytest.mark.parametrize(
    ("flavour", "fields", "account"),
    [
        (Flavour.DIRECT, ("x-dezgo-balance-total-usd: 9.5",), Account(remaining=Credits.whole(95_000))),
        (Flavour.DIRECT, ("x-dezgo-balance-total-usd: lots", "x-ratelimit-credits-limit: 1"), Account()),
        (
            Flavour.RAPIDAPI,
            ("x-ratelimit-credits-remaining: 7", "x-ratelimit-credits-limit: 20000", "x-ratelimit-credits-reset: 60"),
            Account(Credits.whole(7), Credits.whole(20_000), 60),
        ),
    ],
)
async def test_a_reply_carries_the_master_accounts_numbers(
    flavour: Flavour, fields: tuple[str, ...], account: Account
) -> None:
    outcome = await answered(answer(200, *fields), flavour=flavour)
    assert outcome.reply is not None
    assert outcome.reply.account == account


async def test_a_reply_says_what_is_charged_and_whether_the_api_was_reached() -> None:
    fields = ("x-credits-cost: 19", "x-rapidapi-proxy-response: true")
    reply = (await answered(answer(429, *fields), flavour=Flavour.RAPIDAPI)).reply
    assert reply is not None
    assert (reply.reported, reply.malformed, reply.api_reached) == (Credits.whole(19), False, False)
    reply = (await answered(answer(200, "x-dezgo-job-amount-usd: 1", "x-dezgo-job-amount-usd: 1"))).reply
    assert reply is not None
    assert (reply.reported, reply.malformed, reply.api_reached) == (None, True, True)


async def test_connections_are_used_again_only_after_a_body_read_to_its_end() -> None:
    async with joined() as (fake, door):
        await told(door, call())
        await told(door, call())
        assert fake.connections == 1
        reply = await door.forward(call())
        await reply.close()
        await reply.close()
        with pytest.raises(UpstreamUnanswered):
            await anext(reply.body)
        await told(door, call())
        assert len(fake.received) == 4


async def test_closing_before_the_body_is_here_gives_its_connection_up() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart"
    async with joined(Turn((head,)), OK) as (fake, door):
        reply = await door.forward(call())
        await reply.close()
        assert (await told(door, call())).body == b"picture"
    assert fake.connections == 2


async def test_an_upstream_that_is_not_started_or_closed_sends_nothing() -> None:
    async with fake_upstream() as fake:
        async with upstream(fake.url) as door:
            pass
        assert (await told(door, call())).ending == "upstream_unreachable connect"
        await door.close()
    assert fake.connections == 0


async def test_a_connection_that_a_long_body_has_not_left_when_it_is_answered_is_not_used_again() -> None:
    opened: list[asyncio.StreamWriter] = []

    async def answers_the_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(413, body=b"too large"))
        await writer.drain()

    server = await asyncio.start_server(answers_the_head, "127.0.0.1", 0, limit=1024)
    port = server.sockets[0].getsockname()[1]
    async with server, upstream(f"http://127.0.0.1:{port}") as door:
        for nth in (1, 2):
            outcome = await told(door, call(body=bytes(64 * 1024 * 1024)))  # more than the buffers of a socket hold
            assert (outcome.body, outcome.ending) == (b"too large", "whole")
            assert len(opened) == nth
        for writer in opened:
            writer.transport.abort()
