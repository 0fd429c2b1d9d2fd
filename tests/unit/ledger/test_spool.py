"""What the spool has said to be safe is found again, whenever its process died; what is booked leaves the disk."""

import asyncio
import errno
import fcntl
import os
import signal
import stat
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger import spool as module
from gateway.ledger.contract import End, HoldId
from gateway.ledger.spool import Spool, read, written
from gateway.units import MILLICREDITS_MAX, Credits, Flag

PLACES = "tenant/month|1767225600000|1769904000000 each:ann/day|1767225600000|1767312000000"


def end(name: str = "one", charged: int = 19_000, places: str = PLACES) -> End:
    return End(HoldId(name), "studio", places, Credits(charged), Flag.CONFIRMED)


ENDS = st.builds(
    End,
    hold_id=st.text(min_size=1, max_size=40).map(HoldId),
    tenant=st.text(max_size=20),
    places=st.sampled_from(["", PLACES, "tenant/total|0|"]),
    charged=st.integers(0, MILLICREDITS_MAX).map(Credits),
    flag=st.sampled_from(Flag),
    once=st.just(""),
    amount=st.integers(0, MILLICREDITS_MAX).map(Credits),
    deadline_ms=st.integers(0, 10**15 - 1),
    path=st.text(max_size=20),
) | st.builds(
    End,
    hold_id=st.just(HoldId("one")),
    tenant=st.just("studio"),
    places=st.just(PLACES),
    charged=st.just(Credits(7)),
    flag=st.sampled_from(Flag),
    once=st.text("0123456789abcdef", min_size=64, max_size=64),
    facts=st.text(max_size=200),
)


@asynccontextmanager
async def living(directory: Path, **bounds: int) -> AsyncIterator[Spool]:
    spool = Spool(directory, **bounds)
    await spool.start()
    try:
        yield spool
    finally:
        await spool.close()


async def left(directory: Path) -> list[End]:
    """What the next process finds; it books everything."""
    found: list[End] = []
    async with living(directory) as spool:
        while (orphan := await spool.adopt()) is not None:
            found += orphan.ends
            await spool.release(orphan)
        assert len(spool) == 0
    assert files(directory) == []
    return found


def files(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


@given(ENDS)
def test_an_end_is_read_as_it_was_written_and_in_one_line(said: End) -> None:
    line = written(said)
    assert line.count(b"\n") == 1
    assert read(line.removesuffix(b"\n")) == said


def test_a_line_of_a_gateway_that_did_not_write_down_the_hold_is_read_all_the_same() -> None:
    text = b'{"id":"a","tenant":"t","places":"tenant/total|0|","charged":5,"flag":"confirmed"}'
    assert read(b"%08x %s" % (zlib.crc32(text), text)) == End(
        HoldId("a"), "t", "tenant/total|0|", Credits(5), Flag.CONFIRMED
    )


@given(ENDS, st.data())
def test_a_damaged_line_is_never_taken_for_an_end(said: End, data: st.DataObject) -> None:
    line = bytearray(written(said).removesuffix(b"\n"))
    line[data.draw(st.integers(0, len(line) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match=r"."):
        read(bytes(line))


@pytest.mark.parametrize(
    "facts",
    [
        "[]",
        "7",
        '{"id":"a","tenant":"t","places":"","charged":-1,"flag":"confirmed"}',
        '{"id":"a","tenant":"t","places":"","charged":1.5,"flag":"confirmed"}',
        '{"id":"a","tenant":"t","places":"","charged":true,"flag":"confirmed"}',
        '{"id":"a","tenant":"t","places":"nowhere","charged":1,"flag":"confirmed"}',
        '{"id":"a","tenant":"t","places":"","charged":1,"flag":"surely"}',
        '{"id":"a","tenant":"t","places":"","charged":1,"flag":"confirmed","deadline":-1,"amount":1,"path":""}',
        '{"id":"a","tenant":"t","places":"","charged":1,"flag":"confirmed","deadline":1,"amount":"1","path":""}',
        '{"id":"a","tenant":"t","places":"","charged":1,"flag":"confirmed","deadline":1,"amount":1,"path":7}',
        '{"id":7,"tenant":"t","places":"","charged":1,"flag":"confirmed"}',
        '{"id":"a","tenant":"t","places":"","charged":1,"flag":"confirmed","once":7,"facts":""}',
    ],
)
def test_a_whole_line_that_says_no_end_is_refused(facts: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(b"%08x %s" % (zlib.crc32(facts.encode()), facts.encode()))


async def test_what_is_not_booked_is_found_by_the_next_process_and_what_is_booked_is_not(tmp_path: Path) -> None:
    async with living(tmp_path) as spool:
        assert [await spool.keep(end(name)) for name in ("one", "two", "three")] == [True] * 3
        await spool.booked(HoldId("two"))
        assert (len(spool), spool.holds(HoldId("one")), spool.holds(HoldId("two"))) == (2, True, False)
    assert {found.hold_id for found in await left(tmp_path)} >= {"one", "three"}


async def test_nothing_is_left_when_all_is_booked(tmp_path: Path) -> None:
    async with living(tmp_path) as spool:
        await spool.keep(end("one"))
        await spool.keep(end("two"))
        await spool.booked(HoldId("one"))
        await spool.booked(HoldId("two"))
        assert [path.stat().st_size for path in files(tmp_path)] == [0]
    assert files(tmp_path) == []


_DYING = """
import asyncio, os, signal, sys
from pathlib import Path
from gateway.ledger.spool import Spool, read

async def main():
    spool = Spool(Path(sys.argv[1]))
    await spool.start()
    assert await spool.keep(read(bytes.fromhex(sys.argv[2])))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_an_end_said_to_be_safe_outlives_a_kill_of_its_process(tmp_path: Path) -> None:
    line = written(end()).removesuffix(b"\n").hex()
    dying = await asyncio.create_subprocess_exec(sys.executable, "-c", _DYING, str(tmp_path), line)
    assert await dying.wait() == -signal.SIGKILL
    assert await left(tmp_path) == [end()]


async def test_a_line_torn_anywhere_is_counted_and_costs_no_other(tmp_path: Path) -> None:
    first, last = written(end("one")), written(end("two"))
    for cut in range(1, len(last)):
        (tmp_path / "1-dead.ends").write_bytes(first + last[:cut])
        async with living(tmp_path) as spool:
            orphan = await spool.adopt()
            assert orphan is not None
            assert (orphan.ends, spool.faults) == ((end("one"),), 1)
            await spool.release(orphan)


async def test_a_damaged_line_in_the_middle_costs_no_other(tmp_path: Path) -> None:
    (tmp_path / "1-dead.ends").write_bytes(written(end("one")) + b"\n\0\xff garbage\n" + written(end("two")))
    assert await left(tmp_path) == [end("one"), end("two")]


async def test_the_file_of_a_living_process_is_left_alone_and_a_dead_ones_is_taken_once(tmp_path: Path) -> None:
    async with living(tmp_path) as other:
        async with living(tmp_path) as alive:
            await alive.keep(end())
            assert await other.adopt() is None
        adopted = await other.adopt()
        assert adopted is not None
        assert (adopted.ends, len(other)) == ((end(),), 1)
        async with living(tmp_path) as third:
            assert await third.adopt() is None
        await other.release(adopted)
    assert files(tmp_path) == []


async def test_a_new_file_that_another_removed_before_it_was_locked_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made and not locked yet, it looks like a dead one's."""
    flock = fcntl.flock
    removed: list[Path] = []

    def late(descriptor: int, operation: int) -> None:
        if not removed:
            removed.extend(files(tmp_path))
            removed[0].unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    async with living(tmp_path) as spool:
        assert await spool.keep(end())
    assert len(removed) == 1
    assert await left(tmp_path) == [end()]


async def test_a_file_taken_over_and_not_finished_is_found_again(tmp_path: Path) -> None:
    async with living(tmp_path) as spool:
        await spool.keep(end())
    async with living(tmp_path) as spool:
        assert await spool.adopt() is not None
    assert await left(tmp_path) == [end()]


async def test_many_ends_at_once_share_their_fsyncs_and_none_counts_before_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safe: list[int] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        safe.append(os.fstat(descriptor).st_size)

    async with living(tmp_path) as spool:
        monkeypatch.setattr(os, "fsync", noted)
        said = [end(f"h{number}") for number in range(200)]
        size = sum(len(written(one)) for one in said)
        assert all(await asyncio.gather(*(spool.keep(one) for one in said)))
        assert len(safe) < 20
        assert safe[-1] == size
    assert await left(tmp_path) == said


async def test_it_is_full_with_room_left_for_calls_under_way_and_then_takes_no_more(tmp_path: Path) -> None:
    async with living(tmp_path, entries_max=8) as spool:
        fullness = []
        for number in range(9):
            kept = await spool.keep(end(f"h{number}"))
            fullness.append((kept, spool.full))
        assert fullness == [(True, False)] * 5 + [(True, True)] * 3 + [(False, True)]
        for number in range(3):
            await spool.booked(HoldId(f"h{number}"))
        assert not spool.full


async def test_its_bytes_are_bounded_too(tmp_path: Path) -> None:
    line = len(written(end("h0")))
    async with living(tmp_path, bytes_max=4 * line) as spool:
        assert [await spool.keep(end(f"h{number}")) for number in range(5)] == [True] * 4 + [False]
        assert spool.full
        await spool.booked(HoldId("h0"))
        await spool.booked(HoldId("h1"))
        assert not spool.full
        assert files(tmp_path)[0].stat().st_size == 4 * line


async def test_the_same_end_twice_is_kept_once(tmp_path: Path) -> None:
    async with living(tmp_path) as spool:
        assert [await spool.keep(end()), await spool.keep(end())] == [True, True]
        assert len(spool) == 1
    assert await left(tmp_path) == [end()]


async def test_a_disk_that_takes_a_part_is_counted_and_costs_only_what_it_did_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def half(descriptor: int, content: memoryview) -> int:
        write(descriptor, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "full")

    async with living(tmp_path) as spool:
        monkeypatch.setattr(os, "write", half)
        assert await asyncio.gather(*(spool.keep(end(f"lost{n}")) for n in range(3))) == [False] * 3
        assert (len(spool), spool.full) == (0, False)
        assert spool.faults >= 1
        monkeypatch.setattr(os, "write", write)
        assert await spool.keep(end("kept"))
    assert "kept" in {found.hold_id for found in await left(tmp_path)}


async def test_one_end_that_stays_does_not_let_the_file_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REWRITTEN_FROM_BYTES", 2_000)
    sizes = []
    async with living(tmp_path) as spool:
        await spool.keep(end("stays"))
        for number in range(100):
            await spool.keep(end(f"h{number}"))
            await spool.booked(HoldId(f"h{number}"))
            (own,) = files(tmp_path)
            sizes.append(own.stat().st_size)
    assert max(sizes) < 2_500
    assert "stays" in {found.hold_id for found in await left(tmp_path)}


async def test_only_its_user_reads_it(tmp_path: Path) -> None:
    async with living(tmp_path / "data" / "spool") as spool:
        await spool.keep(end())
        there = tmp_path / "data" / "spool"
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (there, *files(there))]
        assert modes == [0o700, 0o600]


async def test_a_directory_that_cannot_be_used_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path / "file" / "spool")
    with pytest.raises(OSError, match="Not a directory"):
        await spool.start()
    await spool.close()
