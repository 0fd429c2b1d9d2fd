"""The settler books every end, again until it is booked; what it has to give up, it tells."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gateway.errors import Busy, LedgerPoisoned
from gateway.ledger.contract import Hold, HoldId, Settlement
from gateway.ledger.settler import Settler
from gateway.units import Credits, Flag
from tests.unit.ledger.faulty import PATH, FaultyLedger, failing, unavailable


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ledger.settler._FIRST_WAIT_S", 0.001)
    monkeypatch.setattr("gateway.ledger.settler._LONGEST_WAIT_S", 0.002)


@dataclass
class Told:
    """A settler, and what it told."""

    ledger: FaultyLedger = field(default_factory=FaultyLedger)
    settled: list[Settlement] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    ends_max: int = 10

    def __post_init__(self) -> None:
        self.settler = Settler(
            self.ledger, ends_max=self.ends_max, settled=self.settled.append, stuck=self.stuck.append
        )

    async def held(self, name: str = "one", amount: int = 7) -> Hold:
        return await self.ledger.kept.hold(PATH, Credits(amount), hold_id=HoldId(name))


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - any condition, looked at in every loop cycle
        await asyncio.sleep(0)


async def test_an_end_is_booked_beside_the_caller_and_told() -> None:
    told = Told()
    told.settler.close(await told.held(), Credits(5), Flag.CONFIRMED)
    assert (told.settler.under_way, told.ledger.calls) == (1, [])
    assert await told.settler.drain(10) == 0
    assert [(end.charged, end.applied) for end in told.settled] == [(Credits(5), True)]
    assert (await told.ledger.stands(), told.settler.under_way, told.stuck) == ((5, 0), 0, [])


@pytest.mark.parametrize("lost", [0, 1, 20])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_end_is_tried_until_it_is_booked_and_booked_once(lost: int, when: str) -> None:
    told = Told(failing(when, *(unavailable() for _ in range(lost))))
    told.settler.close(await told.held(), Credits(5), Flag.CONFIRMED)
    assert await told.settler.drain(10) == 0
    assert told.ledger.calls == ["settle one"] * (lost + 1)
    assert await told.ledger.stands() == (5, 0)
    assert [end.charged for end in told.settled] == [Credits(5)]
    assert len(told.ledger.kept.journal["studio"]) == 2


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_void_is_tried_until_it_is_booked(when: str) -> None:
    told = Told(failing(when, unavailable(), unavailable()))
    await told.held()
    told.settler.void(PATH, HoldId("one"), Credits(7))
    assert await told.settler.drain(10) == 0
    assert (await told.ledger.stands(), told.ledger.calls, told.stuck) == ((0, 0), ["void one"] * 3, [])


async def test_the_waits_between_tries_grow_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(wait_s: float) -> None:
        waits.append(wait_s)
        await sleep(0)

    told = Told(FaultyLedger(before=[unavailable() for _ in range(4)], steps=0))
    hold = await told.held()
    monkeypatch.setattr("gateway.ledger.settler._LONGEST_WAIT_S", 0.004)
    monkeypatch.setattr("gateway.ledger.settler.asyncio.sleep", noted)
    told.settler.close(hold, Credits(5), Flag.CONFIRMED)
    assert await told.settler.drain(10) == 0
    assert waits == [0.001, 0.002, 0.004, 0.004]


async def test_a_poisoned_end_is_given_up_at_once_and_told_once() -> None:
    told = Told(FaultyLedger(before=[unavailable(), LedgerPoisoned("poisoned")]))
    told.settler.close(await told.held(), Credits(5), Flag.CONFIRMED)
    assert await told.settler.drain(10) == 0
    assert (told.ledger.calls, told.stuck, told.settled) == (["settle one"] * 2, ["one"], [])


async def test_an_end_that_fails_in_a_way_nobody_thought_of_is_told_as_stuck() -> None:
    told = Told(FaultyLedger(before=[RuntimeError("unthought of")]))
    told.settler.close(await told.held(), Credits(5), Flag.CONFIRMED)
    await told.settler.drain(10)
    assert (told.stuck, told.settler.under_way) == (["one"], 0)


@pytest.mark.parametrize("others", [0, 3])
async def test_a_full_settler_lets_no_new_hold_open_until_an_end_is_booked(others: int) -> None:
    told = Told(ends_max=2)
    holds = [await told.held(f"h{n}") for n in range(2 + others)]
    told.settler.admit()
    for hold in holds:
        told.settler.close(hold, Credits(1), Flag.CONFIRMED)
    with pytest.raises(Busy):
        told.settler.admit()
    assert await told.settler.drain(10) == 0
    told.settler.admit()
    assert await told.ledger.stands() == (2 + others, 0)


async def test_draining_nothing_is_done_at_once() -> None:
    assert await Told().settler.drain(0) == 0


async def test_a_drain_waits_for_ends_that_begin_while_it_waits() -> None:
    told = Told()
    first, second = await told.held("first"), await told.held("second")

    async def begin() -> None:
        await until(lambda: bool(told.ledger.calls))
        told.settler.close(second, Credits(2), Flag.CONFIRMED)

    beginning = asyncio.create_task(begin())
    told.settler.close(first, Credits(1), Flag.CONFIRMED)
    assert await told.settler.drain(10) == 0
    await beginning
    assert (await told.ledger.stands(), told.settler.under_way) == ((3, 0), 0)


async def given_up_after(steps: int) -> Told:
    """Give an end up `steps` loop cycles after it began."""
    told = Told()
    told.settler.close(await told.held(), Credits(5), Flag.CONFIRMED)
    for _ in range(steps):
        await asyncio.sleep(0)
    if told.settler.under_way:
        assert await told.settler.drain(0) in (0, 1)
    return told


@pytest.mark.parametrize("steps", range(8))
async def test_an_end_given_up_anywhere_is_either_booked_and_told_or_told_as_stuck(steps: int) -> None:
    told = await given_up_after(steps)
    assert told.settler.under_way == 0
    assert (len(told.settled), len(told.stuck)) in ((1, 0), (0, 1))


async def test_an_end_given_up_while_it_waits_to_be_tried_again_is_told_as_stuck(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The store is away and the gateway stops: this is where most ends are then."""
    monkeypatch.setattr("gateway.ledger.settler._FIRST_WAIT_S", 3600)
    told = Told(FaultyLedger(before=[unavailable()]))
    told.settler.close(await told.held(), Credits(5), Flag.CONFIRMED)
    assert await told.settler.drain(0.05) == 1
    assert (told.ledger.calls, told.stuck, told.settled) == (["settle one"], ["one"], [])


async def test_an_end_given_up_before_it_began_is_told_as_stuck() -> None:
    told = Told()
    told.settler.close(await told.held(), Credits(5), Flag.CONFIRMED)
    for task in tuple(told.settler._tasks):
        task.cancel()
    await told.settler.drain(10)
    assert (told.ledger.calls, told.stuck) == ([], ["one"])


async def test_the_end_survives_the_cancellation_of_whoever_began_it() -> None:
    told = Told(FaultyLedger(steps=5))
    hold = await told.held()

    async def caller() -> None:
        told.settler.close(hold, Credits(5), Flag.CONFIRMED)
        await asyncio.Event().wait()

    task = asyncio.create_task(caller())
    await until(lambda: told.settler.under_way > 0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await told.settler.drain(10) == 0
    assert await told.ledger.stands() == (5, 0)
