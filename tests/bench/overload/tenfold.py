"""Ten times as many calls as the upstream takes: how much of it is used, and how soon the others are told.

`python -m tests.bench.overload.tenfold [SECONDS]`
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.overload.rush import STORE, Capacity, between, counted, lateness, rush, share, with_outcome

TIMES = 10
TENANTS = 20
WARM_S = 3.0
CAPACITY = Capacity(at_once=10, takes_s=0.25, queue_max=40, queue_wait_s=2.0)


async def run(*, seconds: float = 15.0, seed: int = 20261125) -> dict[str, Any]:
    """Figures of the calls that ended after the first seconds, in which the queue fills."""
    names = [f"tenant-{number}" for number in range(TENANTS)]
    with tempfile.TemporaryDirectory() as fresh:
        async with rush(Path(fresh), names, CAPACITY) as here:
            offered = dict.fromkeys(names, CAPACITY.per_s * TIMES / TENANTS)
            cpu_s = here.cpu_s()
            found = await here.offered(offered, seconds=WARM_S + seconds, seed=seed)
            cpu_s = here.cpu_s() - cpu_s
    calls = between([call for calls in found.values() for call in calls], WARM_S, WARM_S + seconds)
    served, refused = with_outcome(calls, "200"), with_outcome(calls, "overloaded")
    each = [len(with_outcome(between(calls, WARM_S, WARM_S + seconds), "200")) for calls in found.values()]
    return {
        "store": STORE,
        "seconds": seconds,
        "tenants": TENANTS,
        "capacity_per_s": CAPACITY.per_s,
        "offered_per_s": round(len(calls) / seconds, 1),
        "answers": counted(calls),
        "goodput": round(len(served) / seconds / CAPACITY.per_s, 3),
        "served_p50_ms": share(served, 0.5),
        "served_p99_ms": share(served, 0.99),
        "refused_p50_ms": share(refused, 0.5),
        "refused_p99_ms": share(refused, 0.99),
        "fewest_to_most_served_by_tenant": [min(each), max(each)],
        "offered_late_p99_ms": lateness(calls, 0.99),
        "gateway_cpu": round(cpu_s / (WARM_S + seconds), 2),
    }


if __name__ == "__main__":
    figures = asyncio.run(run(seconds=float(sys.argv[1])) if sys.argv[1:] else run())
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
