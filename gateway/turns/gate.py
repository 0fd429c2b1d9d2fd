"""Gate: lets so many calls through at once, in the order `fair` says; the others wait, for so long.

1. A call that finds no place is refused before anything is done for it; so is one that would wait for too long, as far
   as the last calls tell.
2. A call whose client leaves while it waits gives its place up at once.
3. A turn that was entered is left, whatever happens: it is a `with` block.
"""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, Self

from gateway.errors import ClientGone, GatewayError, Overloaded
from gateway.turns.fair import FairQueue, Place, State
from gateway.units import Credits

RETRY_S_MAX = 60

# The share of the newest call in what a call is thought to take.
_NEWEST = 0.1


class Leaving(Protocol):
    """A client, as far as it may leave."""

    def watch(self, left: Callable[[], None] | None) -> None:
        """Call `left` once the client has gone, from now on; None: no longer."""
        ...


class Turn(Protocol):
    """One call's turn, for the length of a `with` block.

    Attributes:
        waited_s: how long the call waited for it; None when it need not.
    """

    @property
    def waited_s(self) -> float | None:
        """See above."""
        ...

    async def come(self, client: Leaving) -> None:
        """Return once it is this call's turn. Raises Overloaded, ClientGone: it will not be; nothing may be sent."""
        ...


class Turns(Protocol):
    """Who may go upstream, and when."""

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        ...

    def enter(self, tenant: str, cost: Credits) -> AbstractContextManager[Turn]:
        """Take a place for one call of `tenant` that is held at `cost`. Raises Overloaded: there is none."""
        ...

    def drain(self) -> None:
        """The way down has begun: soon nobody waits any longer."""
        ...


class Open:
    """No gate at all: it is always everybody's turn. One for all calls."""

    waiting = 0
    waited_s: float | None = None

    def enter(self, _: str, __: Credits) -> Self:
        """See `Turns.enter`."""
        return self

    async def come(self, _: Leaving) -> None:
        """See `Turn.come`."""

    def drain(self) -> None:
        """See `Turns.drain`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing."""


OPEN = Open()


class Gate:
    """A gate for so many at once.

    Args:
        at_once: calls that may be upstream at the same time; of this process alone.
        waiting_max: calls that may wait for their turn.
        wait_s: how long one may wait.
        drain_s: how long after `drain` calls may still wait.
        clock_s: monotonic seconds.
    """

    def __init__(
        self,
        *,
        at_once: int,
        waiting_max: int,
        wait_s: float,
        drain_s: float = 0.0,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = FairQueue(at_once=at_once, waiting_max=waiting_max)
        self._at_once = at_once
        self._wait_s = wait_s
        self._drain_s = drain_s
        self._clock_s = clock_s
        self._turns: dict[Place, asyncio.Future[GatewayError | None]] = {}
        self._takes_s: float | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """See `Turns.waiting`."""
        return self._queue.waiting

    @property
    def running(self) -> int:
        """Calls whose turn it is."""
        return self._queue.running

    def enter(self, tenant: str, cost: Credits) -> "Entered":
        """See `Turns.enter`."""
        if self._queue.running >= self._at_once:
            self._refuse_hopeless(tenant)
        place, displaced = self._queue.enter(tenant, cost.millicredits)
        if displaced is not None:
            self._tell(displaced, Overloaded("displaced", self._retry_after_s(displaced.tenant)))
        if place is None:
            raise Overloaded("full", self._retry_after_s(tenant))
        return Entered(self, place, wait_s=self._wait_s, clock_s=self._clock_s)

    def drain(self) -> None:
        """See `Turns.drain`."""
        asyncio.get_running_loop().call_later(self._drain_s, self._close)

    def expected_s(self, tenant: str) -> float | None:
        """How long one more call of `tenant` would wait by what the last calls took; None before there were any."""
        if self._takes_s is None:
            return None
        return (self._queue.ahead(tenant) + 1) * self._takes_s / self._at_once

    def _refuse_hopeless(self, tenant: str) -> None:
        """Raise Overloaded for a call that would wait in vain: who is told at once can go elsewhere.

        Never before a turn's length of calls waits: by what may be a wrong guess no turn shall go unused.
        """
        if self._closed:
            raise Overloaded("draining", 1)
        expected_s = self.expected_s(tenant)
        if self._queue.waiting >= self._at_once and expected_s is not None and expected_s > self._wait_s:
            raise Overloaded("hopeless", self._retry_after_s(tenant))

    def _retry_after_s(self, tenant: str) -> int:
        return max(1, min(RETRY_S_MAX, math.ceil(self.expected_s(tenant) or 0.0)))

    def _close(self) -> None:
        self._closed = True
        while (place := self._queue.displace_last()) is not None:
            self._tell(place, Overloaded("draining", 1))

    def _tell(self, place: Place, refused: GatewayError | None) -> None:
        """Tell whoever waits there, if anybody does: it is their turn, or never will be."""
        turn = self._turns.pop(place, None)
        if turn is not None and not turn.done():
            turn.set_result(refused)

    # --- for Entered alone -----------------------------------------------------------------------------------

    async def wait(self, place: Place, client: Leaving, wait_s: float) -> None:
        """Return once it is this place's turn. Raises Overloaded, ClientGone."""
        if place.state is State.GONE:
            raise Overloaded("draining" if self._closed else "displaced", self._retry_after_s(place.tenant))
        turn = self._turns[place] = asyncio.get_running_loop().create_future()
        client.watch(lambda: self._tell(place, ClientGone()))
        try:
            async with asyncio.timeout(max(0.0, wait_s)):
                refused = await turn
        except TimeoutError:
            # It may have come at the last moment.
            refused = None if place.state is State.RUNNING else Overloaded("waited", self._retry_after_s(place.tenant))
        finally:
            self._turns.pop(place, None)
            client.watch(None)
        if refused is not None:
            raise refused

    def leave(self, place: Place, ran_s: float | None) -> None:
        """Give `place` up; whose turn has come by that is told. `ran_s`: how long it was used, None when it was not."""
        if ran_s is not None:
            self._takes_s = ran_s if self._takes_s is None else self._takes_s + (ran_s - self._takes_s) * _NEWEST
        then = self._queue.leave(place)
        if then is not None:
            self._tell(then, None)


class Entered:
    """One call's place at the gate."""

    __slots__ = ("_came_s", "_clock_s", "_entered_s", "_gate", "_place", "_wait_s", "waited_s")

    def __init__(self, gate: Gate, place: Place, *, wait_s: float, clock_s: Callable[[], float]) -> None:
        self._gate = gate
        self._place = place
        self._wait_s = wait_s
        self._clock_s = clock_s
        self._entered_s = clock_s()
        self._came_s: float | None = None
        self.waited_s: float | None = None

    async def come(self, client: Leaving) -> None:
        """See `Turn.come`."""
        if self._place.state is not State.RUNNING:
            try:
                await self._gate.wait(self._place, client, self._wait_s - (self._clock_s() - self._entered_s))
            finally:
                self.waited_s = self._clock_s() - self._entered_s
        self._came_s = self._clock_s()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        ran_s = None if self._came_s is None else self._clock_s() - self._came_s
        self._gate.leave(self._place, ran_s)
