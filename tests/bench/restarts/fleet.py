"""Two gateways as processes, on one store that runs apart, and who asks them whether they are ready."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from gateway.identity.mint import fresh_secret, mint_token, secret_signer

ROOT = Path(__file__).parents[3]
KEY, TENANT = "DEZGO-OF-NOBODY-AT-ALL", "studio"
ASKED_EVERY_S = 0.1
READY_WITHIN_S = 30.0

_GATEWAY_YAML = """
listen: {{host: 127.0.0.1, port: {port}}}
ops: {{host: 127.0.0.1, port: {ops_port}}}
upstream: {{allow_http: true, allow_private: true, url: "{upstream}"}}
identity:
  issuers:
    - issuer: tests
      audiences: [gateway]
      keys: [{{kid: k1, algorithm: HS256, secret: {{env: TOKEN_SECRET}}}}]
      claims: {{tenant: tenant, user: sub}}
ledger: {{url: "{store}", data_dir: "{data_dir}", deadline_s: 2}}
shutdown: {{lame_duck_s: {lame_duck_s}, drain_s: {drain_s}}}
"""
_TENANTS_YAML = "tenants: {studio: {budgets: [{credits: 100000000, every: total}]}}\n"


@dataclass
class Gateway:
    """One gateway of a fleet, which may be away.

    Attributes:
        taken: whether it gets new calls: it was ready when last asked.
        exits: what it ended with, each time.
    """

    name: str
    config: Path
    port: int
    ops_port: int
    environ: dict[str, str]
    taken: bool = False
    exits: list[int] = field(default_factory=list)
    _process: asyncio.subprocess.Process | None = None

    async def start(self) -> float:
        """Start it; the seconds until it was taken. Raises TimeoutError."""
        began = time.monotonic()
        with (self.config / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway", "serve", "--config", str(self.config)),
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], **self.environ},
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(READY_WITHIN_S):
            while not self.taken:  # noqa: ASYNC110 - another process tells nobody
                await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def stop(self) -> float:
        """SIGTERM; the seconds until it had ended."""
        process, self._process = self._process, None
        began = time.monotonic()
        if process is not None:
            if process.returncode is None:
                process.terminate()
            self.exits.append(await process.wait())
            self.taken = False  # whoever starts it next waits for a fresh answer
        return time.monotonic() - began

    async def ask_forever(self) -> None:
        """Ask every so often whether it is ready, as an orchestrator does, and believe the last answer."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while True:
                try:
                    async with session.get(f"http://127.0.0.1:{self.ops_port}/readyz") as answer:
                        self.taken = answer.status == 200
                except (aiohttp.ClientError, TimeoutError):
                    self.taken = False
                await asyncio.sleep(ASKED_EVERY_S)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Both gateways, and a token for them."""

    gateways: tuple[Gateway, ...]
    token: str = field(repr=False)


@asynccontextmanager
async def fleet(
    directory: Path, *, upstream: str, store: str, lame_duck_s: float, drain_s: float
) -> AsyncIterator[Fleet]:
    """Two gateways that are ready, asked all the time; stopped when the block is left."""
    secret = fresh_secret()
    shared = {"upstream": upstream, "store": store, "lame_duck_s": lame_duck_s, "drain_s": drain_s}
    gateways = tuple(_configured(directory / name, secret, **shared) for name in ("one", "two"))
    asking = [asyncio.create_task(gateway.ask_forever()) for gateway in gateways]
    try:
        await asyncio.gather(*(gateway.start() for gateway in gateways))
        yield Fleet(gateways, _token(secret))
    finally:
        await asyncio.gather(*(gateway.stop() for gateway in gateways))
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


def _configured(directory: Path, secret: str, **said: object) -> Gateway:
    directory.mkdir()
    port, ops_port = _free_ports()
    text = _GATEWAY_YAML.format(port=port, ops_port=ops_port, data_dir=directory / "data", **said)
    (directory / "gateway.yaml").write_text(text, "utf-8")
    (directory / "tenants.yaml").write_text(_TENANTS_YAML, "utf-8")
    (directory / "tariff.yaml").write_text((ROOT / "config" / "tariff.yaml").read_text("utf-8"), "utf-8")
    environ = {"DEZGO_API_KEY": KEY, "TOKEN_SECRET": secret}
    return Gateway(directory.name, directory, port, ops_port, environ)


def _token(secret: str) -> str:
    return mint_token(
        secret_signer(secret.encode(), kid="k1"),
        issuer="tests",
        audience="gateway",
        tenant=TENANT,
        user="ann",
        ttl_s=86_400,
        now=time.time(),
    )


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
