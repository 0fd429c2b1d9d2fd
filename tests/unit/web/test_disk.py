"""Large bodies on disk: the same bytes, bounded, and gone when they are no longer needed, however that came."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import BadBody, Busy
from gateway.parse.limits import Limits
from gateway.pricing.job import Job
from gateway.web import disk as module
from gateway.web.disk import PIECE_BYTES, WINDOW_BYTES, Disk, Spooled, files_max
from gateway.web.in_flight import InFlight
from gateway.web.reader import Reader
from gateway.web.reading import Asked
from tests.unit.parse.methods import TEXT

ASKED = Asked(TEXT, ("application/json",), "", Limits())


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    made = Disk(tmp_path / "bodies", bytes_max=10_000_000)
    await made.start()
    yield made
    await made.close()
    assert not list((tmp_path / "bodies").iterdir())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def filled(disk: Disk, body: bytes) -> Spooled:
    file = Spooled(disk)
    for at in range(0, len(body), 100_000):
        await file.write(body[at : at + 100_000])
    return file


async def test_a_body_comes_back_as_it_went_as_often_as_wanted(disk: Disk) -> None:
    body = os.urandom(3 * PIECE_BYTES + 17)
    file = await filled(disk, body)
    assert len(file) == len(body)
    for _ in range(2):
        pieces = [piece async for piece in file.pieces()]
        assert b"".join(pieces) == body
        assert max(map(len, pieces)) == PIECE_BYTES
    file.close()


async def test_its_file_has_no_name_and_is_closed_when_it_is_let_go(disk: Disk, tmp_path: Path) -> None:
    before = open_files()
    file = await filled(disk, b"x")
    assert open_files() == before + 1
    assert not list((tmp_path / "bodies").iterdir())
    file.close()
    file.close()
    await disk.step(lambda: None)
    assert open_files() == before


async def test_who_leaves_while_a_step_is_under_way_leaves_no_file_behind(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_files()
    for steps in range(6):
        file = Spooled(disk)
        writing = asyncio.create_task(file.write(b"x" * 100))
        for _ in range(steps):
            await asyncio.sleep(0)
        writing.cancel()
        file.close()
        await asyncio.wait([writing])
    await disk.step(lambda: None)
    assert open_files() == before


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
async def test_a_disk_that_does_not_take_it_is_busy_and_leaves_nothing(
    disk: Disk, fault: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> int:
        raise OSError(fault, os.strerror(fault))

    before = open_files()
    in_flight = InFlight(WINDOW_BYTES, disk)
    monkeypatch.setattr(os, "write", failing)
    with in_flight.share() as share:
        share.to_disk(1_000_000)
        assert share.file is not None
        with pytest.raises(Busy):
            await share.file.write(b"x")
        assert (in_flight.bytes, disk.bytes) == (WINDOW_BYTES, 1_000_000)
    monkeypatch.undo()
    assert (in_flight.bytes, disk.bytes) == (0, 0)
    await disk.step(lambda: None)
    assert open_files() == before


async def test_some_of_the_disk_is_left_for_others(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Spooled(disk)
    await file.write(b"x")
    monkeypatch.setattr(module, "RESERVE_BYTES", 2**62)
    with pytest.raises(Busy):
        await file.write(b"x")
    file.close()


async def test_a_write_in_parts_is_gone_on_with(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    file, whole = Spooled(disk), os.write
    monkeypatch.setattr(os, "write", lambda number, piece: whole(number, piece[:7]))
    await file.write(b"0123456789" * 5)
    assert b"".join([piece async for piece in file.pieces()]) == b"0123456789" * 5
    file.close()


async def test_a_disk_that_hangs_is_given_up(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    free = threading.Event()
    monkeypatch.setattr(module, "STEP_TIMEOUT_S", 0.05)
    hung = asyncio.create_task(disk.step(free.wait))
    await asyncio.sleep(0)
    file = Spooled(disk)
    try:
        with pytest.raises(Busy):
            await file.write(b"x")
        with pytest.raises(TimeoutError):
            await hung
    finally:
        free.set()
        file.close()


async def test_a_file_that_became_short_or_unreadable_is_an_error_to_who_reads(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await filled(disk, b"x" * (PIECE_BYTES + 100))
    assert file._file is not None
    os.ftruncate(file._file.fileno(), PIECE_BYTES + 50)
    with pytest.raises(OSError, match="shorter"):
        [piece async for piece in file.pieces()]
    file.close()
    await disk.step(lambda: None)
    with pytest.raises(OSError, match="closed"):
        [piece async for piece in file.pieces()]
    with pytest.raises(Busy):
        await file.job(ASKED)


async def test_a_body_is_refused_and_the_next_has_its_turn(disk: Disk) -> None:
    bad, good = await filled(disk, b"{"), await filled(disk, b'{"steps": 20}')
    with pytest.raises(BadBody):
        await bad.job(ASKED)
    assert (await good.job(ASKED)).steps == 20
    bad.close()
    good.close()


async def test_one_body_is_read_at_a_time(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, most = 0, 0

    async def job(self: Reader, asked: Asked, file: int) -> Job:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return Job("text2image")

    monkeypatch.setattr(Reader, "job", job)
    files = [await filled(disk, b"x") for _ in range(8)]
    await asyncio.gather(*(file.job(ASKED) for file in files))
    assert most == 1
    for file in files:
        file.close()


async def test_a_directory_that_takes_no_files_is_found_at_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    disk = Disk(tmp_path / "file", bytes_max=1)
    with pytest.raises(OSError, match="exists"):
        await disk.start()
    await disk.close()


async def test_shares_are_bounded_in_memory_and_on_disk_and_given_back(disk: Disk) -> None:
    in_flight = InFlight(4 * WINDOW_BYTES, disk)
    with in_flight.share() as one, in_flight.share() as two, in_flight.share() as three, in_flight.share() as four:
        one.grow_to(2 * WINDOW_BYTES + 5)
        with pytest.raises(Busy):
            two.to_disk(1_000)
        one.to_disk(9_000_000)
        assert (in_flight.bytes, disk.bytes) == (WINDOW_BYTES, 9_000_000)
        one.grow_to(9_500_000)
        two.to_disk(400_000)
        with pytest.raises(Busy):
            two.grow_to(600_000)
        three.to_disk(1)
        four.grow_to(WINDOW_BYTES)
        with pytest.raises(Busy):
            four.grow_to(WINDOW_BYTES + 1)
        assert (in_flight.bytes, disk.bytes) == (4 * WINDOW_BYTES, 9_900_001)
    assert (in_flight.bytes, disk.bytes) == (0, 0)


async def test_large_bodies_leave_a_quarter_of_the_memory_to_small_ones(disk: Disk) -> None:
    in_flight = InFlight(4 * WINDOW_BYTES, disk)
    with in_flight.share() as one, in_flight.share() as two, in_flight.share() as three, in_flight.share() as four:
        for share in (one, two, three):
            share.to_disk(1)
        with pytest.raises(Busy):
            four.to_disk(1)
        four.grow_to(WINDOW_BYTES)


async def test_a_bound_of_one_window_still_takes_a_large_body(disk: Disk) -> None:
    in_flight = InFlight(WINDOW_BYTES, disk)
    with in_flight.share() as one:
        one.to_disk(1)
        assert in_flight.bytes == WINDOW_BYTES


def test_files_are_bounded_by_what_each_takes() -> None:
    assert files_max(disk_bytes=2**30, memory_bytes=2**26, threshold_bytes=2**20) == 256 + 512
    assert files_max(disk_bytes=2**30, memory_bytes=2**30, threshold_bytes=2**20) == 1024 + 8192
