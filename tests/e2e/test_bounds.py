"""What nobody pays for may not take from those who pay: connections without a token, answers nobody reads."""

import asyncio
import contextlib
import socket

import pytest

from gateway import doors
from gateway.units import Credits
from gateway.web.server import Listener
from tests.e2e.conftest import MakeWorld
from tests.e2e.raw import Peer as RawPeer
from tests.e2e.raw import connected, message
from tests.e2e.refusals import assert_refused, nothing_happens
from tests.e2e.test_client_disconnect import Peer, peer, request_bytes, spent_and_held
from tests.e2e.test_streaming import CHARGE, MIB, PIECE, large_answers, upstream_at
from tests.e2e.test_upstream_faults import paid_line
from tests.e2e.world import World, until
from tests.fake_upstream import Turn, answer, fake_upstream


async def test_callers_without_a_token_share_a_few_upstream_calls(make_world: MakeWorld) -> None:
    async with make_world() as here:
        here.simulator.faults.always("slow:2", path="/info")
        strangers = [asyncio.create_task(here.ask("GET", "/info")) for _ in range(12)]
        try:
            await until(lambda: sum(task.done() for task in strangers) == 4)
            refused = [task.result() for task in strangers if task.done()]
            assert {(answer.status, answer.json()["reason"]) for answer in refused} == {(503, "busy")}
            assert (await here.generate()).status == 200
            assert here.simulator.received.counts["/info"] == 8
        finally:
            served = await asyncio.gather(*strangers)
        assert sum(answer.status == 200 for answer in served) == 8
        here.simulator.faults.clear()
        assert (await here.ask("GET", "/info")).status == 200


async def test_a_client_that_reads_none_of_our_own_answers_is_given_up(make_world: MakeWorld) -> None:
    async with make_world(environ={"DEZGO_GATEWAY__ANSWERS__WRITE_TIMEOUT_S": "0.3"}) as here:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", here.running.port))
        given_up = False
        try:
            async with asyncio.timeout(30):
                while True:
                    await loop.sock_sendall(client, b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
        except ConnectionError:
            given_up = True
        finally:
            client.close()
        assert given_up
        assert (await here.generate()).status == 200


# --- time -----------------------------------------------------------------------------------------------------------


def bounded(**said: object) -> dict[str, str]:
    """Settings by environment: `listen__idle_timeout_s=1`."""
    return {f"DEZGO_GATEWAY__{name.upper()}": str(value) for name, value in said.items()}


async def trickled(client: Peer, piece: bytes, every_s: float) -> None:
    """Send `piece` again and again, until the other end has had enough."""
    try:
        while True:
            await client.send(piece)
            await asyncio.sleep(every_s)
    except ConnectionError:
        pass


async def test_a_head_that_comes_byte_by_byte_is_given_up_however_lively(make_world: MakeWorld) -> None:
    async with make_world(environ=bounded(listen__idle_timeout_s=0.6)) as here:
        async with peer(here) as client, asyncio.timeout(20):
            await client.send(b"GET /info HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            await trickled(client, b"a", 0.05)
        async with peer(here) as again, asyncio.timeout(20):
            # An answered request earns a new wait, and no longer one.
            await again.send(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\nGET /")
            assert (await again.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404")
            await trickled(again, b"a", 0.05)
        assert (await here.generate()).status == 200


async def test_a_body_below_the_least_rate_is_refused_long_before_its_time_is_over(make_world: MakeWorld) -> None:
    environ = bounded(bodies__timeout_s=600, bodies__bytes_per_s_min=10_000, bodies__stall_s=0.4)
    async with make_world(environ=environ) as here:
        async with nothing_happens(here), connected(here.running.port) as slow, asyncio.timeout(30):
            await slow.send(message(here, b'{"prompt": "', length=100_000))
            sending = asyncio.create_task(_trickle(slow))
            refused = await slow.answer()
            sending.cancel()
        assert_refused(refused, 408, "body_too_slow", says="at 10000 bytes a second or more")
        assert refused.fields["connection"] == "close"


async def _trickle(slow: RawPeer) -> None:
    while True:
        await slow.send(b"a")
        await asyncio.sleep(0.02)


async def test_a_body_above_the_least_rate_may_take_longer_than_a_stall(make_world: MakeWorld) -> None:
    environ = bounded(bodies__bytes_per_s_min=100, bodies__stall_s=3)
    body = b'{"prompt": "a fox"}'.ljust(2_000)
    async with make_world(environ=environ) as here, connected(here.running.port) as slow:
        await slow.send(message(here, b"", length=len(body)))
        for at in range(0, len(body), 100):
            await slow.send(body[at : at + 100])
            await asyncio.sleep(0.2)
        assert (await slow.answer()).status == 200


async def _taken_slowly(client: Peer) -> None:
    for _ in range(10_000):
        await client.reader.read(1)
        await asyncio.sleep(0.05)


async def test_a_slow_client_keeps_no_connection_to_the_upstream_and_gets_every_byte(make_world: MakeWorld) -> None:
    async with contextlib.AsyncExitStack() as stack:
        large = await stack.enter_async_context(large_answers(16 * MIB))
        here = await stack.enter_async_context(make_world(environ=upstream_at(large.url)))
        client = await stack.enter_async_context(peer(here, receive_bytes=4_096))
        await client.send(request_bytes(here))
        await client.reader.readuntil(b"\r\n\r\n")
        await until(lambda: large.whole == 1, within_s=30)  # not one byte of the body was taken yet
        on_disk = [line for line in (await here.metrics()).splitlines() if "gateway_bodies_disk_bytes " in line]
        assert float(on_disk[-1].split()[1]) > MIB
        async with asyncio.timeout(60):
            body = await client.reader.readexactly(16 * MIB)
        assert body == PIECE * (16 * MIB // len(PIECE))
        await until(lambda: bool([line for line in here.lines() if line.get("outcome") == "served"]))
        assert "dezgo_gateway_bodies_disk_bytes 0.0" in await here.metrics()
        assert await spent_and_held(here) == (Credits.whole(19), Credits.ZERO)


async def test_where_there_is_no_room_on_disk_a_slow_client_is_waited_for(make_world: MakeWorld) -> None:
    room = bounded(bodies__bytes_max=2**20, bodies__spool_bytes_max=2**20)
    async with large_answers(16 * MIB) as large, make_world(environ=room | upstream_at(large.url)) as here:
        async with peer(here, receive_bytes=4_096) as client, asyncio.timeout(60):
            await client.send(request_bytes(here))
            await client.reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.6)  # time to find it slow
            assert await client.reader.readexactly(16 * MIB) == PIECE * (16 * MIB // len(PIECE))
        assert await spent_and_held(here) == (Credits.whole(19), Credits.ZERO)


async def test_a_client_that_takes_its_answer_byte_by_byte_is_given_up_and_the_call_is_booked(
    make_world: MakeWorld,
) -> None:
    async with large_answers(16 * MIB) as large:
        environ = bounded(answers__write_timeout_s=0.5) | upstream_at(large.url)
        async with make_world(environ=environ) as here, peer(here, receive_bytes=4_096) as client:
            await client.send(request_bytes(here))
            await until(lambda: bool(large.tasks))
            taking = asyncio.create_task(_taken_slowly(client))
            await until(lambda: large.whole == 1, within_s=30)
            taking.cancel()
            assert await spent_and_held(here) == (Credits.whole(19), Credits.ZERO)
            assert (await paid_line(here))["client_gone"] is True


async def test_a_request_beyond_its_time_loses_its_connection_and_is_booked_all_the_same(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = asyncio.Event()
    charged = answer(200, CHARGE.decode().strip(), "content-type: image/png", body=b"picture")
    monkeypatch.setattr(doors, "Listener", lambda *args, **said: Listener(*args, **{**said, "request_timeout_s": 0.3}))
    async with fake_upstream(Turn((free, charged))) as fake, make_world(environ=upstream_at(fake.url)) as here:
        async with peer(here) as client, asyncio.timeout(20):
            await client.send(request_bytes(here))
            with contextlib.suppress(ConnectionError):
                assert await client.reader.read() == b""
        assert (await here.balances())[0].held == Credits.whole(19)
        assert "dezgo_gateway_connections_overdue_total 1.0" in await here.metrics()
        free.set()
        await until(lambda: any("charged" in line for line in here.lines()))
        assert await spent_and_held(here) == (Credits.whole(19), Credits.ZERO)
        assert len(fake.received) == 1


# --- number -----------------------------------------------------------------------------------------------------------


async def refused_at_the_door(here: World) -> bytes:
    async with peer(here) as client, asyncio.timeout(10):
        return await client.reader.read()


async def test_one_connection_too_many_is_told_so_and_those_that_only_wait_make_room(make_world: MakeWorld) -> None:
    free = asyncio.Event()
    async with fake_upstream(Turn((free, answer(body=b"picture")))) as fake:
        environ = bounded(listen__connections_max=16) | upstream_at(fake.url)
        async with make_world(environ=environ) as here, contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(peer(here)) for _ in range(12)]
            idle = [await stack.enter_async_context(peer(here)) for _ in range(4)]
            for client in clients:
                await client.send(request_bytes(here))
            await until(lambda: len(fake.received) == 12)
            more = [await stack.enter_async_context(peer(here)) for _ in range(4)]
            for client in more:
                await client.send(request_bytes(here))
            await until(lambda: len(fake.received) == 16)
            async with asyncio.timeout(10):
                assert [await client.reader.read() for client in idle] == [b""] * 4
            told = await refused_at_the_door(here)
            assert told.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"\r\nRetry-After: 1\r\n" in told
            assert b'"reason":"busy"' in told
            free.set()
            for client in [*clients, *more]:
                assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            shown = await here.metrics()
            assert "dezgo_gateway_connections_refused_total 1.0" in shown
            assert "dezgo_gateway_connections_open 16.0" in shown


async def test_one_address_has_no_more_connections_than_its_bound(make_world: MakeWorld) -> None:
    environ = bounded(listen__connections_per_address_max=2)
    async with make_world(environ=environ) as here, peer(here), peer(here) as second:
        assert b'"reason":"busy"' in await refused_at_the_door(here)
        second.leave("close")
        async with asyncio.timeout(10):
            for _ in range(1_000):
                if (await here.generate()).status == 200:
                    return
        pytest.fail("there was no room again")


async def test_a_trusted_proxy_may_have_as_many_as_it_needs(make_world: MakeWorld) -> None:
    rules = 'listen: {trusted_proxies: ["127.0.0.0/8"], connections_per_address_max: 1, '
    async with make_world(replaced=[("listen: {", rules)]) as here, peer(here), peer(here):
        assert (await here.generate()).status == 200
