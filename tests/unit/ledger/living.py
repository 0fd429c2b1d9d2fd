"""What can be seen of an embedded store from outside, and how to ask it."""

import asyncio
import os
import signal
import socketserver
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

from redis.asyncio import Redis


def processes(data_dir: Path) -> list[int]:
    """Who lives in `data_dir`. A zombie has no working directory any more, so it does not count."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").samefile(data_dir):
                found.append(int(entry.name))
    return found


def open_to_others(data_dir: Path) -> list[str]:
    """What in `data_dir`, itself included, somebody else may use."""
    there = [data_dir, *data_dir.rglob("*")]
    return [path.name for path in there if stat.S_IMODE(path.stat().st_mode) & 0o077]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  # a process that is not our child tells nobody when it ends
            await asyncio.sleep(0.01)


async def clear(data_dir: Path) -> None:
    """Nobody may live in `data_dir`; whoever does is ended, and the test has failed."""
    left = processes(data_dir)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await until(lambda: not processes(data_dir))
    assert left == []


async def ask(url: str, *words: str) -> Any:
    async with Redis.from_url(url, decode_responses=True) as client:
        return await client.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped


@contextmanager
def answering(socket: Path, answers: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Somebody else on `socket`, giving these answers in turn, one a connection; yields what it was asked.

    In a thread: an asyncio server that is closed just after it accepted a connection never closes that one.
    """
    asked: list[bytes] = []
    left = iter(answers)

    class Answer(socketserver.StreamRequestHandler):
        timeout = 20

        def handle(self) -> None:
            with suppress(OSError):
                asked.append(self.rfile.readline())
                self.wfile.write(next(left) + b"\r\n")

    with socketserver.UnixStreamServer(str(socket), Answer) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join(20)
