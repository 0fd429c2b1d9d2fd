"""Recording: the processes of the compose file on this machine, until Prometheus has seen enough of them."""

import asyncio
import itertools
import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.e2e.test_commands import CONFIG, Program
from tests.servers.node import free_port
from tests.servers.prometheus import prometheus

COMPOSE = CONFIG / "compose"

# A quarter of an hour must show what takes the demonstration most of one: ten times its calls, in budgets three times
# as large.
CALLS_PER_S = 3.0
BUDGETS_TIMES = 3
# As many as that pace keeps busy now and then.
CALLS_AT_ONCE = 8
SCRAPED_EVERY_S = 5

# A rate at the left edge of a picture looks back this far.
WARM_S = 60

# Upstreams err: each of these befalls one call, one after the other.
FAULTS_EVERY_S = 6.0
FAULTS = ("price:1.1", "status:500", "slow:4", "charge:missing", "price:0.9", "cut:head", "status:429")


@dataclass(frozen=True, slots=True)
class Span:
    """What was recorded: from when until when, in seconds since the epoch, and how often Prometheus looked."""

    begin_s: float
    end_s: float
    every_s: int = SCRAPED_EVERY_S

    @classmethod
    def read(cls, folder: Path) -> "Span":
        """The span of a recording in `folder`."""
        return cls(**json.loads((folder / "span.json").read_text("utf-8")))


async def record(program: str, folder: Path, minutes: float) -> None:
    """Let traffic flow for `minutes` while `program` (Prometheus) looks on; what it saw stays in `folder`."""
    _made_anew(folder)
    async with _demonstration(folder) as (ops, simulator), prometheus(program, folder, ops, every_s=SCRAPED_EVERY_S):
        await asyncio.sleep(WARM_S)
        begin_s = time.time()
        faults = asyncio.create_task(_faults(simulator))
        try:
            await asyncio.sleep(minutes * 60)
        finally:
            faults.cancel()
        await asyncio.gather(faults, return_exceptions=True)
        # A look or two at what has happened last, while all still runs.
        await asyncio.sleep(2 * SCRAPED_EVERY_S)
        span = Span(begin_s, time.time())
    (folder / "span.json").write_text(json.dumps(asdict(span)), "utf-8")


def _made_anew(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


@asynccontextmanager
async def _demonstration(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """Simulator, gateway with its own store, traffic; yields the addresses of the second listener and the simulator."""
    services = yaml.safe_load((COMPOSE / "compose.yaml").read_text("utf-8"))["services"]
    ports = {name: free_port() for name in ("simulator", "gateway", "ops")}
    cwd = folder / "run"
    shutil.copytree(CONFIG, cwd / "config")
    (cwd / "config" / "tenants.yaml").write_text(yaml.safe_dump(_tenants()), "utf-8")
    env = {name: str(value) for name, value in services["gateway"]["environment"].items() if "LEDGER" not in name}
    env["DEZGO_GATEWAY__UPSTREAM__URL"] = f"http://127.0.0.1:{ports['simulator']}"
    env["DEZGO_GATEWAY__UPSTREAM__CALLS_AT_ONCE"] = str(CALLS_AT_ONCE)
    env |= {"DEZGO_GATEWAY__LISTEN__PORT": str(ports["gateway"]), "DEZGO_GATEWAY__OPS__PORT": str(ports["ops"])}
    simulate = ("simulate", "--port", str(ports["simulator"]), "--balance-usd", "1000")
    send = ("traffic", "--url", f"http://127.0.0.1:{ports['gateway']}", "--calls-per-s", str(CALLS_PER_S))
    async with (
        Program.started(*simulate, cwd=cwd, DEZGO_API_KEY=env["DEZGO_API_KEY"]),
        Program.started("serve", "--config", "config", cwd=cwd, **env) as serve,
    ):
        await serve.says("serving on port", where="stderr")
        async with Program.started(*send, "--config", "config", cwd=cwd, **env):
            yield f"127.0.0.1:{ports['ops']}", f"http://127.0.0.1:{ports['simulator']}"


def _tenants() -> Any:
    """The compose file's tenants, with larger budgets."""
    found = yaml.safe_load((COMPOSE / "tenants.yaml").read_text("utf-8"))
    for tenant in found["tenants"].values():
        teams = tenant.get("teams", {}).values()
        for payer in (tenant, *teams):
            for budget in (*payer.get("budgets", ()), *payer.get("each_user", ())):
                budget["credits"] *= BUDGETS_TIMES
    return found


async def _faults(simulator: str) -> None:
    """Order one fault after the other, until cancelled."""
    async with aiohttp.ClientSession() as session:
        for fault in itertools.cycle(FAULTS):
            async with session.post(f"{simulator}/_simulator/faults", json={"next": fault}) as answer:
                answer.raise_for_status()
            await asyncio.sleep(FAULTS_EVERY_S)
