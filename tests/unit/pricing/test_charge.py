"""What is due after the work: the money table, row by row."""

import pytest

from gateway.pricing.charge import TABLE, Charge, Outcome, charge
from gateway.units import Credits, Flag

QUOTED, REPORTED = Credits.whole(19), Credits.parse("17.5")


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.REPORTED, Charge(REPORTED, Flag.CONFIRMED)),
        (Outcome.MALFORMED, Charge(QUOTED, Flag.UNCONFIRMED)),
        (Outcome.SUCCEEDED, Charge(QUOTED, Flag.UNCONFIRMED)),
        (Outcome.REFUSED, Charge(Credits.ZERO, Flag.CONFIRMED)),
        (Outcome.FAILED, Charge(Credits.ZERO, Flag.UNCONFIRMED)),
        (Outcome.NOT_REACHED, Charge(Credits.ZERO, Flag.CONFIRMED)),
        (Outcome.NEVER_SENT, Charge(Credits.ZERO, Flag.CONFIRMED)),
        (Outcome.UNANSWERED, Charge(QUOTED, Flag.UNCERTAIN)),
    ],
)
def test_each_outcome_is_charged_as_the_table_says(outcome: Outcome, expected: Charge) -> None:
    assert charge(QUOTED, outcome, REPORTED) == expected


def test_every_outcome_has_a_row() -> None:
    assert set(TABLE) == set(Outcome)


def test_a_reported_charge_without_its_amount_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="amount"):
        charge(QUOTED, Outcome.REPORTED)


def test_a_reported_charge_above_the_quote_is_due_in_full() -> None:
    assert charge(QUOTED, Outcome.REPORTED, Credits.whole(500)).credits == Credits.whole(500)
