"""Promises of sharing.py: the numbers in the configuration are the gateway's; workers have even shares of them."""

from pathlib import Path

import pytest

from gateway.workers.sharing import share_of
from tests.unit.settings.files import ENVIRON, load, write

SAID = {
    "LISTEN__CONNECTIONS_MAX": "100",
    "BODIES__MEMORY_BYTES_MAX": "600000",
    "BODIES__BYTES_MAX": "2000000",
    "BODIES__IN_FLIGHT_BYTES_MAX": "3000000",
    "BODIES__SPOOL_BYTES_MAX": "9000000",
    "UPSTREAM__CONNECTIONS_MAX": "10",
    "UPSTREAM__CALLS_AT_ONCE": "8",
    "UPSTREAM__QUEUE_MAX": "20",
}


@pytest.mark.parametrize(
    ("workers", "memory", "disk", "connections", "at_once", "queued", "clients"),
    [
        (2, 1_500_000, 4_500_000, 5, 4, 10, 50),
        (4, 750_000, 2_250_000, 2, 2, 5, 25),
        (64, 600_000, 2_000_000, 1, 1, 1, 1),
    ],
)
def test_bounds_are_shared_evenly_and_never_below_what_one_call_needs(
    tmp_path: Path,
    workers: int,
    memory: int,
    disk: int,
    connections: int,
    at_once: int,
    queued: int,
    clients: int,
) -> None:
    write(tmp_path)
    settings = load(tmp_path, ENVIRON | {f"DEZGO_GATEWAY__{name}": value for name, value in SAID.items()})
    share = share_of(settings, workers)
    assert (share.bodies.in_flight_bytes_max, share.bodies.spool_bytes_max) == (memory, disk)
    upstream = share.upstream
    assert (upstream.connections_max, upstream.calls_at_once, upstream.queue_max) == (connections, at_once, queued)
    assert share.listen.connections_max == clients
    assert share.ledger == settings.ledger
    assert settings.bodies.in_flight_bytes_max == 3_000_000


def test_where_there_is_no_queue_a_worker_has_none(tmp_path: Path) -> None:
    write(tmp_path)
    assert share_of(load(tmp_path, ENVIRON), 4).upstream.calls_at_once is None
