"""The proxy does to a connection what it is told to, to the byte, and nothing else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from tests.faults.plans import Fault, Kind, Plan, Script, Seeded, Side
from tests.faults.proxy import FaultProxy
from tests.unit.ledger.living import until
from tests.unit.ledger.resp import FakeStore, Words, fake_store

WITHIN_S = 20


async def said(words: Words) -> bytes:
    """The last word comes back: every question has an answer of its own."""
    return b"$%d\r\n%s\r\n" % (len(words[-1]), words[-1].encode())


def asked(word: str, command: str = "EVALSHA") -> bytes:
    return b"*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(command), command.encode(), len(word), word.encode())


def answer(word: str) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(word), word.encode())


class Client:
    """One connection to the proxy, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def ask(self, *words: str) -> None:
        self.writer.write(b"".join(asked(word) for word in words))

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(WITHIN_S):
            return await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """All that comes until the connection ends, however it does; then it is closed here as well."""
        found = b""
        async with asyncio.timeout(WITHIN_S):
            with contextlib.suppress(ConnectionError):
                while chunk := await self.reader.read(1_000):
                    found += chunk
        self.writer.close()
        return found


@asynccontextmanager
async def through(
    plan: Plan | None = None, counted: tuple[bytes, ...] | None = (b"EVALSHA",)
) -> AsyncIterator[tuple[FaultProxy, Client, FakeStore]]:
    async with fake_store(said) as store, FaultProxy(store.url, plan, counted=counted) as proxy:
        client = await connected(proxy)
        yield proxy, client, store
        client.writer.close()


async def connected(proxy: FaultProxy) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", proxy.port))


async def test_without_a_plan_everything_passes() -> None:
    async with through() as (proxy, client, _):
        client.ask("one", "two" * 100_000)
        assert await client.read(9) == answer("one")
        assert await client.read(len(answer("two" * 100_000))) == answer("two" * 100_000)
        assert proxy.counts == {"connections": 1}


async def test_an_eaten_reply_is_missing_and_the_next_ones_come() -> None:
    async with through(Script(None, Fault(Kind.EAT))) as (proxy, client, store):
        client.ask("a", "b", "c")
        assert await client.read(14) == answer("a") + answer("c")
        assert [words[-1] for words in store.arrived] == ["a", "b", "c"]
        assert (proxy.counts["eat"], proxy.counts["reply eat"], proxy.counts["exchanges"]) == (1, 1, 3)


async def test_any_bytes_of_a_reply_can_be_eaten() -> None:
    async with through(Script(Fault(Kind.EAT, at=1, size=3))) as (_, client, _store):
        client.ask("abc")
        assert await client.read(6) == b"$abc\r\n"


async def test_an_eaten_request_never_arrives() -> None:
    async with through(Script(Fault(Kind.EAT, Side.REQUEST))) as (_, client, store):
        client.ask("a", "b")
        assert await client.read(7) == answer("b")
        assert [words[-1] for words in store.arrived] == ["b"]


@pytest.mark.parametrize("at", range(len(answer("word"))))
async def test_a_reply_is_cut_at_any_byte(at: int) -> None:
    async with through(Script(Fault(Kind.CUT, at=at))) as (proxy, client, store):
        client.ask("word", "next")
        assert await client.rest() == answer("word")[:at]
        assert store.arrived[0][-1] == "word"
        assert proxy.counts["cut"] == 1


@pytest.mark.parametrize("at", range(len(asked("w"))))
async def test_a_request_is_cut_at_any_byte_and_never_runs(at: int) -> None:
    async with through(Script(Fault(Kind.CUT, Side.REQUEST, at=at))) as (_, client, store):
        client.ask("w")
        assert await client.rest() == b""
        assert store.arrived == []


async def test_a_reply_comes_late_and_nothing_overtakes_it() -> None:
    async with through(Script(Fault(Kind.DELAY, seconds=0.02))) as (_, client, store):
        client.ask("a", "b")
        assert await client.read(14) == answer("a") + answer("b")
        assert len(store.arrived) == 2


async def test_a_reply_arrives_twice() -> None:
    async with through(Script(Fault(Kind.TWICE))) as (_, client, store):
        client.ask("a", "b")
        assert await client.read(21) == answer("a") * 2 + answer("b")
        assert len(store.arrived) == 2


async def test_a_reply_comes_once_more_behind_others() -> None:
    async with through(Script(Fault(Kind.ECHO, seconds=0.01))) as (_, client, _store):
        client.ask("a", "b")
        assert await client.read(21) == answer("a") + answer("b") + answer("a")


@pytest.mark.parametrize("answers", [1, 2])
async def test_a_request_arrives_twice_and_is_answered_as_often_as_said(answers: int) -> None:
    async with through(Script(Fault(Kind.TWICE, Side.REQUEST, answers=answers))) as (_, client, store):
        client.ask("a", "b")
        assert await client.read(7 * answers + 7) == answer("a") * answers + answer("b")
        assert [words[-1] for words in store.arrived] == ["a", "a", "b"]


@pytest.mark.parametrize("side", Side)
async def test_a_stalled_direction_passes_nothing_more(side: Side) -> None:
    async with through(Script(Fault(Kind.STALL, side, at=2))) as (proxy, client, _):
        client.ask("a", "b")
        assert await client.read(2 if side is Side.REPLY else 0) == (b"$1" if side is Side.REPLY else b"")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.reader.read(1)
        assert proxy.connections == 1
        other = await connected(proxy)
        other.ask("c")
        assert await other.read(7) == answer("c")
        other.writer.close()


async def test_a_half_closed_direction_ends_in_order() -> None:
    async with through(Script(Fault(Kind.HALF, at=3))) as (_, client, store):
        client.ask("a")
        assert await client.read(3) == b"$1\r"
        client.ask("b")
        await until(lambda: len(store.arrived) == 2)


async def test_a_refusing_proxy_hangs_up_and_a_forgiving_one_does_not() -> None:
    async with through() as (proxy, client, store):
        proxy.refusing = True
        assert await (await connected(proxy)).rest() == b""
        client.ask("a")
        assert await client.read(7) == answer("a")
        proxy.refusing = False
        other = await connected(proxy)
        other.ask("b")
        assert await other.read(7) == answer("b")
        other.writer.close()
        assert (proxy.counts["refused"], store.connections) == (1, 2)


async def test_all_connections_are_cut_at_once() -> None:
    async with through() as (proxy, client, _):
        other = await connected(proxy)
        for one in (client, other):
            one.ask("a")
            assert await one.read(7) == answer("a")
        assert proxy.cut_all() == 2
        assert (await client.rest(), await other.rest()) == (b"", b"")


async def test_all_connections_are_stalled_at_once() -> None:
    async with through() as (proxy, client, store):
        client.ask("a")
        await client.read(7)
        proxy.stall_all()
        client.ask("b")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.reader.read(1)
        assert len(store.arrived) == 1


async def test_only_what_counts_is_harmed() -> None:
    async with through(Script(Fault(Kind.EAT))) as (_, client, _store):
        client.writer.write(asked("a", "PING"))
        client.ask("b", "c")
        assert await client.read(14) == answer("a") + answer("c")


async def test_a_plan_for_replies_alone_leaves_requests_unread() -> None:
    plan = Seeded(1, {Fault(Kind.EAT): 0.2})
    async with through(plan) as (proxy, client, store):
        client.ask(*(f"{n:04d}" for n in range(1_000)))
        await until(lambda: proxy.counts["exchanges"] == 1_000)
        eaten = proxy.counts["eat"]
        assert 100 < eaten < 300
        got = await client.read((1_000 - eaten) * len(answer("0000")))
        numbers = [int(part) for part in got.split(b"\r\n")[1::2]]
        assert numbers == sorted(set(numbers))
        assert len(store.arrived) == 1_000


async def test_sizes_of_exchanges_are_told() -> None:
    async with through() as (proxy, client, _):
        proxy.keep_sizes = True
        client.ask("a", "bcd")
        await client.read(16)
        assert proxy.sizes == [(len(asked("a")), 7), (len(asked("bcd")), 9)]


async def test_a_store_that_is_not_there_is_a_connection_that_ends() -> None:
    async with FaultProxy("unix:///nowhere/at/all.sock") as proxy:
        client = await connected(proxy)
        assert await client.rest() == b""


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_new_connection_loses_nothing_that_comes_before_the_store_is_there(
    factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """One loop reads already while a connection is being made, the other does not yet."""

    async def each_on_its_own() -> None:
        async with fake_store(said) as store, FaultProxy(store.url, Script()) as proxy:
            for n in range(50):
                client = await connected(proxy)
                client.ask(f"{n:02d}")
                assert await client.read(8) == answer(f"{n:02d}")
                client.writer.close()
                await client.writer.wait_closed()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(each_on_its_own())


async def test_a_client_that_leaves_takes_its_connection_along() -> None:
    async with through(Script(None, Fault(Kind.EAT), Fault(Kind.STALL))) as (proxy, _, _store):
        for word in ("a", "b", "c"):
            other = await connected(proxy)
            other.ask(word)
            if word == "a":
                await other.read(7)
            other.writer.close()
            await other.writer.wait_closed()
        await until(lambda: proxy.connections == 1)


async def test_what_is_no_protocol_ends_the_connection() -> None:
    async with through(Script()) as (_, client, _store):
        client.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await client.rest() == b""


async def test_a_reader_that_is_slow_slows_the_writer_down() -> None:
    """Most of what is asked for stays where it is until somebody reads."""
    async with through() as (_, client, store):
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # a reader that reads nothing
        word = "x" * 100_000

        async def write() -> None:
            for _ in range(300):
                client.ask(word)
                await client.writer.drain()

        task = asyncio.create_task(write())
        await asyncio.sleep(0.3)
        assert not task.done()
        before = len(store.arrived)
        assert before < 300
        client.reader._transport.resume_reading()  # type: ignore[attr-defined]
        await client.read(300 * len(answer(word)))
        await task
        assert len(store.arrived) == 300
