"""What is measured, as processes: an upstream stub, a bare proxy, and the gateway with everything on.

Everything on: RS256 tokens of fifty tenants, three budgets on every path, a real store with AOF, metrics, one log
line per request.
"""

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.identity.mint import mint_token, pem_signer, public_pem
from gateway.ledger.embedded import EmbeddedStore
from gateway.ledger.store import Store

ROOT = Path(__file__).parents[3]
TENANTS = 50
SMALL_BYTES, LARGE_BYTES = 2_048, 400_000
_READY_WITHIN_S = 20.0

_GATEWAY_YAML = """
listen: {{host: 127.0.0.1, port: {port}}}
ops: {{host: 127.0.0.1, port: {ops_port}}}
upstream: {{allow_http: true, allow_private: true, url: "{upstream}"}}
identity:
  issuers:
    - issuer: bench
      audiences: [gateway]
      keys: [{{kid: k1, algorithm: RS256, public_key_file: "{key}"}}]
      claims: {{tenant: tenant, team: team, user: sub}}
ledger: {{data_dir: "{data_dir}", url: "{store}"}}
"""


@dataclass(frozen=True, slots=True)
class Served:
    """One process that serves.

    Attributes:
        url: where.
        pid: whose processor time counts, and that of its children.
    """

    url: str
    pid: int

    def cpu_s(self) -> float:
        """Processor seconds so far, in user and system mode."""
        return sum(self.shares().values())

    def shares(self) -> dict[str, float]:
        """The same by process: its name and number."""
        found = {}
        for place in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                head, _, rest = place.read_text("utf-8").rpartition(")")
                fields, pid = rest.split(), int(place.parent.name)
                if self.pid in (pid, int(fields[1])):
                    name = f"{head.partition('(')[2]} {pid}"
                    found[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return found

    def rss_mb(self) -> float:
        """Resident memory now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text("utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True, slots=True)
class Site:
    """All that is measured, and what it is measured with."""

    direct: Served
    bare: Served
    gateway: Served
    tokens: tuple[str, ...]
    store: Store

    @property
    def served(self) -> dict[str, Served]:
        """By name, in the order of a round."""
        return {"direct": self.direct, "bare": self.bare, "gateway": self.gateway}

    async def store_calls(self) -> dict[str, int]:
        """How often each command was called so far, those inside scripts left out as far as they are only there."""
        text = str(await self.store.call("INFO", "commandstats"))
        lines = (line.partition(":") for line in text.splitlines() if line.startswith("cmdstat_"))
        return {
            name.removeprefix("cmdstat_"): int(rest.split(",")[0].removeprefix("calls=")) for name, _, rest in lines
        }


@asynccontextmanager
async def site(directory: Path) -> AsyncIterator[Site]:
    """Everything started, in an empty `directory`; stopped when the block is left."""
    async with AsyncExitStack() as stack:
        embedded = await stack.enter_async_context(EmbeddedStore(directory / "store", fsync="always"))
        store = Store(embedded.url, deadline_s=5)
        stack.push_async_callback(store.close)
        ports = [free_port() for _ in range(4)]
        direct = await started(stack, "tests.bench.proxy.stub", ports[0], SMALL_BYTES, LARGE_BYTES)
        bare = await started(stack, "tests.bench.proxy.bare", ports[1], direct.url)
        tokens = configured(directory, port=ports[2], ops_port=ports[3], upstream=direct.url, store=embedded.url)
        gateway = await started(stack, "gateway", ports[2], "--config", directory / "config", before="serve")
        yield Site(direct, bare, gateway, tokens, store)


async def started(
    stack: AsyncExitStack,
    module: str,
    port: int,
    *words: object,
    before: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Served:
    """Start `python -m module` and wait until its port answers."""
    said = [str(word) for word in ((port,) if before is None else (before,)) + words]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *said),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DEZGO_API_KEY": "DEZGO-OF-NOBODY-AT-ALL", **(environ or {})},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=None,
    )
    stack.push_async_callback(_stopped, process)
    deadline = time.monotonic() + _READY_WITHIN_S
    while not answers(port):
        if process.returncode is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{module} did not start")
        await asyncio.sleep(0.01)
    return Served(f"http://127.0.0.1:{port}", process.pid)


async def _stopped(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        await process.wait()


def configured(directory: Path, *, port: int, ops_port: int, upstream: str, store: str) -> tuple[str, ...]:
    """Write the gateway's configuration; returns a token of each tenant."""
    config = directory / "config"
    config.mkdir()
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = config / "key.pem"
    key.write_text(public_pem(pem), "utf-8")
    text = _GATEWAY_YAML.format(
        port=port, ops_port=ops_port, upstream=upstream, key=key, data_dir=directory / "data", store=store
    )
    (config / "gateway.yaml").write_text(text, "utf-8")
    (config / "tariff.yaml").write_text((ROOT / "config" / "tariff.yaml").read_text("utf-8"), "utf-8")
    names = [f"tenant-{number}" for number in range(TENANTS)]
    (config / "tenants.yaml").write_text("tenants:\n" + "".join(map(_budgets, names)), "utf-8")
    signer = pem_signer(pem, kid="k1")
    return tuple(
        mint_token(
            *(signer,),
            issuer="bench",
            audience="gateway",
            tenant=name,
            team="ads",
            user=f"user-{name}",
            ttl_s=86_400,
            now=time.time(),
        )
        for name in names
    )


def _budgets(name: str) -> str:
    return f"""  {name}:
    budgets: [{{credits: 100000000, every: month}}]
    each_user: [{{credits: 100000000, every: day}}]
    teams: {{ads: {{budgets: [{{credits: 100000000, every: week}}]}}}}
"""


def free_port() -> int:
    """A port nobody has just now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as asked:
        asked.settimeout(0.5)
        return asked.connect_ex(("127.0.0.1", port)) == 0
