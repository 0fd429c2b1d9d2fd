"""One gateway in one process, and the same in several: rounds in turn, medians, and ratios of the same run.

Processor time is that of all processes of a gateway, supervisor and desk included; the store's is left out.
"""

import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from gateway.ledger.embedded import EmbeddedStore
from tests.bench.processes import free_port
from tests.bench.proxy.load import push
from tests.bench.proxy.site import LARGE_BYTES, SMALL_BYTES, Served, configured, private_key, started

_STARTS = 9
_READY_WITHIN_S = 30


async def compare(*, workers: int, rounds: int, seconds: int, connections: int) -> dict[str, Any]:
    """All figures by name."""
    with tempfile.TemporaryDirectory() as fresh:
        directory = Path(fresh)
        async with AsyncExitStack() as stack:
            embedded = await stack.enter_async_context(EmbeddedStore(directory / "store", fsync="always"))
            port = free_port()
            stub = ("tests.bench.proxy.stub", str(port), str(SMALL_BYTES), str(LARGE_BYTES))
            direct = await started(stack, (sys.executable, "-m", *stub), port)
            shape = {"port": free_port(), "ops_port": free_port(), "upstream": direct.url, "store": embedded.url}
            tokens = configured(directory, private_key(), **shape)
            _bundled(directory, embedded.url)
            served = {count: await _gateway(stack, directory, count) for count in (1, workers)}
            taken: dict[int, list[dict[str, float]]] = defaultdict(list)
            for number in range(rounds + 1):
                for count, one in served.items():
                    found = await _one(one, tokens, directory, seconds if number else 1, connections)
                    if number:  # the first round warms up
                        taken[count].append(found)
        return _figures(taken, workers, rounds, seconds, connections) | await _starts(directory, workers)


async def _gateway(stack: AsyncExitStack, directory: Path, workers: int) -> Served:
    port = free_port()
    environ = _environ(port, free_port())
    return await started(stack, _serve(directory / "config", workers), port, environ)


def _serve(config: Path, workers: int) -> tuple[str, ...]:
    return (sys.executable, "-m", "gateway", "serve", "--config", str(config), "--workers", str(workers))


def _environ(port: int, ops_port: int) -> dict[str, str]:
    return {"DEZGO_GATEWAY__LISTEN__PORT": str(port), "DEZGO_GATEWAY__OPS__PORT": str(ops_port)}


async def _one(
    served: Served, tokens: tuple[str, ...], directory: Path, seconds: int, connections: int
) -> dict[str, float]:
    before = served.shares()
    load = await push(served.url, tokens, size="small", seconds=seconds, connections=connections, directory=directory)
    spent = {name: after - before[name] for name, after in served.shares().items()}
    workers = [spent_s for name, spent_s in spent.items() if name.startswith("gateway-worker")]
    return {
        "per_s": load.per_s,
        "cpu_us": sum(spent.values()) / load.requests * 1e6,
        "busiest_share": max(workers) / sum(workers) if workers else 1.0,
        "besides_us": (sum(spent.values()) - sum(workers)) / load.requests * 1e6 if workers else 0.0,
        "p50_ms": load.p50_ms,
        "p99_ms": load.p99_ms,
        "failed": load.failed,
    }


def _figures(
    taken: dict[int, list[dict[str, float]]], workers: int, rounds: int, seconds: int, connections: int
) -> dict[str, Any]:
    shown = {
        count: {name: round(median(one[name] for one in ones), 3) for name in ones[0]} for count, ones in taken.items()
    }
    ratios = [many["cpu_us"] / one["cpu_us"] for one, many in zip(taken[1], taken[workers], strict=True)]
    return {
        "rounds": rounds,
        "seconds": seconds,
        "connections": connections,
        "one": shown[1],
        "several": {"workers": workers, **shown[workers]},
        "cpu_several_to_one": round(median(ratios), 3),
        "cpu_several_to_one_each_round": [round(ratio, 3) for ratio in ratios],
        "failed": [sum(one["failed"] for one in taken[count]) for count in (1, workers)],
    }


async def _starts(directory: Path, workers: int) -> dict[str, Any]:
    """Seconds from the command until all of it is ready, with a bundled store to be started: median, and the least."""
    taken: dict[int, list[float]] = defaultdict(list)
    for number in range(_STARTS):
        for count in (1, workers):
            taken[count].append(await _start(directory, count, directory / f"data-{number}-{count}"))
    shown = {count: [round(median(ones), 3), round(min(ones), 3)] for count, ones in taken.items()}
    return {"ready_s": {"one": shown[1], "several": shown[workers]}}


def _bundled(directory: Path, store: str) -> None:
    """The same configuration, but for a bundled store."""
    (directory / "bundled").mkdir()
    for path in (directory / "config").iterdir():
        text = path.read_text("utf-8").replace(f', url: "{store}"', "")
        (directory / "bundled" / path.name).write_text(text, "utf-8")


async def _start(directory: Path, workers: int, data_dir: Path) -> float:
    port, ops_port = free_port(), free_port()
    began_s = time.monotonic()
    async with AsyncExitStack() as stack, aiohttp.ClientSession() as session:
        environ = _environ(port, ops_port) | {"DEZGO_GATEWAY__LEDGER__DATA_DIR": str(data_dir)}
        await started(stack, _serve(directory / "bundled", workers), port, environ)
        async with asyncio.timeout(_READY_WITHIN_S):
            while not await _is_ready(session, ops_port, workers):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.005)
        return time.monotonic() - began_s


async def _is_ready(session: aiohttp.ClientSession, ops_port: int, workers: int) -> bool:
    """Whether all of it is: of several workers every one."""
    try:
        async with session.get(f"http://127.0.0.1:{ops_port}/readyz") as answer:
            told = await answer.json()
    except aiohttp.ClientError:
        return False
    return answer.status == 200 and told.get("workers", {}).get("ready", workers) == workers
