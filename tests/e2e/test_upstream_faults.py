"""Whatever the upstream does wrong: what the client gets, what is booked, and that nothing stays held."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from gateway.units import Credits
from tests.e2e.conftest import MakeWorld
from tests.e2e.world import World, until

FLAVOURS = ("direct", "rapidapi")
CHARGE_FIELD = {"direct": "x-dezgo-job-amount-usd: 0.0019", "rapidapi": "x-credits-cost: 19"}
CUT = "cut"


async def paid_line(here: World, *, nth: int = 0) -> dict[str, Any]:
    """The log line of the world's nth paid call, once it is written."""

    def lines() -> list[dict[str, Any]]:
        return [line for line in here.lines() if line["event"] == "request" and "method" in line]

    await until(lambda: len(lines()) > nth)
    return lines()[nth]


@dataclass(frozen=True, slots=True)
class Row:
    """One fault of the simulator, and what must become of a call that is quoted at 19 credits.

    Attributes:
        fault: in the simulator's words.
        status: what the client gets; `cut` when its answer must end before it is whole.
        reason: of the refusal; `ok` when the upstream's own answer is passed on.
        charged, flag: what is booked.
        code: the finer reason in the log line.
    """

    fault: str
    status: int | str
    reason: str
    charged: str
    flag: str
    code: str | None = None


ELSEWHERE = "redirect:http://127.0.0.1:9/elsewhere"

ROWS = (
    # A charge the upstream names is booked, whatever the status, and however wrong.
    Row("price:1.1", 200, "ok", "20.9", "confirmed"),
    Row("price:0.5", 200, "ok", "9.5", "confirmed"),
    Row("charge:zero", 200, "ok", "0", "confirmed"),
    Row("status:400 charged", 400, "ok", "19", "confirmed"),
    Row("status:503 charged", 503, "ok", "19", "confirmed"),
    Row("html_5xx charged", 500, "ok", "19", "confirmed"),
    Row("status:204", 204, "ok", "19", "confirmed"),
    Row(f"{ELSEWHERE} charged", 502, "upstream_redirect", "19", "confirmed"),
    Row("status:304", 502, "upstream_redirect", "19", "confirmed"),
    Row("echo", 502, "upstream_leak", "19", "confirmed"),
    Row("async_job", 200, "ok", "19", "confirmed"),
    Row("cookie", 200, "ok", "19", "confirmed"),
    Row("no_seed", 200, "ok", "19", "confirmed"),
    Row("chunked", 200, "ok", "19", "confirmed"),
    # Success and no charge, or one that is not readable in one way: the quote.
    Row("charge:missing", 200, "ok", "19", "unconfirmed"),
    Row("charge:duplicate", 200, "ok", "19", "unconfirmed"),
    Row("charge:malformed", 200, "ok", "19", "unconfirmed"),
    Row("charge:folded", 200, "ok", "19", "unconfirmed"),
    Row("charge:huge", 200, "ok", "19", "unconfirmed"),
    Row("status:400 charged charge:malformed", 400, "ok", "19", "unconfirmed"),
    Row("status:500 charged charge:duplicate", 500, "ok", "19", "unconfirmed"),
    Row(ELSEWHERE, 502, "upstream_redirect", "19", "unconfirmed"),
    Row(f"{ELSEWHERE} status:307", 502, "upstream_redirect", "19", "unconfirmed"),
    Row(f"{ELSEWHERE} status:308", 502, "upstream_redirect", "19", "unconfirmed"),
    # Refused without a charge: nothing. Failed without a charge: nothing, but nobody is sure.
    Row("status:400", 400, "ok", "0", "confirmed"),
    Row("status:403", 403, "ok", "0", "confirmed"),
    Row("status:404", 404, "ok", "0", "confirmed"),
    Row("status:422", 422, "ok", "0", "confirmed"),
    Row("status:500", 500, "ok", "0", "unconfirmed"),
    Row("status:503", 503, "ok", "0", "unconfirmed"),
    Row("html_5xx", 500, "ok", "0", "unconfirmed"),
    # The company's own account: not the caller's fault, and not the caller's money.
    Row("exhausted", 503, "upstream_exhausted", "0", "confirmed"),
    Row("status:401", 503, "upstream_exhausted", "0", "confirmed"),
    Row("status:402", 503, "upstream_exhausted", "0", "confirmed"),
    # Sent, and no whole, readable answer: the quote, unless the head had named the charge.
    Row("cut:head", 502, "upstream_unanswered", "19", "uncertain", "cut"),
    Row("garbage", 502, "upstream_unanswered", "19", "uncertain", "unreadable"),
    Row("status:103", 502, "upstream_unanswered", "19", "uncertain", "cut"),
    Row("status:600", 502, "upstream_unanswered", "19", "uncertain", "unreadable"),
    Row("status:999", 502, "upstream_unanswered", "19", "uncertain", "unreadable"),
    Row("cut:0", CUT, "upstream_unanswered", "19", "confirmed", "cut"),
    Row("cut:100", CUT, "upstream_unanswered", "19", "confirmed", "cut"),
    Row("cut:100 price:1.1", CUT, "upstream_unanswered", "20.9", "confirmed", "cut"),
    Row("cut:0 charge:missing", CUT, "upstream_unanswered", "19", "uncertain", "cut"),
    Row("cut:100 charge:missing", CUT, "upstream_unanswered", "19", "uncertain", "cut"),
    Row("chunked cut:100", CUT, "upstream_unanswered", "19", "confirmed", "cut"),
    Row("chunked cut:100 charge:missing", CUT, "upstream_unanswered", "19", "uncertain", "cut"),
)

ONLY = {
    # Only the marketplace puts a gateway of its own in front; from the API itself its words mean nothing.
    "direct": (
        Row("status:429", 429, "ok", "0", "confirmed"),
        Row("rapidapi_gateway", 502, "ok", "0", "unconfirmed"),
        Row("rapidapi_gateway status:429", 429, "ok", "0", "confirmed"),
    ),
    "rapidapi": (
        Row("status:429", 503, "upstream_exhausted", "0", "confirmed"),
        Row("rapidapi_gateway", 502, "ok", "0", "confirmed"),
        Row("rapidapi_gateway status:504", 504, "ok", "19", "uncertain"),
        Row("rapidapi_gateway status:403", 503, "upstream_exhausted", "0", "confirmed"),
        Row("rapidapi_gateway status:429", 503, "upstream_exhausted", "0", "confirmed"),
    ),
}

CASES = [(flavour, row) for flavour in FLAVOURS for row in (*ROWS, *ONLY[flavour])]


@pytest.mark.parametrize(("flavour", "row"), CASES, ids=lambda case: case if isinstance(case, str) else case.fault)
async def test_a_fault_is_told_and_booked_as_the_table_says(make_world: MakeWorld, flavour: str, row: Row) -> None:
    async with make_world(flavour=flavour) as here:
        here.simulator.faults.next(row.fault)
        if row.status == CUT:
            with pytest.raises(aiohttp.ClientPayloadError):
                await here.generate()
        else:
            answer = await here.generate()
            assert answer.status == row.status
            assert "location" not in answer.fields
            assert b"elsewhere" not in answer.body
            if row.reason != "ok":
                assert answer.fields["content-type"] == "application/problem+json"
                assert answer.json()["reason"] == row.reason
            elif row.status != 204:
                assert answer.fields["x-credits-cost"] == row.charged
        line = await paid_line(here)
        assert (line["reason"], line.get("code")) == (row.reason, row.code)
        assert (str(line["charged"]), line["flag"]) == (row.charged, row.flag)
        (balance,) = await here.balances()
        assert (balance.spent, balance.held) == (Credits.parse(row.charged), Credits.ZERO)
        assert not (await here.audit()).differences
        assert here.simulator.received.counts.total() == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(make_world: MakeWorld, status: int) -> None:
    visits: list[bytes] = []

    async def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(await reader.read(65536))
        writer.close()

    other = await asyncio.start_server(visited, "127.0.0.1", 0)
    async with other, make_world() as here:
        port = other.sockets[0].getsockname()[1]
        here.simulator.faults.next(f"redirect:http://127.0.0.1:{port}/text2image status:{status}")
        answer = await here.generate()
        assert (answer.status, answer.json()["reason"]) == (502, "upstream_redirect")
        assert str(port).encode() not in answer.body
        assert str(port) not in "".join(answer.fields.values())
        assert here.simulator.received.counts.total() == 1
    assert not visits


async def test_cookies_pass_neither_way_and_are_not_kept(here: World) -> None:
    here.simulator.faults.next("cookie")
    first = await here.generate()
    second = await here.generate(name="poor", Cookie="mine=1")
    assert (first.status, second.status) == (200, 200)
    assert "set-cookie" not in first.fields
    assert [arrival.field("cookie") for arrival in here.simulator.received.newest] == [None, None]


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_head_that_takes_too_long_is_504_and_costs_the_quote_until_somebody_knows(
    make_world: MakeWorld, flavour: str
) -> None:
    environ = {"DEZGO_GATEWAY__UPSTREAM__HEAD_TIMEOUT_S": "0.2"}
    async with make_world(flavour=flavour, environ=environ) as here:
        here.simulator.faults.next("slow:30")
        answer = await here.generate()
        document = answer.json()
        assert (answer.status, document["reason"], document["charge"]) == (504, "upstream_unanswered", "uncertain")
        line = await paid_line(here)
        assert (line["charged"], line["flag"], line["code"]) == (19, "uncertain", "timeout")
        (balance,) = await here.balances()
        assert (balance.spent, balance.held) == (Credits.whole(19), Credits.ZERO)


async def test_a_body_that_stops_arriving_cuts_the_answer_and_the_named_charge_stands(make_world: MakeWorld) -> None:
    async with make_world(environ={"DEZGO_GATEWAY__UPSTREAM__READ_TIMEOUT_S": "0.2"}) as here:
        here.simulator.faults.next("slow_body:300")
        with pytest.raises(aiohttp.ClientPayloadError):
            await here.generate()
        line = await paid_line(here)
        assert (line["charged"], line["flag"], line["code"]) == (19, "confirmed", "timeout")
        assert (await here.balances())[0].held == Credits.ZERO


async def test_an_upstream_nobody_can_reach_charges_nothing(make_world: MakeWorld) -> None:
    with socket.socket() as taken:  # bound and not listening: connections are refused, and nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with make_world(environ={"DEZGO_GATEWAY__UPSTREAM__URL": url}) as here:
            answer = await here.generate()
            document = answer.json()
            assert (answer.status, document["reason"], document["charge"]) == (502, "upstream_unreachable", "none")
            line = await paid_line(here)
            assert (line["charged"], line["flag"], line["code"]) == (0, "confirmed", "connect")
            (balance,) = await here.balances()
            assert (balance.spent, balance.held) == (Credits.ZERO, Credits.ZERO)


# --- the key comes back -----------------------------------------------------------------------------------------


@asynccontextmanager
async def echoing(flavour: str, kind: str, spell: Callable[[bytes], bytes], before: int) -> AsyncIterator[str]:
    """An upstream that answers with its key, `before` bytes into the body and cut in two; yields its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        name = b"x-dezgo-key:" if flavour == "direct" else b"x-rapidapi-key:"
        (key,) = [line[len(name) :].strip() for line in head if line.lower().startswith(name)]
        body = b"." * before + spell(key) + b"." * 1000
        charge = CHARGE_FIELD[flavour].encode()
        fields = b"content-type: %s\r\n%s\r\ncontent-length: %d" % (kind.encode(), charge, len(body))
        writer.write(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n" + body[: before + 9])
        await writer.drain()
        writer.write(body[before + 9 :])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _base64(key: bytes) -> bytes:
    import base64

    return base64.b64encode(b'{"k":"' + key + b'"}')


ECHOES = {
    "json": ("application/json", lambda key: key, 40),
    "json, base64": ("application/json", _base64, 40),
    "json, hex": ("application/json", lambda key: key.hex().encode(), 40),
    "json, longer than a job's": ("application/json", lambda key: key, 90_000),
    "text, reversed": ("text/plain", lambda key: key[::-1], 0),
    "html, late": ("text/html", lambda key: key, 300_000),
    "image": ("image/png", lambda key: key, 0),
    "image, late": ("image/png", lambda key: key, 300_000),
}


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("echo", ECHOES)
async def test_a_body_with_the_key_in_it_never_passes_whole(make_world: MakeWorld, flavour: str, echo: str) -> None:
    kind, spell, before = ECHOES[echo]
    async with (
        echoing(flavour, kind, spell, before) as url,
        make_world(flavour=flavour, environ={"DEZGO_GATEWAY__UPSTREAM__URL": url}) as here,
    ):
        passed = bytearray()
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientResponseError)):  # noqa: PT012 - piece by piece
            async with here.session.post(here.url + "/text2image", json={"prompt": "a"}, headers=here.key()) as answer:
                async for piece in answer.content.iter_any():
                    passed += piece
                answer.raise_for_status()
        here.canary.look("echo", bytes(passed))
        assert (b"." * 500 not in passed[before:]) or answer.status == 502
        line = await paid_line(here)
        assert (line["reason"], line["charged"], line["flag"]) == ("upstream_leak", 19, "confirmed")
        assert (await here.balances())[0].held == Credits.ZERO
