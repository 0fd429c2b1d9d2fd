"""A gateway and its store as processes that can be killed, in one directory, with a simulated upstream beside them."""

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import aiohttp

from gateway.identity.mint import fresh_secret, mint_token, secret_signer
from gateway.simulator import Simulator, SimulatorSettings, start_simulator
from tests.bench.comparing import Asked, millicredits
from tests.bench.processes import free_port
from tests.unit.ledger.living import processes

ROOT = Path(__file__).parents[2]
KEY, TENANT, TEAM = "DEZGO-OF-NOBODY-AT-ALL", "studio", "ads"
HOLD_TTL_S = 4.0
READY_WITHIN_S = 20.0

# A call under a key is sent again as often while nobody answers: past a kill and a new start.
TRIES_MAX = 40

_GATEWAY_YAML = """
listen: {{host: 127.0.0.1, port: {port}}}
ops: {{host: 127.0.0.1, port: {ops_port}}}
upstream: {{allow_http: true, allow_private: true, url: "{upstream}", head_timeout_s: 1.5, total_timeout_s: 1.5}}
identity:
  issuers:
    - issuer: tests
      audiences: [gateway]
      keys: [{{kid: k1, algorithm: HS256, secret: {{env: TOKEN_SECRET}}}}]
      claims: {{tenant: tenant, team: team, user: sub}}
ledger: {{data_dir: "{data_dir}", hold_ttl_s: {ttl_s}, fsync: {fsync}}}
shutdown: {{lame_duck_s: 0, drain_s: 1}}
"""
_TENANTS_YAML = """
tenants:
  studio:
    budgets: [{credits: 100000000, every: total}, {credits: 100000000, every: hour}]
    teams: {ads: {budgets: [{credits: 100000000, every: day}]}}
"""

# What the upstream does wrong now and then. None of them makes the money table book less than is taken.
FAULTS = ("cut:head", "cut:100", "charge:missing", "slow:2", "status:503", "status:400", "slow:0.3")


@dataclass
class Site:
    """One directory with its gateway, which may be dead at any time."""

    directory: Path
    simulator: Simulator
    secret: str
    port: int
    ops_port: int
    process: asyncio.subprocess.Process | None = None
    kills: Counter[str] = field(default_factory=Counter)
    strange: list[int] = field(default_factory=list)

    @property
    def data_dir(self) -> Path:
        """What outlives a gateway."""
        return self.directory / "data"

    @property
    def spooled(self) -> bool:
        """Whether ends wait on disk."""
        return any(path.stat().st_size for path in (self.data_dir / "spool").glob("*.ends"))

    async def start(self, failpoints: str = "") -> bool:
        """Start the gateway; false when it died before it was ready, as an armed one may."""
        environ = {"DEZGO_API_KEY": KEY, "TOKEN_SECRET": self.secret, "DEZGO_GATEWAY_FAILPOINTS": failpoints}
        log = os.open(self.directory / "gateway.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway", "serve", "--config", str(self.directory / "config")),
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], **environ},
                stdout=log,
                stderr=log,
            )
        finally:
            os.close(log)
        await until(self._ready_or_dead, READY_WITHIN_S)
        if not self.alive and not failpoints:
            raise RuntimeError("a gateway nobody killed is dead")
        return self.alive

    @property
    def alive(self) -> bool:
        """Whether the gateway runs."""
        return self.process is not None and self.process.returncode is None

    async def ready(self) -> bool:
        """Whether the gateway says that it takes calls."""
        return (await self.told("/readyz"))[0] == 200

    async def quiet(self) -> bool:
        """Whether no end waits to be booked, on disk or in memory."""
        text = (await self.told("/metrics"))[1]
        return all(f"dezgo_gateway_settles_{where} 0.0" in text for where in ("on_disk", "under_way"))

    async def storeless(self) -> bool:
        """Whether no store lives here."""
        return not processes(self.data_dir / "store")

    async def _ready_or_dead(self) -> bool:
        return not self.alive or await self.ready()

    async def told(self, path: str) -> tuple[int, str]:
        """What the operators' port says; 0 when it says nothing."""
        try:
            timeout = aiohttp.ClientTimeout(total=2)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://127.0.0.1:{self.ops_port}{path}") as answer,
            ):
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, ""

    async def dead(self, within_s: float) -> bool:
        """Whether the gateway has died by itself within that time."""
        if self.process is None:
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.process.wait()
        return not self.alive

    async def kill(self, why: str) -> None:
        """SIGKILL for the gateway, unless it is dead; counted as `why`."""
        if self.process is None:
            return
        if self.alive:
            self.process.kill()
        code = await self.process.wait()
        self.kills[why] += 1
        if code != -signal.SIGKILL:
            self.strange.append(code)
        self.process = None

    def kill_store(self) -> None:
        """SIGKILL for the store, if one lives."""
        for pid in processes(self.data_dir / "store"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.kills["store"] += 1

    async def stop(self) -> int:
        """An orderly end; its exit status."""
        if self.process is None:
            return 0
        if self.alive:
            self.process.terminate()
        try:
            async with asyncio.timeout(30):
                return await self.process.wait()
        except TimeoutError:
            self.process.kill()
            return await self.process.wait()


async def until(true: Callable[[], Awaitable[bool]], within_s: float) -> None:
    """Return once it is true. Raises TimeoutError when that takes longer."""
    async with asyncio.timeout(within_s):
        while not await true():  # noqa: ASYNC110 - other processes tell nobody
            await asyncio.sleep(0.02)


@asynccontextmanager
async def site(directory: Path, *, fsync: str) -> AsyncIterator[Site]:
    """A place for gateways to die in; when it is left, nothing of it lives."""
    simulator = await start_simulator(
        SimulatorSettings(key=KEY, delay_s=0.03, drawn=False, balance_usd=Decimal(1_000_000))
    )
    port, ops_port = free_port(), free_port()
    made = Site(directory, simulator, fresh_secret(), port, ops_port)
    _configure(made, fsync)
    try:
        yield made
    finally:
        await made.stop()
        await simulator.stop()
        await until(made.storeless, 15)


def _configure(made: Site, fsync: str) -> None:
    config = made.directory / "config"
    config.mkdir()
    text = _GATEWAY_YAML.format(
        port=made.port,
        ops_port=made.ops_port,
        upstream=made.simulator.url,
        data_dir=made.data_dir,
        ttl_s=HOLD_TTL_S,
        fsync=fsync,
    )
    (config / "gateway.yaml").write_text(text)
    (config / "tenants.yaml").write_text(_TENANTS_YAML)
    (config / "tariff.yaml").write_text((ROOT / "config" / "tariff.yaml").read_text())
    (made.data_dir / "store").mkdir(parents=True)


@dataclass
class Load:
    """Clients that call without end, each time as somebody new with something new; what became of every call."""

    site: Site
    dice: random.Random
    workers: int
    asked: list[Asked] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Call for the length of a block; calls under way are ended with it."""
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            tasks = [asyncio.create_task(self._worker(session)) for _ in range(self.workers)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended

    async def _worker(self, session: aiohttp.ClientSession) -> None:
        while True:
            call = self._next()
            for _ in range(TRIES_MAX if call.once else 1):
                if await self._answered(session, call):
                    break

    async def _answered(self, session: aiohttp.ClientSession, call: Asked) -> bool:
        try:
            await self._ask(session, call)
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.statuses["cut"] += 1
            await asyncio.sleep(0.05)
            return False
        if call.status == 503:
            await asyncio.sleep(0.05)
        return True

    def _next(self) -> Asked:
        number = len(self.asked)
        steps = self.dice.randrange(10, 60)
        body = f'{{"prompt":"call {number}","steps":{steps},"width":512,"height":512}}'
        self.asked.append(Asked(f"c{number}", body.encode(), once=number % 2 == 1))
        if self.dice.random() < 0.05:
            self.site.simulator.faults.next(self.dice.choice(FAULTS))
        return self.asked[-1]

    async def _ask(self, session: aiohttp.ClientSession, call: Asked) -> None:
        token = mint_token(
            secret_signer(self.site.secret.encode(), kid="k1"),
            issuer="tests",
            audience="gateway",
            tenant=TENANT,
            team=TEAM,
            user=call.user,
            ttl_s=3600,
            now=time.time(),
        )
        fields = {"X-Dezgo-Key": token, "Content-Type": "application/json"}
        if call.once:
            fields["Idempotency-Key"] = call.user
        url = f"http://127.0.0.1:{self.site.port}/text2image"
        async with session.post(url, data=call.body, headers=fields) as answer:
            await answer.read()
            call.status = answer.status
            self.statuses[str(answer.status)] += 1
            told = answer.headers.get("x-credits-cost")
            # What a repeat is told of an expired first may yet be corrected.
            if told is not None and "idempotency-replayed" not in answer.headers:
                call.told = millicredits(told)
