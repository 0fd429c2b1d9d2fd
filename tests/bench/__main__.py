"""`python -m tests.bench <what>`: figures that no test may assert, each with its seed."""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gateway.ledger.window import Every
from tests.bench.failover import DURABILITIES, HOWS, failover
from tests.bench.faults import faults
from tests.bench.ledger import SILENT, bench
from tests.bench.overload.measure import NAMES
from tests.bench.overload.measure import measure as overload
from tests.bench.overload.measure import sound as overload_kept
from tests.bench.proxy.measure import measure
from tests.bench.proxy.workers import compare
from tests.bench.restarts.rolling import restarts
from tests.bench.scraping import scrape
from tests.bench.start import start
from tests.bench.windows import sweep
from tests.servers.node import bundled_program

LOST_PERCENT_MAX = 50


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    benches = parser.add_subparsers(dest="bench", required=True)
    killing = benches.add_parser("faults", help="kill gateway and store under load and compare the books")
    killing.add_argument("--kills", type=int, default=100)
    killing.add_argument("--seed", type=int, default=None, help="of the plan; a fresh one unless given")
    killing.add_argument("--workers", type=int, default=12)
    killing.add_argument("--fsync", choices=("everysec", "always"), default="always")
    killing.add_argument("--directory", type=Path, default=None, help="empty, to look at afterwards")
    looking = benches.add_parser("windows", help="look at every hour of every zone, in every kind of window")
    looking.add_argument("--zones", type=int, default=None, help="only the first of those that differ")
    looking.add_argument("--kinds", nargs="*", choices=[*Every], default=[], help="of window; all unless given")
    looking.add_argument("--processes", type=int, default=2)
    comparing = benches.add_parser("proxy", help="the gateway beside a bare proxy of the same framework")
    comparing.add_argument("--rounds", type=int, default=3)
    comparing.add_argument("--seconds", type=int, default=4, help="of load per round and server")
    comparing.add_argument("--connections", type=int, default=64)
    comparing.add_argument("--memory-s", type=int, default=20, help="seconds of large answers for looking at memory")
    crewing = benches.add_parser("workers", help="the same gateway in one process and in several")
    crewing.add_argument("--workers", type=int, default=2)
    crewing.add_argument("--rounds", type=int, default=5)
    crewing.add_argument("--seconds", type=int, default=4, help="of load per round and gateway")
    crewing.add_argument("--connections", type=int, default=64)
    failing = benches.add_parser("failover", help="kill the primary of a replicated store and count what is lost")
    failing.add_argument("--rounds", type=int, default=10)
    failing.add_argument("--seed", type=int, default=None, help="of the plan; a fresh one unless given")
    failing.add_argument("--how", choices=HOWS, default="kill")
    failing.add_argument("--durability", choices=DURABILITIES, default="local")
    failing.add_argument("--program", default=None, help="a server program; the bundled one unless given")
    keeping = benches.add_parser("ledger", help="many clients over a line that loses answers, each answer checked")
    keeping.add_argument("--ops", type=int, default=500_000, help="calls of the ledger")
    keeping.add_argument("--lost", type=float, default=5.0, metavar="PERCENT", help="of the store's replies")
    keeping.add_argument("--silent", type=float, default=100 * SILENT, metavar="PERCENT", help="of those eaten")
    keeping.add_argument("--seed", type=int, default=None, help="of what is asked and lost; a fresh one unless given")
    keeping.add_argument("--store", default="valkey", metavar="valkey|redis|URL")
    keeping.add_argument("--processes", type=int, default=2, help="of clients")
    pressing = benches.add_parser("overload", help="slow and greedy clients beside honest ones")
    pressing.add_argument("scenes", nargs="*", choices=[[], *NAMES], help="all unless given")
    rolling = benches.add_parser("restarts", help="restart two gateways in turn under load and count failed calls")
    rolling.add_argument("--restarts", type=int, default=20)
    rolling.add_argument("--clients", type=int, default=16)
    rolling.add_argument("--lame-duck-s", type=float, default=1.0)
    rolling.add_argument("--seed", type=int, default=None, help="of what is asked; a fresh one unless given")
    starting = benches.add_parser("start", help="from a gateway's start until it is ready, step by step")
    starting.add_argument("--runs", type=int, default=9)
    seeing = benches.add_parser("scrape", help="an exposition in which every cap is reached")
    seeing.add_argument("--rounds", type=int, default=20)
    for name in benches.choices.values():
        name.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    return parser


def main() -> int:
    """Run one bench; 0 when what it found is sound."""
    said = _parser().parse_args()
    runs = {"windows": _windows, "ledger": _ledger, "faults": _faults, "proxy": _proxy, "failover": _failover}
    runs |= {"overload": _overload, "restarts": _restarts, "start": _start, "scrape": _scrape, "workers": _workers}
    return runs[said.bench](said)


def _overload(said: argparse.Namespace) -> int:
    figures = asyncio.run(overload(said.scenes))
    return _shown(said, figures, sound=overload_kept(figures))


def _scrape(said: argparse.Namespace) -> int:
    return _shown(said, asdict(asyncio.run(scrape(said.rounds))), sound=True)


def _proxy(said: argparse.Namespace) -> int:
    plan = {"rounds": said.rounds, "seconds": said.seconds, "connections": said.connections, "memory_s": said.memory_s}
    figures = asyncio.run(measure(**plan))
    return _shown(said, figures, sound=True)


def _workers(said: argparse.Namespace) -> int:
    if said.workers <= 1:
        sys.exit("--workers is 2 or more: one is what they are compared with")
    figures = asyncio.run(
        compare(workers=said.workers, rounds=said.rounds, seconds=said.seconds, connections=said.connections)
    )
    return _shown(said, figures, sound=not any(figures["failed"]))


def _windows(said: argparse.Namespace) -> int:
    found = sweep(processes=said.processes, zones=said.zones, kinds=said.kinds)
    return _shown(said, found.as_json(), sound=not found.violations)


def _faults(said: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as fresh:
        plan = {"kills": said.kills, "seed": _seed(said), "workers": said.workers, "fsync": said.fsync}
        found = asyncio.run(faults(said.directory or Path(fresh), **plan))
    return _shown(said, found.as_json(), sound=found.sound)


def _failover(said: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as fresh:
        plan = {"rounds": said.rounds, "seed": _seed(said), "how": said.how, "durability": said.durability}
        found = asyncio.run(failover(Path(fresh), program=said.program or bundled_program(), **plan))
    return _shown(said, found.as_json(), sound=found.sound)


def _restarts(said: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as fresh:
        plan = {"count": said.restarts, "clients": said.clients, "lame_duck_s": said.lame_duck_s, "seed": _seed(said)}
        found = asyncio.run(restarts(Path(fresh), **plan))
    return _shown(said, found.as_json(), sound=found.sound)


def _start(said: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as fresh:
        return _shown(said, start(Path(fresh), runs=said.runs), sound=True)


def _seed(said: argparse.Namespace) -> int:
    return secrets.randbelow(2**31) if said.seed is None else int(said.seed)


def _shown(said: argparse.Namespace, figures: dict[str, Any], *, sound: bool) -> int:
    lines = [json.dumps(figures)] if said.json else [f"{name:<28}{value}" for name, value in figures.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if sound else 1


def _ledger(said: argparse.Namespace) -> int:
    if not (said.ops > 0 and said.processes > 0 and 0 <= said.lost <= LOST_PERCENT_MAX and 0 <= said.silent <= 100):
        sys.exit(f"--ops and --processes are 1 or more, --lost is 0 to {LOST_PERCENT_MAX}, --silent 0 to 100")
    found = bench(
        operations=said.ops,
        lost=said.lost / 100,
        silent=said.silent / 100,
        seed=_seed(said),
        kind=said.store,
        processes=said.processes,
    )
    return _shown(said, found.as_json(), sound=found.sound)


if __name__ == "__main__":
    sys.exit(main())
