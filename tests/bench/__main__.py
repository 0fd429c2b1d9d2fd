"""`python -m tests.bench <what>`: figures that no test may assert, each with its seed."""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.faults import faults
from tests.bench.ledger import SILENT, bench

LOST_PERCENT_MAX = 50


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
    keeping = benches.add_parser("ledger", help="many clients over a line that loses answers, each answer checked")
    keeping.add_argument("--ops", type=int, default=500_000, help="calls of the ledger")
    keeping.add_argument("--lost", type=float, default=5.0, metavar="PERCENT", help="of the store's replies")
    keeping.add_argument("--silent", type=float, default=100 * SILENT, metavar="PERCENT", help="of those eaten")
    keeping.add_argument("--seed", type=int, default=None, help="of what is asked and lost; a fresh one unless given")
    keeping.add_argument("--store", default="valkey", metavar="valkey|redis|URL")
    keeping.add_argument("--processes", type=int, default=2, help="of clients")
    keeping.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    said = parser.parse_args()
    return {"faults": _faults, "ledger": _ledger}[said.bench](said)


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
    _print(found.as_json(), as_json=said.json)
    return 0 if found.sound else 1


def _seed(said: argparse.Namespace) -> int:
    return secrets.randbelow(2**31) if said.seed is None else int(said.seed)


def _print(figures: dict[str, Any], *, as_json: bool) -> None:
    lines = [json.dumps(figures)] if as_json else [f"{name:<26}{value}" for name, value in figures.items()]
    sys.stdout.write("\n".join(lines) + "\n")


def _faults(said: argparse.Namespace) -> int:
    seed = _seed(said)
    with tempfile.TemporaryDirectory() as fresh:
        found = asyncio.run(
            faults(said.directory or Path(fresh), kills=said.kills, seed=seed, workers=said.workers, fsync=said.fsync)
        )
    _print(found.as_json(), as_json=said.json)
    return 0 if found.sound else 1


if __name__ == "__main__":
    sys.exit(main())
