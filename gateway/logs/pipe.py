"""LogPipe: lines go in from anywhere without waiting; one thread writes them out.

A full disk, a closed pipe, a reader that has stopped: none of them reaches whoever logs. What cannot be written is
counted.
"""

import contextlib
import io
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, BinaryIO, TextIO

from gateway.logs.turns import OnlyWriter, Turn

_BATCH_LINES_MAX = 200

# How long the writer waits before it offers bytes again to a stream that took none.
_PAUSE_S = 0.02

# After each write, how long lines gather before the next.
_GATHER_S = 0.01

# Writes some of the bytes and says how many; None: none now, later perhaps.
Write = Callable[[bytes], int | None]


class LogPipe:
    """A bounded queue of lines and the thread that writes them.

    Args:
        stream: where lines go; its buffers are passed by, so that nothing of it can block the end of the process.
        lines_max: lines that may wait; further ones are dropped.
        turn: waited for before anything is written; None where nobody else writes to the stream.
    """

    def __init__(self, stream: TextIO | BinaryIO, *, lines_max: int, turn: Turn | None = None) -> None:
        self._stream = stream
        self._lines_max = lines_max
        self._lines: deque[bytes] = deque()
        # Re-entrant: a finalizer or a signal may log while this very thread puts a line.
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        self._hurry = threading.Event()
        self._turn = turn or OnlyWriter()
        self._dropped = 0
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """How many lines found no room, or could not be written."""
        return self._dropped

    def start(self) -> None:
        """Start the writer; lines put before have waited for it."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()
        self._thread = threading.Thread(target=self._run, args=(_write_to(self._stream),), name="logs", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Queue `line` (without its end). Never waits, never raises; without room it is dropped."""
        with self._changed:
            if self._closed or len(self._lines) >= self._lines_max:
                self._dropped += 1
                return
            self._lines.append(line + b"\n")
            if len(self._lines) == 1:  # else it has been told, and has not come by yet
                self._changed.notify()

    def stop(self, timeout_s: float) -> None:
        """Take no more lines and write what waits, for `timeout_s` at most; the rest is dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            self._hurry.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        with self._changed:
            self._dropped += len(self._lines)
            self._lines.clear()

    def _run(self, write: Write) -> None:
        while batch := self._next_lines():
            self._write(batch, write)
            # Under load, each time the writer is woken costs more than what it writes: let some lines gather.
            if len(self._lines) < _BATCH_LINES_MAX:
                self._hurry.wait(_GATHER_S)

    def _next_lines(self) -> bytes:
        """The lines that wait, some at a time; nothing once the pipe is closed and empty."""
        with self._changed:
            while not self._lines and not self._closed:
                self._changed.wait()
            count = min(len(self._lines), _BATCH_LINES_MAX)
            return b"".join(self._lines.popleft() for _ in range(count))

    def _write(self, lines: bytes, write: Write) -> None:
        """Write `lines` to their end. A line torn by an error is ended before the next one begins."""
        rest = lines
        # Whatever a stream does, logging goes on.
        with contextlib.suppress(Exception), self._turn:
            rest = b"\n" + lines if self._turn.torn else lines
            while rest:
                count = write(rest)
                if count:
                    self._turn.torn = rest[count - 1 : count] != b"\n"
                    rest = rest[count:]
                elif self._closed:
                    break
                else:
                    time.sleep(_PAUSE_S)
        with self._changed:
            self._dropped += rest.lstrip(b"\n").count(b"\n")


def _write_to(stream: Any) -> Write:
    """The plainest way to write bytes to `stream`: below its buffers, where it has any."""
    below = getattr(stream, "buffer", stream)
    raw = getattr(below, "raw", below)
    if isinstance(raw, io.RawIOBase):
        return raw.write
    if isinstance(raw, io.TextIOBase):
        return lambda piece: len(piece[: raw.write(piece.decode("ascii"))])
    return lambda piece: _whole(raw.write(piece), piece)


def _whole(count: object, piece: bytes) -> int:
    """How many bytes a stream took that does not say so itself: all."""
    return count if isinstance(count, int) else len(piece)
