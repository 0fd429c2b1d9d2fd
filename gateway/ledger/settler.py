"""Settler: books the end of holds beside the request, and again until it is booked.

The client never waits for a settle, and nothing that happens to the client's request can undo it. Each end is one task,
owned here; where the store is there it is one question without a task, until that fails. Their number is bounded, and a
full settler lets no new hold open. An end that the store did not take at the first try is put on disk, so that a crash
meanwhile loses nothing; `replay` books what crashed processes left there.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from gateway.errors import Busy, LedgerMissing, LedgerPoisoned, LedgerUnavailable
from gateway.ledger.budget import Path
from gateway.ledger.contract import End, Hold, HoldId, Ledger, Settlement
from gateway.ledger.spool import Spool
from gateway.units import Credits, Flag

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 2.0


class Straight(Protocol):
    """A keeper that can be asked without waiting."""

    def ask(self, end: End) -> "asyncio.Future[Any] | None":
        """Ask for this end to be booked, as `Ledger.book`; None where that cannot be asked at once.

        The future may raise LedgerUnavailable: it may have been booked.
        """
        ...

    def understood(self, end: End, answer: Any) -> Settlement | None:
        """What the future resolved to, as a settlement; None where it has to be asked again to be understood."""
        ...


class Settler:
    """Ends holds.

    Args:
        ledger: where they are booked.
        straight: the same, where it can be asked without waiting.
        spool: where ends wait that the store did not take at once; None keeps them in memory alone.
        ends_max: how many may be under way; more and `admit` refuses.
        settled: told of every hold that ended; must not raise.
        booked: told of every end that was booked, with how; must not raise.
        stuck: told, once per end, that an end had to be given up and is left to expire; must not raise.
    """

    def __init__(
        self,
        ledger: Ledger,
        straight: Straight | None = None,
        spool: Spool | None = None,
        *,
        ends_max: int = 10_000,
        settled: Callable[[Settlement], None] = lambda _: None,
        booked: Callable[[End, Settlement], None] = lambda _, __: None,
        stuck: Callable[[HoldId], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._straight = straight
        self._spool = spool
        self._ends_max = ends_max
        self._settled = settled
        self._booked = booked
        self._stuck = stuck
        self._tasks: set[asyncio.Future[Any]] = set()

    @property
    def under_way(self) -> int:
        """How many ends are not booked yet."""
        return len(self._tasks)

    def admit(self) -> None:
        """Raises Busy when too many ends wait to be booked: nothing new may be held then."""
        if len(self._tasks) >= self._ends_max or (self._spool is not None and self._spool.full):
            raise Busy

    def close(self, hold: Hold, charged: Credits, flag: Flag, facts: str = "") -> None:
        """See `Closer.close`."""
        end = End.of(hold, charged, flag, facts)
        if self._straight is None or (asked := self._straight.ask(end)) is None:
            self._start(hold.hold_id, _until_booked(partial(self._book, hold, end), partial(self._missed, end)))
        else:
            self._tasks.add(asked)
            asked.add_done_callback(partial(self._answered, self._straight, hold, end))

    async def _book(self, hold: Hold, end: End) -> None:
        self._told(end, await self._ledger.settle(hold, end.charged, end.flag, end.facts))
        if self._spool is not None:
            await self._spool.booked(end.hold_id)

    async def _missed(self, end: End) -> None:
        if self._spool is not None:
            await self._spool.keep(end)

    def _answered(self, straight: Straight, hold: Hold, end: End, asked: "asyncio.Future[Any]") -> None:
        """Told of every end that was asked for straight; what was not booked by that is tried again in a task."""
        if asked.cancelled():
            self._ended(hold.hold_id, asked)
            return
        self._tasks.discard(asked)
        unheard, settlement = asked.exception() is not None, None
        # What nobody has thought of is tried again as well: its own task then tells of it.
        with contextlib.suppress(Exception):
            settlement = None if unheard else straight.understood(end, asked.result())
        if settlement is None:
            book, missed = partial(self._book, hold, end), partial(self._missed, end)
            self._start(hold.hold_id, _until_booked(book, missed, unheard=unheard))
        else:
            self._told(end, settlement)

    def void(self, path: Path, hold_id: HoldId, amount: Credits, once: str = "") -> None:
        """See `Closer.void`. Not put on disk: nothing was sent, and a hold nobody voids expires."""

        async def end() -> None:
            await self._ledger.void(path, hold_id, amount, once)

        self._start(hold_id, _until_booked(end, _nothing))

    async def replay_forever(self, *, every_s: float) -> None:
        """Book what crashed processes left on disk, now and whenever another one leaves something, until cancelled."""
        while True:
            await self.replay()
            await asyncio.sleep(every_s)

    async def replay(self) -> None:
        """Book all that crashed processes left on disk; waits for a store that is away."""
        while self._spool is not None and (orphan := await self._spool.adopt()) is not None:
            left = [end for end in orphan.ends if not await self._replayed(end)]
            if not left:
                await self._spool.release(orphan)
            # One whose balance is poisoned or gone keeps its file, locked: an operator first, then the next process.

    async def _replayed(self, end: End) -> bool:
        """Book an end from disk, however long the store is away; false when it has to be left there."""
        left = False

        async def book() -> None:
            nonlocal left
            try:
                self._told(end, await self._ledger.book(end))
            except (LedgerPoisoned, LedgerMissing):
                # Waiting cannot help, and would keep the ends of all others waiting.
                left = True

        await _until_booked(book, _nothing)
        if left:
            self._stuck(end.hold_id)
        return not left

    def _told(self, end: End, settlement: Settlement) -> None:
        self._settled(settlement)
        self._booked(end, settlement)

    def _start(self, hold_id: HoldId, booked: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(booked)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, hold_id))

    def _ended(self, hold_id: HoldId, task: "asyncio.Future[Any]") -> None:
        """Told of every end's task, also of one cancelled before its first step or between two tries."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        on_disk = self._spool is not None and self._spool.holds(hold_id)
        if (task.cancelled() and not on_disk) or error is not None:
            self._stuck(hold_id)
        if error is not None and not isinstance(error, LedgerPoisoned):
            # A fault of ours: shown like any exception nobody waits for.
            task.get_loop().call_exception_handler({"message": "an end failed", "exception": error, "task": task})

    async def drain(self, timeout_s: float) -> int:
        """Wait until all ends are booked, those included that begin meanwhile; returns how many were given up.

        Waits at most `timeout_s`; what is left then is cancelled, and told as stuck unless it is safe on disk.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while self._tasks and loop.time() < deadline:
            await asyncio.wait(tuple(self._tasks), timeout=deadline - loop.time())
        late = tuple(self._tasks)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return len(late)


async def _until_booked(
    book: Callable[[], Awaitable[None]], missed: Callable[[], Awaitable[object]], *, unheard: bool = False
) -> None:
    """Call `book` until the store takes it, and `missed` once, after a first try that failed: this one, or `unheard`.

    Raises LedgerPoisoned: trying again cannot help, the stored numbers need an operator first.
    """
    wait_s = _FIRST_WAIT_S
    while True:
        if not unheard:
            try:
                return await book()
            except LedgerPoisoned:
                raise
            except LedgerUnavailable:
                pass
        unheard = False
        await missed()
        missed = _nothing
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


async def _nothing() -> None:
    pass
