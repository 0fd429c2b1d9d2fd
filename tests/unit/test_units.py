"""Credits: exact, plain, and never short."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.units import MILLICREDITS_MAX, Credits


@pytest.mark.parametrize(
    ("text", "millicredits"),
    [("19", 19_000), ("0", 0), ("19.5", 19_500), ("0.001", 1), ("0.0001", 1), ("12.0000001", 12_001), ("007", 7_000)],
)
def test_plain_decimals_are_read_and_finer_parts_rounded_up(text: str, millicredits: int) -> None:
    assert Credits.parse(text).millicredits == millicredits


@pytest.mark.parametrize("text", ["0.0019", "0.00190", "0.0019000"])
def test_dollars_are_ten_thousand_credits(text: str) -> None:
    assert Credits.parse_usd(text) == Credits.whole(19)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 19",
        "19 ",
        "+19",
        "-1",
        "1e3",
        "19,1",
        "1 9",
        "NaN",
        "inf",
        "0x10",
        "1_0",
        "１９",
        ".5",
        "5.",
        "9" * 13,
        "1٣",
    ],
)
def test_anything_else_is_no_amount(text: str) -> None:
    for read in (Credits.parse, Credits.parse_usd):
        with pytest.raises(ValueError, match="decimal"):
            read(text)


def test_more_than_the_largest_bookable_amount_is_no_amount() -> None:
    assert Credits.parse_usd("100000").millicredits == MILLICREDITS_MAX
    with pytest.raises(ValueError, match="more than"):
        Credits.parse_usd("100000.0000001")


@given(st.integers(0, MILLICREDITS_MAX))
def test_text_and_dollars_read_back_to_the_same_amount(millicredits: int) -> None:
    amount = Credits(millicredits)
    assert Credits.parse(str(amount)) == amount
    assert Credits.parse_usd(amount.usd()) == amount
    assert Decimal(amount.usd()) * 10_000_000 == millicredits


@given(st.lists(st.integers(-(10**12), 10**12)))
def test_sums_are_exact(amounts: list[int]) -> None:
    assert Credits.sum(map(Credits, amounts)).millicredits == sum(amounts)


def test_how_amounts_are_written() -> None:
    assert [str(Credits(n)) for n in (0, 19_000, 19_500, -1_001, 10)] == ["0", "19", "19.5", "-1.001", "0.01"]
    assert [Credits(n).usd() for n in (0, 19_000, 19_500, -19_000)] == ["0.0000", "0.0019", "0.00195", "-0.0019"]
    assert [Credits(n).as_number() for n in (19_000, 19_500)] == [19, 19.5]
