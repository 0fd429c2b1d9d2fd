"""Doors: settings -> what stands at the edges of the house. Settings stop here, in `build` and in `app` (wall 11)."""

import json
from collections.abc import Callable

from gateway.errors import LedgerUnavailable
from gateway.ledger.budget import BudgetBook
from gateway.ledger.redis import RedisLedger
from gateway.metrics.counting import Metrics
from gateway.metrics.refreshing import refresh
from gateway.metrics.totals import Totals
from gateway.parse.limits import Limits
from gateway.proxy.master_key import MasterKey
from gateway.proxy.upstream import Upstream
from gateway.settings import Settings
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
    return Front(Cors(rules.cors_origins), Peers(rules.trusted_proxies), _ascii(clients_document(routes)))


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
    ledger: RedisLedger,
    book: BudgetBook,
    metrics: Metrics | Totals,
    *,
    lacks: Callable[[], list[str]],
    workers: Callable[[], tuple[int, int]] | None = None,
) -> Ops:
    """What operators ask. `lacks` says what keeps the gateway from being ready, besides its ledger."""
    token = settings.secrets.ops_token

    async def refreshed() -> None:
        await refresh(ledger, book, metrics)

    async def readiness() -> list[str]:
        missing = lacks()
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
        workers=workers,
    )


def _ascii(document: dict[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"
