"""How entries are counted: each kind moves what it says, grants count until they lapse, anything else is refused."""

from itertools import permutations

import pytest

from gateway.errors import LedgerPoisoned
from gateway.ledger import keys
from gateway.ledger.grants import live
from gateway.ledger.recount import MOVES, Recount

MONTH, TOTAL = keys.read("tenant/month|1000|9000 tenant/total|0|")
BOTH = {"budgets": keys.written((MONTH, TOTAL))}

HELD = {"op": "hold", "id": "h", "amount": "9", **BOTH}
SETTLED = {"op": "settle", "id": "h", "amount": "9", "charged": "5", **BOTH}
EXPIRED = {"op": "expire", "id": "h", "amount": "9", "charged": "9", **BOTH}
CORRECTED = {"op": "correct", "id": "h", "amount": "9", "charged": "12", **BOTH}
REFUNDED = {"op": "refund", "id": "o", "of": "h", "amount": "4", "charged": "1", **BOTH}
ADJUSTED = {"op": "adjust", "id": "o", "of": "h", "amount": "5", "charged": "19", **BOTH}


def counted(*entries: dict[str, str]) -> Recount:
    found = Recount()
    for entry in entries:
        found.count(entry)
    return found


@pytest.mark.parametrize(
    ("entries", "spent", "held"),
    [
        ((), 0, 0),
        ((HELD,), 0, 9),
        ((HELD, SETTLED), 5, 0),
        ((HELD, EXPIRED), 9, 0),
        ((HELD, EXPIRED, CORRECTED), 12, 0),
        ((HELD, SETTLED, REFUNDED), 1, 0),
        ((HELD, SETTLED, ADJUSTED), 19, 0),
    ],
)
def test_each_kind_of_entry_moves_what_it_says_in_every_balance_it_names(
    entries: tuple[dict[str, str], ...], spent: int, held: int
) -> None:
    found = counted(*entries)
    assert (found.entries, found.spent_in_all) == (len(entries), spent)
    assert set(found.places) == ({MONTH, TOTAL} if entries else set())
    for place in found.places:
        assert (found.spent[place], found.held[place], found.granted(place, 0)) == (spent, held, 0)


def test_the_order_of_entries_does_not_matter() -> None:
    sums = {
        (c.spent[TOTAL], c.held[TOTAL]) for c in (counted(*some) for some in permutations((HELD, EXPIRED, CORRECTED)))
    }
    assert sums == {(12, 0)}


def grant(amount: int, until: str, op: str = "grant") -> dict[str, str]:
    return {"op": op, "id": "g", "amount": str(amount), "until": until, "budgets": str(TOTAL)}


def test_grants_count_until_they_lapse_and_those_taken_back_do_not() -> None:
    found = counted(grant(5, ""), grant(3, "500"), grant(2, "500"), grant(3, "500", "revoke"))
    assert [found.granted(TOTAL, now_ms) for now_ms in (0, 499, 500, 10**12)] == [7, 7, 5, 5]
    assert (found.places, found.spent_in_all, found.granted(MONTH, 0)) == ([TOTAL], 0, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"op": "gift"}, {"op": ""}, {"amount": "x"}, {"charged": ""}, {"budgets": "tenant"}),
        *({"op": "grant"}, {"op": "grant", "until": "x"}),
    ],
)
def test_an_entry_that_is_none_of_ours_stops_the_count(wrong: dict[str, str]) -> None:
    with pytest.raises(LedgerPoisoned):
        counted(HELD, {**SETTLED, **wrong})
    for name in ("op", "amount", "budgets"):
        with pytest.raises(LedgerPoisoned):
            counted({key: value for key, value in SETTLED.items() if key != name})


def test_every_kind_takes_from_held_what_it_set_aside_and_nothing_else() -> None:
    assert {kind for kind, (_, held) in MOVES.items() if held != (0, 0)} == {"hold", "settle", "expire"}


@pytest.mark.parametrize(
    ("written", "sums"),
    [("", (0, 0, 0)), ("5|", (5, 5, 5)), ("5|100", (5, 0, 0)), ("5|100 7| 1|150", (13, 8, 7)), ("0|", (0, 0, 0))],
)
def test_grants_in_a_balance_are_summed_until_they_lapse(written: str, sums: tuple[int, ...]) -> None:
    assert tuple(live(written, now_ms) for now_ms in (99, 100, 150)) == sums


@pytest.mark.parametrize(
    "wrong", ["x", "5", "|", "5|x", "-5|", "5| ", " 5|", "5|1|2", "5|-1", "٣|", "9999999999999999|", "x|1"]
)
def test_what_is_no_list_of_grants_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - which part is wrong does not matter
        live(wrong, 50)
