"""The servers tests hurt are what they claim: in sync and covered before use, promoted for real, gone at the end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.cluster import SLOTS, SlotMove, cluster
from tests.servers.line import SaidNoError
from tests.servers.node import bundled_program, node
from tests.servers.pair import pair
from tests.servers.waiting import wait_until
from tests.servers.watched import watched
from tests.tools import need_tool

STARTS_ONE = """
import sys, pathlib
from tests.servers.node import Node, bundled_program
made = Node(bundled_program(), pathlib.Path(sys.argv[1]))
made.start()
print(made.pid, flush=True)
sys.stdin.read()
"""


def lives(pid: int) -> bool:
    """Whether the process runs: one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(params=["valkey", "redis"])
def program(request: pytest.FixtureRequest) -> str:
    """Each server program in turn."""
    return bundled_program() if request.param == "valkey" else need_tool("redis-server")


def test_a_killed_node_comes_back_with_its_data_and_with_an_older_copy_of_it(program: str, tmp_path: Path) -> None:
    with node(program, tmp_path / "node") as one:
        one.ask("SET", "k", "old")
        one.stop()
        one.copy_to(tmp_path / "copy")
        one.start()
        one.ask("SET", "k", "new")
        wait_until(lambda: one.info("persistence")["aof_pending_bio_fsync"] == "0", "the write to be on disk")
        one.kill()
        assert not one.alive
        one.start()
        assert one.ask("GET", "k") == "new"
        one.kill()
        one.put_back(tmp_path / "copy")
        one.start()
        assert one.ask("GET", "k") == "old"


def test_a_node_ends_with_whoever_started_it_even_when_it_is_stopped(tmp_path: Path) -> None:
    starter = subprocess.Popen(  # noqa: S603 - this interpreter, and a program that stands above
        [sys.executable, "-c", STARTS_ONE, str(tmp_path / "node")],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        os.kill(pid, signal.SIGSTOP)
        starter.kill()
    wait_until(lambda: not lives(pid), "the node to end with its starter")


def test_what_a_black_hole_swallows_the_promoted_replica_does_not_know(program: str, tmp_path: Path) -> None:
    with pair(program, tmp_path) as two:
        two.primary.ask("SET", "k", "before")
        two.replica.caught_up(two.primary)
        two.wire.swallows = True
        two.primary.ask("SET", "k", "after")
        two.primary.kill()
        two.promote()
        assert two.replica.is_primary
        assert two.replica.ask("GET", "k") == "before"


def test_sentinels_promote_the_replica_of_a_killed_primary(program: str, tmp_path: Path) -> None:
    with watched(program, tmp_path) as group:
        before = group.primary
        before.ask("SET", "k", "v")
        group.nodes[1].caught_up(before)
        before.kill()
        after = group.promoted(before)
        assert after is group.nodes[1]
        assert after.ask("GET", "k") == "v"


def test_a_cluster_serves_every_slot_promotes_replicas_with_their_data_and_moves_a_slot(
    program: str, tmp_path: Path
) -> None:
    with cluster(program, tmp_path) as six:
        slot = six.slot("{t}k")
        owner = six.owner(slot)
        owner.ask("SET", "{t}k", "v")
        assert f"cluster_slots_assigned:{SLOTS}" in owner.ask("CLUSTER", "INFO")
        six.replica(slot).caught_up(owner)
        assert six.fail_over(slot).ask("GET", "{t}k") == "v"
        six.whole()
        second = six.owner(slot)
        second.kill()
        third = six.promoted(slot, second)
        assert third.ask("GET", "{t}k") == "v"
        second.start()
        six.whole()
        target = next(one for one in six.alive() if one.is_primary and one is not third)
        move = SlotMove(six, slot, third, target)
        move.begin()
        assert move.carry() == 1
        with pytest.raises(SaidNoError, match="ASK"):
            third.ask("GET", "{t}k")
        move.end()
        with pytest.raises(SaidNoError, match="MOVED"):
            third.ask("GET", "{t}k")
        assert target.ask("GET", "{t}k") == "v"
