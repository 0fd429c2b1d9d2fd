"""Bodies too large for memory: priced and forwarded as any other, on disk meanwhile, and gone however it ended."""

import asyncio
import base64
import errno
import json
import os
from pathlib import Path

import pytest

from gateway.units import Credits
from gateway.web.disk import BACK_BYTES, WINDOW_BYTES
from tests.e2e.conftest import MakeWorld
from tests.e2e.raw import chunks, connected, message, told
from tests.e2e.refusals import assert_refused, nothing_happens
from tests.e2e.test_client_disconnect import peer, spent_and_held
from tests.e2e.test_streaming import CHARGE, upstream_at
from tests.e2e.world import World, until
from tests.fake_upstream import FakeUpstream, Turn, answer, fake_upstream
from tests.unit.parse.pictures import encoded

PNG = encoded("PNG", 8, 8)
# What stands behind an image's end is bounded; what stands beside it is not.
FILLING = os.urandom(3_000_000).replace(b"--x", b"yyy")
MULTIPART = "multipart/form-data; boundary=x"
PARTS = (
    b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na fox\r\n'
    b'--x\r\nContent-Disposition: form-data; name="mask"; filename="m.png"\r\n\r\n' + FILLING + b"\r\n"
    b'--x\r\nContent-Disposition: form-data; name="init_image"; filename="a.png"\r\n\r\n' + PNG + b"\r\n--x--\r\n"
)
TEXT = json.dumps({
    "prompt": "a fox",
    "other": base64.b64encode(FILLING).decode(),
    "init_image": base64.b64encode(PNG).decode(),
}).encode()  # fmt: skip
FORM = b"prompt=a+fox&init_image=" + base64.b64encode(PNG).replace(b"+", b"%2B") + b"&other=" + b"A" * 3_000_000
BODIES = [(MULTIPART, PARTS), ("application/json", TEXT), ("application/x-www-form-urlencoded", FORM)]
KINDS = ["multipart", "json", "form"]

PICTURE = Turn((answer(200, CHARGE.decode().strip(), "content-type: image/png", body=b"picture"),))


def post(here: World, body: bytes, kind: str = MULTIPART, *fields: str, length: int | str | None = None) -> bytes:
    return message(here, body, *fields, line="POST /image2image HTTP/1.1", kind=kind, length=length)


def nothing_is_left(here: World) -> bool:
    """No file of a body is open, and nothing is set aside for one."""
    files = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return not [name for name in files if str(here.settings.ledger.data_dir / "bodies") in name]


async def gauges(here: World) -> tuple[float, float]:
    """Bytes set aside in memory, and on disk."""
    lines = dict(line.rsplit(" ", 1) for line in (await here.metrics()).splitlines() if not line.startswith("#"))
    return float(lines["dezgo_gateway_bodies_memory_bytes"]), float(lines["dezgo_gateway_bodies_disk_bytes"])


def sent(fake: FakeUpstream) -> list[bytes]:
    return [request.partition(b"\r\n\r\n")[2] for request in fake.received]


@pytest.mark.parametrize(("kind", "body"), BODIES, ids=KINDS)
async def test_a_large_body_is_priced_and_forwarded_byte_for_byte(
    make_world: MakeWorld, kind: str, body: bytes
) -> None:
    async with fake_upstream(PICTURE) as fake, make_world(environ=upstream_at(fake.url)) as here:
        got = await told(here, post(here, body, kind))
        assert (got.status, got.body) == (200, b"picture")
        assert sent(fake) == [body]
        assert await spent_and_held(here) == (Credits.whole(19), Credits.ZERO)
        await until(lambda: nothing_is_left(here))
        assert await gauges(here) == (0, 0)


async def test_a_large_body_that_announces_no_length_is_forwarded_with_one(make_world: MakeWorld) -> None:
    async with fake_upstream(PICTURE) as fake, make_world(environ=upstream_at(fake.url)) as here:
        framed = b"".join(chunks(PARTS, 50_000))
        got = await told(here, post(here, framed, MULTIPART, "Transfer-Encoding: chunked", length=""))
        assert got.status == 200
        assert sent(fake) == [PARTS]
        await until(lambda: nothing_is_left(here))


@pytest.mark.parametrize(("kind", "body"), BODIES, ids=KINDS)
async def test_a_large_body_that_cannot_be_read_costs_nothing(make_world: MakeWorld, kind: str, body: bytes) -> None:
    async with make_world() as here:
        async with nothing_happens(here):
            got = await told(here, post(here, body.replace(b"init_image", b"other_name"), kind))
        assert_refused(got, 400, "invalid_parameter", says="init_image")
        await until(lambda: nothing_is_left(here))


async def test_an_idempotency_key_knows_a_large_body_again_and_another_one_apart(make_world: MakeWorld) -> None:
    async with fake_upstream(PICTURE) as fake, make_world(environ=upstream_at(fake.url)) as here:
        key = "Idempotency-Key: large-1"
        assert (await told(here, post(here, PARTS, MULTIPART, key))).status == 200
        await here.settled()
        again = await told(here, post(here, PARTS, MULTIPART, key))
        assert_refused(again, 409, "idempotency_ended")
        other = await told(here, post(here, PARTS.replace(b"a fox", b"a dog"), MULTIPART, key))
        assert_refused(other, 422, "idempotency_mismatch")
        assert len(sent(fake)) == 1


async def test_more_on_disk_than_there_is_room_for_is_refused_and_others_are_served(make_world: MakeWorld) -> None:
    environ = {
        "DEZGO_GATEWAY__BODIES__BYTES_MAX": "4000000",
        "DEZGO_GATEWAY__BODIES__SPOOL_BYTES_MAX": "4000000",
    }
    async with make_world(environ=environ) as here, connected(here.running.port) as first:
        await first.send(post(here, b"", MULTIPART, "Expect: 100-continue", length=len(PARTS)))
        assert (await first.answer()).status == 100
        assert await gauges(here) == (WINDOW_BYTES, len(PARTS))
        async with nothing_happens(here):
            refused = await told(here, post(here, b"", MULTIPART, length=len(PARTS)))
        assert_refused(refused, 503, "busy")
        assert int(refused.fields["retry-after"]) >= 1
        assert refused.fields["connection"] == "close"
        assert (await here.generate()).status == 200
        await first.close()
        await until(lambda: nothing_is_left(here))


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO])
async def test_a_disk_that_takes_no_more_refuses_large_bodies_and_no_others(
    make_world: MakeWorld, fault: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_world() as here:
        whole = os.write

        def failing(number: int, piece: memoryview) -> int:
            if len(piece) > 1_000:
                raise OSError(fault, os.strerror(fault))
            return whole(number, piece)

        async with nothing_happens(here):
            monkeypatch.setattr(os, "write", failing)
            refused = await told(here, post(here, PARTS))
        assert_refused(refused, 503, "busy")
        assert (await here.generate()).status == 200
        monkeypatch.undo()
        await until(lambda: nothing_is_left(here))
        assert await gauges(here) == (0, 0)


async def test_a_body_that_cannot_be_read_back_is_sent_at_most_once_and_booked_as_uncertain(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fake_upstream(PICTURE) as fake, make_world(environ=upstream_at(fake.url)) as here:
        whole = os.pread

        def failing(number: int, count: int, at: int) -> bytes:
            if at:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return whole(number, count, at)

        monkeypatch.setattr(os, "pread", failing)
        got = await told(here, post(here, PARTS))
        monkeypatch.undo()
        assert_refused(got, 502, "upstream_unanswered")
        assert sent(fake) == []  # it began, and never became whole
        assert fake.connections == 1
        spent, held = await spent_and_held(here)
        assert (spent > Credits.ZERO, held) == (True, Credits.ZERO)
        await until(lambda: nothing_is_left(here))


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_client_that_leaves_amid_a_large_body_leaves_no_file(make_world: MakeWorld, how: str) -> None:
    async with make_world() as here:
        async with nothing_happens(here), peer(here) as client:
            await client.send(post(here, b"", MULTIPART, length=len(PARTS)))
            await client.send(PARTS[:1_500_000])
            await until(lambda: not nothing_is_left(here))
            client.leave(how)
            await until(lambda: nothing_is_left(here))
        assert await gauges(here) == (0, 0)


async def test_bodies_that_wait_for_a_slow_upstream_wait_on_disk(make_world: MakeWorld) -> None:
    free = asyncio.Event()
    slow = Turn((free, *PICTURE.pieces))
    async with fake_upstream(slow) as fake, make_world(environ=upstream_at(fake.url)) as here:
        calls = [asyncio.create_task(told(here, post(here, PARTS))) for _ in range(12)]
        await until(lambda: len(fake.received) == 12)
        assert await gauges(here) == (12 * BACK_BYTES, 12 * len(PARTS))
        free.set()
        assert {(await call).status for call in calls} == {200}
        assert sent(fake) == [PARTS] * 12
        await until(lambda: nothing_is_left(here))


async def test_a_gateway_does_not_start_where_large_bodies_cannot_be_kept(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("no directory")
    environ = {"DEZGO_GATEWAY__BODIES__SPOOL_DIR": str(tmp_path / "taken")}
    with pytest.raises(OSError, match="exists"):
        async with make_world(environ=environ):
            pass
