"""One run: several rounds in turn over all that is measured, medians, and ratios of the same run."""

import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.proxy.load import paced, push
from tests.bench.proxy.memory import memory
from tests.bench.proxy.site import Served, Site, site

_PACED_PER_S = 50
_LOOSE = ("evalsha", "eval")


async def measure(*, rounds: int, seconds: int, connections: int, memory_s: int) -> dict[str, Any]:
    """All figures by name. `memory_s` is how long memory is looked at under large answers; 0 for not at all."""
    with tempfile.TemporaryDirectory() as fresh:
        directory = Path(fresh)
        async with site(directory) as found:
            figures: dict[str, Any] = {"rounds": rounds, "seconds": seconds, "connections": connections}
            for size in ("small", "large"):
                figures[size] = await _loaded(found, directory, size, rounds, seconds, connections)
            if memory_s:
                figures["memory"] = await memory(found, directory, seconds=memory_s, connections=connections)
            figures["absent"] = list(found.absent)
            figures["added_p50_ms"], figures["paced"] = await _paced(found, seconds)
            return figures


async def _loaded(
    found: Site, directory: Path, size: str, rounds: int, seconds: int, connections: int
) -> dict[str, Any]:
    taken: dict[str, list[dict[str, float]]] = defaultdict(list)
    for number in range(rounds + 1):
        for name, served in found.served.items():
            one = await _one(found, served, directory, size, seconds if number else 1, connections)
            if number:  # the first round warms up
                taken[name].append(one)
    shown = {name: _medians(ones) for name, ones in taken.items()}
    shown["ratios"] = {
        "cpu_gateway_to_bare": round(shown["gateway"]["cpu_us"] / shown["bare"]["cpu_us"], 3),
    }
    shown["ratios"] |= {
        f"rate_gateway_to_{name}": round(shown["gateway"]["per_s"] / shown[name]["per_s"], 3)
        for name in found.served
        if name != "gateway"
    }
    return shown


async def _one(
    found: Site, served: Served, directory: Path, size: str, seconds: int, connections: int
) -> dict[str, float]:
    calls, cpu_s = await found.store_calls(), served.cpu_s()
    load = await push(
        served.url, found.tokens, size=size, seconds=seconds, connections=connections, directory=directory
    )
    spent_s, after = served.cpu_s() - cpu_s, await found.store_calls()
    scripts = sum(after.get(name, 0) - calls.get(name, 0) for name in _LOOSE)
    return {
        "per_s": load.per_s,
        "cpu_us": spent_s / max(1, load.requests) * 1e6,
        "p50_ms": load.p50_ms,
        "p99_ms": load.p99_ms,
        "failed": load.failed,
        "scripts_per_request": scripts / max(1, load.requests),
        "rss_mb": served.rss_mb(),
    }


def _medians(ones: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(median(one[name] for one in ones), 3) for name in ones[0]}


async def _paced(found: Site, seconds: int) -> tuple[float, dict[str, float]]:
    """The median a gateway adds to a request when there is no crowd."""
    medians = {}
    for name, served in found.served.items():
        taken = await paced(served.url, found.tokens, size="small", seconds=seconds * 2, per_s=_PACED_PER_S)
        medians[name] = round(median(taken), 3)
    return round(medians["gateway"] - medians["direct"], 3), medians
