"""The books add up."""

import hashlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator import book as book_module
from gateway.simulator.book import Arrival, Book, Charge, ExhaustedError, Received, plain, usd
from gateway.simulator.settings import SimulatorSettings


def new_book(**settings: object) -> Book:
    return Book(SimulatorSettings(key="k", **settings))  # type: ignore[arg-type]  # a table of settings


def take(book: Book, credits: str) -> Charge:
    return book.take(
        job="j",
        path="/text2image",
        credits=Decimal(credits),
        told=(credits,),
        status=200,
        request_id=None,
        seed=1,
        body=b"body",
    )


@given(st.lists(st.decimals(0, 10_000, places=9), max_size=30))
def test_totals_and_balance_are_the_sum_of_all_charges(amounts: list[Decimal]) -> None:
    book = new_book()
    charges = [take(book, str(amount)) for amount in amounts]
    assert book.total == sum(amounts)
    assert book.balance == book.limit - sum(amounts)
    assert book.total_millicredits == sum(charge.millicredits for charge in charges)
    assert [charge.index for charge in book.charges] == list(range(1, len(amounts) + 1))


@pytest.mark.parametrize(("credits", "millicredits"), [("19", 19_000), ("19.0001", 19_001), ("0", 0)])
def test_a_charge_in_millicredits_is_never_short(credits: str, millicredits: int) -> None:
    assert take(new_book(), credits).millicredits == millicredits


def test_totals_outlive_forgotten_charges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "CHARGES_KEPT", 3)
    book = new_book()
    for _ in range(5):
        take(book, "10")
    assert [charge.index for charge in book.charges] == [3, 4, 5]
    assert book.count == 5
    assert book.total == 50


def test_room_kept_for_a_call_cannot_be_promised_twice() -> None:
    book = new_book(flavour="rapidapi", quota_credits=30)
    with book.promised(Decimal(19)):
        with pytest.raises(ExhaustedError), book.promised(Decimal(12)):
            pass
        with book.promised(Decimal(11)):
            pass
    with book.promised(Decimal(30)):
        pass


def test_an_account_that_is_topped_up_bears_more() -> None:
    book = new_book(flavour="rapidapi", quota_credits=30)
    take(book, "19")
    with pytest.raises(ExhaustedError), book.promised(Decimal(12)):
        pass
    book.top_up(Decimal(1))
    assert (book.balance, book.limit) == (Decimal(12), Decimal(31))
    with book.promised(Decimal(12)):
        pass


def test_the_account_starts_as_its_flavour_says() -> None:
    assert new_book(balance_usd=Decimal("2.5")).limit == 25_000
    assert new_book(flavour="rapidapi", quota_credits=300).limit == 300


@pytest.mark.parametrize(
    ("credits", "as_plain", "as_usd"),
    [("19", "19", "0.0019"), ("19.8727", "19.8727", "0.00198727"), ("100000", "100000", "10.0000")],
)
def test_amounts_are_written_as_plain_decimals(credits: str, as_plain: str, as_usd: str) -> None:
    assert plain(Decimal(credits)) == as_plain
    assert usd(Decimal(credits)) == as_usd


def test_the_book_as_json_shows_the_newest_and_the_totals() -> None:
    book = new_book()
    for credits in ("1", "2", "3"):
        take(book, credits)
    shown = book.as_json(newest=2)
    assert [charge["credits"] for charge in shown["charges"]] == ["2", "3"]
    assert (shown["count"], shown["total_credits"], shown["total_millicredits"]) == (3, "6", 6_000)
    assert shown["charges"][0]["body_sha256"] == hashlib.sha256(b"body").hexdigest()
    assert book.as_json(newest=0)["charges"] == []


def test_arrivals_are_counted_beyond_those_kept() -> None:
    received = Received()
    for number in range(300):
        received.note("/info", Arrival("GET", f"/info?{number}", (("X-One", "1"),)))
    assert received.counts["/info"] == 300
    assert [received.newest[0].target, received.newest[-1].target] == ["/info?100", "/info?299"]
    assert received.newest[0].field("x-one") == "1"
