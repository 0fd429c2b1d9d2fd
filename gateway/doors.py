"""Doors: settings -> what stands at the edges of the house. Settings stop here, in `build` and in `app` (wall 11)."""

import json
from collections.abc import Callable

from gateway.errors import LedgerUnavailable
from gateway.identity.verify import Verifier
from gateway.ledger.budget import BudgetBook
from gateway.ledger.redis import RedisLedger
from gateway.metrics.counting import Metrics
from gateway.metrics.refreshing import refresh
from gateway.parse.limits import Limits
from gateway.proxy.master_key import MasterKey
from gateway.proxy.upstream import Upstream
from gateway.settings import Settings
from gateway.traces.tracing import PassedOn, Tracing
from gateway.web.body import Bounds
from gateway.web.cors import Cors
from gateway.web.front import Front
from gateway.web.openapi import clients_document, operators_document
from gateway.web.ops import Ops, opened_by
from gateway.web.peers import Peers
from gateway.web.routes import Routes


def front(settings: Settings, routes: Routes) -> Front:
    """What is settled before anybody asks who calls."""
    rules = settings.listen
    openapi = _ascii(clients_document(routes))
    return Front(Cors(rules.cors_origins), Peers(rules.trusted_proxies), openapi, tracing(settings))


def tracing(settings: Settings) -> Tracing:
    """What becomes of a caller's trace. Raises ValueError for variables `OTEL_*` that make no sense."""
    rules = settings.traces
    if not rules.spans:
        return PassedOn(forward=rules.forward)
    from gateway.traces.spans import Spans, from_environment  # noqa: PLC0415 - an extra, and slow to import

    return Spans(from_environment(), forward=rules.forward)


def metrics(settings: Settings, routes: Routes, book: BudgetBook) -> Metrics:
    """What every request and the ledger tell Prometheus."""
    return Metrics(
        methods=settings.tariff.methods, routes=routes.names, tenants=book.tenants, users=settings.metrics.users
    )


def watch_identity(metrics: Metrics, who: Verifier) -> None:
    """Show how old keys are, and how well tokens are remembered."""
    metrics.watch_keys(age_s=who.keys_age_s)
    metrics.watch_tokens(who)


def bounds(settings: Settings) -> Bounds:
    """What one request may take."""
    return Bounds(
        body_bytes_max=settings.bodies.bytes_max,
        body_timeout_s=settings.bodies.timeout_s,
        write_timeout_s=settings.answers.write_timeout_s,
        limits=Limits(pixels_max=settings.images.pixels_max),
    )


def upstream(settings: Settings, key: MasterKey) -> Upstream:
    """The back door, not yet started."""
    rules = settings.upstream
    return Upstream(
        flavour=rules.flavour,
        base_url=rules.url,
        key=key,
        connect_timeout_s=rules.connect_timeout_s,
        head_timeout_s=rules.head_timeout_s,
        read_timeout_s=rules.read_timeout_s,
        total_timeout_s=rules.total_timeout_s,
        connections_max=rules.connections_max,
        allow_http=rules.allow_http,
        allow_private=rules.allow_private,
        ca_file=rules.ca_file,
    )


def ops(
    settings: Settings,
    *,
    ledger: RedisLedger,
    book: BudgetBook,
    metrics: Metrics,
    who: Verifier,
    draining: Callable[[], bool],
) -> Ops:
    """What operators ask."""
    token = settings.secrets.ops_token

    async def refreshed() -> None:
        await refresh(ledger, book, metrics)

    async def readiness() -> list[str]:
        missing = ["draining"] if draining() else []
        if not who.ready:
            missing.append("identity")
        try:
            await ledger.register()
        except LedgerUnavailable:
            missing.append("ledger")
        return missing

    return Ops(
        render=metrics.render,
        refresh=refreshed,
        readiness=readiness,
        openapi=_ascii(operators_document()),
        opens=None if token is None else opened_by(token.get_secret_value()),
    )


def _ascii(document: dict[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"
