"""Kill gateway and store again and again under load, and see whether every credit is accounted for, and none twice."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.failpoints import NAMES
from gateway.ledger import keys
from gateway.ledger.budget import BudgetBook
from gateway.ledger.contract import Audit
from gateway.ledger.embedded import EmbeddedStore
from gateway.ledger.journal import pairs
from gateway.ledger.redis import RedisLedger
from gateway.ledger.store import Store
from tests.bench.comparing import Comparison, Taken, compare
from tests.bench.crashing import HOLD_TTL_S, TENANT, Load, Site, site, until

SPOOLING = ("before_spool", "after_spool")
REPLAYING = ("before_replay", "after_replay")
WAYS = (*(name for name in NAMES if name not in REPLAYING), "random", "in_outage", "after_outage")


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that was done and found. `sound` is what a run is for."""

    seed: int
    seconds: float
    kills: dict[str, int]
    strange_exits: list[int]
    statuses: dict[str, int]
    comparison: Comparison
    audit: Audit
    left_on_disk: bool
    entries: dict[str, int]

    @property
    def sound(self) -> bool:
        """Whether everything is accounted for, once, and every doubt is said."""
        found = self.comparison
        doubts = all(sums.booked >= sums.taken for sums in found.sums.values())
        none_wrong = not (found.unaccounted or found.doubled or found.unended or found.mistold)
        return none_wrong and doubts and not (self.audit.differences or self.left_on_disk or self.strange_exits)

    def as_json(self) -> dict[str, Any]:
        """The figures, amounts in millicredits."""
        found = self.comparison
        return {
            "sound": self.sound,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "kills": sum(self.kills.values()),
            "kills_at": dict(sorted(self.kills.items())),
            "answers": dict(sorted(self.statuses.items())),
            "unaccounted_millicredits": found.unaccounted,
            "double_charges": found.doubled,
            "blamed": found.blamed,
            "unended_holds": found.unended,
            "mistold": found.mistold,
            "by_flag": {
                flag: {"calls": sums.calls, "booked_millicredits": sums.booked, "taken_millicredits": sums.taken}
                for flag, sums in sorted(found.sums.items())
            },
            "uncertain_millicredits": found.sums["uncertain"].booked,
            "journal": dict(sorted(self.entries.items())),
            "audit_differences": len(self.audit.differences),
            "strange_exits": self.strange_exits,
            "left_on_disk": self.left_on_disk,
        }


def plan(dice: random.Random) -> Iterator[str]:
    """Ways to die, without end: each as often as every other; after an outage, often in the middle of the replay."""
    while True:
        for way in dice.sample(WAYS, len(WAYS)):
            yield way
            if way in (*SPOOLING, "in_outage") and dice.random() < 0.5:
                yield dice.choice(REPLAYING)


@dataclass
class Killer:
    """Takes the lives of one site's gateways, each in its turn."""

    site: Site
    dice: random.Random

    async def life(self, way: str) -> None:
        """One gateway, from its start to its kill: at a failpoint of that name, or as the method of that name does."""
        if way in NAMES:
            await self._at_step(way)
        else:
            await self.site.start()
            await {"random": self._random, "in_outage": self._in_outage, "after_outage": self._after_outage}[way]()
            await self.site.kill(way)

    async def _at_step(self, name: str) -> None:
        at_most = 6 if name in SPOOLING else 4 if name in REPLAYING else 60
        alive = await self.site.start(f"{name}=kill:{self.dice.randrange(1, at_most)}")
        if alive and name in SPOOLING:
            await self._pause(0.3)
            self.site.kill_store()
        reached = await self.site.dead(within_s=2)
        await self.site.kill(name if reached else "random")

    async def _random(self) -> None:
        await self._pause(1.0)

    async def _in_outage(self) -> None:
        """Store first, gateway soon after: what was settled meanwhile is on disk or still held."""
        await self._pause(0.5)
        self.site.kill_store()
        await self._pause(0.5)

    async def _after_outage(self) -> None:
        """The gateway brings its store back, and goes on for a while."""
        await self._pause(0.5)
        self.site.kill_store()
        await asyncio.sleep(0.2)
        await until(self.site.ready, 20)
        await self._pause(0.5)

    async def _pause(self, at_most_s: float) -> None:
        await asyncio.sleep(self.dice.uniform(0.05, at_most_s))


async def faults(
    directory: Path,
    *,
    kills: int,
    seed: int,
    ways: Iterable[str] | None = None,
    workers: int = 12,
    fsync: str = "always",
) -> Outcome:
    """Kill at least so many times, or in all these ways, then let everything end, and compare.

    Args:
        directory: empty; for configuration, store, spool and log.
        kills: of gateways and stores together.
        seed: of the dice: which kill at which step. The machine's own timing is not in it.
        ways: which kills; what the dice say unless given.
        workers: clients that call at the same time.
        fsync: as `ledger.fsync`.
    """
    began_s, dice = time.monotonic(), random.Random(seed)  # noqa: S311 - a plan, no secret
    async with site(directory, fsync=fsync) as made:
        # Dice of their own: how often clients throw theirs depends on the machine.
        load, killer = Load(made, random.Random(seed), workers), Killer(made, dice)  # noqa: S311 - as above
        async with load.running():
            for way in plan(dice) if ways is None else ways:
                await killer.life(way)
                if made.kills.total() >= kills:
                    break
        await _quiet(made)
        journal, audit = await _books(made)
        taken = [Taken(charge.body_sha256, charge.millicredits) for charge in made.simulator.book.charges]
        return Outcome(
            seed,
            time.monotonic() - began_s,
            dict(made.kills),
            made.strange,
            dict(load.statuses),
            compare(load.asked, taken, journal),
            audit,
            made.spooled,
            Counter(entry["op"] for entry in journal),
        )


async def _quiet(made: Site) -> None:
    """One more gateway, that nobody kills, books what is on disk and stops in order."""
    await made.start()
    await until(made.quiet, 30)
    code = await made.stop()
    if code != 0:
        made.strange.append(code)


async def _books(made: Site) -> tuple[list[dict[str, str]], Audit]:
    """The journal and its recount, once every hold that was left open is past its deadline and booked."""
    async with EmbeddedStore(made.data_dir / "store") as embedded:
        store = Store(embedded.url, deadline_s=20)
        try:
            ledger = RedisLedger(store, BudgetBook({}), hold_ttl_ms=1)
            async with asyncio.timeout(HOLD_TTL_S + 10):
                while await ledger.open_holds(TENANT):
                    await ledger.sweep()
                    await asyncio.sleep(0.1)
            found = await store.call("XRANGE", keys.journal(TENANT), "-", "+")
            return [pairs(entry) for _, entry in found], await ledger.audit(TENANT)
        finally:
            await store.close()
