"""Demo: simulator, store and gateway in one go, with tokens and ready-made calls. Everything real but the upstream.

All it needs lies in one directory (`.dezgo-gateway`): configuration, token secret, tokens, the store's files. A second
start finds the first one's balances there.
"""

import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from gateway.app import App
from gateway.build import claim_rules
from gateway.identity.mint import fresh_secret, mint_token, secret_signer
from gateway.running import Running
from gateway.settings import Settings, default_config_dir, load_settings
from gateway.simulator import Simulator, SimulatorSettings, start_simulator

TOKEN_TTL_S = 30 * 24 * 3600

# Users of each tenant that `--traffic` calls as.
CROWD = 24

_DATA_DIR = Path(".dezgo-gateway")


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo.

    Attributes:
        running: the gateway.
        simulator: the upstream.
        tokens: one for each tenant, by name.
        crowd: tokens of many users of each tenant, in its teams, for traffic.
        environment: what `demo.env` says.
        env_file: where it stands.
    """

    running: Running
    simulator: Simulator
    tokens: Mapping[str, str]
    crowd: Mapping[str, Sequence[str]]
    environment: Mapping[str, str]
    env_file: Path


@asynccontextmanager
async def demo(*, port: int, ops_port: int, data_dir: Path = _DATA_DIR) -> AsyncIterator[Demo]:
    """Start simulator, store and gateway; stop them all when the block is left.

    Args:
        port: of the gateway; 0 takes a free one.
        ops_port: of its operators' listener; 0 takes a free one.
        data_dir: for everything that is kept.
    """
    _make_room(data_dir)
    key = f"DEZGO-{secrets.token_hex(35).upper()}"
    simulator = await start_simulator(SimulatorSettings(key=key, balance_usd=Decimal(1000)))
    try:
        settings = _settings(data_dir, simulator.url, key, port, ops_port)
        with (data_dir / "gateway.log").open("a", encoding="utf-8") as log:
            async with App(settings, log_stream=log).running() as running:
                tokens = {tenant: token(settings, tenant) for tenant in settings.tenants}
                environment = _environment(running, simulator, tokens)
                env_file = data_dir / "demo.env"
                _write_private(env_file, "".join(f"{name}={value}\n" for name, value in environment.items()))
                yield Demo(running, simulator, tokens, crowd(settings), environment, _absolute(env_file))
    finally:
        await simulator.stop()


def _make_room(data_dir: Path) -> None:
    for directory in (data_dir, data_dir / "config"):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def _settings(data_dir: Path, upstream_url: str, key: str, port: int, ops_port: int) -> Settings:
    """The shipped configuration, turned to the simulator."""
    config_dir = data_dir / "config"
    for name in ("tariff.yaml", "tenants.yaml"):
        shutil.copyfile(default_config_dir() / name, config_dir / name)
    (config_dir / "gateway.yaml").write_text(_GATEWAY_YAML.format(data_dir=data_dir), encoding="utf-8")
    secret_file = data_dir / "token.secret"
    if not secret_file.exists():
        _write_private(secret_file, fresh_secret() + "\n")
    overrides = {
        "DEZGO_API_KEY": key,
        "DEZGO_GATEWAY__UPSTREAM__URL": upstream_url,
        "DEZGO_GATEWAY__LISTEN__PORT": str(port),
        "DEZGO_GATEWAY__OPS__PORT": str(ops_port),
    }
    return load_settings(config_dir, overrides)


_GATEWAY_YAML = """\
# Written anew by every `dezgo-gateway demo`: the simulator takes the upstream's place. See config/gateway.yaml.
listen: {{host: 127.0.0.1}}
upstream:
  allow_http: true
  allow_private: true
  url: http://127.0.0.1:9
identity:
  issuers:
    - issuer: dezgo-gateway
      audiences: [dezgo-gateway]
      keys:
        - {{kid: local, algorithm: HS256, secret: {{file: "{data_dir}/token.secret"}}}}
      claims: {{tenant: tenant, team: team, user: sub, methods: methods, credits_max: credits_max}}
ledger:
  data_dir: "{data_dir}"
"""


def crowd(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Tokens of many users of each tenant, in its teams."""
    return {tenant: _users(settings, tenant) for tenant in settings.tenants}


def _users(settings: Settings, tenant: str) -> tuple[str, ...]:
    teams = [*settings.tenants[tenant].teams, None]
    return tuple(
        token(settings, tenant, user=f"user{number}", team=teams[number % len(teams)]) for number in range(CROWD)
    )


def token(settings: Settings, tenant: str, *, user: str = "demo", team: str | None = None) -> str:
    """A token for `tenant`, signed with the first shared secret of the settings."""
    issuer = settings.identity.issuers[0]
    key = settings.secrets.token_keys[0]
    signer = secret_signer(key.text.get_secret_value().encode(), kid=key.kid)
    return mint_token(
        signer,
        issuer=issuer.issuer,
        audience=issuer.audiences[0],
        tenant=tenant,
        user=user,
        team=team,
        ttl_s=TOKEN_TTL_S,
        now=time.time(),
        rules=claim_rules(issuer.claims),
    )


def _environment(running: Running, simulator: Simulator, tokens: Mapping[str, str]) -> dict[str, str]:
    named = {f"TOKEN_{tenant.upper().replace('-', '_').replace('.', '_')}": text for tenant, text in tokens.items()}
    return {
        "GATEWAY_URL": f"http://127.0.0.1:{running.port}",
        "OPS_URL": f"http://127.0.0.1:{running.ops_port}",
        "UPSTREAM_URL": simulator.url,
        "TOKEN": next(iter(tokens.values())),
        **named,
    }


def _absolute(path: Path) -> Path:
    return path.resolve()


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    fresh.replace(path)


def greeting(running: Demo) -> str:
    """What a newcomer is told: where things are, and calls to paste."""
    env, said = running.env_file, running.environment
    json = "-H 'Content-Type: application/json'"
    key = '-H "X-Dezgo-Key: $TOKEN"'
    picture = '-d \'{"prompt":"an astronaut on a horse","width":768,"height":512}\''
    return f"""
  Gateway    {said["GATEWAY_URL"]}     (the upstream is simulated at {said["UPSTREAM_URL"]})
  Operators  {said["OPS_URL"]}/metrics
  Tenants    {", ".join(running.tokens)}: tokens and addresses are in {env}

  Paste into another terminal:

  # an image: priced, held, forwarded, booked
  . {env}; curl -sS -D - -o horse.png "$GATEWAY_URL/text2image" {key} {json} {picture}

  # what would it cost, and would it fit?
  . {env}; curl -sS "$GATEWAY_URL/gateway/quote/text2image" {key} {json} {picture}

  # what is left?
  . {env}; curl -sS "$GATEWAY_URL/gateway/budget" {key}

  Ctrl-C stops everything. Log lines go to {env.parent / "gateway.log"}.
"""
