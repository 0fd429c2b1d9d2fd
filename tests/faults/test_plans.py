"""A plan is its seed: the same faults at the same exchanges, and as many as it says."""

from collections import Counter

import pytest

from tests.faults.plans import Fault, Kind, Script, Seeded, Side

EAT, CUT = Fault(Kind.EAT), Fault(Kind.CUT, Side.REQUEST, at=3)


def test_a_script_is_followed_one_by_one_and_then_nothing_happens() -> None:
    script = Script(EAT, None, CUT)
    assert [script.next() for _ in range(5)] == [EAT, None, CUT, None, None]
    script.add(EAT)
    assert (script.left, script.next(), script.left) == (1, EAT, 0)


def test_the_same_seed_gives_the_same_faults() -> None:
    first, second, other = (Seeded(seed, {EAT: 0.05, CUT: 0.01}) for seed in (7, 7, 8))
    faults = [first.next() for _ in range(1_000)]
    assert faults == [second.next() for _ in range(1_000)]
    assert faults != [other.next() for _ in range(1_000)]


def test_each_fault_comes_as_often_as_its_chance_says() -> None:
    plan, of = Seeded(1, {EAT: 0.05, CUT: 0.01}), 100_000
    found = Counter(plan.next() for _ in range(of))
    assert abs(found[EAT] / of - 0.05) < 0.005
    assert abs(found[CUT] / of - 0.01) < 0.002


def test_a_plan_without_chances_harms_nothing() -> None:
    plan = Seeded(1, {})
    assert {plan.next() for _ in range(1_000)} == {None}


def test_a_plan_says_whether_requests_have_to_be_read() -> None:
    assert not Seeded(1, {EAT: 0.1}).requests
    assert Seeded(1, {EAT: 0.1, CUT: 0.1}).requests


@pytest.mark.parametrize("chance", [1.0, 2.0, -0.1])
def test_a_chance_that_is_none_is_refused(chance: float) -> None:
    with pytest.raises(ValueError, match="chances"):
        Seeded(1, {EAT: chance})
