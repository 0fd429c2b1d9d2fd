"""Memory under a long load of large answers: whether it stays as it is, and the most there ever was."""

import asyncio
from pathlib import Path
from statistics import median

from tests.bench.proxy.load import push
from tests.bench.proxy.site import Served, Site

_LOOKED_EVERY_S = 0.5


async def memory(found: Site, directory: Path, *, seconds: int, connections: int) -> dict[str, float]:
    """The gateway's resident memory in MB while `connections` clients take large answers for so long.

    Medians of the first and the last quarter, the most that was seen, and the most since its start.
    """
    served = found.served["gateway"]
    seen: list[float] = []
    looking = asyncio.create_task(_look(served, seen))
    try:
        load = await push(
            served.url, found.tokens, size="large", seconds=seconds, connections=connections, directory=directory
        )
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    quarter = max(1, len(seen) // 4)
    return {
        "seconds": seconds,
        "requests": load.requests,
        "failed": load.failed,
        "first_quarter_mb": round(median(seen[:quarter]), 1),
        "last_quarter_mb": round(median(seen[-quarter:]), 1),
        "most_mb": round(max(seen), 1),
        "peak_mb": round(served.peak_mb(), 1),
    }


async def _look(served: Served, seen: list[float]) -> None:
    while True:
        seen.append(served.rss_mb())
        await asyncio.sleep(_LOOKED_EVERY_S)
