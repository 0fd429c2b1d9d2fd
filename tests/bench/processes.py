"""Processes: what a bench starts, waits for until it answers, and stops."""

import asyncio
import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

ROOT = Path(__file__).parents[2]


async def started(
    stack: AsyncExitStack, words: Sequence[str], port: int, environ: Mapping[str, str], *, within_s: float
) -> int:
    """Start a program in the project's folder and wait until its port answers, at most `within_s`; its process id.

    It is stopped when `stack` is left. Raises RuntimeError: it ended, or did not answer in time.
    """
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        stdout=asyncio.subprocess.DEVNULL,
    )
    stack.push_async_callback(_stopped, process)
    deadline_s = time.monotonic() + within_s
    while not answers(port):
        if process.returncode is not None or time.monotonic() > deadline_s:
            raise RuntimeError(f"{words[0]} did not start")
        await asyncio.sleep(0.05)
    return process.pid


async def _stopped(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        await process.wait()


def free_port() -> int:
    """A port nobody has just now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as asked:
        asked.settimeout(0.5)
        return asked.connect_ex(("127.0.0.1", port)) == 0
