"""What is overloaded: a store, an upstream and a gateway, each a process, with tokens to call it.

The store writes to disk every second only: how long this disk takes is not what is asked here.
"""

import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.identity.mint import fresh_secret, mint_token, secret_signer
from gateway.ledger.embedded import EmbeddedStore
from tests.bench.processes import ROOT, free_port, started

_READY_WITHIN_S = 20.0

_GATEWAY_YAML = """
listen: {{host: 127.0.0.1, port: {port}}}
ops: {{host: 127.0.0.1, port: {ops_port}}}
upstream: {{allow_http: true, allow_private: true, url: "{upstream}"}}
identity:
  issuers:
    - issuer: bench
      audiences: [gateway]
      keys: [{{kid: k1, algorithm: HS256, secret: {{env: TOKEN_SECRET}}}}]
      claims: {{tenant: tenant, team: team, user: sub}}
ledger: {{data_dir: "{data_dir}", url: "{store}"}}
"""
_TENANTS_YAML = """
tenants:
  honest: {budgets: [{credits: 100000000, every: month}]}
  greedy: {budgets: [{credits: 100000000, every: month}]}
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A running gateway.

    Attributes:
        port: where it listens.
        pid: whose memory and connections count.
        tokens: by tenant.
    """

    port: int
    pid: int
    tokens: Mapping[str, str]

    def memory_mb(self, which: str = "VmRSS") -> float:
        """Resident memory: now (`VmRSS`), or at its peak (`VmHWM`)."""
        return _memory_mb(self.pid, which)

    def reader_memory_mb(self) -> float:
        """The peak of the process that reads large bodies for it; 0 while there is none."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("utf-8").split()
        return sum(_memory_mb(int(pid), "VmHWM") for pid in children)

    def cpu_s(self) -> float:
        """Processor seconds so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def connections_from(self, address: str) -> int:
        """How many connections from `address` the gateway still holds open itself: the kernel's leftovers are none."""
        ours, theirs = f":{self.port:04X}", socket.inet_aton(address)[::-1].hex().upper()
        held = 0
        with Path("/proc/net/tcp").open(encoding="ascii") as table:
            for line in table:
                words = line.split(None, 10)
                held += words[1].endswith(ours) and words[2].startswith(theirs) and words[9] != "0"
        return held


def _memory_mb(pid: int, which: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        if line.startswith(which):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(which)


@asynccontextmanager
async def site(directory: Path, environ: Mapping[str, str], *, large_bytes: int, wait_s: float) -> AsyncIterator[Site]:
    """Everything started, in an empty `directory`; stopped when the block is left."""
    async with AsyncExitStack() as stack:
        embedded = await stack.enter_async_context(EmbeddedStore(directory / "store", fsync="everysec"))
        module = (sys.executable, "-m")
        upstream, port, ops_port = (free_port() for _ in range(3))
        words = ("tests.bench.overload.upstream", str(upstream), str(large_bytes), str(wait_s))
        await started(stack, (*module, *words), upstream, {}, within_s=_READY_WITHIN_S)
        config = directory / "config"
        config.mkdir()
        text = _GATEWAY_YAML.format(
            port=port,
            ops_port=ops_port,
            upstream=f"http://127.0.0.1:{upstream}",
            data_dir=directory / "data",
            store=embedded.url,
        )
        (config / "gateway.yaml").write_text(text, "utf-8")
        (config / "tariff.yaml").write_text((ROOT / "config" / "tariff.yaml").read_text("utf-8"), "utf-8")
        (config / "tenants.yaml").write_text(_TENANTS_YAML, "utf-8")
        secret = fresh_secret()
        said = {"DEZGO_API_KEY": "DEZGO-OF-NOBODY-AT-ALL", "TOKEN_SECRET": secret, **environ}
        pid = await started(
            stack, (*module, "gateway", "serve", "--config", str(config)), port, said, within_s=_READY_WITHIN_S
        )
        yield Site(port, pid, {name: _token(secret, name) for name in ("honest", "greedy")})


def _token(secret: str, tenant: str) -> str:
    signer = secret_signer(secret.encode(), kid="k1")
    who = {"tenant": tenant, "team": None, "user": "ann"}
    return mint_token(signer, issuer="bench", audience="gateway", ttl_s=86_400, now=time.time(), **who)  # type: ignore[arg-type]  # plain values
