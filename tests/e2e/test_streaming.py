"""Answers are streamed: bytes go on as they come, and a large answer is never held in memory."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import aiohttp

from gateway.units import Credits
from tests.e2e.conftest import MakeWorld
from tests.e2e.test_upstream_faults import paid_line
from tests.e2e.world import World
from tests.fake_upstream import Turn, fake_upstream

MIB = 1024 * 1024
PIECE = bytes(range(256)) * 256  # 64 KiB
CHARGE = b"x-dezgo-job-amount-usd: 0.0019\r\n"


@dataclass
class Large:
    """An upstream with one large answer for everybody; `whole` counts those it could send to the end."""

    url: str = ""
    whole: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


@asynccontextmanager
async def large_answers(size: int) -> AsyncIterator[Large]:
    """Answer everything with `size` bytes of image, and hold no more than one piece of them."""
    large = Large()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        large.tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            head = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\nconnection: close\r\n"
            writer.write(head + CHARGE + b"content-length: %d\r\n\r\n" % size)
            for _ in range(size // len(PIECE)):
                writer.write(PIECE)
                await writer.drain()
            large.whole += 1
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            large.tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    large.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        try:
            yield large
        finally:
            for task in large.tasks:
                task.cancel()


def upstream_at(url: str) -> dict[str, str]:
    """The environment of a gateway in front of another upstream than its simulator."""
    return {"DEZGO_GATEWAY__UPSTREAM__URL": url}


@contextmanager
def traced() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


async def test_the_first_bytes_arrive_before_the_last_are_sent(make_world: MakeWorld) -> None:
    first_read = asyncio.Event()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n" + CHARGE + b"content-length: %d\r\n\r\n" % (2 * len(PIECE))
    turn = Turn((head + PIECE, first_read, PIECE))
    async with fake_upstream(turn) as fake, make_world(environ=upstream_at(fake.url)) as here:
        async with (
            asyncio.timeout(10),
            here.session.post(here.url + "/text2image", json={"prompt": "a"}, headers=here.key()) as answer,
        ):
            # The upstream sends its second half only after this: a gateway that waits for the whole never gets there.
            assert await answer.content.readexactly(32_768) == PIECE[:32_768]
            assert answer.headers["x-credits-cost"] == "19"
            first_read.set()
            rest = await answer.content.read(-1)
        assert len(rest) == 2 * len(PIECE) - 32_768
        assert (await paid_line(here))["bytes_out"] == 2 * len(PIECE)


async def test_a_slow_body_passes_whole_and_unchanged(here: World) -> None:
    plain = await here.generate()
    here.simulator.faults.next("slow_body:0.2", "slow_body:0.2 chunked", "chunked")
    for _ in range(3):
        answer = await here.generate()
        assert (answer.status, answer.body) == (200, plain.body)


async def test_a_large_image_passes_byte_for_byte(make_world: MakeWorld) -> None:
    async with make_world(drawn=True) as here:
        answer = await here.generate({"prompt": "a" * 900, "width": 2048, "height": 2048, "steps": 10, "seed": 7})
        direct = await here.session.post(
            here.simulator.url + "/text2image",
            json={"prompt": "a" * 900, "width": 2048, "height": 2048, "steps": 10, "seed": 7},
            headers={"X-Dezgo-Key": _master_key(here)},
        )
        straight = await direct.read()
        assert (answer.status, direct.status) == (200, 200)
        assert len(answer.body) > MIB // 2
        assert hashlib.sha256(answer.body).digest() == hashlib.sha256(straight).digest()


def _master_key(here: World) -> str:
    key = here.settings.secrets.upstream_key
    assert key is not None
    return key.get_secret_value()


async def test_memory_does_not_grow_with_large_answers_at_once(make_world: MakeWorld) -> None:
    calls, size = 12, 16 * MIB
    all_begun = asyncio.Barrier(calls)

    async def call(here: World) -> int:
        async with here.session.post(here.url + "/text2image", json={"prompt": "a"}, headers=here.key()) as answer:
            count = len(await answer.content.readany())
            await all_begun.wait()
            async for piece in answer.content.iter_any():
                count += len(piece)
        return count

    async with large_answers(size) as large, make_world(environ=upstream_at(large.url)) as here:
        with traced():
            async with asyncio.timeout(60):
                counts = await asyncio.gather(*(call(here) for _ in range(calls)))
            _, peak = tracemalloc.get_traced_memory()
        assert counts == [size] * calls
        # 192 MiB have passed; what is held at once are a few buffers for each call, here, there and in between.
        assert peak < calls * 2 * MIB
        assert large.whole == calls
        (balance,) = await here.balances()
        assert (balance.spent, balance.held) == (Credits.whole(19 * calls), Credits.ZERO)


async def test_a_large_answer_of_unknown_length_is_streamed_in_chunks(make_world: MakeWorld) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ntransfer-encoding: chunked\r\n" + CHARGE + b"\r\n"
    chunk = b"%x\r\n" % len(PIECE) + PIECE + b"\r\n"
    turn = Turn((head, *[chunk] * 32, b"0\r\n\r\n"))
    async with fake_upstream(turn) as fake, make_world(environ=upstream_at(fake.url)) as here:
        answer = await here.generate()
        assert answer.body == PIECE * 32
        assert answer.fields["transfer-encoding"] == "chunked"


async def test_an_old_client_gets_no_chunks_but_the_connections_end(make_world: MakeWorld) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ntransfer-encoding: chunked\r\n" + CHARGE + b"\r\n"
    turn = Turn((head, b"5\r\nhello\r\n0\r\n\r\n"))
    # It asks to keep the connection, and would wait for more until the gateway tires of the idle connection.
    async with (
        fake_upstream(turn) as fake,
        make_world(environ=upstream_at(fake.url)) as here,
        asyncio.timeout(5),
        aiohttp.ClientSession(version=aiohttp.HttpVersion10) as old,
    ):
        answer = await old.post(here.url + "/text2image", json={"prompt": "a"}, headers=here.key())
        assert (answer.status, await answer.read()) == (200, b"hello")
        assert "transfer-encoding" not in answer.headers
