"""Limits on calls: the arithmetic of pace, and how limits are written for the script."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.limits import Limits, paced, written

NOW_US = 1_800_000_000_000_000


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (None, ""),
        (Limits(), ""),
        (Limits(20), "20||"),
        (Limits(None, Decimal(5), 10), "|200000|10"),
        (Limits(20, Decimal("0.001"), 1), "20|1000000000|1"),
        (Limits(20, Decimal(10_000), 1), "20|100|1"),
        (Limits(None, Decimal(3), 1), "|333333|1"),
    ],
)
def test_limits_are_written_in_whole_microseconds(limits: Limits | None, expected: str) -> None:
    assert written(limits) == expected


@given(
    per_second=st.decimals("0.001", "10000", places=3),
    burst=st.integers(1, 50),
    waits_us=st.lists(st.integers(0, 2_000_000), min_size=1, max_size=200),
)
def test_no_stretch_of_time_sees_more_calls_than_pace_and_burst_allow(
    per_second: Decimal, burst: int, waits_us: list[int]
) -> None:
    limits = Limits(None, per_second, burst)
    assert limits.interval_us is not None
    even, now, made = 0, NOW_US, []
    for wait_us in waits_us:
        now += wait_us
        then, wait = paced(limits, even, now)
        if wait == 0:
            even = then
            made.append(now)
    for first, began in enumerate(made):
        for last in range(first, len(made)):
            assert last - first + 1 <= burst + (made[last] - began) // limits.interval_us


@given(burst=st.integers(1, 50), per_second=st.decimals("0.001", "10000", places=3))
def test_who_waits_as_long_as_told_is_let_through_and_not_a_moment_earlier(burst: int, per_second: Decimal) -> None:
    limits, even = Limits(None, per_second, burst), 0
    for _ in range(burst):
        even, wait = paced(limits, even, NOW_US)
        assert wait == 0
    _, wait = paced(limits, even, NOW_US)
    assert wait == limits.interval_us
    assert paced(limits, even, NOW_US + wait - 1)[1] == 1
    assert paced(limits, even, NOW_US + wait)[1] == 0


def test_what_these_limits_cannot_have_left_makes_nobody_wait_and_is_mended_by_the_next_call() -> None:
    limits = Limits(None, Decimal(10), 3)
    even, wait = paced(limits, NOW_US + 10**12, NOW_US)
    assert (even, wait) == (NOW_US + 300_000, 0)
    assert paced(limits, even, NOW_US)[1] == 100_000
