"""The desk: the operators' listener of a gateway of several processes, and its bundled store.

It is there before the first worker and after the last one. It ends when nobody is left who could need it: when no other
process of the gateway lives, however they ended.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from gateway import doors
from gateway.app import PROBE_EVERY_S
from gateway.build import budget_book, redis_ledger
from gateway.ledger.embedded import EmbeddedStore
from gateway.ledger.reviving import revive_forever
from gateway.ledger.store import Store
from gateway.logs.lines import Logs
from gateway.logs.turns import SharedTurn
from gateway.metrics.totals import Totals
from gateway.settings import Settings
from gateway.workers.pipes import until_end
from gateway.workers.seats import DESK, SERVING, Report, Standing, look
from gateway.workers.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Desk:
    """What the desk is handed.

    Attributes:
        shelf: where all that it tells is read.
        sockets: where operators ask.
        turn: at the log.
        bell: a byte wakes the supervisor.
        others: ends when no other process of the gateway lives.
    """

    shelf: Shelf
    sockets: Sequence[socket.socket]
    turn: SharedTurn
    bell: int
    others: int

    def standing(self) -> Standing:
        """How all of it stands now."""
        return look(self.shelf, time.monotonic())


async def attend(settings: Settings, desk: Desk) -> None:
    """Start the store, where it is the bundled one, and answer operators until no other process lives.

    Raises:
        EmbeddedStoreError: the bundled store cannot be started.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    async with AsyncExitStack() as stack:
        logs = Logs(level=settings.logs.level, stream=sys.stdout, secrets=settings.secrets.unprintable, turn=desk.turn)
        logs.start()
        stack.callback(logs.stop)
        store = await _store(settings, stack)
        book = budget_book(settings.tenants)
        ops = doors.ops(
            *(settings, redis_ledger(settings, store, book)),
            *(book, Totals(lambda: desk.standing().seen, tenants=book.tenants)),
            lacks=lambda: desk.standing().lacks,
            workers=lambda: (desk.standing().crew.wanted, desk.standing().crew.ready),
        )
        listener = doors.back_listener(settings, ops, sockets=desk.sockets)
        await listener.start()
        stack.push_async_callback(listener.stop)
        desk.shelf.put(DESK, Report(time.monotonic(), SERVING).as_bytes())
        with contextlib.suppress(OSError):
            os.write(desk.bell, b"\0")
        await until_end(desk.others)


async def _store(settings: Settings, stack: AsyncExitStack) -> Store:
    rules, url = settings.ledger, settings.secrets.ledger_url
    embedded = EmbeddedStore(rules.data_dir / "store", fsync=rules.fsync) if url is None else None
    if embedded is not None:
        stack.push_async_callback(embedded.stop)
    found = await embedded.start() if embedded is not None else "" if url is None else url.get_secret_value()
    store = Store(
        found,
        deadline_s=rules.deadline_s,
        replicas=rules.replicas if rules.durability == "replicated" else 0,
        ca_file=rules.ca_file,
    )
    stack.push_async_callback(store.close)
    reviving = asyncio.create_task(
        revive_forever(store, embedded, every_s=PROBE_EVERY_S, failed=lambda _: None)  # each worker counts it
    )
    stack.push_async_callback(_ended, reviving)
    return store


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
