"""`python -m tests.bench <what>`: figures that no test may assert, each with its seed."""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
from pathlib import Path

from tests.bench.faults import faults
from tests.bench.proxy.measure import measure
from tests.bench.windows import sweep


def main() -> int:
    """Run one bench; 0 when what it found is sound."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    benches = parser.add_subparsers(dest="bench", required=True)
    killing = benches.add_parser("faults", help="kill gateway and store under load and compare the books")
    killing.add_argument("--kills", type=int, default=100)
    killing.add_argument("--seed", type=int, default=None, help="of the plan; a fresh one unless given")
    killing.add_argument("--workers", type=int, default=12)
    killing.add_argument("--fsync", choices=("everysec", "always"), default="always")
    killing.add_argument("--directory", type=Path, default=None, help="empty, to look at afterwards")
    killing.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    looking = benches.add_parser("windows", help="look at every hour of every zone, in every kind of window")
    looking.add_argument("--zones", type=int, default=None, help="only the first of those that differ")
    looking.add_argument("--processes", type=int, default=2)
    looking.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    comparing = benches.add_parser("proxy", help="the gateway beside a bare proxy of the same framework")
    comparing.add_argument("--rounds", type=int, default=3)
    comparing.add_argument("--seconds", type=int, default=4, help="of load per round and server")
    comparing.add_argument("--connections", type=int, default=64)
    comparing.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    said = parser.parse_args()
    return {"windows": _windows, "faults": _faults, "proxy": _proxy}[said.bench](said)


def _proxy(said: argparse.Namespace) -> int:
    figures = asyncio.run(measure(rounds=said.rounds, seconds=said.seconds, connections=said.connections))
    return _shown(figures, as_json=said.json, sound=True)


def _windows(said: argparse.Namespace) -> int:
    found = sweep(processes=said.processes, zones=said.zones)
    return _shown(found.as_json(), as_json=said.json, sound=not found.violations)


def _faults(said: argparse.Namespace) -> int:
    seed = secrets.randbelow(2**31) if said.seed is None else said.seed
    with tempfile.TemporaryDirectory() as fresh:
        found = asyncio.run(
            faults(said.directory or Path(fresh), kills=said.kills, seed=seed, workers=said.workers, fsync=said.fsync)
        )
    return _shown(found.as_json(), as_json=said.json, sound=found.sound)


def _shown(figures: dict[str, object], *, as_json: bool, sound: bool) -> int:
    lines = [json.dumps(figures)] if as_json else [f"{name:<26}{value}" for name, value in figures.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
