"""What shall go wrong: one fault, a script of faults one by one, or a seeded plan of many."""

import math
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Kind(StrEnum):
    """One way for one message to go wrong."""

    EAT = "eat"  # `size` bytes of it from `at` on never arrive; all of it unless said otherwise
    CUT = "cut"  # the connection ends, both ways, after `at` bytes of it
    HALF = "half"  # after `at` bytes of it this direction ends in order; the other goes on
    STALL = "stall"  # after `at` bytes of it nothing passes in this direction any more
    DELAY = "delay"  # it, and all behind it, comes `seconds` late
    TWICE = "twice"  # it arrives twice
    ECHO = "echo"  # it arrives, and once more `seconds` later


class Side(StrEnum):
    """Which message of an exchange."""

    REQUEST = "request"
    REPLY = "reply"


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one message.

    Attributes:
        kind: what.
        side: to the request or to the reply of an exchange.
        at: after how many bytes of it.
        size: how many bytes are eaten; None for all that are left.
        seconds: how late.
        answers: of a request that arrives twice: how many of its two replies the client is given.
    """

    kind: Kind
    side: Side = Side.REPLY
    at: int = 0
    size: int | None = None
    seconds: float = 0.0
    answers: int = 1


class Plan(Protocol):
    """Asked once for every exchange that counts."""

    requests: bool  # whether it ever harms requests: else they pass unread

    def next(self) -> Fault | None:
        """What happens to this exchange."""
        ...


class Script:
    """Faults one by one, then none. `None` in it lets an exchange pass."""

    requests = True

    def __init__(self, *faults: Fault | None) -> None:
        self._left = deque(faults)

    def add(self, *faults: Fault | None) -> None:
        """These next, after all that are left."""
        self._left.extend(faults)

    @property
    def left(self) -> int:
        """How many have not happened."""
        return len(self._left)

    def next(self) -> Fault | None:
        """See `Plan.next`."""
        return self._left.popleft() if self._left else None


class Seeded:
    """Faults by chance: each fault with a probability of its own, all from one seed."""

    def __init__(self, seed: int, chances: Mapping[Fault, float]) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - a plan, no secret
        self._faults, self._weights = list(chances), list(chances.values())
        self._chance = sum(self._weights)
        if not 0 <= self._chance < 1:
            raise ValueError("the chances are 0 or more, and in all less than 1")
        self.requests = any(fault.side is Side.REQUEST for fault in chances)
        self._gap = self._next_gap()

    def _next_gap(self) -> int:
        """How many exchanges pass before the next fault: one throw of the dice for all of them."""
        if not self._chance:
            return 2**62
        return int(math.log(1.0 - self._dice.random()) / math.log(1.0 - self._chance))

    def next(self) -> Fault | None:
        """See `Plan.next`."""
        if self._gap:
            self._gap -= 1
            return None
        self._gap = self._next_gap()
        return self._dice.choices(self._faults, self._weights)[0]
