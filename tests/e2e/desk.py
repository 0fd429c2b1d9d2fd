"""An operator's desk beside a running gateway: the ledger's commands, each in a process of its own."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.world import World

ROOT = Path(__file__).parents[2]
WHO = ("--actor", "kim", "--reason", "ticket 7")


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str


async def run(config: Path, environ: Mapping[str, str], *words: str) -> Ran:
    """`dezgo-gateway ledger …` in a process of its own."""
    return await run_command(config, environ, "ledger", *words)


async def run_command(config: Path, environ: Mapping[str, str], *words: str) -> Ran:
    """`dezgo-gateway …` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", *words, "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={"PATH": os.defpath, "NO_COLOR": "1", "COLUMNS": "500", **environ},
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


@dataclass
class Desk:
    """An operator beside a running gateway."""

    here: World
    config: Path

    async def __call__(self, *words: str, name: str = "rich") -> Ran:
        tenant = () if words[0] == "audit" else ("--tenant", self.here.tenant(name))
        return await self.command("ledger", *words, *tenant)

    async def command(self, *words: str) -> Ran:
        """Any command, with the world's configuration and secrets."""
        key = self.here.settings.secrets.upstream_key
        assert key is not None
        environ = {"DEZGO_API_KEY": key.get_secret_value(), "TOKEN_SECRET": self.here._secret}
        ran = await run_command(self.config, environ, *words)
        self.here.canary.look("command", ran.out + ran.err)
        return ran

    async def holds(self, *words: str) -> list[dict[str, object]]:
        """What `ledger list` says."""
        ran = await self("list", "--json", *words)
        assert ran.status == 0, ran.err
        return [json.loads(line) for line in ran.out.splitlines()]


async def three_calls(here: World) -> None:
    """One whose answer never came, one whose charge nobody named, and a plain one."""
    here.simulator.faults.next("cut:head", "charge:missing")
    for _ in range(3):
        await here.generate()
    await here.settled()
