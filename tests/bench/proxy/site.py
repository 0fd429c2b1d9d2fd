"""What is measured, as processes: an upstream stub, a bare proxy, and the gateway with everything on.

Everything on: RS256 tokens of fifty tenants, three budgets on every path, a real store with AOF, metrics, one log
line per request.
"""

import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from gateway.identity.mint import mint_token, pem_signer, public_pem
from gateway.ledger.embedded import EmbeddedStore
from gateway.ledger.store import Store
from tests.bench import processes
from tests.bench.processes import ROOT, free_port
from tests.bench.proxy.others import NAMES, found

TENANTS = 50
SMALL_BYTES, LARGE_BYTES = 2_048, 400_000

_READY_WITHIN_S = 120.0

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
shutdown: {{lame_duck_s: 0}}
"""


@dataclass(frozen=True, slots=True)
class Served:
    """One process that serves.

    Attributes:
        url: where.
        pid: whose processor time and memory count, with those of the processes it has started.
    """

    url: str
    pid: int

    def cpu_s(self) -> float:
        """Processor seconds so far, in user and system mode."""
        return sum(_cpu_s(pid) for pid in _family(self.pid))

    def shares(self) -> dict[str, float]:
        """The same by process: its name and number."""
        names = {pid: Path(f"/proc/{pid}/comm").read_text("utf-8").strip() for pid in _family(self.pid)}
        return {f"{name} {pid}": _cpu_s(pid) for pid, name in names.items()}

    def rss_mb(self) -> float:
        """Resident memory now."""
        return sum(_pages(pid) for pid in _family(self.pid)) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def peak_mb(self) -> float:
        """The most resident memory since it started; of its own process alone."""
        lines = Path(f"/proc/{self.pid}/status").read_text("utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


def _family(pid: int) -> list[int]:
    """A process and all that it has started and that live."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pages(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1])


@dataclass(frozen=True, slots=True)
class Site:
    """All that is measured, and what it is measured with.

    Attributes:
        served: by name, in the order of a round: direct, bare, gateway, and other programs that were found.
        absent: names of programs that were not.
    """

    served: dict[str, Served]
    absent: tuple[str, ...]
    tokens: tuple[str, ...]
    store: Store

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
        ports = iter([free_port() for _ in range(4 + len(NAMES))])
        module = (sys.executable, "-m")
        port = next(ports)
        stub = (*module, "tests.bench.proxy.stub", str(port), str(SMALL_BYTES), str(LARGE_BYTES))
        served = {"direct": await started(stack, stub, port)}
        upstream = served["direct"].url
        port = next(ports)
        served["bare"] = await started(stack, (*module, "tests.bench.proxy.bare", str(port), upstream), port)
        pem = private_key()
        port = next(ports)
        shape = {"port": port, "ops_port": next(ports), "upstream": upstream, "store": embedded.url}
        tokens = configured(directory, pem, **shape)
        config = str(directory / "config")
        served["gateway"] = await started(stack, (*module, "gateway", "serve", "--config", config), port)
        here, absent = found(directory, ports, upstream=upstream, key=_public(pem))
        for other, at in here:
            served[other.name] = await started(stack, other.words, at, other.environ)
        yield Site(served, tuple(absent), tokens, store)


async def started(
    stack: AsyncExitStack, words: Sequence[str], port: int, environ: Mapping[str, str] = MappingProxyType({})
) -> Served:
    """Start a program and wait until its port answers."""
    pid = await processes.started(
        stack, words, port, {"DEZGO_API_KEY": "DEZGO-OF-NOBODY-AT-ALL", **environ}, within_s=_READY_WITHIN_S
    )
    return Served(f"http://127.0.0.1:{port}", pid)


def private_key() -> bytes:
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public(pem: bytes) -> rsa.RSAPublicKey:
    private = load_pem_private_key(pem, None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError("an RSA key was made")
    return private.public_key()


def configured(directory: Path, pem: bytes, **said: object) -> tuple[str, ...]:
    """Write the gateway's configuration; returns a token of each tenant."""
    config = directory / "config"
    config.mkdir()
    key = config / "key.pem"
    key.write_text(public_pem(pem), "utf-8")
    text = _GATEWAY_YAML.format(key=key, data_dir=directory / "data", **said)
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
