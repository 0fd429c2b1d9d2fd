"""Settler: books the end of holds beside the request, and again until it is booked.

The client never waits for a settle, and nothing that happens to the client's request can undo it. Each end is one task,
owned here; their number is bounded, and a full settler lets no new hold open.
"""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.errors import Busy, LedgerPoisoned, LedgerUnavailable
from gateway.ledger.budget import Path
from gateway.ledger.contract import Hold, HoldId, Ledger, Settlement
from gateway.units import Credits, Flag

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 2.0


class Settler:
    """Ends holds.

    Args:
        ledger: where they are booked.
        ends_max: how many may be under way; more and `admit` refuses.
        settled: told of every hold that ended; must not raise.
        stuck: told, once per end, that an end had to be given up and is left to expire; must not raise.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        ends_max: int = 10_000,
        settled: Callable[[Settlement], None] = lambda _: None,
        stuck: Callable[[HoldId], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._ends_max = ends_max
        self._settled = settled
        self._stuck = stuck
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> int:
        """How many ends are not booked yet."""
        return len(self._tasks)

    def admit(self) -> None:
        """Raises Busy when too many ends wait to be booked: nothing new may be held then."""
        if len(self._tasks) >= self._ends_max:
            raise Busy

    def close(self, hold: Hold, charged: Credits, flag: Flag) -> None:
        """See `Closer.close`."""

        async def end() -> None:
            self._settled(await self._ledger.settle(hold, charged, flag))

        self._start(hold.hold_id, end)

    def void(self, path: Path, hold_id: HoldId, amount: Credits) -> None:
        """See `Closer.void`."""

        async def end() -> None:
            await self._ledger.void(path, hold_id, amount)

        self._start(hold_id, end)

    def _start(self, hold_id: HoldId, end: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._until_booked(hold_id, end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _until_booked(self, hold_id: HoldId, end: Callable[[], Awaitable[None]]) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                await end()
            except LedgerPoisoned:
                # Trying again cannot help: the stored numbers need an operator first.
                self._stuck(hold_id)
                return
            except LedgerUnavailable:
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            except asyncio.CancelledError:
                self._stuck(hold_id)
                raise
            else:
                return

    async def drain(self, timeout_s: float) -> int:
        """Wait until all ends are booked, at most `timeout_s`; returns how many were given up."""
        if not self._tasks:
            return 0
        _, late = await asyncio.wait(tuple(self._tasks), timeout=timeout_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return len(late)
