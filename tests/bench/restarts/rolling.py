"""Restart two gateways in turn while clients call, and see whether any call failed or any credit went astray."""

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count as counted
from pathlib import Path
from typing import Any

import aiohttp

from gateway.ledger.budget import BudgetBook
from gateway.ledger.contract import Audit
from gateway.ledger.embedded import EmbeddedStore
from gateway.ledger.redis import RedisLedger
from gateway.ledger.store import Store
from gateway.simulator import Simulator, SimulatorSettings, start_simulator
from tests.bench.restarts.fleet import KEY, TENANT, Fleet, fleet

# One call in so many takes longer than a lame duck lives, so that it has to be waited for.
_SLOW_OF = 25
_PAUSE_S, _DRAIN_S = 0.3, 15.0


@dataclass
class Load:
    """Clients that call without end, over connections they keep; what became of every call.

    No client sends a call again, and none knows more of a gateway than whether it was ready when last asked.
    """

    fleet: Fleet
    simulator: Simulator
    slow_s: float
    dice: random.Random
    answers: Counter[str] = field(default_factory=Counter)
    nobody: int = 0
    _turn: Iterator[int] = field(default_factory=counted)

    @asynccontextmanager
    async def running(self, clients: int) -> AsyncIterator[None]:
        """Call for the length of a block; calls under way at its end are waited for."""
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._client(over))
            try:
                yield
            finally:
                over.set()

    async def _client(self, over: asyncio.Event) -> None:
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            while not over.is_set():
                taken = [gateway for gateway in self.fleet.gateways if gateway.taken]
                if not taken:
                    self.nobody += 1
                    await asyncio.sleep(0.02)
                    continue
                await self._call(session, taken[next(self._turn) % len(taken)].port)
                await asyncio.sleep(self.dice.random() * 0.02)

    async def _call(self, session: aiohttp.ClientSession, port: int) -> None:
        if self.dice.randrange(_SLOW_OF) == 0:
            self.simulator.faults.next(f"slow:{self.slow_s}")
        fields = {"X-Dezgo-Key": self.fleet.token}
        body = {"prompt": "a fox", "steps": self.dice.randrange(10, 60)}
        try:
            async with session.post(f"http://127.0.0.1:{port}/text2image", json=body, headers=fields) as answer:
                await answer.read()
                self.answers[str(answer.status)] += 1
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.answers[type(error).__name__] += 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that was done and found. `sound` is what a run is for."""

    seconds: float
    exits: tuple[int, ...]
    times: list[tuple[float, float]]
    answers: dict[str, int]
    nobody: int
    audit: Audit
    held: int
    taken_millicredits: int

    @property
    def failed(self) -> int:
        """Calls that did not end in 200."""
        return sum(self.answers.values()) - self.answers.get("200", 0)

    @property
    def sound(self) -> bool:
        """Whether no call failed, every exit was 0, and the books say what the upstream's say."""
        agrees = self.audit.spent.millicredits == self.taken_millicredits
        booked = agrees and not self.audit.differences and not self.held
        return bool(self.answers.get("200")) and not (self.failed or self.nobody or any(self.exits)) and booked

    def as_json(self) -> dict[str, Any]:
        """The figures."""
        return {
            "sound": self.sound,
            "seconds": round(self.seconds, 1),
            "restarts": len(self.times),
            "calls": sum(self.answers.values()),
            "failed": self.failed,
            "answers": dict(sorted(self.answers.items())),
            "waits_for_any_gateway": self.nobody,
            "strange_exits": [code for code in self.exits if code],
            "down_s": _spread([down for down, _ in self.times]),
            "up_s": _spread([up for _, up in self.times]),
            "booked_millicredits": self.audit.spent.millicredits,
            "taken_millicredits": self.taken_millicredits,
            "open_holds": self.held,
            "audit_differences": len(self.audit.differences),
        }


def _spread(taken: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(taken), 3), "most": round(max(taken), 3)} if taken else {}


async def restarts(directory: Path, *, count: int, clients: int, lame_duck_s: float, seed: int) -> Outcome:
    """Restart `count` times, always one gateway after the other, and look at the books when all is over.

    Args:
        directory: empty.
        count: of restarts.
        clients: how many call at the same time.
        lame_duck_s: of both gateways.
        seed: of what is asked.
    """
    simulator = await start_simulator(
        SimulatorSettings(key=KEY, delay_s=0.02, drawn=False, balance_usd=Decimal(1_000_000))
    )
    try:
        async with EmbeddedStore(directory / "store") as store:
            place = {"upstream": simulator.url, "store": store.url}
            began = time.monotonic()
            async with fleet(directory, lame_duck_s=lame_duck_s, drain_s=_DRAIN_S, **place) as found:
                load = Load(found, simulator, lame_duck_s + 0.5, random.Random(seed))  # noqa: S311 - no secret
                async with load.running(clients):
                    times = await _roll(found, count)
            audit, held = await books(store.url)
    finally:
        await simulator.stop()
    return Outcome(
        seconds=time.monotonic() - began,
        exits=tuple(code for gateway in found.gateways for code in gateway.exits),
        times=times,
        answers=dict(load.answers),
        nobody=load.nobody,
        audit=audit,
        held=held,
        taken_millicredits=simulator.book.total_millicredits,
    )


async def _roll(found: Fleet, count: int) -> list[tuple[float, float]]:
    """Restart one after the other; seconds down and up, each time."""
    times = []
    for number in range(count):
        gateway = found.gateways[number % len(found.gateways)]
        await asyncio.sleep(_PAUSE_S)
        times.append((await gateway.stop(), await gateway.start()))
    await asyncio.sleep(_PAUSE_S)
    return times


async def books(store_url: str) -> tuple[Audit, int]:
    """What the ledger says once nobody serves any more, and how many holds are open."""
    store = Store(store_url, deadline_s=5)
    try:
        ledger = RedisLedger(store, BudgetBook({}), hold_ttl_ms=1)
        return await ledger.audit(TENANT), await ledger.open_holds(TENANT)
    finally:
        await store.close()
