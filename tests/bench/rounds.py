"""One process of clients: it lives through rounds, each with tenants of its own, and checks its part of each."""

import asyncio
import pickle
import random
import resource
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path as FilePath
from typing import Any

import uvloop

from gateway.ledger import keys
from gateway.ledger.budget import BudgetBook
from gateway.ledger.granting import RedisGranting
from gateway.ledger.journal import pages
from gateway.ledger.redis import RedisLedger
from gateway.ledger.store import Store
from tests.bench.clients import LONG_TTL_MS, SHORT_TTL_MS, Party, budgets, paths
from tests.history.checking import History, check
from tests.history.ops import CountingStore, Op, RecordedHand, RecordedLedger, Recorder, rows
from tests.history.replay import Entry, Violation

_KEYS_AT_ONCE = 500
_OPEN_WITHIN_S = 30.0
VIOLATIONS_MAX = 20


@dataclass(frozen=True, slots=True)
class Lane:
    """What one process is told once.

    Attributes:
        number: which one it is.
        lossy_url, store_url: the store as its clients see it, and the store itself.
        deadline_s: of one exchange.
        clients: how many at once.
        folder: where histories are laid down for others to check.
    """

    number: int
    lossy_url: str
    store_url: str
    deadline_s: float
    clients: int
    folder: FilePath


@dataclass(frozen=True, slots=True)
class Round:
    """What every process is told for each round."""

    number: int
    seed: int
    operations: int  # of each process
    tenants: tuple[str, ...]
    room: int  # holds each tenant has room for, roughly


@dataclass(slots=True)
class Ran:
    """What a process did in a round."""

    verdicts: Counter[tuple[str, str]]
    asked_again: int
    given_up: int
    seconds: float


@dataclass(slots=True)
class Checked:
    """What a process found of its tenants' histories."""

    entries: Counter[str]
    violations: int
    shown: list[Violation]
    rss_mib: int
    cpu_s: float  # of this process so far


def live(lane: Lane, parent: Connection) -> None:
    """Do what the parent says, phase by phase, until it says nothing more."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        process = ClientProcess(lane)
        phases: dict[str, Callable[..., Coroutine[Any, Any, object]]] = {
            "run": process.run, "end": process.end, "check": process.check
        }  # fmt: skip
        try:
            while (told := parent.recv()) is not None:
                phase, *said = told
                parent.send(runner.run(phases[phase](*said)))
        except EOFError:
            pass
        finally:
            runner.run(process.close())


class ClientProcess:
    """What one process is: its connections, lossy and sound, from round to round."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._store: CountingStore | None = None
        self._direct: Store | None = None
        self._epoch_ms = time.time_ns() // 1_000_000 - time.monotonic_ns() // 1_000_000

    async def close(self) -> None:
        """Close all connections."""
        for store in (self._store, self._direct):
            if store is not None:
                await store.close()

    @property
    def lossy(self) -> CountingStore:
        """The store as clients see it."""
        if self._store is None:
            lane = self._lane
            self._store = CountingStore(lane.lossy_url, deadline_s=lane.deadline_s)
        return self._store

    @property
    def direct(self) -> Store:
        """The store itself."""
        if self._direct is None:
            self._direct = Store(self._lane.store_url, deadline_s=30)
        return self._direct

    async def run(self, of: Round) -> Ran:
        """Be its clients for one round."""
        began_s, before = time.monotonic(), self.lossy.unanswered
        book, recorder = budgets(of.tenants, of.room), Recorder()
        long, short = (
            RecordedLedger(RedisLedger(self.lossy, book, hold_ttl_ms=ttl), recorder)
            for ttl in (LONG_TTL_MS, SHORT_TTL_MS)
        )
        await self.direct.call("SADD", keys.TENANTS, *of.tenants)
        name = f"{of.number}.{self._lane.number}"
        party = Party(
            name,
            of.tenants,
            long,
            short,
            RecordedHand(RedisGranting(self.lossy, book), recorder),
            recorder,
            random.Random(f"{of.seed} {name}"),  # noqa: S311 - a plan, no secret
        )
        given_up = await party.run(self._lane.clients, of.operations)
        self._lay_down(recorder, of, "run")
        return Ran(recorder.verdicts, self.lossy.unanswered - before, given_up, time.monotonic() - began_s)

    async def end(self, of: Round) -> Ran:
        """Once all clients are gone: let expire what nobody ended."""
        began_s, recorder = time.monotonic(), Recorder()
        plain = RedisLedger(self.direct, budgets(of.tenants, of.room), hold_ttl_ms=SHORT_TTL_MS)
        ledger = RecordedLedger(plain, recorder)
        while time.monotonic() - began_s < _OPEN_WITHIN_S:
            await ledger.sweep()
            if not sum([await plain.open_holds(tenant) for tenant in of.tenants]):
                break
            await asyncio.sleep(0.02)
        self._lay_down(recorder, of, "end")
        return Ran(recorder.verdicts, 0, 0, time.monotonic() - began_s)

    def _lay_down(self, recorder: Recorder, of: Round, phase: str) -> None:
        for tenant in of.tenants:
            path = self._lane.folder / f"{tenant}.{phase}.{self._lane.number}"
            path.write_bytes(pickle.dumps([*recorder.ops[tenant], *recorder.ops[""]], protocol=5))

    async def check(self, of: Round, tenants: Sequence[str]) -> Checked:
        """Hold these tenants' histories against their journals, then forget them."""
        found = Checked(Counter(), 0, [], 0, 0)
        book = budgets(of.tenants, of.room)
        for n, tenant in enumerate(tenants):
            history = await self._history(tenant, book)
            # The ledger's own recount says nothing that the check does not, and takes as long: one tenant is enough.
            violations = [
                *check(history),
                *(await self._audited(tenant, book) if n == of.number % len(tenants) else ()),
            ]
            found.violations += len(violations)
            found.shown += violations[: VIOLATIONS_MAX - len(found.shown)]
            found.entries.update(entry.fields["op"] for entry in history.journal)
            await self._forget(tenant, history)
        found.rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        found.cpu_s = time.process_time()
        return found

    async def _history(self, tenant: str, book: BudgetBook) -> History:
        ops: list[Op] = []
        for path in self._lane.folder.glob(f"{tenant}.*"):
            ops += pickle.loads(path.read_bytes())  # noqa: S301 - written by ourselves, a moment ago
            path.unlink()
        journal = [Entry(e.at_ms, e.fields) async for page in pages(self.direct, tenant) for e in page]
        ledger = RedisLedger(self.direct, book, hold_ttl_ms=LONG_TTL_MS)
        final = {path: rows(await ledger.balances(path)) for path in paths(tenant)}
        left = await ledger.open_holds(tenant)
        return History(tenant, book, SHORT_TTL_MS, journal, ops, final, left, self._epoch_ms)

    async def _audited(self, tenant: str, book: BudgetBook) -> list[Violation]:
        audit = await RedisLedger(self.direct, book, hold_ttl_ms=LONG_TTL_MS).audit(tenant)
        return [Violation("audit", tenant, (difference,)) for difference in audit.differences]

    async def _forget(self, tenant: str, history: History) -> None:
        """Take everything of this tenant out of the store, so that any number of rounds fits in."""
        held = {op.id for op in history.ops if op.kind in {"hold", "settle", "void"}}
        done = {op.id for op in history.ops if op.kind in {"refund", "adjust", "grant", "revoke"}}
        balances = {place for written in {e.fields["budgets"] for e in history.journal} for place in keys.read(written)}
        names = [
            *(keys.record(tenant, hold_id) for hold_id in held),
            *(keys.operation(tenant, operation_id) for operation_id in done),
            *(place.key(tenant) for place in balances),
            *(keys.journal(tenant), keys.open_holds(tenant)),
        ]
        for at in range(0, len(names), _KEYS_AT_ONCE):
            await self.direct.call("UNLINK", *names[at : at + _KEYS_AT_ONCE])
        await self.direct.call("SREM", keys.TENANTS, tenant)
