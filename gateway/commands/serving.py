"""Serving: a gateway from its settings until a signal says stop."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from gateway.app import App
from gateway.commands.memory import keep_freed_memory, look_for_cycles_rarely
from gateway.settings import Settings
from gateway.workers.supervisor import Supervisor

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end, on uvloop where it is installed."""
    hold_standard_streams()
    keep_freed_memory()
    look_for_cycles_rarely()
    try:
        import uvloop  # noqa: PLC0415 - optional: not on every platform
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


def hold_standard_streams() -> None:
    """Put the null device where a standard stream is closed: a socket would get its number, and log lines with it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="ascii"))  # noqa: SIM115 - for the process's life


async def until_signal() -> signal.Signals:
    """Return at the first SIGINT or SIGTERM, and say which. A second one ends the process at once."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[signal.Signals] = loop.create_future()

    def first(came: signal.Signals) -> None:
        stop.set_result(came)
        for number in _SIGNALS:
            # Not the default: as process 1 of a container, that would be to ignore it.
            loop.add_signal_handler(number, os._exit, 128 + number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, first, number)
    return await stop


async def serve(settings: Settings, *, started: Callable[[int, int], None]) -> None:
    """Serve until a signal. `started` is told both ports once calls are taken. Raises as `App.running`.

    SIGTERM comes from whoever runs many gateways, and needs time to notice; Ctrl-C from a person who waits.
    """
    async with App(settings, log_stream=sys.stdout).running() as running:
        started(running.port, running.ops_port)
        if await until_signal() is signal.SIGTERM:
            await running.lame_duck(settings.shutdown.lame_duck_s)


def serve_with_workers(
    settings: Settings,
    workers: int,
    *,
    guard: Callable[[Callable[[], None]], int],
    started: Callable[[int, int], None],
    say: Callable[[str], None],
) -> None:
    """Serve in several processes until a signal.

    Args:
        settings: checked and with its secrets.
        workers: how many processes take calls, two or more.
        guard: runs what one of them does, says what went wrong, and returns its exit status.
        started: told both ports once all of them are ready.
        say: told in words what an operator should know of.

    Raises:
        OSError: a port is taken.
        SystemExit: something did not end as it should.
    """
    hold_standard_streams()
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: F401, PLC0415 - once, before the fork, instead of once in each process
    keep_freed_memory()
    look_for_cycles_rarely()
    status = Supervisor(settings, workers, run=run, guard=guard, started=started, say=say).serve()
    if status:
        raise SystemExit(status)
