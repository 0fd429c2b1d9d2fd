"""Promises of log_pipe.py: logging never waits, never raises, and counts what it lost."""

import io
import json
import logging
import os
import threading
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
import structlog

from gateway.logs.lines import Logs
from gateway.logs.pipe import LogPipe
from gateway.receipt import Receipt


class Stubborn(io.RawIOBase):
    """A raw stream that answers writes as told: how many bytes it takes, None, or an exception; then takes all."""

    def __init__(self, *answers: int | Exception | None) -> None:
        self.answers = list(answers)
        self.all_answered = threading.Event()
        self.taken = b""

    def write(self, piece: Any) -> int | None:
        if not self.answers:
            self.all_answered.set()
        answer = self.answers.pop(0) if self.answers else len(piece)
        if isinstance(answer, Exception):
            raise answer
        self.taken += bytes(piece[: answer or 0])
        return answer


class Gate(io.RawIOBase):
    """A raw stream whose reader has stopped, until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        self.taken = b""

    def write(self, piece: Any) -> int:
        self.reached.set()
        self.opened.wait(30)
        self.taken += bytes(piece)
        return len(piece)


def piped(stream: Any, *lines: str) -> LogPipe:
    """A pipe that was given `lines`, one batch, and has ended."""
    pipe = LogPipe(stream, lines_max=1_000)
    for line in lines:
        pipe.put(line.encode())
    pipe.start()
    pipe.stop(30)
    return pipe


def test_lines_that_waited_for_the_start_are_written_in_order() -> None:
    stream = io.BytesIO()
    assert piped(stream, *map(str, range(500))).dropped == 0
    assert stream.getvalue() == b"".join(b"%d\n" % number for number in range(500))


def test_a_full_queue_drops_and_counts_without_waiting() -> None:
    pipe = LogPipe(io.BytesIO(), lines_max=3)
    for _ in range(10):
        pipe.put(b"line")
    assert pipe.dropped == 7


def test_a_reader_that_stopped_costs_lines_only() -> None:
    gate = Gate()
    pipe = LogPipe(cast("BinaryIO", gate), lines_max=5)
    pipe.start()
    pipe.put(b"first")
    assert gate.reached.wait(30)
    for _ in range(8):
        pipe.put(b"more")
    assert pipe.dropped == 3
    pipe.stop(0)
    assert pipe.dropped == 8
    gate.opened.set()
    pipe.stop(30)
    assert gate.taken == b"first\n"


@pytest.mark.parametrize("trouble", [OSError(28, "full"), BrokenPipeError(), ValueError("closed"), RuntimeError()])
def test_whatever_a_stream_raises_lines_are_counted_as_lost(trouble: Exception) -> None:
    assert piped(Stubborn(trouble), "one", "two").dropped == 2


def test_only_lines_that_were_not_written_whole_are_lost() -> None:
    stream = Stubborn(6, OSError(28, "full"))
    pipe = piped(stream, "first", "second", "third")
    assert (stream.taken, pipe.dropped) == (b"first\n", 2)


def test_a_line_torn_by_trouble_is_ended_before_the_next() -> None:
    stream = Stubborn(3, OSError(28, "full"))
    # One more than are written at a time, so that one is left for after the trouble.
    pipe = piped(stream, *(f"line{number:03}" for number in range(201)))
    assert stream.taken == b"lin\nline200\n"
    assert pipe.dropped == 200


def test_a_slow_stream_is_offered_the_rest_again() -> None:
    stream = Stubborn(2, None, 0, 3)
    pipe = LogPipe(cast("BinaryIO", stream), lines_max=100)
    pipe.put(b"first")
    pipe.put(b"second")
    pipe.start()
    assert stream.all_answered.wait(30)
    pipe.stop(30)
    assert (stream.taken, pipe.dropped) == (b"first\nsecond\n", 0)


def test_a_stream_that_takes_nothing_ends_with_the_pipe() -> None:
    assert piped(Stubborn(*[None] * 10_000), "one", "two").dropped == 2


def test_lines_after_the_end_are_dropped() -> None:
    pipe = piped(io.BytesIO())
    pipe.put(b"late")
    assert pipe.dropped == 1
    pipe.stop(0)


def test_a_full_disk_breaks_nothing() -> None:
    with Path("/dev/full").open("w", encoding="ascii") as full:
        logs = Logs(level="info", stream=full)
        logs.start()
        logs.request(Receipt("4f2a", 0.0))
        logging.getLogger("aiohttp.server").error("said")
        logs.stop()
        assert logs.dropped == 2


def test_a_closed_pipe_breaks_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        logs = Logs(level="info", stream=stream)
        logs.start()
        logs.request(Receipt("4f2a", 0.0))
        logs.stop()
        assert logs.dropped == 1


def test_text_streams_with_and_without_bytes_below_are_written_to(tmp_path: Path) -> None:
    plain = io.StringIO()
    piped(plain, "one")
    assert plain.getvalue() == "one\n"
    with (tmp_path / "log").open("w", encoding="ascii") as stream:
        stream.write("before\n")
        piped(stream, "one")
        assert (tmp_path / "log").read_text("ascii") == "before\none\n"


def test_a_stream_that_does_not_say_how_much_it_took_took_all() -> None:
    class Silent:
        taken = b""

        def write(self, piece: bytes) -> None:
            self.taken += piece

        def flush(self) -> None:
            """Nothing waits."""

    stream = Silent()
    assert piped(stream, "one", "two").dropped == 0
    assert stream.taken == b"one\ntwo\n"


# --- what start takes over and stop gives back ----------------------------------------------------------------


def test_the_standard_librarys_records_take_the_same_way() -> None:
    stream = io.BytesIO()
    logs = Logs(level="info", stream=stream)
    logs.start()
    logger = logging.getLogger("aiohttp.server")
    logger.info("said %s", "thing")
    logger.debug("too fine")
    logger.error("%d", "not a number")
    logs.stop()
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["level"], line["logger"]) for line in found] == [
        ("said thing", "info", "aiohttp.server"),
        ("unreadable_record", "error", "aiohttp.server"),
    ]


def test_stop_gives_back_what_start_took_over_and_may_be_called_again() -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level, False
    logs = Logs(level="error", stream=io.BytesIO())
    assert (root.handlers[:], root.level, structlog.is_configured()) == before
    logs.start()
    assert structlog.is_configured()
    logs.stop()
    logs.stop()
    assert (root.handlers[:], root.level, structlog.is_configured()) == before


def test_no_thread_is_left_behind() -> None:
    piped(io.BytesIO(), "one")
    assert not [thread for thread in threading.enumerate() if thread.name == "logs" and thread.is_alive()]
