"""One run: each scene on a gateway of its own, honest traffic first alone and then beside the bad one."""

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gateway.web.descriptors import raised_limit
from tests.bench.overload import flood, tenfold
from tests.bench.overload.attack import SOURCE
from tests.bench.overload.scenes import SCENES, Scene
from tests.bench.overload.site import Site, site
from tests.bench.processes import ROOT

_PER_S = 100
_LARGE_BYTES = 400_000
_LOOK_EVERY_S = 0.1
_PATIENCE_S = 5.0

# Beside a deadline: what it may take to find that it has passed.
MARGIN_S = 1.0


# More calls than the upstream takes, and what must be kept of them.
RUSHES: Mapping[str, Callable[[], Awaitable[dict[str, Any]]]] = {"tenfold": tenfold.run, "flood": flood.run}
_KEPT: Mapping[str, Callable[[dict[str, Any]], bool]] = {
    "tenfold": lambda found: found["goodput"] >= 0.9 and found["refused_p99_ms"] <= 50,
    "flood": lambda found: found["quiet_goodput_ratio"] >= 0.9,
}

NAMES = (*(scene.name for scene in SCENES), *RUSHES)


async def measure(names: Sequence[str]) -> dict[str, Any]:
    """The figures of the named scenes, of all when none is named."""
    raised_limit()
    found: dict[str, Any] = {}
    for scene in SCENES:
        if not names or scene.name in names:
            found[scene.name] = await _played(scene)
    for name, run in RUSHES.items():
        if not names or name in names:
            figures = await run()
            found[name] = {**figures, "kept": _KEPT[name](figures)}
    return found


def sound(found: dict[str, Any]) -> bool:
    """Whether every scene kept what is promised of it: time, memory, and that nobody honest was refused."""
    return all(figures["kept"] for figures in found.values())


async def _played(scene: Scene) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as fresh:
        async with site(Path(fresh), scene.environ, large_bytes=_LARGE_BYTES, wait_s=scene.upstream_s) as here:
            await _honest(here, 2)
            idle = await _honest(here, scene.seconds)
            bad, beside = await asyncio.gather(_attacked(here, scene), _honest(here, scene.seconds))
            figures: dict[str, Any] = {"idle": idle, "beside": beside, "p99_ratio": _p99_ratio(beside, idle), **bad}
            figures["rss_peak_mb"] = round(here.memory_mb("VmHWM"))
            figures["reader_rss_peak_mb"] = round(here.reader_memory_mb())
            if scene.deadline_s is not None:
                figures["p99_ratio_elsewhere"] = await _elsewhere(here, scene)
    in_time = scene.deadline_s is None or bad["gone_s"] <= scene.deadline_s + MARGIN_S
    taken_mb = figures["rss_peak_mb"] + figures["reader_rss_peak_mb"]
    in_memory = scene.rss_max_mb is None or taken_mb < scene.rss_max_mb
    return {**figures, "kept": in_time and in_memory and not beside["failed"]}


async def _elsewhere(here: Site, scene: Scene) -> float:
    """What the same bad clients do to honest ones of `here` from a gateway beside it: what the machine itself costs."""
    with tempfile.TemporaryDirectory() as fresh:
        async with site(Path(fresh), scene.environ, large_bytes=_LARGE_BYTES, wait_s=scene.upstream_s) as there:
            idle = await _honest(here, scene.seconds)
            found = await asyncio.gather(_attacked(there, scene), _honest(here, scene.seconds))
    return _p99_ratio(found[1], idle)


def _p99_ratio(beside: dict[str, Any], idle: dict[str, Any]) -> float:
    return round(float(beside["p99_ms"]) / float(idle["p99_ms"]), 2)


async def _honest(here: Site, seconds: float) -> dict[str, Any]:
    """What honest clients met, and the gateway's processor time meanwhile, as a share of one core."""
    cpu_s = here.cpu_s()
    words = ("tests.bench.overload.honest", f"http://127.0.0.1:{here.port}", str(seconds), str(_PER_S))
    process = await _process(*words)
    output, _ = await process.communicate(here.tokens["honest"].encode() + b"\n")
    figures: dict[str, Any] = json.loads(output)
    return {**figures, "cpu": round((here.cpu_s() - cpu_s) / seconds, 2)}


async def _process(*words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def _attacked(here: Site, scene: Scene) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    process = await _process("tests.bench.overload.attack", str(here.port), json.dumps(asdict(scene.plan)))
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("no pipes")
    process.stdin.write(here.tokens["greedy"].encode() + b"\n")
    ends_s = loop.time() + scene.seconds
    most, all_there_s, gone_s, opened = 0, None, None, asyncio.create_task(process.stdout.readline())
    while gone_s is None and loop.time() < max(ends_s, (all_there_s or 0.0) + (scene.deadline_s or 0.0) + _PATIENCE_S):
        await asyncio.sleep(_LOOK_EVERY_S)
        held = here.connections_from(SOURCE)
        most = max(most, held)
        if all_there_s is None and opened.done():
            all_there_s = loop.time()
        if all_there_s is not None and not held:
            gone_s = loop.time() - all_there_s
    there = int(await opened)
    process.stdin.close()
    answered: dict[str, int] = json.loads(await process.stdout.readline())
    await process.wait()
    return {
        "connected": there,
        "held_at_most": most,
        "deadline_s": scene.deadline_s,
        # What is still there when the scene ends counts as never gone.
        "gone_s": round(gone_s, 2) if gone_s is not None else (0.0 if scene.deadline_s is None else 1e9),
        "answered": answered,
    }
