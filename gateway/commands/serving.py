"""Serving: a gateway from its settings until a signal says stop."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.app import App
from gateway.settings import Settings

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end, on uvloop where it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - optional: not on every platform
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


async def until_signal() -> None:
    """Return at the first SIGINT or SIGTERM. A second one ends the process at once."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def first() -> None:
        stop.set()
        for number in _SIGNALS:
            # Not the default: as process 1 of a container, that would be to ignore it.
            loop.add_signal_handler(number, os._exit, 128 + number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, first)
    await stop.wait()


async def serve(settings: Settings, *, started: Callable[[int, int], None]) -> None:
    """Serve until a signal. `started` is told both ports once calls are taken. Raises as `App.running`."""
    async with App(settings, log_stream=sys.stdout).running() as running:
        started(running.port, running.ops_port)
        await until_signal()
