"""A client may leave at any moment: what went upstream is followed to its end and booked, and nothing stays held."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from gateway.units import Credits
from tests.e2e.conftest import MakeWorld
from tests.e2e.test_streaming import MIB, large_answers, upstream_at
from tests.e2e.test_upstream_faults import paid_line
from tests.e2e.world import World, until

BODY = json.dumps({"prompt": "a fox"}).encode()


def request_bytes(here: World, *, fields: str = "", body: bytes = BODY, target: str = "/text2image") -> bytes:
    """A paid call as it stands on the wire."""
    head = f"POST {target} HTTP/1.1\r\nHost: gateway\r\nX-Dezgo-Key: {here.token()}\r\n{fields}"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass(slots=True)
class Peer:
    """A client with its hands on the wire."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, piece: bytes) -> None:
        """Send `piece`."""
        self.writer.write(piece)
        await self.writer.drain()

    def leave(self, how: str) -> None:
        """Go: `reset` the connection, or `close` it."""
        if how == "reset":
            self.writer.transport.abort()
        self.writer.close()


@asynccontextmanager
async def peer(here: World, *, receive_bytes: int | None = None) -> AsyncIterator[Peer]:
    """Connect to the gateway; `receive_bytes` bounds what the kernel takes in for a client that does not read."""
    connection = socket.socket()
    connection.setblocking(False)
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", here.running.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=4096)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()
        writer.close()


async def spent_and_held(here: World) -> tuple[Credits, Credits]:
    (balance,) = await here.balances()
    return balance.spent, balance.held


HOWS = ("reset", "close")


@pytest.mark.parametrize("how", [*HOWS, "end of sending"])
@pytest.mark.parametrize("body_bytes_sent", [0, 5])
async def test_a_client_that_leaves_before_its_request_is_whole_moves_no_money(
    here: World, body_bytes_sent: int, how: str
) -> None:
    async with peer(here) as client:
        head, _, body = request_bytes(here, fields="Expect: 100-continue\r\n").partition(b"\r\n\r\n")
        await client.send(head + b"\r\n\r\n")
        assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        await client.send(body[:body_bytes_sent])
        if how == "end of sending":
            client.writer.write_eof()
            assert await client.reader.read() == b""
        else:
            client.leave(how)
    line = await paid_line(here)
    assert (line["reason"], "held" in line) == ("client_gone", False)
    await nothing_but_the_next_call_is_booked(here)


async def test_a_client_that_leaves_within_its_head_leaves_no_trace(here: World) -> None:
    async with peer(here) as client:
        await client.send(request_bytes(here)[:60])
        client.writer.write_eof()
        assert await client.reader.read() == b""
    assert not here.lines()
    await nothing_but_the_next_call_is_booked(here)


async def nothing_but_the_next_call_is_booked(here: World) -> None:
    assert (await here.generate()).status == 200
    assert here.simulator.received.counts.total() == 1
    assert (await here.audit()).entries == 2
    assert await spent_and_held(here) == (Credits.whole(19), Credits.ZERO)


@pytest.mark.parametrize("how", HOWS)
async def test_a_client_that_leaves_right_after_its_request_leaves_all_or_nothing(here: World, how: str) -> None:
    for _ in range(10):
        async with peer(here) as client:
            await client.send(request_bytes(here))
            client.leave(how)
    await until(lambda: _ended(here) == 10)
    calls = here.simulator.received.counts.total()
    audit = await here.audit()
    assert audit.entries == 2 * calls
    assert here.simulator.book.count == calls
    assert await spent_and_held(here) == (Credits.whole(19 * calls), Credits.ZERO)


def _ended(here: World) -> int:
    return sum(line["event"] == "request" for line in here.lines())


@pytest.mark.parametrize("how", HOWS)
async def test_a_client_that_leaves_while_it_waits_pays_for_the_work(here: World, how: str) -> None:
    here.simulator.faults.next("slow:0.2")
    async with peer(here) as client:
        await client.send(request_bytes(here))
        await until(lambda: here.simulator.received.counts.total() == 1)
        client.leave(how)
    line = await paid_line(here)
    assert (line["charged"], line["flag"], line["upstream_status"]) == (19, "confirmed", 200)
    assert here.simulator.book.total_millicredits == 19_000
    assert await spent_and_held(here) == (Credits.whole(19), Credits.ZERO)


@pytest.mark.parametrize("how", HOWS)
async def test_a_client_that_leaves_in_the_middle_of_its_answer_pays_what_the_answer_says(
    make_world: MakeWorld, how: str
) -> None:
    size = 16 * MIB
    async with large_answers(size) as large, make_world(environ=upstream_at(large.url)) as here:
        async with peer(here) as client:
            await client.send(request_bytes(here))
            assert (await client.reader.read(12)).startswith(b"HTTP/1.1 200")
            client.leave(how)
        line = await paid_line(here)
        assert (line["client_gone"], line["charged"], line["flag"]) == (True, 19, "confirmed")
        # The answer was read to its end all the same: an upstream call is never broken off.
        assert large.whole == 1
        assert await spent_and_held(here) == (Credits.whole(19), Credits.ZERO)
        assert "dezgo_gateway_client_gone_total 1.0" in await here.metrics()


async def test_when_the_client_has_left_a_cut_answer_still_costs_the_quote(here: World) -> None:
    here.simulator.faults.next("slow:0.2 cut:100 charge:missing")
    async with peer(here) as client:
        await client.send(request_bytes(here))
        await until(lambda: here.simulator.received.counts.total() == 1)
        client.leave("reset")
    line = await paid_line(here)
    assert (line["reason"], line["charged"], line["flag"]) == ("upstream_unanswered", 19, "uncertain")
    assert await spent_and_held(here) == (Credits.whole(19), Credits.ZERO)


async def test_a_client_that_leaves_after_its_answer_has_had_it(here: World) -> None:
    async with peer(here) as client:
        await client.send(request_bytes(here, fields="Connection: close\r\n"))
        answer = await client.reader.read()
        client.leave("reset")
    assert answer.startswith(b"HTTP/1.1 200")
    line = await paid_line(here)
    assert (line["client_gone"], line["charged"]) == (False, 19)
    assert await spent_and_held(here) == (Credits.whole(19), Credits.ZERO)


@pytest.mark.parametrize("fault", ["slow:0", "slow:0.2"])
async def test_a_client_that_only_stops_sending_still_gets_what_it_pays_for(here: World, fault: str) -> None:
    here.simulator.faults.next(fault)
    async with peer(here) as client:
        client.writer.write(request_bytes(here))
        client.writer.write_eof()
        answer = await asyncio.wait_for(client.reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"IEND\xaeB`\x82")
    assert await spent_and_held(here) == (Credits.whole(19), Credits.ZERO)


async def test_a_client_that_does_not_read_is_given_up_and_the_booking_stands(make_world: MakeWorld) -> None:
    size = 16 * MIB  # more than all buffers on the way take
    environ = {"DEZGO_GATEWAY__ANSWERS__WRITE_TIMEOUT_S": "0.2"}
    async with (
        large_answers(size) as large,
        make_world(environ=upstream_at(large.url) | environ) as here,
        peer(here, receive_bytes=4096) as client,
    ):
        await client.send(request_bytes(here))
        line = await paid_line(here)
        assert (line["client_gone"], line["outcome"]) == (True, "served")
        assert line["bytes_out"] < size
        assert (line["charged"], line["flag"]) == (19, "confirmed")
        assert large.whole == 1
        assert await spent_and_held(here) == (Credits.whole(19), Credits.ZERO)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(client.reader.readexactly(size), 10)


async def test_one_client_that_does_not_read_holds_up_nobody_else(make_world: MakeWorld) -> None:
    async with large_answers(16 * MIB) as large, make_world(environ=upstream_at(large.url)) as here:
        async with peer(here, receive_bytes=4096) as client:
            await client.send(request_bytes(here))
            assert (await client.reader.read(12)).startswith(b"HTTP/1.1 200")
            answer = await asyncio.wait_for(here.generate(), 10)
            assert len(answer.body) == 16 * MIB
        await until(lambda: _ended(here) == 2)
        assert await spent_and_held(here) == (Credits.whole(38), Credits.ZERO)
