"""Promises of supervisor.py that need no process: what it does at its bounds. The rest is in e2e/test_workers.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.metrics.snapshots import Snapshot
from gateway.workers.seats import FIRST, ROLL, Roll, look
from gateway.workers.shelf import Shelf
from gateway.workers.supervisor import Supervisor
from tests.unit.settings.files import ENVIRON, load, write


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """One that has begun nothing yet."""
    write(tmp_path)
    settings = load(tmp_path, ENVIRON | {f"DEZGO_GATEWAY__{name}__PORT": "0" for name in ("LISTEN", "OPS")})
    made = Supervisor(
        settings,
        2,
        run=lambda main: main.close(),
        guard=lambda _: 0,
        started=lambda *_: None,
        say=lambda _: None,
    )
    yield made
    here = made._family
    for pipe in (here.lifeline, here.others, here.bell):
        pipe.close(*pipe.ends)
    for one in [one for sockets in (here.back, *here.front) for one in sockets]:
        one.close()


def test_while_every_slot_is_in_use_it_waits_for_an_end_and_does_not_spin(supervisor: Supervisor) -> None:
    supervisor._desk.started(0, 1)
    supervisor._desk.ready(1, 0.0)
    assert supervisor._wait_s() == 0.0
    supervisor._family.free.clear()
    assert supervisor._wait_s() > 0.0


def test_who_lives_is_told_even_where_the_counts_of_the_dead_find_no_room(supervisor: Supervisor) -> None:
    supervisor._family.shelf = shelf = Shelf(FIRST + 1, piece_bytes_max=500)
    supervisor._roll.dead = Snapshot({"calls": {(str(number),): number for number in range(500)}})
    supervisor._roll.living.append(FIRST)
    supervisor._tell()
    assert Roll.read(shelf.get(ROLL)).living == [FIRST]
    assert look(shelf, 0.0).crew.wanted == 2
