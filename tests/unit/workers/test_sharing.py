"""Promises of sharing.py: the numbers in the configuration are the gateway's; workers have even shares of them."""

from pathlib import Path

import pytest

from gateway.workers.sharing import share_of
from tests.unit.settings.files import ENVIRON, load, write


@pytest.mark.parametrize(("workers", "in_flight", "connections"), [(2, 50_000, 5), (4, 32_000, 2), (64, 32_000, 1)])
def test_bounds_are_shared_evenly_and_never_below_what_one_call_needs(
    tmp_path: Path, workers: int, in_flight: int, connections: int
) -> None:
    write(tmp_path)
    said = {"BODIES__BYTES_MAX": "32000", "BODIES__IN_FLIGHT_BYTES_MAX": "100000", "UPSTREAM__CONNECTIONS_MAX": "10"}
    settings = load(tmp_path, ENVIRON | {f"DEZGO_GATEWAY__{name}": value for name, value in said.items()})
    share = share_of(settings, workers)
    assert share.bodies.in_flight_bytes_max == in_flight
    assert share.upstream.connections_max == connections
    assert share.ledger == settings.ledger
    assert settings.bodies.in_flight_bytes_max == 100_000
