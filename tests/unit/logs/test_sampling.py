"""Sampling: strangers' refusals cannot fill the log, and nothing that has a tenant or cost money is left out."""

from dataclasses import replace

import pytest

from gateway.logs.sampling import LINES_PER_S, Sampler
from gateway.receipt import Receipt
from gateway.units import Credits

STRANGER = Receipt("4f2a", 0.0, reason="unknown_path", outcome="refused")


class Clock:
    """Seconds that stand still."""

    def __init__(self) -> None:
        self.now = 100.5

    def __call__(self) -> float:
        return self.now


def taken(sampler: Sampler, receipt: Receipt, times: int) -> int:
    return sum(sampler.takes(receipt) for _ in range(times))


def test_only_so_many_lines_a_second_of_each_reason() -> None:
    clock = Clock()
    sampler = Sampler(clock)
    assert taken(sampler, STRANGER, 1000) == LINES_PER_S
    assert taken(sampler, replace(STRANGER, reason="bad_http"), 1000) == LINES_PER_S
    clock.now += 1
    assert taken(sampler, STRANGER, 5) == 5


def test_what_was_left_out_is_told_once_with_its_reason() -> None:
    sampler = Sampler(Clock())
    taken(sampler, STRANGER, LINES_PER_S + 7)
    assert sampler.left_out("bad_http") is None
    assert [sampler.left_out("unknown_path") for _ in range(2)] == [7, None]


@pytest.mark.parametrize(
    "receipt",
    [
        replace(STRANGER, tenant="studio"),
        replace(STRANGER, held=Credits.whole(19)),
        replace(STRANGER, outcome="failed"),
        replace(STRANGER, outcome="served"),
    ],
)
def test_a_known_tenants_request_and_anything_that_cost_or_broke_is_never_left_out(receipt: Receipt) -> None:
    assert taken(Sampler(Clock()), receipt, 1000) == 1000
