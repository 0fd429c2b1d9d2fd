"""Doors: settings -> what stands at the edges of the house. Settings stop here, in `build` and in `app` (wall 11)."""

import json
import socket
from collections.abc import Callable, Mapping, Sequence

from gateway.errors import LedgerUnavailable
from gateway.identity.verify import Verifier
from gateway.ledger.budget import BudgetBook
from gateway.ledger.redis import RedisLedger
from gateway.metrics.counting import Metrics
from gateway.metrics.refreshing import refresh
from gateway.metrics.totals import Totals
from gateway.parse.limits import Limits
from gateway.proxy.master_key import MasterKey
from gateway.proxy.upstream import Upstream
from gateway.receipt import Receipt
from gateway.settings import Settings
from gateway.traces.tracing import PassedOn, Tracing
from gateway.turns.gate import OPEN, Gate, Turns
from gateway.web.body import Bounds
from gateway.web.connections import Caps
from gateway.web.cors import Cors
from gateway.web.descriptors import room_for
from gateway.web.disk import Disk, files_max
from gateway.web.front import Front
from gateway.web.in_flight import InFlight
from gateway.web.openapi import clients_document, operators_document
from gateway.web.ops import Ops, opened_by
from gateway.web.peers import Peers
from gateway.web.routes import Routes
from gateway.web.server import Handler, Listener

# Of the operators' listener: connections, and seconds for an answer, which is never long.
OPS_CONNECTIONS_MAX, OPS_REQUEST_TIMEOUT_S = 64, 120.0


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
        memory_bytes_max=settings.bodies.memory_bytes_max,
        body_timeout_s=settings.bodies.timeout_s,
        body_bytes_per_s_min=settings.bodies.bytes_per_s_min,
        body_stall_s=settings.bodies.stall_s,
        write_timeout_s=settings.answers.write_timeout_s,
        write_bytes_per_s_min=settings.answers.bytes_per_s_min,
        limits=Limits(pixels_max=settings.images.pixels_max),
    )


def in_flight(settings: Settings) -> InFlight:
    """Where bodies wait; its disk is not yet tried. To be made inside a running loop."""
    rules = settings.bodies
    directory = rules.spool_dir if rules.spool_dir is not None else settings.ledger.data_dir / "bodies"
    return InFlight(rules.in_flight_bytes_max, Disk(directory, bytes_max=rules.spool_bytes_max))


def caps(settings: Settings, *, files: int) -> Caps:
    """How many connections clients may have, where the process may have `files` open."""
    rules, bodies = settings.listen, settings.bodies
    spooled = files_max(
        disk_bytes=bodies.spool_bytes_max,
        memory_bytes=bodies.in_flight_bytes_max,
        threshold_bytes=bodies.memory_bytes_max,
    )
    others = settings.upstream.connections_max + spooled
    most = room_for(rules.connections_max, limit=files, others=others)
    return Caps(most, rules.connections_per_address_max, Peers(rules.trusted_proxies).counted)


def front_listener(
    settings: Settings,
    handler: Handler,
    *,
    caps: Caps,
    refused: Callable[[Receipt], None],
    sockets: Sequence[socket.socket] = (),
) -> Listener:
    """The clients' port."""
    rules = settings.listen
    # Twice what its parts may take: nobody whose call is in order is ever cut off.
    parts_s = 2 * (settings.bodies.timeout_s + settings.upstream.total_timeout_s)
    return Listener(
        handler,
        host=rules.host,
        port=rules.port,
        idle_timeout_s=rules.idle_timeout_s,
        drain_s=settings.shutdown.drain_s,
        caps=caps,
        request_timeout_s=parts_s if rules.request_timeout_s is None else rules.request_timeout_s,
        write_timeout_s=settings.answers.write_timeout_s,
        refused=refused,
        sockets=sockets,
    )


def back_listener(
    settings: Settings,
    handler: Handler,
    *,
    refused: Callable[[Receipt], None] = lambda _: None,
    sockets: Sequence[socket.socket] = (),
) -> Listener:
    """The operators' port."""
    return Listener(
        handler,
        host=settings.ops.host,
        port=settings.ops.port,
        idle_timeout_s=settings.listen.idle_timeout_s,
        drain_s=1.0,
        caps=Caps(OPS_CONNECTIONS_MAX),
        request_timeout_s=OPS_REQUEST_TIMEOUT_S,
        write_timeout_s=settings.answers.write_timeout_s,
        refused=refused,
        sockets=sockets,
    )


def readings(listener: Listener, bodies: InFlight) -> Mapping[str, Callable[[], float]]:
    """What metrics read of the clients' port."""
    connections = listener.connections
    return {
        "connections": lambda: len(connections),
        "refused": lambda: connections.refused,
        "ended": lambda: connections.ended,
        "in_memory": lambda: bodies.bytes,
        "on_disk": lambda: bodies.disk.bytes,
    }


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


def turns(settings: Settings) -> Turns:
    """Who may go upstream, and when. Half of the drain is for waiting, the other half for answers."""
    rules = settings.upstream
    if rules.calls_at_once is None:
        return OPEN
    return Gate(
        at_once=rules.calls_at_once,
        waiting_max=rules.queue_max,
        wait_s=rules.queue_wait_s,
        drain_s=settings.shutdown.drain_s / 2,
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
