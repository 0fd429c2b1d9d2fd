"""The short form of `python -m tests.bench ledger`, whose figures are in docs/benchmarks.md.

`LEDGER_OPS` says how short, 6,000 operations unless given.
"""

import os

import pytest

from tests.bench.ledger import bench
from tests.tools import need_tool

OPERATIONS = int(os.environ.get("LEDGER_OPS", "6000"))
KINDS = {"hold", "settle", "void", "balances", "sweep", "refund", "adjust", "grant", "revoke"}


@pytest.mark.timeout(110 + OPERATIONS // 100)
@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_after_thousands_of_operations_with_replies_eaten_every_answer_is_explained(kind: str) -> None:
    if kind == "redis":
        need_tool("redis-server")
    found = bench(
        operations=OPERATIONS, lost=0.05, seed=20260717, kind=kind, processes=2, round_operations=OPERATIONS // 2
    )
    said = found.as_json()
    assert found.sound, said
    assert (found.rounds, found.scripts_per_request) == (2, 2.0)
    assert set(said["asked"]) == KINDS
    assert said["replies_eaten"] > OPERATIONS * 0.03
    assert found.asked_again > 0
    assert {"hold", "settle", "expire", "refund", "adjust", "grant"} <= found.entries.keys()
