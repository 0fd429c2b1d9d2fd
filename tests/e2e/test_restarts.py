"""Two gateways on one store are restarted in turn under load, as an orchestrator does: no client notices.

The long form is `python -m tests.bench restarts`; its figures are in docs/benchmarks.md.
"""

from pathlib import Path

import pytest

from tests.bench.restarts.rolling import restarts


@pytest.mark.timeout(180)
async def test_no_call_fails_and_every_credit_is_booked_while_gateways_are_restarted(tmp_path: Path) -> None:
    found = await restarts(tmp_path, count=4, clients=8, lame_duck_s=1.0, seed=20261125)
    assert found.sound, found.as_json()
    assert len(found.exits) == 6
    assert found.answers["200"] > 100
