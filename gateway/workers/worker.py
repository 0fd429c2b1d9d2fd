"""A worker: a gateway that takes calls on the sockets it was handed, and tells the others what it counts."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.app import App
from gateway.logs.turns import SharedTurn
from gateway.metrics.counting import Metrics
from gateway.proxy.master_key import MasterKey
from gateway.settings import Settings
from gateway.settings.changes import renewed
from gateway.workers.pipes import until_end
from gateway.workers.seats import LEAVING, SERVING, STARTING, Report
from gateway.workers.shelf import Shelf

# Says to a worker that the gateway is about to end.
LAME_DUCK: Final = signal.SIGUSR1

# How old a worker's numbers are at most when they are read, and what is lost of them when it is killed.
TOLD_EVERY_S: Final = 0.5

# Where there is much to tell, it is told less often: the telling takes at most one part in so many of the time.
_TELLING_SHARE: Final = 50


@dataclass(slots=True)
class Seat:
    """See `gateway.seat.Seat`.

    Attributes:
        slot: on the shelf.
        sockets, turn, store_url: as there.
        bell: the end of a pipe; a byte wakes the supervisor.
    """

    shelf: Shelf
    slot: int
    sockets: Sequence[socket.socket]
    turn: SharedTurn
    store_url: str
    bell: int
    _state: str = STARTING
    _lacks: Callable[[], list[str]] = list
    _metrics: Metrics | None = None
    _read: dict[str, tuple[float, float]] = field(default_factory=dict)

    @asynccontextmanager
    async def telling(self, metrics: Metrics) -> AsyncIterator[None]:
        """Tell the others what is counted, for the length of a block, and once more at its end."""
        self._metrics = metrics
        task = asyncio.create_task(self._tell_forever())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.tell()

    def serving(self, *, lacks: Callable[[], list[str]]) -> None:
        """Calls are taken from now on."""
        self._lacks = lacks
        self._change(SERVING)

    def leaving(self) -> None:
        """No more calls are taken from now on."""
        self._change(LEAVING)

    def _change(self, state: str) -> None:
        self._state = state
        self.tell()
        with contextlib.suppress(OSError):  # a full pipe wakes the supervisor as well; a closed one has none
            os.write(self.bell, b"\0")

    async def _tell_forever(self) -> None:
        while True:
            began_s = time.monotonic()
            self.tell()
            await asyncio.sleep(max(TOLD_EVERY_S, (time.monotonic() - began_s) * _TELLING_SHARE))

    def tell(self) -> None:
        """Put a report on the shelf. One that is too long is left out: the worker then counts as silent."""
        if self._metrics is None:
            return
        now_s = time.monotonic()
        counted = self._metrics.snapshot(now_s)
        # Of readings that differ between workers the one that changed last is the newest.
        same = {name for name, (value, _) in counted.readings.items() if self._read.get(name, (None, 0))[0] == value}
        self._read = {name: self._read[name] if name in same else told for name, told in counted.readings.items()}
        report = Report(now_s, self._state, tuple(self._lacks()), replace(counted, readings=self._read))
        self.shelf.put(self.slot, report.as_bytes())


async def work(settings: Settings, seat: Seat, lifeline: int) -> None:
    """Take calls until SIGTERM, or until the supervisor is gone; then end as any gateway does. Raises as `App.running`.

    From LAME_DUCK on, every answer ends its connection.

    Further SIGTERMs change nothing: one may come from the supervisor and one from whoever told them all.
    """
    ended = asyncio.create_task(until_end(lifeline))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.cancel)
    async with App(with_current_key(settings), log_stream=sys.stdout, seat=seat).running() as running:
        asyncio.get_running_loop().add_signal_handler(LAME_DUCK, running.leave)
        await asyncio.gather(ended, return_exceptions=True)


def with_current_key(settings: Settings) -> Settings:
    """The settings with the master key that its file holds now: it may have been renewed since they were read."""
    current = renewed(settings.secrets)
    try:
        MasterKey("" if current.upstream_key is None else current.upstream_key.get_secret_value())
    except ValueError:
        return settings  # as a running gateway does: the former key stays
    return settings.model_copy(update={"secrets": current})
