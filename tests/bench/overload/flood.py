"""One tenant floods: what is left to a quiet one of what it has alone.

`python -m tests.bench.overload.flood [SECONDS]`
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.overload.rush import STORE, Calls, Capacity, between, counted, lateness, rush, share, with_outcome

TIMES = 10
WARM_S = 3.0
QUIET_PER_S = 10.0
CAPACITY = Capacity(at_once=10, takes_s=0.25, queue_max=40, queue_wait_s=2.0)


async def run(*, seconds: float = 15.0, seed: int = 20261125) -> dict[str, Any]:
    """The quiet tenant's figures alone and beside the flood, and what became of the flood."""
    with tempfile.TemporaryDirectory() as fresh:
        async with rush(Path(fresh), ("quiet", "flood"), CAPACITY) as here:
            alone = await here.offered({"quiet": QUIET_PER_S}, seconds=WARM_S + seconds, seed=seed)
            paces = {"quiet": QUIET_PER_S, "flood": CAPACITY.per_s * TIMES}
            beside = await here.offered(paces, seconds=WARM_S + seconds, seed=seed)
    quiet_alone, quiet = _goodput(alone["quiet"], seconds), _goodput(beside["quiet"], seconds)
    flood = between(beside["flood"], WARM_S, WARM_S + seconds)
    served = len(with_outcome(flood, "200")) / seconds + quiet["served_per_s"]
    return {
        "store": STORE,
        "seconds": seconds,
        "capacity_per_s": CAPACITY.per_s,
        "flood_per_s": CAPACITY.per_s * TIMES,
        "quiet_alone": quiet_alone,
        "quiet_beside": quiet,
        "quiet_goodput_ratio": round(quiet["served_per_s"] / quiet_alone["served_per_s"], 3),
        "quiet_p99_ratio": round(quiet["p99_ms"] / quiet_alone["p99_ms"], 2),
        "flood_answers": counted(flood),
        "flood_refused_p99_ms": share(with_outcome(flood, "overloaded"), 0.99),
        "offered_late_p99_ms": lateness(flood, 0.99),
        "goodput": round(served / CAPACITY.per_s, 3),
    }


def _goodput(calls: Calls, seconds: float) -> dict[str, Any]:
    ended = between(calls, WARM_S, WARM_S + seconds)
    served = with_outcome(ended, "200")
    return {
        "served_per_s": round(len(served) / seconds, 2),
        "p50_ms": share(served, 0.5),
        "p99_ms": share(served, 0.99),
        "answers": counted(ended),
    }


if __name__ == "__main__":
    figures = asyncio.run(run(seconds=float(sys.argv[1])) if sys.argv[1:] else run())
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
