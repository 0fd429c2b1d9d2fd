"""Connections: how many there are, and which of them have had their time. Knows no HTTP.

1. Over the bound a connection that only waits for a request makes room for a new one; one that is being served never
   does.
2. One round looks after all deadlines of connections: none of them has a timer of its own, and a request costs none.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

ROUND_EVERY_S = 0.5

# Connections looked at before others get their turn.
_AT_ONCE = 512

# The oldest that are asked to make room for a new one: more of them, and a flood would cost more than it does.
_ASKED_MAX = 16


class Connection(Protocol):
    """One client's connection, as far as it is counted here."""

    @property
    def spare(self) -> bool:
        """Whether it waits for a request, and nothing is left to send on it."""
        ...

    def overdue(self, now_s: float) -> bool:
        """Whether it has had its time."""
        ...

    def give_way(self) -> None:
        """End it in good order, for the sake of another."""
        ...

    def abort(self) -> None:
        """End it now."""
        ...


@dataclass(frozen=True, slots=True)
class Caps:
    """How many connections there may be.

    Attributes:
        most: at once.
        per_address: of one address; None for no such bound.
        counted: what an address counts as; None for one that does not count, such as a trusted proxy's.
    """

    most: int
    per_address: int | None = None
    counted: Callable[[str], object | None] = lambda address: address


class Connections:
    """The open connections of one listener.

    Attributes:
        refused: connections that found no room.
        ended: connections that had had their time.
    """

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        # In the order in which they came or were asked last, each with what it counts as.
        self._open: OrderedDict[Connection, object | None] = OrderedDict()
        self._counts: Counter[object] = Counter()
        self.refused = 0
        self.ended = 0

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection, address: str | None) -> bool:
        """Count `connection` in, unless there is no room for it."""
        who = None
        if self._caps.per_address is not None and address is not None:
            who = self._caps.counted(address)
        crowded = who is not None and self._counts[who] >= (self._caps.per_address or 0)
        if crowded or (len(self._open) >= self._caps.most and not self._made_room()):
            self.refused += 1
            return False
        self._open[connection] = who
        if who is not None:
            self._counts[who] += 1
        return True

    def left(self, connection: Connection) -> None:
        """Count `connection` out. Safe to call again."""
        if connection in self._open:
            self._forget(self._open.pop(connection))

    def _made_room(self) -> bool:
        for _ in range(min(_ASKED_MAX, len(self._open))):
            connection, who = self._open.popitem(last=False)
            if connection.spare:
                self._forget(who)
                connection.give_way()
                return True
            self._open[connection] = who
        return False

    def _forget(self, who: object | None) -> None:
        if who is not None:
            self._counts[who] -= 1
            if not self._counts[who]:
                del self._counts[who]

    async def watch(self) -> None:
        """End connections that have had their time, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(ROUND_EVERY_S)
            now_s = loop.time()
            for number, connection in enumerate(list(self._open), 1):
                if connection.overdue(now_s):
                    self.ended += 1
                    connection.abort()
                if not number % _AT_ONCE:
                    await asyncio.sleep(0)
