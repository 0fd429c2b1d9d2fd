"""Stopping: no new call is taken, those under way end and are booked, and it takes no longer than it may."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from gateway.build import budget_book
from gateway.ledger.budget import Path
from gateway.ledger.redis import RedisLedger
from gateway.ledger.store import Store
from gateway.units import Credits
from tests.e2e.conftest import MakeWorld
from tests.e2e.test_client_disconnect import BODY, Peer, peer, request_bytes
from tests.e2e.test_streaming import MIB, large_answers, upstream_at
from tests.e2e.world import World, until
from tests.fake_upstream import Turn, answer, fake_upstream

IMAGE = answer(200, "content-type: image/png", "x-dezgo-job-amount-usd: 0.0019", body=b"image")
DRAIN_S = {"DEZGO_GATEWAY__SHUTDOWN__DRAIN_S": "0.3"}


class Life:
    """A world that can be told to end while the test looks on."""

    def __init__(self, made: AbstractAsyncContextManager[World]) -> None:
        self._made = made
        self._leave = asyncio.Event()
        self._born: asyncio.Future[World] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._live())

    async def _live(self) -> None:
        async with self._made as here:
            self._born.set_result(here)
            await self._leave.wait()

    async def begun(self) -> World:
        """The world, once it runs."""
        either: set[asyncio.Future[Any]] = {self._task, self._born}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return self._born.result()

    def stop(self) -> None:
        """Begin to stop."""
        self._leave.set()

    async def ended(self, *, within_s: float) -> None:
        """Wait until all of it has stopped. Raises TimeoutError."""
        self.stop()
        await asyncio.wait_for(self._task, within_s)


@asynccontextmanager
async def books(here: World, store_url: str) -> AsyncIterator[RedisLedger]:
    """The ledger as it stands after its gateway has gone."""
    store = Store(store_url, deadline_s=5)
    try:
        yield RedisLedger(store, budget_book(here.settings.tenants), hold_ttl_ms=1)
    finally:
        await store.close()


async def booked(here: World, store_url: str) -> tuple[Credits, Credits]:
    """What is spent and held, and that the journal says the same."""
    async with books(here, store_url) as ledger:
        tenant = here.tenant("rich")
        (balance,) = await ledger.balances(Path(tenant))
        audit = await ledger.audit(tenant)
    assert not audit.differences
    assert audit.spent == balance.spent
    return balance.spent, balance.held


async def is_refused(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return True
    writer.transport.abort()
    writer.close()
    return False


async def posted(session: aiohttp.ClientSession, here: World) -> tuple[int, bytes]:
    """One paid call, over a session that outlives the world's own."""
    async with session.post(here.url + "/text2image", json={"prompt": "a"}, headers=here.key()) as seen:
        return seen.status, await seen.read()


async def test_calls_under_way_end_and_are_booked_while_new_ones_are_refused(
    make_world: MakeWorld, store_url: str
) -> None:
    stopped = asyncio.Event()
    async with fake_upstream(Turn((stopped, IMAGE))) as fake, aiohttp.ClientSession() as session:
        life = Life(make_world(environ=upstream_at(fake.url)))
        here = await life.begun()
        calls = [asyncio.create_task(posted(session, here)) for _ in range(5)]
        await until(lambda: len(fake.received) == 5)
        life.stop()
        # The two happen in one step: whoever can see the first can rely on the second.
        await until(lambda: here.running.draining)
        assert await is_refused(here.running.port)
        assert not any(task.done() for task in calls)
        stopped.set()
        assert await asyncio.gather(*calls) == [(200, b"image")] * 5
        await life.ended(within_s=10)
    assert await booked(here, store_url) == (Credits.whole(95), Credits.ZERO)
    assert here.running.settler.under_way == 0


async def test_a_call_that_outlasts_the_drain_is_cut_and_booked_as_uncertain(
    make_world: MakeWorld, store_url: str
) -> None:
    life = Life(make_world(environ=DRAIN_S))
    here = await life.begun()
    here.simulator.faults.next("slow:60")
    async with peer(here) as client:
        await client.send(request_bytes(here))
        await until(lambda: here.simulator.received.counts.total() == 1)
        # Each step of the way down has the drain's length at most; a minute is what the upstream would take.
        await life.ended(within_s=10)
        assert await client.reader.read() == b""
    assert await booked(here, store_url) == (Credits.whole(19), Credits.ZERO)
    (line,) = [line for line in here.lines() if line.get("route") == "text2image"]
    assert (line["reason"], line["charged"], line["flag"]) == ("cancelled", 19, "uncertain")


async def test_an_answer_cut_by_the_drain_is_booked_at_the_charge_it_had_named(
    make_world: MakeWorld, store_url: str
) -> None:
    life = Life(make_world(environ=DRAIN_S))
    here = await life.begun()
    here.simulator.faults.next("slow_body:60")
    async with peer(here) as client:
        await client.send(request_bytes(here))
        assert (await client.reader.read(12)).startswith(b"HTTP/1.1 200")
        await life.ended(within_s=10)
    assert await booked(here, store_url) == (Credits.whole(19), Credits.ZERO)
    (line,) = [line for line in here.lines() if line.get("route") == "text2image"]
    assert (line["charged"], line["flag"]) == (19, "confirmed")


async def test_a_client_that_does_not_read_cannot_hold_up_the_stop(make_world: MakeWorld, store_url: str) -> None:
    async with large_answers(16 * MIB) as large:
        life = Life(make_world(environ=DRAIN_S | upstream_at(large.url)))
        here = await life.begun()
        async with peer(here, receive_bytes=4096) as client:
            await client.send(request_bytes(here))
            assert (await client.reader.read(12)).startswith(b"HTTP/1.1 200")
            await life.ended(within_s=10)
        assert await booked(here, store_url) == (Credits.whole(19), Credits.ZERO)


@pytest.mark.parametrize("sent", ["nothing", "a head in part", "a body in part", "a whole request before"])
async def test_an_idle_connection_does_not_hold_up_the_stop(make_world: MakeWorld, store_url: str, sent: str) -> None:
    life = Life(make_world(environ=DRAIN_S))
    here = await life.begun()
    whole = request_bytes(here)
    pieces = {"nothing": b"", "a head in part": whole[:40], "a body in part": whole[:-3]}
    async with peer(here) as client:
        await client.send(pieces.get(sent, whole))
        if sent not in pieces:
            assert (await client.reader.read(12)).startswith(b"HTTP/1.1 200")
            await until(lambda: here.simulator.book.count == 1)
        await life.ended(within_s=10)
    spent = Credits.ZERO if sent in pieces else Credits.whole(19)
    assert await booked(here, store_url) == (spent, Credits.ZERO)


@pytest.mark.parametrize("left", ["the body's last bytes", "the body"])
async def test_a_body_that_is_on_its_way_when_the_stop_begins_is_taken_in(
    make_world: MakeWorld, store_url: str, left: str
) -> None:
    life = Life(make_world())
    here = await life.begun()
    whole = request_bytes(here)
    cut = -3 if left == "the body's last bytes" else -len(BODY)
    async with peer(here) as client:
        await client.send(whole[:cut])
        await until(lambda: here.running.front is not None and len(here.running.front.connections))
        await asyncio.sleep(0.05)  # the head is read by then
        life.stop()
        await until(lambda: here.running.draining)
        await asyncio.sleep(0.05)  # and the stop has gone through all connections
        await client.send(whole[cut:])
        answered = await client.reader.read()
    assert answered.startswith(b"HTTP/1.1 200")
    assert b"\r\nconnection: close\r\n" in answered.lower()
    await life.ended(within_s=10)
    assert await booked(here, store_url) == (Credits.whole(19), Credits.ZERO)


async def test_a_lame_duck_is_not_ready_and_answers_all_the_same_once_per_connection(here: World) -> None:
    async with peer(here) as before, peer(here) as idle:
        await before.send(request_bytes(here))
        assert b"connection: close" not in (await before.reader.readuntil(b"\r\n\r\n")).lower()
        duck = asyncio.create_task(here.running.lame_duck(30))
        await until(lambda: here.running.draining)
        async with here.session.get(here.ops_url + "/readyz") as health:
            assert health.status == 503
        await idle.send(request_bytes(here))
        assert await one_answer_and_the_end(idle) == 200
        async with peer(here) as late:
            await late.send(request_bytes(here))
            assert await one_answer_and_the_end(late) == 200
        async with peer(here) as refused:
            await refused.send(b"POST /text2image HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            assert await one_answer_and_the_end(refused) == 401
        assert not before.reader.at_eof()
        duck.cancel()
    assert (await here.balances())[0].spent == Credits.whole(57)


async def one_answer_and_the_end(client: Peer) -> int:
    """The status of the one answer that comes before the connection ends, which it says."""
    head, _, rest = (await client.reader.read(-1)).partition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head.lower()
    assert b"HTTP/1.1" not in rest
    return int(head.split()[1])


async def test_an_answer_that_waits_for_the_upstream_when_the_duck_begins_ends_its_connection(
    make_world: MakeWorld,
) -> None:
    go_on = asyncio.Event()
    async with fake_upstream(Turn((go_on, IMAGE))) as fake, make_world(environ=upstream_at(fake.url)) as here:
        async with peer(here) as client:
            await client.send(request_bytes(here))
            await until(lambda: len(fake.received) == 1)
            duck = asyncio.create_task(here.running.lame_duck(30))
            await until(lambda: here.running.draining)
            go_on.set()
            assert await one_answer_and_the_end(client) == 200
        duck.cancel()


async def test_the_rest_of_an_answer_is_still_sent_to_a_slow_reader(make_world: MakeWorld) -> None:
    size = 4 * MIB
    async with large_answers(size) as large:
        life = Life(make_world(environ=upstream_at(large.url)))
        here = await life.begun()
        async with peer(here, receive_bytes=4096) as client:
            await client.send(request_bytes(here))
            head = await client.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            life.stop()
            await until(lambda: here.running.draining)
            assert len(await client.reader.readexactly(size)) == size
        await life.ended(within_s=10)


async def test_while_it_stops_the_gateway_says_it_is_not_ready(make_world: MakeWorld) -> None:
    stopped = asyncio.Event()
    async with fake_upstream(Turn((stopped, IMAGE))) as fake, aiohttp.ClientSession() as session:
        life = Life(make_world(environ=upstream_at(fake.url)))
        here = await life.begun()
        call = asyncio.create_task(posted(session, here))
        await until(lambda: len(fake.received) == 1)
        async with session.get(here.ops_url + "/readyz") as answer_before:
            assert answer_before.status == 200
        life.stop()
        await until(lambda: here.running.draining)
        async with session.get(here.ops_url + "/readyz") as answer_now:
            assert (answer_now.status, (await answer_now.json())["missing"]) == (503, ["draining"])
        stopped.set()
        assert await call == (200, b"image")
        await life.ended(within_s=10)
