"""Prometheus: a real one that scrapes a gateway every second, with the shipped rules."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.house.source import ROOT
from tests.servers.node import free_port

SHIPPED = ROOT / "config" / "prometheus"
_START_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus."""

    url: str
    session: aiohttp.ClientSession

    async def ask(self, path: str, **said: str) -> Any:
        """`data` of an answer of its HTTP interface. Raises AssertionError on any that is no success."""
        async with self.session.get(f"{self.url}/api/v1/{path}", params=said) as answer:
            found = await answer.json()
        assert found["status"] == "success", (said, found)
        assert not found.get("warnings"), (said, found)
        return found["data"]

    async def series(self, expression: str) -> list[Mapping[str, str]]:
        """The labels of every series an expression has now."""
        found = await self.ask("query", query=expression)
        return [item["metric"] for item in found["result"]] if found["resultType"] == "vector" else [{}]


def _config(target: str, every_s: int) -> str:
    """The shipped file, with our target, in a hurry, and without anybody to alarm."""
    found = yaml.safe_load((SHIPPED / "prometheus.yml").read_text("utf-8"))
    found["global"] = {"scrape_interval": f"{every_s}s", "evaluation_interval": f"{every_s}s"}
    found["rule_files"] = [str(SHIPPED / pattern) for pattern in found["rule_files"]]
    found["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    del found["alerting"]
    return yaml.safe_dump(found)


@asynccontextmanager
async def prometheus(program: str, folder: Path, target: str, *, every_s: int = 1) -> AsyncIterator[Prometheus]:
    """Run `program`, which scrapes `target` (`host:port`), until the block is left. Data and log go to `folder`."""
    (folder / "prometheus.yml").write_text(_config(target, every_s), "utf-8")
    address = f"127.0.0.1:{free_port()}"
    said = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, *said, f"--web.listen-address={address}", stdout=log, stderr=log
        )
        try:
            async with aiohttp.ClientSession() as session:
                await _ready(session, f"http://{address}", process)
                yield Prometheus(f"http://{address}", session)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _ready(session: aiohttp.ClientSession, url: str, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(_START_WITHIN_S):
        while True:
            assert process.returncode is None, "prometheus has ended; see its log"
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/-/ready") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)
