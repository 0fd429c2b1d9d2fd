"""A world for end-to-end tests: a simulated upstream, a real store, a real gateway on real sockets, real tokens.

Every world ends with a search for the master key in all it has shown: answers, log lines, metrics, reprs, journal.
"""

import asyncio
import io
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import aiohttp

from gateway.app import App
from gateway.identity.mint import fresh_secret, mint_token, secret_signer
from gateway.ledger.budget import Balance
from gateway.ledger.budget import Path as Payer
from gateway.ledger.contract import Audit
from gateway.running import Running
from gateway.settings import Settings, load_settings
from gateway.simulator import Simulator, SimulatorSettings, start_simulator
from tests.e2e.canary import Canary, fresh_key

SHIPPED = Path(__file__).parents[2] / "config"

GATEWAY_YAML = """
listen: {host: 127.0.0.1, port: 0}
ops: {host: 127.0.0.1, port: 0}
upstream: {flavour: FLAVOUR, allow_http: true, allow_private: true, url: "UPSTREAM", exhausted_s: 600}
identity:
  issuers:
    - issuer: tests
      audiences: [gateway]
      keys: [{kid: k1, algorithm: HS256, secret: {env: TOKEN_SECRET}}]
      claims: {tenant: tenant, team: team, user: sub, methods: methods, credits_max: credits_max}
ledger: {url: "STORE", data_dir: "DIRECTORY"}
shutdown: {drain_s: 5}
"""

# One tenant with plenty, one with little; each test may bring its own.
TENANTS_YAML = """
tenants:
  rich-TAG: {budgets: [{credits: 100000, every: month}]}
  poor-TAG: {budgets: [{credits: 40, every: total}]}
"""


async def until(reached: Callable[[], object], *, within_s: float = 10.0) -> None:
    """Wait until `reached` says yes. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not reached():  # noqa: ASYNC110 - what is waited for lies behind sockets, threads and processes
            await asyncio.sleep(0.005)


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer: status, fields by lower-case name, body."""

    status: int
    fields: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        import json

        return json.loads(self.body)


@dataclass
class World:
    """A running gateway and all around it. Tenant names carry the world's own `tag`: the store is shared."""

    tag: str
    settings: Settings
    running: Running
    simulator: Simulator
    session: aiohttp.ClientSession
    canary: Canary
    log: io.StringIO
    _secret: str = field(repr=False)
    bearer: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Where clients call."""
        return f"http://127.0.0.1:{self.running.port}"

    @property
    def ops_url(self) -> str:
        """Where operators look."""
        return f"http://127.0.0.1:{self.running.ops_port}"

    def tenant(self, name: str) -> str:
        """The tenant's name in this world's store."""
        return f"{name}-{self.tag}"

    def token(self, name: str = "rich", *, user: str | None = "ann", team: str | None = None, **grants: Any) -> str:
        """A signed token of a tenant of this world."""
        return mint_token(
            secret_signer(self._secret.encode(), kid="k1"),
            issuer="tests",
            audience="gateway",
            tenant=self.tenant(name),
            team=team,
            user=user,
            ttl_s=3600,
            now=time.time(),
            **grants,
        )

    def key(self, name: str = "rich", **said: Any) -> dict[str, str]:
        """The field a Dezgo client sends its key in, with a token in it."""
        return {"X-Dezgo-Key": self.token(name, **said)}

    async def ask(self, verb: str, path: str, **said: Any) -> Seen:
        """One request over a socket; the canary sees the answer whole."""
        async with self.session.request(verb, self.url + path, allow_redirects=False, **said) as answer:
            body = await answer.read()
            fields = {name.lower(): value for name, value in answer.headers.items()}
        self.canary.look(f"{verb} {path} fields", "\n".join(f"{n}: {v}" for n, v in fields.items()))
        self.canary.look(f"{verb} {path} body", body)
        return Seen(answer.status, fields, body)

    async def generate(self, job: Mapping[str, Any] | None = None, *, name: str = "rich", **said: Any) -> Seen:
        """POST /text2image with a JSON body."""
        body = {"prompt": "a fox"} if job is None else dict(job)
        return await self.ask("POST", "/text2image", json=body, headers={**self.key(name), **said})

    async def metrics(self) -> str:
        """The exposition of the ops listener."""
        headers = {} if self.bearer is None else {"Authorization": f"Bearer {self.bearer}"}
        async with self.session.get(self.ops_url + "/metrics", headers=headers) as answer:
            text = await answer.text()
        self.canary.look("metrics", text)
        return text

    async def settled(self) -> None:
        """Wait until every hold of this world has ended; at most five seconds."""
        await self.running.settler.drain(5)

    async def balances(
        self, name: str = "rich", *, team: str | None = None, user: str | None = "ann"
    ) -> tuple[Balance, ...]:
        """What the ledger says, once all is settled."""
        await self.settled()
        return await self.running.ledger.balances(Payer(self.tenant(name), team, user))

    async def audit(self, name: str = "rich") -> Audit:
        """The recount of a tenant's journal, once all is settled."""
        await self.settled()
        return await self.running.ledger.audit(self.tenant(name))

    def lines(self) -> list[dict[str, Any]]:
        """The log so far, one object a line."""
        import json

        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@asynccontextmanager
async def world(
    directory: Path,
    store_url: str,
    tag: str,
    *,
    flavour: Literal["direct", "rapidapi"] = "direct",
    tenants: str = TENANTS_YAML,
    gateway: str = "",
    tariff: str | None = None,
    environ: Mapping[str, str] | None = None,
    replaced: Sequence[tuple[str, str]] = (),
    **upstream: Any,
) -> AsyncIterator[World]:
    """Start a world and end it, with the canary's verdict.

    Args:
        directory: for configuration files.
        store_url: a running store, shared with other worlds.
        tag: replaces TAG in tenant names.
        flavour: of upstream and gateway.
        tenants: `tenants.yaml`.
        gateway: added to `gateway.yaml`.
        tariff: `tariff.yaml`, the shipped one unless given.
        environ: overrides, as in the environment.
        replaced: pieces of `gateway.yaml` and what takes their place.
        upstream: settings of the simulator.
    """
    key, secret = fresh_key(), fresh_secret()
    wishes = {"delay_s": 0.0, "drawn": False, "balance_usd": Decimal(1000), "quota_credits": 10_000_000, **upstream}
    simulator = await start_simulator(SimulatorSettings(key=key, flavour=flavour, **wishes))
    yaml = GATEWAY_YAML.replace("FLAVOUR", flavour).replace("UPSTREAM", simulator.url).replace("STORE", store_url)
    yaml = yaml.replace("DIRECTORY", str(directory))
    for old, new in replaced:
        assert old in yaml
        yaml = yaml.replace(old, new)
    (directory / "gateway.yaml").write_text(yaml + gateway)
    (directory / "tenants.yaml").write_text(tenants.replace("TAG", tag))
    (directory / "tariff.yaml").write_text(tariff or (SHIPPED / "tariff.yaml").read_text())
    settings = load_settings(directory, {"DEZGO_API_KEY": key, "TOKEN_SECRET": secret, **(environ or {})})
    canary, log = Canary(key), io.StringIO()
    try:
        app = App(settings, log_stream=log)
        async with app.running() as running, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            here = World(tag, settings, running, simulator, session, canary, log, secret)
            try:
                yield here
            except Exception as error:
                # A call that was refused meanwhile, for the machine was busy, is seen nowhere else.
                said = Counter((line["event"], line.get("reason"), line.get("code")) for line in here.lines())
                error.add_note(f"the gateway's log: {dict(said)}")
                raise
            await here.metrics()
            await _look_at_journals(here)
            for thing in (app, running, settings, settings.secrets, vars(app), vars(running.ledger)):
                canary.look(f"repr of {type(thing).__name__}", repr(thing))
    finally:
        await simulator.stop()
    canary.look("log", log.getvalue())
    assert not canary.found
    assert canary.bytes_seen > 0


async def _look_at_journals(here: World) -> None:
    store = here.running.ledger._store
    for tenant in here.settings.tenants:
        entries = await store.call("XRANGE", f"dgw:{{{tenant}}}:journal", "-", "+")
        here.canary.look("journal", repr(entries))
