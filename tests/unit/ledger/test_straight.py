"""An end that is asked for straight, without a task: as good as one of a task, whatever becomes of the question."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Busy
from gateway.ledger.contract import End, Hold, HoldId, Settlement
from gateway.ledger.settler import Settler
from gateway.ledger.spool import Spool
from gateway.units import Credits, Flag
from tests.unit.ledger.faulty import PATH, FaultyLedger, unavailable


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ledger.settler._FIRST_WAIT_S", 0.001)


@dataclass
class Line:
    """The straight way to a ledger: what is asked is noted, and answered when the test says so."""

    ledger: FaultyLedger
    open: bool = True
    asked: list[tuple[End, "asyncio.Future[Any]"]] = field(default_factory=list)

    def ask(self, end: End) -> "asyncio.Future[Any] | None":
        if not self.open:
            return None
        future = asyncio.get_running_loop().create_future()
        self.asked.append((end, future))
        return future

    def understood(self, _: End, answer: Any) -> Settlement | None:
        if answer == "nonsense":
            raise ValueError(answer)
        return answer if isinstance(answer, Settlement) else None

    async def answer(self) -> None:
        """Book what was asked, and say so."""
        for end, future in self.asked:
            future.set_result(await self.ledger.kept.book(end))


class Scene:
    """A settler with a straight way and a spool, and what it told."""

    def __init__(self, spool: Spool) -> None:
        self.ledger = FaultyLedger()
        self.line = Line(self.ledger)
        self.spool = spool
        self.settled: list[Settlement] = []
        self.stuck: list[str] = []
        self.settler = Settler(
            self.ledger, self.line, spool, ends_max=2, settled=self.settled.append, stuck=self.stuck.append
        )

    async def closed(self, name: str = "one") -> Hold:
        hold = await self.ledger.kept.hold(PATH, Credits(7), hold_id=HoldId(name))
        self.settler.close(hold, Credits(5), Flag.CONFIRMED)
        return hold

    @property
    def question(self) -> "asyncio.Future[Any]":
        return self.line.asked[0][1]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    spool = Spool(tmp_path)
    await spool.start()
    yield Scene(spool)
    await spool.close()


async def test_an_end_is_asked_for_at_once_and_told_when_it_is_booked(scene: Scene) -> None:
    await scene.closed()
    assert (len(scene.line.asked), scene.settler.under_way) == (1, 1)
    await scene.line.answer()
    assert await scene.settler.drain(10) == 0
    assert [(end.charged, end.applied) for end in scene.settled] == [(Credits(5), True)]
    assert (await scene.ledger.stands(), scene.ledger.calls, scene.stuck) == ((5, 0), [], [])


async def test_ends_asked_for_straight_count_against_the_bound(scene: Scene) -> None:
    await scene.closed("one")
    scene.settler.admit()
    await scene.closed("two")
    with pytest.raises(Busy):
        scene.settler.admit()
    await scene.line.answer()
    assert await scene.settler.drain(10) == 0
    scene.settler.admit()


@pytest.mark.parametrize("booked", [True, False])
async def test_an_end_that_is_not_answered_is_kept_on_disk_before_it_is_tried_again(scene: Scene, booked: bool) -> None:
    kept: list[bool] = []
    settle = scene.ledger.settle

    async def noted(hold: Hold, charged: Credits, flag: Flag, facts: str = "") -> Settlement:
        kept.append(scene.spool.holds(hold.hold_id))
        return await settle(hold, charged, flag, facts)

    scene.ledger.settle = noted  # type: ignore[method-assign]
    await scene.closed()
    if booked:
        await scene.ledger.kept.book(scene.line.asked[0][0])
    scene.question.set_exception(unavailable())
    assert await scene.settler.drain(10) == 0
    assert (kept, scene.ledger.calls, await scene.ledger.stands()) == ([True], ["settle one"], (5, 0))
    assert not scene.spool.holds(HoldId("one"))
    assert [end.applied for end in scene.settled] == [not booked]


@pytest.mark.parametrize("answer", ["an error", "nonsense"])
async def test_an_answer_that_is_none_is_asked_for_again_in_a_task(scene: Scene, answer: str) -> None:
    await scene.closed()
    scene.question.set_result(answer)
    assert await scene.settler.drain(10) == 0
    assert (scene.ledger.calls, await scene.ledger.stands(), scene.stuck) == (["settle one"], (5, 0), [])


async def test_where_nothing_can_be_asked_straight_a_task_does(scene: Scene) -> None:
    scene.line.open = False
    await scene.closed()
    assert await scene.settler.drain(10) == 0
    assert (scene.ledger.calls, await scene.ledger.stands()) == (["settle one"], (5, 0))


async def test_a_question_given_up_is_told_as_stuck(scene: Scene) -> None:
    await scene.closed()
    assert await scene.settler.drain(0.01) == 1
    assert scene.question.cancelled()
    assert (scene.stuck, scene.settled, scene.settler.under_way) == (["one"], [], 0)
