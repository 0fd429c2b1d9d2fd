"""Ends that the store did not take at once wait on disk, and are booked once, by whichever process comes to it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.errors import Busy, LedgerMissing, LedgerPoisoned, LedgerUnavailable
from gateway.ledger.contract import End, Hold, HoldId, Settlement
from gateway.ledger.memory import MemoryLedger
from gateway.ledger.settler import Settler
from gateway.ledger.spool import Spool, written
from gateway.units import Credits, Flag
from tests.unit.ledger.faulty import BOOK, PATH, FaultyLedger, unavailable


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ledger.settler._FIRST_WAIT_S", 0.001)
    monkeypatch.setattr("gateway.ledger.settler._LONGEST_WAIT_S", 0.002)


@dataclass
class Life:
    """One process: a settler and its spool, and what it told."""

    ledger: FaultyLedger
    spool: Spool
    settled: list[Settlement] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settler = Settler(self.ledger, spool=self.spool, settled=self.settled.append, stuck=self.stuck.append)

    async def held(self, name: str = "one", amount: int = 7) -> Hold:
        return await self.ledger.kept.hold(PATH, Credits(amount), hold_id=HoldId(name))


@asynccontextmanager
async def life(directory: Path, ledger: FaultyLedger, *, entries_max: int = 100) -> AsyncIterator[Life]:
    """A process; whatever it has not booked when the block is left is on disk, as after a crash."""
    spool = Spool(directory, entries_max=entries_max)
    await spool.start()
    lived = Life(ledger, spool)
    try:
        yield lived
    finally:
        await lived.settler.drain(0)
        await spool.close()


def away(*, tries: int) -> FaultyLedger:
    """A ledger that does not answer so many times."""
    return FaultyLedger(before=[unavailable() for _ in range(tries)])


def again(ledger: FaultyLedger, *faults: BaseException) -> FaultyLedger:
    """The same books, seen by the next process; `faults` are its first calls'."""
    return FaultyLedger(kept=ledger.kept, before=[*faults])


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - any condition, looked at again and again
            await asyncio.sleep(0.001)


def sizes(directory: Path) -> list[int]:
    return [path.stat().st_size for path in directory.iterdir()]


def only_file(directory: Path) -> tuple[Path, bytes]:
    (found,) = directory.iterdir()
    return found, found.read_bytes()


async def crashed_with(directory: Path, *charges: int) -> FaultyLedger:
    """Books with so many holds of 7, whose ends were on disk when their process died in an outage."""
    ledger = away(tries=1_000)
    async with life(directory, ledger) as lived:
        for number, charged in enumerate(charges):
            lived.settler.close(await lived.held(f"h{number}"), Credits(charged), Flag.CONFIRMED)
        await until(lambda: all(lived.spool.holds(HoldId(f"h{number}")) for number in range(len(charges))))
    assert lived.stuck == []
    assert (await ledger.stands()) == (0, 7 * len(charges))
    return ledger


async def test_an_end_that_the_store_takes_at_once_never_touches_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with life(tmp_path, FaultyLedger()) as lived:
        monkeypatch.setattr("gateway.ledger.spool.os.write", None)
        lived.settler.close(await lived.held(), Credits(5), Flag.CONFIRMED)
        assert await lived.settler.drain(10) == 0
    assert await lived.ledger.stands() == (5, 0)


async def test_an_end_that_missed_once_is_on_disk_before_it_is_tried_again_and_off_it_when_booked(
    tmp_path: Path,
) -> None:
    on_disk: list[int] = []

    class Watched(FaultyLedger):
        async def settle(self, hold: Hold, charged: Credits, flag: Flag, facts: str = "") -> Settlement:
            on_disk.append(sum(sizes(tmp_path)))
            return await super().settle(hold, charged, flag, facts)

    async with life(tmp_path, Watched(before=[unavailable(), unavailable()])) as lived:
        hold = await lived.held()
        lived.settler.close(hold, Credits(5), Flag.CONFIRMED)
        assert await lived.settler.drain(10) == 0
        line = len(written(End.of(hold, Credits(5), Flag.CONFIRMED)))
        assert on_disk == [0, line, line]
        assert (len(lived.spool), sizes(tmp_path)) == (0, [0])
    assert await lived.ledger.stands() == (5, 0)


async def test_what_is_on_disk_when_the_gateway_stops_is_not_told_as_stuck_but_booked_by_the_next(
    tmp_path: Path,
) -> None:
    ledger = await crashed_with(tmp_path, 5, 0, 9)
    async with life(tmp_path, again(ledger)) as lived:
        await lived.settler.replay()
        assert [(end.charged.millicredits, end.applied) for end in lived.settled] == [(5, True), (0, True), (9, True)]
    assert await ledger.stands() == (14, 0)
    assert sizes(tmp_path) == []
    assert (await ledger.kept.audit("studio")).differences == ()


async def test_however_often_it_is_replayed_it_is_booked_once(tmp_path: Path) -> None:
    ledger = await crashed_with(tmp_path, 5, 6)
    left, content = only_file(tmp_path)
    for number in range(5):
        left.write_bytes(content)  # killed between booking and removing
        async with life(tmp_path, again(ledger)) as lived:
            await lived.settler.replay()
        assert [end.applied for end in lived.settled] == [number == 0] * 2
    assert await ledger.stands() == (11, 0)
    assert len(ledger.kept.journal["studio"]) == 4


async def test_a_replay_cut_anywhere_is_finished_by_the_next(tmp_path: Path) -> None:
    ledger = await crashed_with(tmp_path, 5, 6, 7)
    for steps in range(12):
        async with life(tmp_path, again(ledger)) as lived:
            task = asyncio.create_task(lived.settler.replay())
            for _ in range(steps * 3):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    async with life(tmp_path, again(ledger)) as lived:
        await lived.settler.replay()
    assert await ledger.stands() == (18, 0)
    assert len(ledger.kept.journal["studio"]) == 6
    assert sizes(tmp_path) == []


async def test_the_replay_of_an_end_whose_hold_has_expired_corrects_it(tmp_path: Path) -> None:
    now = [0]
    ledger = FaultyLedger(before=[unavailable() for _ in range(1_000)])
    ledger.kept = MemoryLedger(BOOK, hold_ttl_ms=10, clock_ms=lambda: now[0])
    async with life(tmp_path, ledger) as lived:
        lived.settler.close(await lived.held(), Credits(3), Flag.CONFIRMED)
        await until(lambda: lived.spool.holds(HoldId("one")))
    now[0] = 20
    assert len(await ledger.sweep()) == 1
    assert await ledger.stands() == (7, 0)
    async with life(tmp_path, again(ledger)) as lived:
        await lived.settler.replay()
    assert await ledger.stands() == (3, 0)
    assert [entry["op"] for entry in ledger.kept.journal["studio"]] == ["hold", "expire", "correct"]


async def test_a_replay_waits_for_a_store_that_is_away(tmp_path: Path) -> None:
    ledger = await crashed_with(tmp_path, 5, 6)
    async with life(tmp_path, again(ledger, *(unavailable() for _ in range(9)))) as lived:
        await lived.settler.replay()
    assert await ledger.stands() == (11, 0)
    assert lived.ledger.calls == ["book h0"] * 10 + ["book h1"]


@pytest.mark.parametrize("why", [LedgerPoisoned("poisoned"), LedgerMissing("missing")])
async def test_an_end_whose_balance_needs_an_operator_stays_on_disk_and_keeps_no_other_from_being_booked(
    tmp_path: Path, why: LedgerUnavailable
) -> None:
    ledger = await crashed_with(tmp_path, 5, 6)
    async with life(tmp_path, again(ledger, why)) as lived:
        await lived.settler.replay()
        await lived.settler.replay()
        assert (lived.stuck, lived.ledger.calls) == (["h0"], ["book h0", "book h1"])
        assert await ledger.stands() == (6, 7)
    async with life(tmp_path, again(ledger)) as lived:
        await lived.settler.replay()
    assert await ledger.stands() == (11, 0)
    assert sizes(tmp_path) == []


async def test_a_full_spool_lets_no_new_hold_open_until_an_end_is_booked(tmp_path: Path) -> None:
    ledger = FaultyLedger()
    async with life(tmp_path, ledger, entries_max=4) as lived:
        ends = [End.of(await lived.held(f"h{n}"), Credits(1), Flag.CONFIRMED) for n in range(3)]
        lived.settler.admit()
        for end in ends:
            await lived.spool.keep(end)
        with pytest.raises(Busy):
            lived.settler.admit()
        await lived.spool.booked(HoldId("h0"))
        lived.settler.admit()


async def test_an_end_without_room_on_disk_is_tried_on_and_told_as_stuck_when_given_up(tmp_path: Path) -> None:
    async with life(tmp_path, away(tries=5), entries_max=0) as lived:
        lived.settler.close(await lived.held(), Credits(5), Flag.CONFIRMED)
        assert await lived.settler.drain(10) == 0
        assert await lived.ledger.stands() == (5, 0)
    async with life(tmp_path, away(tries=10_000), entries_max=0) as lived:
        lived.settler.close(await lived.held("two"), Credits(5), Flag.CONFIRMED)
        assert await lived.settler.drain(0.02) == 1
    assert lived.stuck == ["two"]


async def test_whatever_others_leave_later_is_found_too(tmp_path: Path) -> None:
    books = FaultyLedger()
    async with life(tmp_path, books) as lived:
        task = asyncio.create_task(lived.settler.replay_forever(every_s=0.001))
        hold = await lived.held()
        (tmp_path / "1-dead.ends").write_bytes(written(End.of(hold, Credits(5), Flag.CONFIRMED)))
        await until(lambda: bool(lived.settled))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await books.stands() == (5, 0)
