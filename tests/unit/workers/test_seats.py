"""Promises of seats.py: what the processes tell each other, and when the gateway is ready."""

import pytest

from gateway.metrics.snapshots import Snapshot
from gateway.workers.seats import FIRST, LEAVING, ROLL, SERVING, SILENT_AFTER_S, STARTING, Report, Roll, look
from gateway.workers.shelf import Shelf

NOW_S = 1000.0
COUNTED = Snapshot({"calls": {("a", "b"): 3, (): 1}}, {"took": {("a",): ((1, 2), 0.5)}}, {"up": (1.0, 900.0)})
SERVES = Report(NOW_S - 0.5, SERVING, (), COUNTED)


def shelf_with(*reports: Report, draining: bool = False) -> Shelf:
    shelf = Shelf(FIRST + len(reports))
    roll = Roll(len(reports), [FIRST + number for number in range(len(reports))], draining=draining)
    shelf.put(ROLL, roll.as_bytes())
    for number, report in enumerate(reports):
        shelf.put(FIRST + number, report.as_bytes())
    return shelf


def test_what_is_read_is_what_was_told() -> None:
    assert Report.read(SERVES.as_bytes()) == SERVES
    roll = Roll(2, [2, 5], 7, draining=True, dead=COUNTED)
    assert Roll.read(roll.as_bytes()) == roll
    assert Report.read(b"") == Report(0.0, STARTING)
    assert Roll.read(b"") == Roll(0)


@pytest.mark.parametrize(
    ("reports", "draining", "ready", "lacks"),
    [
        ([SERVES, SERVES], False, 2, []),
        ([SERVES, Report(NOW_S)], False, 1, []),
        ([SERVES, Report(NOW_S, LEAVING)], False, 1, []),
        ([Report(NOW_S), Report(NOW_S)], False, 0, ["workers"]),
        ([], False, 0, ["workers"]),
        ([Report(NOW_S, SERVING, ("identity",))] * 2, False, 0, ["identity"]),
        ([SERVES, Report(NOW_S, SERVING, ("identity",))], False, 1, []),
        ([Report(NOW_S - SILENT_AFTER_S, SERVING)], False, 0, ["workers"]),
        ([SERVES, SERVES], True, 2, ["draining"]),
    ],
    ids=["all", "one starts", "one leaves", "all start", "nobody", "no keys", "one without keys", "silent", "draining"],
)
def test_the_gateway_is_ready_while_one_worker_is(
    reports: list[Report], draining: bool, ready: int, lacks: list[str]
) -> None:
    standing = look(shelf_with(*reports, draining=draining), NOW_S)
    assert standing.crew.ready == ready
    assert standing.lacks == lacks


def test_silence_is_that_of_the_one_who_told_nothing_for_longest() -> None:
    assert look(shelf_with(SERVES, Report(NOW_S - 4.0, SERVING)), NOW_S).crew.silence_s == 4.0
    assert look(shelf_with(), NOW_S).crew.silence_s == 0.0


def test_a_worker_that_died_is_told_once_more_among_the_dead() -> None:
    shelf = shelf_with(SERVES, SERVES)
    seen = look(shelf, NOW_S).seen
    assert sum(one.sums["calls"]["a", "b"] for one in seen.living) == 6
    roll = Roll.read(shelf.get(ROLL))
    roll.bury(FIRST, Report.read(shelf.get(FIRST)))
    shelf.put(ROLL, roll.as_bytes())
    seen = look(shelf, NOW_S).seen
    assert [one.sums["calls"]["a", "b"] for one in (*seen.living, seen.dead)] == [3, 3]
    assert seen.dead.readings == {}, "what it read was its own"


class Changing(Shelf):
    """A shelf on which a worker dies between two looks of a reader."""

    dies = True

    def get(self, slot: int) -> bytes:
        piece = super().get(slot)
        if slot == FIRST and self.dies:
            self.dies = False
            roll = Roll.read(super().get(ROLL))
            roll.bury(FIRST, Report.read(piece))
            self.put(ROLL, roll.as_bytes())
            self.put(FIRST, Report(NOW_S).as_bytes())
        return piece


def test_one_that_dies_while_all_is_read_is_counted_once() -> None:
    shelf = Changing(FIRST + 2)
    shelf.put(ROLL, Roll(2, [FIRST, FIRST + 1]).as_bytes())
    for slot in (FIRST, FIRST + 1):
        shelf.put(slot, SERVES.as_bytes())
    seen = look(shelf, NOW_S).seen
    assert len(seen.living) == 1
    assert sum(one.sums["calls"]["a", "b"] for one in (*seen.living, seen.dead)) == 6
