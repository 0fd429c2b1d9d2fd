"""The comparison after a run of kills sees every way in which the books could disagree."""

import hashlib

import pytest

from tests.bench.comparing import Asked, Comparison, Taken, compare

BODY = b'{"prompt":"call 1"}'


def taken(millicredits: int = 19_000) -> Taken:
    return Taken(hashlib.sha256(BODY).hexdigest(), millicredits)


def entry(op: str, charged: int = 19_000, flag: str = "confirmed") -> dict[str, str]:
    ends = {} if op == "hold" else {"charged": str(charged), "flag": flag}
    return {"op": op, "path": "studio/ads/c1", "amount": "19000", **ends}


HOLD, SETTLE, EXPIRE = entry("hold"), entry("settle"), entry("expire", flag="uncertain")


def look(charges: list[Taken], journal: list[dict[str, str]], told: int | None = None) -> Comparison:
    return compare([Asked("c1", BODY, 200 if told is not None else None, told)], charges, journal)


@pytest.mark.parametrize(
    ("charges", "journal"),
    [
        ([], []),
        ([taken()], [HOLD, SETTLE]),
        ([taken()], [HOLD, EXPIRE]),
        ([], [HOLD, EXPIRE]),
        ([taken()], [HOLD, EXPIRE, entry("correct")]),
        ([], [HOLD, entry("settle", 0)]),
        ([taken(12_000)], [HOLD, entry("settle", 19_000, "unconfirmed")]),
    ],
)
def test_books_that_agree(charges: list[Taken], journal: list[dict[str, str]]) -> None:
    found = look(charges, journal)
    assert (found.unaccounted, found.doubled, found.unended, found.mistold) == (0, 0, 0, 0)
    assert sum(sums.calls for sums in found.sums.values()) == 1


@pytest.mark.parametrize(
    ("charges", "journal", "unaccounted"),
    [
        ([taken()], [], 19_000),
        ([taken()], [HOLD], 19_000),
        ([taken()], [HOLD, entry("settle", 0)], 19_000),
        ([taken(20_000)], [HOLD, EXPIRE], 1_000),
        ([taken()], [HOLD, EXPIRE, entry("correct", 7_000)], 12_000),
    ],
)
def test_what_nobody_is_booked_for(charges: list[Taken], journal: list[dict[str, str]], unaccounted: int) -> None:
    assert look(charges, journal).unaccounted == unaccounted


@pytest.mark.parametrize(
    ("charges", "journal"),
    [
        ([taken(), taken()], [HOLD, SETTLE]),
        ([taken()], [HOLD, HOLD, SETTLE]),
        ([taken()], [HOLD, SETTLE, SETTLE]),
        ([taken()], [HOLD, EXPIRE, SETTLE]),
        ([taken()], [HOLD, SETTLE, entry("correct")]),
        ([taken()], [HOLD, EXPIRE, entry("correct"), entry("correct")]),
        ([], [HOLD, SETTLE]),
        ([taken(12_000)], [HOLD, SETTLE]),
    ],
)
def test_what_is_charged_twice_or_too_much_without_a_doubt(charges: list[Taken], journal: list[dict[str, str]]) -> None:
    assert look(charges, journal).doubled == 1


def test_holds_without_an_end_and_answers_that_named_another_charge() -> None:
    assert look([], [HOLD]).unended == 1
    assert look([taken()], [HOLD, SETTLE], told=19_000).mistold == 0
    assert look([taken()], [HOLD, SETTLE], told=18_000).mistold == 1
    assert look([], [HOLD, EXPIRE], told=0).mistold == 0


def test_a_charge_or_an_entry_of_nobody_is_an_error() -> None:
    with pytest.raises(LookupError):
        look([Taken("0" * 64, 1)], [])
    with pytest.raises(LookupError):
        look([], [{**HOLD, "path": "studio/ads/c2"}])
