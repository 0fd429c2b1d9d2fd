"""Failpoints: named steps between a call's arrival and its settle, at which a test may kill, pause or fail a gateway.

1. Only the environment arms one (`DEZGO_GATEWAY_FAILPOINTS="after_hold=kill:20,mid_body=pause:50"`), never a file.
2. The parts know nothing of this. Only while something is armed, `app` has their steps surrounded: see `STEPS`.
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, ParamSpec, TypeVar

from gateway.messages import Reply

# Part, its method, the failpoint before it and the one after it.
STEPS: Final = (
    ("verifier", "verify", None, "after_identity"),
    ("ledger", "hold", "before_hold", "after_hold"),
    ("upstream", "forward", "before_send", "after_head"),
    ("ledger", "settle", "before_settle", "after_settle"),
    ("spool", "keep", "before_spool", "after_spool"),
    ("ledger", "book", "before_replay", "after_replay"),
)
# Part and method: a way past one of these steps, closed while anything is armed.
PAST: Final = (("ledger", "ask"),)
MID_BODY: Final = "mid_body"

NAMES: Final = (*(name for *_, before, after in STEPS for name in (before, after) if name is not None), MID_BODY)

_ORDER = re.compile(r"([a-z_]+)=(?:(kill|error)(?::([1-9][0-9]{0,5}))?|pause:([0-9]{1,5}))", re.ASCII)

_Said = ParamSpec("_Said")
_Done = TypeVar("_Done")


class FailpointError(RuntimeError):
    """What an armed failpoint raises: a fault nobody thought of."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a failpoint does.

    Attributes:
        deed: `kill`, `error` or `pause`.
        nth: at which arrival it kills or fails, counted from 1; a pause is made at every one.
        pause_ms: how long a pause is.
    """

    deed: str
    nth: int = 1
    pause_ms: int = 0


def read_failpoints(text: str) -> dict[str, Order]:
    """Read `name=kill`, `name=kill:<n>` (at the n-th arrival), `name=error[:<n>]`, `name=pause:<ms>`, comma-separated.

    Raises:
        ValueError: none of these, an unknown name, or one given twice. The text is not repeated.
    """
    orders: dict[str, Order] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _ORDER.fullmatch(part)
        if found is None or found[1] not in NAMES or found[1] in orders:
            raise ValueError("not a failpoint")
        orders[found[1]] = Order(found[2] or "pause", int(found[3] or 1), int(found[4] or 0))
    return orders


def _kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _nothing(*_: object) -> None:
    """Say no to everything."""


class Failpoints:
    """The armed failpoints of one process. `kill` is how the process ends."""

    def __init__(self, orders: Mapping[str, Order], *, kill: Callable[[], None] = _kill_self) -> None:
        self._orders = dict(orders)
        self._arrivals = dict.fromkeys(orders, 0)
        self._kill = kill

    def arm(self, **parts: object) -> None:
        """Surround the steps of these parts, each under its name in `STEPS`. Does nothing when nothing is ordered."""
        for part, method, before, after in STEPS if self._orders else ():
            if part in parts:
                step = getattr(parts[part], method)
                setattr(parts[part], method, self._surrounded(step, before, after))
        for part, method in PAST if self._orders else ():
            if part in parts:
                setattr(parts[part], method, _nothing)

    async def reached(self, name: str | None) -> None:
        """A step is reached: do what is ordered for it. Raises FailpointError."""
        order = self._orders.get(name) if name is not None else None
        if name is None or order is None:
            return
        self._arrivals[name] += 1
        if order.deed == "pause":
            await asyncio.sleep(order.pause_ms / 1000)
        elif self._arrivals[name] == order.nth:
            if order.deed == "kill":
                self._kill()
            raise FailpointError(name)

    def _surrounded(
        self, step: Callable[_Said, Awaitable[_Done]], before: str | None, after: str | None
    ) -> Callable[_Said, Awaitable[_Done | Reply]]:
        async def surrounded(*args: _Said.args, **said: _Said.kwargs) -> _Done | Reply:
            await self.reached(before)
            done = await step(*args, **said)
            await self.reached(after)
            return replace(done, body=self._halved(done.body)) if isinstance(done, Reply) else done

        return surrounded

    async def _halved(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in body:
            half = len(piece) // 2
            yield piece[:half]
            await self.reached(MID_BODY)
            yield piece[half:]
