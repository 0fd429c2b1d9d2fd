"""Promises of turns.py: lines of several processes on one pipe stay whole, also when one of them is killed."""

import json
import subprocess
import sys

# Processes write lines longer than a pipe takes at once, in batches, to one pipe; one of them is killed in the middle.
_WRITERS = """
import os, signal, sys, time
from gateway.logs.pipe import LogPipe
from gateway.logs.turns import SharedTurn
turn = SharedTurn() if sys.argv[1] == "in turn" else None
children = []
for number in range(4):
    pid = os.fork()
    if pid == 0:
        pipe = LogPipe(sys.stdout, lines_max=100_000, turn=turn)
        pipe.start()
        for line in range(1_000_000 if number == 3 else 400):
            long = b"%d" % number * (3_000 + 37 * (line % 50))
            pipe.put(b'{"writer":%d,"line":%d,"long":"%b"}' % (number, line, long))
            if number == 3:
                time.sleep(0.0001)
        pipe.stop(60)
        os._exit(0)
    children.append(pid)
time.sleep(0.5)
os.kill(children[3], signal.SIGKILL)
for pid in children:
    os.waitpid(pid, 0)
"""


def _written(how: str) -> list[str]:
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", _WRITERS, how], stdout=subprocess.PIPE, text=True, encoding="ascii"
    ) as process:
        assert process.stdout is not None
        lines = process.stdout.read().split("\n")
    assert process.returncode == 0
    return [line for line in lines if line]


def _torn(lines: list[str]) -> int:
    """How many lines are none."""
    torn = 0
    for line in lines:
        try:
            said = json.loads(line)
            torn += set(said["long"]) != {str(said["writer"])}
        except ValueError:
            torn += 1
    return torn


def test_no_line_is_torn_by_another_process_and_the_killed_ones_last_line_at_most_stays_without_an_end() -> None:
    lines = _written("in turn")
    assert _torn(lines) <= 1
    survivors = [json.loads(line) for line in lines if line.startswith('{"writer":') and line[10] != "3"]
    for number in range(3):
        assert [said["line"] for said in survivors if said["writer"] == number] == list(range(400))


def test_without_turns_lines_are_torn_so_the_test_above_can_fail() -> None:
    assert _torn(_written("all at once")) > 1
