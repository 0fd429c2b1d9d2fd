"""The bench's own short form: it sees what a failover loses, and that waiting for the replica loses nothing."""

from pathlib import Path

from tests.bench.failover import failover
from tests.servers.node import bundled_program


async def test_what_a_black_hole_swallowed_is_counted_as_lost_and_booked_again(tmp_path: Path) -> None:
    found = await failover(tmp_path, program=bundled_program(), rounds=1, how="blackhole", durability="local", seed=1)
    figures = found.as_json()
    assert figures["holds_acknowledged"] > figures["holds_lost"] > 0
    assert figures["settles_lost"] > 0
    assert figures["unbooked_millicredits"] == 0
    assert (figures["audit_differences"], found.sound) == (0, True)


async def test_with_replicated_durability_nothing_acknowledged_is_lost_to_a_black_hole(tmp_path: Path) -> None:
    found = await failover(
        tmp_path, program=bundled_program(), rounds=1, how="blackhole", durability="replicated", seed=1
    )
    figures = found.as_json()
    assert figures["holds_acknowledged"] > 0
    assert (figures["holds_lost"], figures["settles_lost"], figures["unbooked_millicredits"]) == (0, 0, 0)
    assert found.sound
    assert sum(figures["refused"].values()) > 0
