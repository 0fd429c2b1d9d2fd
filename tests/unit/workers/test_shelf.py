"""Promises of shelf.py: a reader finds whole pieces only, whatever the writer was doing, or whenever it died."""

import subprocess
import sys

import pytest

from gateway.workers.shelf import Shelf


def test_a_slot_holds_what_was_put_last_and_nothing_of_the_others() -> None:
    shelf = Shelf(3, piece_bytes_max=100)
    assert shelf.get(1) == b""
    for piece in (b"first", b"the second is longer", b"", b"x" * 100, b"short"):
        assert shelf.put(1, piece)
        assert shelf.get(1) == piece
    assert (shelf.get(0), shelf.get(2)) == (b"", b"")


def test_a_piece_that_is_too_long_leaves_the_former_in_place() -> None:
    shelf = Shelf(2, piece_bytes_max=10)
    shelf.put(0, b"kept")
    shelf.put(1, b"neighbour")
    assert not shelf.put(0, b"x" * 11)
    assert (shelf.get(0), shelf.get(1)) == (b"kept", b"neighbour")


@pytest.mark.parametrize("written", range(13))
def test_a_writer_that_dies_at_any_byte_leaves_the_former_piece_whole(written: int) -> None:
    shelf = Shelf(1, piece_bytes_max=100)
    shelf.put(0, b"former")
    torn, whole = Shelf(1, piece_bytes_max=100), Shelf(1, piece_bytes_max=100)
    for other in (torn, whole):
        other.put(0, b"former")
    whole.put(0, b"later")
    start = whole._start(0, whole._memory[0])
    torn._memory[start : start + written] = whole._memory[start : start + written]
    assert torn.get(0) == b"former"


# One process writes without end and is killed; the other looks at every piece it can get.
_RACE = """
import os, signal, sys, time
from gateway.workers.shelf import Shelf
shelf = Shelf(1)
shelf.put(0, b"0" * 1000)
pid = os.fork()
if pid == 0:
    number = 0
    while True:
        number += 1
        shelf.put(0, str(number % 10).encode() * (1000 + number % 50_000))
end = time.monotonic() + 1
seen = set()
while time.monotonic() < end:
    piece = shelf.get(0)
    assert piece == b"" or (len(set(piece)) == 1 and len(piece) >= 1000), piece[:50]
    seen.add(piece[:1])
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
assert len(set(shelf.get(0))) == 1
print(len(seen))
"""


def test_pieces_read_while_another_process_writes_and_is_killed_are_whole() -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", _RACE], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1
