"""Real stores for tests: one server per test session and program, stopped at the end."""

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from gateway.ledger.embedded import EmbeddedStore

_T = TypeVar("_T")

_START_S, _STOP_S = 10.0, 10.0

OPTIONS = (
    *("--port", "0", "--daemonize", "no", "--save", ""),
    *("--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"),
)


@contextmanager
def bundled(folder: Path) -> Iterator[str]:
    """The URL of the store that comes with the gateway, new and empty, for as long as the block lasts."""
    store = EmbeddedStore(folder)
    url = _run(store.start())
    try:
        yield url
    finally:
        _run(store.stop())


def _run(work: Coroutine[object, object, _T]) -> _T:
    # On this thread, with which the store ends; and without touching the loop that tests run on.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


@contextmanager
def running(program: str, folder: Path) -> Iterator[str]:
    """As `bundled`, of an installed program."""
    path = folder / "s"
    process = subprocess.Popen(  # noqa: S603 - a program of this machine, with options from a table
        [program, *OPTIONS, "--unixsocket", str(path), "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.defpath, "LC_ALL": "C"},
    )
    try:
        _wait_until_ready(process, path)
        yield f"unix://{path}?db=0"
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], path: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and _answers(path):
            return
        time.sleep(0.01)
    raise AssertionError("the store did not start")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16) == b"+PONG\r\n"
        except OSError:
            return False
