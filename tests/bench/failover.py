"""Kills the primary of a replicated store under load, and asks the next one what it knows of what was acknowledged.

Holds and settles go through ledger, settler and spool, as a gateway's do.
"""

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from gateway.ledger import keys
from gateway.ledger.contract import State
from gateway.ledger.store import Store
from tests.bench.scenes import Scene, scenes
from tests.contract.calling import Caller, calling
from tests.servers.node import Node

TENANT: Final = "studio"
HOWS: Final = ("kill", "blackhole", "sentinel", "cluster")
DURABILITIES: Final = ("local", "replicated")

_DEADLINE_S = 0.3
_WORKERS = 8
_BACK_WITHIN_S = 60.0


@dataclass
class Round:
    """What one failover did."""

    holds: int
    settles: int
    holds_lost: int
    settles_lost: int
    unbooked: int
    refused: Counter[str]
    gap_ms: float
    differences: int


@dataclass
class Outcome:
    """All rounds. `lost` is what was acknowledged and was unknown to the next primary; `unbooked` what stayed so."""

    how: str
    durability: str
    seed: int
    rounds: list[Round] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether the books agree with their journal, and nothing was lost where nothing may be."""
        lost = sum(one.holds_lost + one.settles_lost for one in self.rounds)
        may_lose = self.durability == "local"
        return (may_lose or not lost) and not any(one.differences or one.unbooked for one in self.rounds)

    def as_json(self) -> dict[str, Any]:
        """The figures."""
        gaps = [one.gap_ms for one in self.rounds]
        return {
            "sound": self.sound,
            "how": self.how,
            "durability": self.durability,
            "seed": self.seed,
            "rounds": len(self.rounds),
            "holds_acknowledged": sum(one.holds for one in self.rounds),
            "holds_lost": sum(one.holds_lost for one in self.rounds),
            "settles_acknowledged": sum(one.settles for one in self.rounds),
            "settles_lost": sum(one.settles_lost for one in self.rounds),
            "rounds_with_loss": sum(bool(one.holds_lost or one.settles_lost) for one in self.rounds),
            "unbooked_millicredits": sum(one.unbooked for one in self.rounds),
            "refused": dict(sum((one.refused for one in self.rounds), Counter())),
            "without_primary_ms_median": round(statistics.median(gaps)) if gaps else None,
            "without_primary_ms_max": round(max(gaps)) if gaps else None,
            "audit_differences": sum(one.differences for one in self.rounds),
        }


@dataclass
class Load:
    """Calls without a pause, each with an id and a charge of its own.

    Attributes:
        granted_at_s: when each hold was acknowledged.
    """

    caller: Caller
    dice: random.Random
    granted_at_s: list[float] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """For as long as the block lasts."""
        over = asyncio.Event()
        tasks = [asyncio.create_task(self._calls(worker, over)) for worker in range(_WORKERS)]
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(*tasks)

    async def _calls(self, worker: int, over: asyncio.Event) -> None:
        number = 0
        while not over.is_set():
            number += 1
            takes_s = self.dice.uniform(0.0, 0.02)
            said = await self.caller.call(f"{worker}-{number}", self.dice.randrange(1, 8), takes_s=takes_s)
            if said == "held":
                self.granted_at_s.append(time.monotonic())
            else:
                await asyncio.sleep(0.02)

    async def goes_on_after(self, instant_s: float) -> None:
        """Wait until a call has been held that began later."""
        async with asyncio.timeout(_BACK_WITHIN_S):
            while not self.granted_at_s or self.granted_at_s[-1] <= instant_s + 0.1:  # noqa: ASYNC110 - told by time
                await asyncio.sleep(0.01)

    @property
    def gap_ms(self) -> float:
        """The longest time without an acknowledged hold."""
        at = self.granted_at_s
        return max((after - before for before, after in pairwise(at)), default=0.0) * 1000


async def failover(directory: Path, *, program: str, rounds: int, how: str, durability: str, seed: int) -> Outcome:
    """Fail over so many times, each time with servers of its own.

    Args:
        directory: empty.
        program: of the servers.
        rounds: how many.
        how: one of `HOWS`.
        durability: `replicated` waits for the replica at each write, `local` does not.
        seed: of the dice: when, and what calls cost. The machine's own timing is not in it.
    """
    dice, outcome = random.Random(seed), Outcome(how, durability, seed)  # noqa: S311 - a plan, no secret
    for number in range(rounds):
        place = directory / f"round{number}"
        with scenes(program, TENANT)[how](place) as scene:
            outcome.rounds.append(await _round(scene, place, dice, replicas=int(durability == "replicated")))
    return outcome


async def _round(scene: Scene, place: Path, dice: random.Random, *, replicas: int) -> Round:
    store = Store(scene.url, deadline_s=_DEADLINE_S, replicas=replicas)
    async with calling(store, place / "spool", TENANT) as caller:
        load = Load(caller, random.Random(dice.random()))  # noqa: S311 - as above
        async with load.running():
            await asyncio.sleep(dice.uniform(0.5, 1.0))
            promoted = await scene.fail_over(dice)
            await load.goes_on_after(time.monotonic())
        await caller.until_booked()
        audit = await caller.ledger.audit(TENANT)
        return _compared(caller, load, promoted, len(audit.differences))


def _compared(caller: Caller, load: Load, promoted: Node, differences: int) -> Round:
    granted = list(caller.granted)
    with promoted.line(within_s=30) as line:
        states = line.ask_all([("HGET", keys.record(TENANT, hold_id), "state") for hold_id in granted])
    known = dict(zip(granted, states, strict=True))
    booked = [hold_id for hold_id, end in caller.ended.items() if end.applied and hold_id in known]
    gone = [hold_id for hold_id, state in known.items() if state is None]
    # An end that was acknowledged by the old primary and booked again for the next one.
    again = [hold_id for hold_id in caller.recovered if not caller.ended[hold_id].recovered]
    return Round(
        holds=len(granted),
        settles=len(booked),
        holds_lost=len(gone) + len(caller.recovered),
        settles_lost=len(again) + sum(known[hold_id] != State.SETTLED for hold_id in booked),
        unbooked=sum(caller.granted[hold_id] for hold_id in gone),
        refused=caller.refused,
        gap_ms=load.gap_ms,
        differences=differences,
    )
