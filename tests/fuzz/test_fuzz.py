"""Mutated input breaks no promise, and what once broke one does not any more (PM01, PM02, PM11, IM09, ID08, ID12)."""

import random
from contextlib import nullcontext

import pytest

from tests.fuzz.mutating import BYTES_MAX, mutated
from tests.fuzz.targets import TARGETS
from tests.fuzz.trying import CORPUS, Target, kept, run

SEED = 20_261_125


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_input_breaks_no_promise(name: str) -> None:
    target = TARGETS[name]
    ran = run(target, seed=SEED, rounds=target.rounds)
    assert ran.rounds >= target.rounds
    assert {how: finding.content.hex() for how, finding in ran.findings.items()} == {}
    # What is only ever refused early tries little.
    assert any(outcome.startswith("accepted") for outcome in ran.outcomes)
    assert len(ran.outcomes) >= 4


@pytest.mark.parametrize(("name", "case"), [(name, case) for name in TARGETS for case in kept(name)])
def test_what_was_found_once_stays_mended(name: str, case: str) -> None:
    with TARGETS[name].opened() as check:
        check(kept(name)[case])


def test_every_kept_case_belongs_to_a_target() -> None:
    assert {path.parent.name for path in CORPUS.glob("*/*")} <= set(TARGETS)


# --- the fuzzer itself ------------------------------------------------------------------------------------------


def _refusing(word: bytes) -> Target:
    def check(content: bytes) -> str:
        assert word not in content, "the word"
        return "accepted" if content else "empty"

    return Target("test", "a word stays away", [b"seed"], [b"needle"], lambda: nullcontext(check))


def test_a_broken_promise_is_found_named_and_shortened() -> None:
    ran = run(_refusing(b"needle"), seed=1, rounds=2_000)
    (finding,) = ran.findings.values()
    assert finding.content == b"needle"
    assert "AssertionError" in finding.how
    assert "the word" in finding.how


def test_the_same_seed_gives_the_same_run() -> None:
    one, other = (run(_refusing(b"\xff\xfe\xfd\xfc"), seed=7, rounds=300) for _ in range(2))
    assert (one.rounds, one.outcomes) == (other.rounds, other.outcomes)
    assert one.outcomes["accepted"] > 0


def test_time_ends_a_run_without_a_bound_on_rounds() -> None:
    assert run(_refusing(b"\xff\xfe\xfd\xfc"), seed=7, seconds=0.05).rounds > 0


def test_mutations_stay_within_their_bound() -> None:
    chance = random.Random(3)  # noqa: S311 - no secret
    assert max(len(mutated(chance, [b"x" * BYTES_MAX], [b"y" * 99])) for _ in range(300)) == BYTES_MAX
