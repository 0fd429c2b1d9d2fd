"""Gateway and store are killed in the middle of things, again and again: every credit stays accounted for, once.

The long form is `python -m tests.bench faults`; its figures are in docs/benchmarks.md.
"""

from pathlib import Path

from tests.bench.faults import faults

# Before and after the money is known, while ends go to disk, and while the next gateway reads them.
WAYS = (
    *("after_hold", "before_spool", "after_head", "after_spool", "before_replay", "mid_body"),
    *("in_outage", "after_replay", "after_settle"),
)


async def test_after_kills_at_every_kind_of_step_ledger_journal_and_upstream_agree(tmp_path: Path) -> None:
    found = await faults(tmp_path, kills=100, seed=20260717, ways=WAYS)
    said = found.as_json()
    assert found.sound, said
    assert {"before_spool", "after_spool"} & found.kills.keys(), "no end was ever put on disk"
    assert {"before_replay", "after_replay"} & found.kills.keys(), "no end was ever replayed"
    assert sum(found.kills.values()) >= 10
    assert found.comparison.sums["confirmed"].calls > 50
    assert found.comparison.sums["uncertain"].calls > 0
