"""A gateway of several processes for end-to-end tests: started by its command line, its processes told apart."""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics.counting import PREFIX
from gateway.simulator import Simulator
from tests.e2e.canary import fresh_key
from tests.e2e.test_commands import Program, configured, living_in, upstream
from tests.e2e.world import until

TENANTS_YAML = "tenants:\n  labs: {budgets: [{credits: 1000000, every: total}]}\n"


@dataclass
class Crew:
    """A running gateway, its upstream, and a token of its one tenant."""

    cwd: Path
    serve: Program
    simulator: Simulator
    env: Mapping[str, str]
    session: aiohttp.ClientSession
    token: str = ""

    @property
    def ports(self) -> tuple[int, int]:
        """The clients' and the operators'."""
        found = re.findall(r"serving on port (\d+), operators on port (\d+)", self.serve.stderr)
        return int(found[0][0]), int(found[0][1])

    @property
    def url(self) -> str:
        """Where clients call."""
        return f"http://127.0.0.1:{self.ports[0]}"

    def living(self, name: str) -> list[int]:
        """The processes called `gateway-worker` or `gateway-desk` that live, the eldest first."""
        found = []
        for pid in living_in(self.cwd):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                    found.append(pid)
        return sorted(found)

    @property
    def workers(self) -> list[int]:
        """Those that take calls."""
        return self.living("gateway-worker")

    @property
    def store(self) -> int:
        """The bundled store."""
        (pid,) = [pid for pid in living_in(self.cwd) if (Path(f"/proc/{pid}/cwd").readlink()).name == "store"]
        return pid

    async def call(self, **job: Any) -> int:
        """One paid call on a connection of its own; its status, 0 when nobody answered."""
        try:
            async with self.session.post(
                f"{self.url}/text2image",
                json={"prompt": "a fox", "steps": 10, **job},
                headers={"X-Dezgo-Key": self.token, "Connection": "close"},
            ) as answer:
                await answer.read()
                return answer.status
        except aiohttp.ClientError:
            return 0

    async def calls(self, count: int) -> list[int]:
        """So many calls at once."""
        return await asyncio.gather(*(self.call() for _ in range(count)))

    async def spent(self) -> float:
        """What the ledger says the tenant has spent."""
        async with self.session.get(f"{self.url}/gateway/budget", headers={"X-Dezgo-Key": self.token}) as answer:
            return float((await answer.json())["budgets"][0]["spent"])

    async def told(self, path: str) -> tuple[int, str]:
        """What the operators' port says."""
        async with self.session.get(f"http://127.0.0.1:{self.ports[1]}{path}") as answer:
            return answer.status, await answer.text()

    async def total(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels, over all processes."""
        families = text_string_to_metric_families((await self.told("/metrics"))[1])
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == PREFIX + name and labels.items() <= sample.labels.items()
        )

    async def comes_to(self, name: str, value: float, **labels: str) -> None:
        """Wait until a metric has this value."""
        async with asyncio.timeout(20):
            while (found := await self.total(name, **labels)) != value:
                assert found < value or name.startswith(("settles", "holds")), (name, found)
                await asyncio.sleep(0.05)

    async def whole(self, workers: int) -> None:
        """Wait until so many workers are ready."""
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    if await self.total("workers", state="ready") == workers:
                        return
                await asyncio.sleep(0.05)

    async def audit(self) -> str:
        """What the ledger's own recount says."""
        done = await Program.run("ledger", "audit", "--config", "config", cwd=self.cwd, **self.env)
        assert done.code == 0, done.stdout + done.stderr
        return done.stdout


@asynccontextmanager
async def crew(
    cwd: Path, *, workers: int = 2, tenants: str = TENANTS_YAML, replaced: Mapping[str, str] | None = None
) -> AsyncIterator[Crew]:
    """A gateway of so many workers in `cwd`, ready; when the block is left, nothing of it lives."""
    os.mkdir(cwd)  # noqa: PTH102 - before anything runs
    key = fresh_key()
    async with upstream(key) as simulator, aiohttp.ClientSession() as session:
        env = configured(cwd, simulator.url) | {"DEZGO_API_KEY": key}
        env |= {f"DEZGO_GATEWAY__{name}": value for name, value in (replaced or {}).items()}
        (cwd / "config" / "tenants.yaml").write_text(tenants)
        token = (await Program.run("token", "--tenant", "labs", cwd=cwd)).stdout.strip()
        try:
            async with started(cwd, env, workers) as serve:
                yield Crew(cwd, serve, simulator, env, session, token)
        finally:
            await until(lambda: not living_in(cwd), within_s=30)


@asynccontextmanager
async def started(cwd: Path, env: Mapping[str, str], workers: int) -> AsyncIterator[Program]:
    """A gateway that serves; stopped as an orchestrator would."""
    async with Program.started("serve", "--workers", str(workers), cwd=cwd, **env) as serve:
        await serve.says("serving on port", where="stderr")
        yield serve
        if serve.code is None:
            assert await serve.stop(signal.SIGTERM) == 0


def kill(*pids: int, number: int = signal.SIGKILL) -> None:
    """A signal for each."""
    for pid in pids:
        os.kill(pid, number)
