"""Reading: the process in which large bodies are read, so that nobody else's call waits for that. It knows no secret.

It is asked one thing at a time over a socket of its own: a file comes with the question, a Job or a refusal goes back.
It ends when whoever asks is gone.
"""

import contextlib
import mmap
import os
import pickle
import signal
import socket
import struct
from dataclasses import dataclass
from typing import Any

from gateway.errors import GatewayError
from gateway.parse.buffer import Buffer
from gateway.parse.limits import Limits
from gateway.parse.read import read_job
from gateway.pricing.job import Job
from gateway.pricing.tariff import Method

# A question or an answer, as pickled; a tariff's entry has at most a few kilobytes, query and content types 16.
MESSAGE_BYTES_MAX = 131_072

# Calls under way come before the reading of new ones, where there is not enough for both.
_NICENESS = 5

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a body; as the arguments of `read_job`."""

    method: Method
    content_type: tuple[str, ...]
    query: str
    limits: Limits


class ReadingError(RuntimeError):
    """What nobody expected went wrong with a body; its class is all that is said."""


Answer = Job | GatewayError | ReadingError


def framed(message: object) -> bytes:
    """`message` as it goes over the socket. Raises ValueError: it is too long."""
    content = pickle.dumps(message)
    if len(content) > MESSAGE_BYTES_MAX:
        raise ValueError("too long a message")
    return _LENGTH.pack(len(content)) + content


def unframed(received: bytes | bytearray) -> tuple[Any, ...]:
    """The one message received so far, as a tuple of one; empty while some of it is missing. Raises ValueError."""
    if len(received) < _LENGTH.size:
        return ()
    (length,) = _LENGTH.unpack_from(received)
    if length > MESSAGE_BYTES_MAX:
        raise ValueError("too long a message")
    if len(received) < _LENGTH.size + length:
        return ()
    # Both ends are this very file, over a socket that nobody else has.
    return (pickle.loads(memoryview(received)[_LENGTH.size :]),)  # noqa: S301


def answer(asked: Asked, file: int) -> Answer:
    """What the body in `file` asks for, or why it is refused."""
    try:
        with mmap.mmap(file, 0, access=mmap.ACCESS_READ) as whole, memoryview(whole) as view:
            try:
                return read_job(
                    asked.method,
                    content_type=asked.content_type,
                    query=asked.query,
                    body=Buffer(view),
                    limits=asked.limits,
                )
            except GatewayError as refused:
                refused.__traceback__ = refused.__context__ = refused.__cause__ = None  # they hold the view
                return refused
    except Exception as error:  # noqa: BLE001 - it is told to whoever asked
        return ReadingError(type(error).__name__)


def serve(line: socket.socket) -> None:
    """Answer what comes over `line` until its other end is closed."""
    received, files = bytearray(), list[int]()
    while True:
        piece, brought, _, _ = socket.recv_fds(line, MESSAGE_BYTES_MAX, 1)
        files += brought
        received += piece
        if not piece:
            return
        for asked in unframed(received):
            received.clear()
            file = files.pop()
            try:
                told = framed(answer(asked, file))
            finally:
                os.close(file)
            line.sendall(told)


def main(number: int) -> None:
    """The whole process: serve on the socket with this number."""
    # Whoever asks says when it is over, not the terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    with socket.socket(fileno=number) as line, contextlib.suppress(ConnectionError):
        serve(line)
