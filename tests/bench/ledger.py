"""Many clients in many processes over a line that loses answers; every answer held against the journal afterwards.

Rounds, each with tenants of its own: memory stays as it is, however many operations there are. Clients, the lossy line
and the store are processes of their own.
"""

import asyncio
import multiprocessing
import os
import platform
import secrets
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from gateway.ledger import keys
from gateway.ledger.contract import HoldId
from gateway.ledger.redis import RedisLedger
from gateway.ledger.store import Store
from gateway.units import Credits, Flag
from tests.bench.clients import budgets, paths
from tests.bench.lossy import faults, serve
from tests.bench.rounds import VIOLATIONS_MAX, Checked, Lane, Ran, Round, live
from tests.contract.stores import bundled, running
from tests.history.replay import Violation
from tests.tools import need_tool

_T = TypeVar("_T")

ROUND = 100_000
TENANTS = 8
CLIENTS = 64
DEADLINE_S = 0.5
SILENT = 1.0
_REQUESTS = 200
_ANSWER_WITHIN_S = 600.0


@dataclass
class Outcome:
    """All that was done and found. `sound` is what a run is for."""

    seed: int
    lost: float
    processes: int
    machine: str
    store: str
    rounds: int = 0
    seconds: float = 0.0
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    entries: Counter[str] = field(default_factory=Counter)
    asked_again: int = 0
    given_up: int = 0
    line: Counter[str] = field(default_factory=Counter)
    violations: int = 0
    shown: list[Violation] = field(default_factory=list)
    scripts_per_request: float = 0.0
    rss_mib: int = 0
    cpu_s: dict[str, float] = field(default_factory=dict)
    spent_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def operations(self) -> int:
        """How many questions were answered, or given up."""
        return self.verdicts.total()

    @property
    def sound(self) -> bool:
        """Whether every answer is explained, every end booked, and a request costs the store two scripts."""
        return not (self.violations or self.given_up) and self.scripts_per_request == 2

    def as_json(self) -> dict[str, Any]:
        """The figures."""
        by_kind, by_verdict = Counter[str](), Counter[str]()
        for (kind, verdict), count in self.verdicts.items():
            by_kind[kind] += count
            by_verdict[verdict] += count
        return {
            "sound": self.sound,
            "operations": self.operations,
            "seconds": round(self.seconds, 1),
            "operations_per_s": round(self.operations / self.seconds) if self.seconds else 0,
            "violations": self.violations,
            "seed": self.seed,
            "lost_percent": round(self.lost * 100, 3),
            "replies": self.line["exchanges"],
            "replies_eaten": self.line["eat"] + self.line["cut"],
            "connections": self.line["connections"],
            "unknown_answers": by_verdict["unknown"],
            "scripts_without_answer": self.asked_again,
            "ends_given_up": self.given_up,
            "asked": dict(sorted(by_kind.items())),
            "answered": dict(sorted(by_verdict.items())),
            "journal": dict(sorted(self.entries.items())),
            "store_scripts_per_request": self.scripts_per_request,
            "rounds": self.rounds,
            "processes": self.processes,
            "peak_rss_mib": self.rss_mib,
            "cpu_seconds": {name: round(seconds, 1) for name, seconds in sorted(self.cpu_s.items())},
            "seconds_in": {name: round(seconds, 1) for name, seconds in sorted(self.spent_s.items())},
            "machine": self.machine,
            "store": self.store,
            "shown": [f"{one.kind}: {one.of}: {one.context}"[:2_000] for one in self.shown],
        }


class _Process:
    """A process and the line to it."""

    def __init__(self, target: Callable[..., None], *given: object) -> None:
        spawning = multiprocessing.get_context("spawn")
        self.line, far = spawning.Pipe()
        self._process = spawning.Process(target=target, args=(*given, far), daemon=True)
        self._process.start()
        far.close()

    def told(self) -> Any:
        """What it says next. Raises EOFError when it died, TimeoutError when it says nothing."""
        if not self.line.poll(_ANSWER_WITHIN_S):
            raise TimeoutError
        return self.line.recv()

    def end(self) -> None:
        """Let it end, or end it."""
        with suppress(OSError):
            self.line.send(None)
        self._process.join(20)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.line.close()


@contextmanager
def store(name: str, folder: Path) -> Iterator[str]:
    """The URL of a fresh store of this kind, or of one that is there."""
    if "://" in name:
        yield name
    elif name == "valkey":
        with bundled(folder) as url:
            yield url
    else:
        with running(need_tool("redis-server"), folder) as url:
            yield url


def bench(
    *,
    operations: int,
    lost: float,
    silent: float = SILENT,
    seed: int,
    kind: str,
    processes: int,
    round_operations: int = ROUND,
) -> Outcome:
    """Ask at least so many questions and hold every answer against the journal.

    Args:
        operations: calls of the ledger, each counted once, however often it had to ask the store.
        lost: the part of all replies of the store that is eaten.
        silent: the part of those after which the connection goes on as if nothing had happened.
        seed: of what is asked and what is lost. The machine's own timing is not in it.
        kind: `valkey`, `redis`, or the URL of a store, in which nothing is left.
        processes: of clients.
        round_operations: after which tenants are checked and forgotten.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "store").mkdir()
        url = stack.enter_context(store(kind, folder / "store"))
        found = Outcome(seed, lost, processes, _machine(), asyncio.run(_about(url)))
        found.scripts_per_request = asyncio.run(_scripts_per_request(url))
        line = _Process(serve, url, faults(lost, silent), seed)
        stack.callback(line.end)
        lossy_url = str(line.told())
        lanes = [Lane(n, lossy_url, url, DEADLINE_S, CLIENTS, folder) for n in range(processes)]
        workers = [_Process(live, lane) for lane in lanes]
        for worker in workers:
            stack.callback(worker.end)
        began_s = time.monotonic()
        while found.operations < operations:
            _round(found, workers, min(round_operations, operations - found.operations))
        found.seconds = time.monotonic() - began_s
        line.line.send("counts")
        found.line.update(line.told())
        found.cpu_s |= {"line": found.line.pop("cpu_ms") / 1_000, "store": asyncio.run(_store_cpu_s(url))}
    return found


def _round(found: Outcome, workers: list[_Process], operations: int) -> None:
    run = secrets.token_hex(4)  # in a store that is not ours, tenants of their own
    tenants = tuple(f"b{run}-{found.rounds}-{n}" for n in range(TENANTS))
    each = -(-operations // len(workers))
    of = Round(found.rounds, found.seed, each, tenants, room=max(20, operations // 2 // TENANTS))
    for ran in _all(found, "clients", workers, lambda _: ("run", of)):
        _ran(found, cast("Ran", ran))
    _ran(found, cast("Ran", _all(found, "expiry", workers[:1], lambda _: ("end", of))[0]))
    parts = [tenants[n :: len(workers)] for n in range(len(workers))]
    for n, checked in enumerate(_all(found, "checking", workers, lambda n: ("check", of, parts[n]))):
        _checked(found, n, cast("Checked", checked))
    found.rounds += 1


def _all(found: Outcome, name: str, workers: list[_Process], say: Callable[[int], tuple[object, ...]]) -> list[object]:
    """One phase: tell every worker its part and hear what came of it."""
    began_s = time.monotonic()
    for n, worker in enumerate(workers):
        worker.line.send(say(n))
    answers = [worker.told() for worker in workers]
    found.spent_s[name] += time.monotonic() - began_s
    return answers


def _ran(found: Outcome, ran: Ran) -> None:
    found.verdicts.update(ran.verdicts)
    found.asked_again += ran.asked_again
    found.given_up += ran.given_up


def _checked(found: Outcome, number: int, checked: Checked) -> None:
    found.entries.update(checked.entries)
    found.violations += checked.violations
    found.shown += checked.shown[: VIOLATIONS_MAX - len(found.shown)]
    found.rss_mib = max(found.rss_mib, checked.rss_mib)
    found.cpu_s[f"clients {number}"] = checked.cpu_s


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"


async def _about(url: str) -> str:
    async def ask(direct: Store) -> str:
        facts = await _info(direct, "server")
        return " ".join(f"{name} {facts[name]}" for name in ("valkey_version", "redis_version") if name in facts)

    return await _with(url, ask)


async def _store_cpu_s(url: str) -> float:
    async def ask(direct: Store) -> float:
        facts = await _info(direct, "cpu")
        return float(facts["used_cpu_user"]) + float(facts["used_cpu_sys"])

    return await _with(url, ask)


async def _info(direct: Store, section: str) -> dict[str, Any]:
    """A section of what the store says of itself; the client library reads some of it already."""
    found = await direct.call("INFO", section)
    if isinstance(found, dict):
        return found
    return dict(line.split(":", 1) for line in str(found).splitlines() if ":" in line)


async def _scripts_per_request(url: str) -> float:
    """How many scripts the store runs for a request, a hold and its settle, when nothing is lost: its own count."""

    async def count(direct: Store) -> float:
        tenant = f"b{secrets.token_hex(4)}"
        ledger = RedisLedger(direct, budgets([tenant], 10_000), hold_ttl_ms=60_000)
        path, ids = paths(tenant)[0], [HoldId(f"{tenant}/{n}") for n in range(_REQUESTS + 1)]
        before = 0
        for n, hold_id in enumerate(ids):
            if n == 1:  # the first one made the store know the scripts
                before = await _scripts(direct)
            await ledger.settle(await ledger.hold(path, Credits(3), hold_id=hold_id), Credits(2), Flag.CONFIRMED)
        ran = await _scripts(direct) - before
        await direct.call("UNLINK", *await direct.call("KEYS", f"{keys.PREFIX}:{{{tenant}}}:*"))
        return ran / _REQUESTS

    return await _with(url, count)


async def _scripts(direct: Store) -> int:
    found, ran = await _info(direct, "commandstats"), 0
    for name in ("cmdstat_evalsha", "cmdstat_eval"):
        told = found.get(name)
        if isinstance(told, str):
            told = dict(part.split("=", 1) for part in told.split(","))
        ran += int(told["calls"]) if told else 0
    return ran


async def _with(url: str, work: Callable[[Store], Awaitable[_T]]) -> _T:
    direct = Store(url, deadline_s=10)
    try:
        return await work(direct)
    finally:
        await direct.close()
