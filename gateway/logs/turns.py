"""Turns: several processes write lines to one stream, one after the other, so that no line is torn by another's.

A write that is longer than a pipe takes at once may be cut in two by whoever else writes there. So each batch is
written while its writer has the turn. The kernel gives the turn of a process that died to the next one, which then ends
the line that may have been left torn.
"""

import contextlib
import fcntl
import mmap
import os
import tempfile
from typing import Protocol, Self


class Turn(Protocol):
    """The right to write, for the length of a `with` block."""

    # Whether the stream ends in a line without its end.
    torn: bool

    def __enter__(self) -> object:
        """Wait for the turn."""
        ...

    def __exit__(self, *_: object) -> None:
        """Let the next one write."""
        ...


class OnlyWriter:
    """The turn of a process that shares its stream with nobody."""

    def __init__(self) -> None:
        self.torn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class SharedTurn:
    """The turn at a stream that processes share which are forked from the one that made this.

    One thread of each process may take it.
    """

    def __init__(self) -> None:
        self.torn = False
        self._flag = mmap.mmap(-1, 1)
        self._lock = _nameless_file()

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):  # a line without its turn is better than none
            fcntl.lockf(self._lock, fcntl.LOCK_EX)
        self.torn = self._flag[0] == 1
        self._flag[0] = 1  # until it is certain that all is written
        return self

    def __exit__(self, *_: object) -> None:
        self._flag[0] = self.torn
        with contextlib.suppress(OSError):
            fcntl.lockf(self._lock, fcntl.LOCK_UN)


def _nameless_file() -> int:
    """A file without a name, which no other program finds."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("turns")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
