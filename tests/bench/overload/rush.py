"""A rush: more calls than the upstream takes at once. The gateway before it, started, and what was offered and got.

The store is the bundled one as shipped, which writes to disk before it answers.
"""

import asyncio
import json
import math
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.identity.mint import fresh_secret, mint_token, secret_signer
from tests.bench.processes import ROOT, free_port, started

STORE = "bundled Valkey, appendfsync always"

_READY_WITHIN_S = 30.0

_GATEWAY_YAML = """
listen: {{host: 127.0.0.1, port: {port}}}
ops: {{host: 127.0.0.1, port: {ops_port}}}
upstream:
  {{allow_http: true, allow_private: true, url: "{upstream}", calls_at_once: {at_once}, queue_max: {queue_max},
    queue_wait_s: {queue_wait_s}}}
identity:
  issuers:
    - issuer: bench
      audiences: [gateway]
      keys: [{{kid: k1, algorithm: HS256, secret: {{env: TOKEN_SECRET}}}}]
      claims: {{tenant: tenant, team: null, user: sub}}
ledger: {{data_dir: "{data_dir}"}}
"""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the upstream takes, and how many calls may wait for it."""

    at_once: int
    takes_s: float
    queue_max: int
    queue_wait_s: float

    @property
    def per_s(self) -> float:
        """Calls a second, at most."""
        return self.at_once / self.takes_s


# Each call: begun, ended, outcome (a status, of a refusal its reason), and how much later than planned it began.
Calls = list[tuple[float, float, str, float]]


@dataclass(frozen=True, slots=True)
class Rush:
    """A running gateway and the tokens of its tenants."""

    url: str
    pid: int
    directory: Path
    tokens: Mapping[str, str]

    async def offered(self, per_s: Mapping[str, float], *, seconds: float, seed: int) -> dict[str, Calls]:
        """What became of the calls of each tenant, offered at its pace by another process."""
        file = self.directory / "offered.json"
        words = ("tests.bench.overload.offered", self.url, str(seconds), str(seed), str(file))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *words),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
        )
        said = "\n".join(f"{name} {pace} {self.tokens[name]}" for name, pace in per_s.items())
        await process.communicate(said.encode())
        if process.returncode:
            raise RuntimeError("the calls were not all offered")
        found: dict[str, Calls] = json.loads(file.read_text("utf-8"))
        return found

    def cpu_s(self) -> float:
        """Processor seconds of the gateway so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def rush(directory: Path, names: Iterable[str], capacity: Capacity) -> AsyncIterator[Rush]:
    """Everything started, in an empty `directory`; stopped when the block is left."""
    async with AsyncExitStack() as stack:
        module = (sys.executable, "-m")
        upstream, port, ops_port = (free_port() for _ in range(3))
        slots = (str(upstream), str(capacity.at_once), str(capacity.takes_s))
        await started(stack, (*module, "tests.bench.overload.slots", *slots), upstream, {}, within_s=_READY_WITHIN_S)
        config = directory / "config"
        config.mkdir()
        text = _GATEWAY_YAML.format(
            port=port,
            ops_port=ops_port,
            upstream=f"http://127.0.0.1:{upstream}",
            at_once=capacity.at_once,
            queue_max=capacity.queue_max,
            queue_wait_s=capacity.queue_wait_s,
            data_dir=directory / "data",
        )
        (config / "gateway.yaml").write_text(text, "utf-8")
        (config / "tariff.yaml").write_text((ROOT / "config" / "tariff.yaml").read_text("utf-8"), "utf-8")
        names = tuple(names)
        tenants = "".join(f"  {name}: {{budgets: [{{credits: 100000000, every: month}}]}}\n" for name in names)
        (config / "tenants.yaml").write_text("tenants:\n" + tenants, "utf-8")
        secret = fresh_secret()
        said = {"DEZGO_API_KEY": "DEZGO-OF-NOBODY-AT-ALL", "TOKEN_SECRET": secret}
        pid = await started(
            stack, (*module, "gateway", "serve", "--config", str(config)), port, said, within_s=_READY_WITHIN_S
        )
        yield Rush(f"http://127.0.0.1:{port}", pid, directory, {name: _token(secret, name) for name in names})


def share(calls: Calls, low: float) -> float:
    """The value below which `low` of all answer times lie, in ms; 0 without any."""
    return _share([ended - begun for begun, ended, _, _ in calls], low)


def lateness(calls: Calls, low: float) -> float:
    """The same of how much later than planned they began: what the machine's other work did to who offers them."""
    return _share([late for _, _, _, late in calls], low)


def _share(seconds: list[float], low: float) -> float:
    taken = sorted(seconds)
    return round(taken[max(0, math.ceil(len(taken) * low) - 1)] * 1000, 2) if taken else 0.0


def between(calls: Calls, first_s: float, last_s: float) -> Calls:
    """Those that ended within these seconds."""
    return [call for call in calls if first_s <= call[1] < last_s]


def with_outcome(calls: Calls, *outcomes: str) -> Calls:
    """Those that were answered so."""
    return [call for call in calls if call[2] in outcomes]


def counted(calls: Calls) -> dict[str, Any]:
    """How many were answered how."""
    found: dict[str, int] = {}
    for _, _, outcome, _ in calls:
        found[outcome] = found.get(outcome, 0) + 1
    return dict(sorted(found.items()))


def _token(secret: str, tenant: str) -> str:
    return mint_token(
        secret_signer(secret.encode(), kid="k1"),
        issuer="bench",
        audience="gateway",
        tenant=tenant,
        team=None,
        user="ann",
        ttl_s=86_400,
        now=time.time(),
    )
