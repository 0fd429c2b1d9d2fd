"""Crossing: bounds that hold across sections and files. Each looks at what it needs and at nothing broken."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec

from gateway.addresses import is_loopback
from gateway.settings.faults import Trail, nearest
from gateway.settings.issuers import Claims, Issuer

Found = tuple[Trail, str, str]


def crossed(sound: Mapping[Trail, object], tenants: Mapping[str, object] | None) -> Iterator[Found]:
    """Every bound that is broken: the way to the culprit in `gateway.yaml`, the message, the hint.

    Args:
        sound: by section and key, the values that are in order in themselves.
        tenants: what stands below `tenants` in `tenants.yaml`; None when that cannot be read.
    """
    yield from _ports(sound)
    yield from _open_metrics(sound)
    yield from _hold_outlives_calls(sound)
    yield from _request_outlives_its_parts(sound)
    yield from _key_outlives_hold(sound)
    if sound.get(("ledger", "durability")) == "replicated" and sound.get(("ledger", "url"), "") is None:
        yield ("ledger", "durability"), "needs ledger.url: the bundled store has no replicas", "local"
    if sound.get(("traces", "spans")) is True and not _is_installed("opentelemetry.sdk", "opentelemetry.exporter"):
        yield ("traces", "spans"), "needs the extra otel", "pip install 'dezgo-gateway[otel]'"
    issuers = sound.get(("identity", "issuers"))
    for index, issuer in enumerate(issuers if isinstance(issuers, tuple) else ()):
        if isinstance(issuer, Issuer) and tenants is not None:
            for key, message, hint in _fixed(issuer.claims, tenants):
                yield ("identity", "issuers", index, "claims", key), message, hint


def _is_installed(*packages: str) -> bool:
    try:
        return all(find_spec(package) is not None for package in packages)
    except ModuleNotFoundError:
        return False


def _ports(sound: Mapping[Trail, object]) -> Iterator[Found]:
    port = sound.get(("ops", "port"))
    if port is not None and port != 0 and port == sound.get(("listen", "port")):
        yield ("ops", "port"), "must differ from listen.port", "clients must not reach metrics and administration"


def _open_metrics(sound: Mapping[Trail, object]) -> Iterator[Found]:
    host, token, open_ = (sound.get(("ops", key), ...) for key in ("host", "token", "allow_open"))
    if isinstance(host, str) and not is_loopback(host) and token is None and open_ is False:
        message = "is no loopback address, so metrics need ops.token"
        yield ("ops", "host"), message, "name a token's place, or set ops.allow_open where the network is closed"


def _hold_outlives_calls(sound: Mapping[Trail, object]) -> Iterator[Found]:
    keys = (("ledger", "hold_ttl_s"), ("upstream", "total_timeout_s"), ("shutdown", "drain_s"))
    queues = sound.get(("upstream", "calls_at_once")) is not None
    wait_s = sound.get(("upstream", "queue_wait_s")) if queues else 0.0
    match [*(sound.get(key) for key in keys), wait_s]:
        # A hold that expires under a running call would book it before its outcome is known.
        case [float(ttl_s), float(total_s), float(drain_s), float(wait_s)] if ttl_s < (
            least := 2 * total_s + drain_s + wait_s
        ):
            message = f"must be at least {least:g}: twice upstream.total_timeout_s plus shutdown.drain_s"
            yield ("ledger", "hold_ttl_s"), message + (" plus upstream.queue_wait_s" if queues else ""), ""


def _request_outlives_its_parts(sound: Mapping[Trail, object]) -> Iterator[Found]:
    keys = (("listen", "request_timeout_s"), ("bodies", "timeout_s"), ("upstream", "total_timeout_s"))
    match [sound.get(key) for key in keys]:
        # A client cut off while its call is in order would be charged for what it cannot have.
        case [float(request_s), float(body_s), float(total_s)] if request_s < (least := body_s + total_s):
            message = f"must be at least {least:g}: bodies.timeout_s plus upstream.total_timeout_s"
            yield ("listen", "request_timeout_s"), message, ""


def _key_outlives_hold(sound: Mapping[Trail, object]) -> Iterator[Found]:
    match [sound.get(key) for key in (("idempotency", "kept_s"), ("ledger", "hold_ttl_s"))]:
        # A key forgotten while its call is open would let the same call be made again.
        case [float(kept_s), float(ttl_s)] if kept_s < ttl_s:
            yield ("idempotency", "kept_s"), "must be at least ledger.hold_ttl_s", ""


def _fixed(claims: Claims, tenants: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    if claims.tenant_fixed is None:
        return
    if claims.tenant_fixed not in tenants:
        yield "tenant_fixed", "names no tenant of tenants.yaml", nearest(claims.tenant_fixed, tenants)
        return
    rules = tenants[claims.tenant_fixed]
    teams = rules.get("teams") if isinstance(rules, dict) else None
    names = teams if isinstance(teams, dict) else {}
    if claims.team_fixed is not None and claims.team_fixed not in names:
        yield "team_fixed", "names no team of that tenant in tenants.yaml", nearest(claims.team_fixed, names)
