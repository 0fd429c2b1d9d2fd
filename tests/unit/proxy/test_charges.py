"""What an answer's fields say of money, and what a base URL may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.messages import Account, Fields, Flavour
from gateway.proxy.base_url import checked_base_url
from gateway.proxy.charges import Reported, account, api_reached, reported
from gateway.units import Credits
from tests.unit.proxy.bench import answered

FIELD = {Flavour.DIRECT: "x-dezgo-job-amount-usd", Flavour.RAPIDAPI: "x-credits-cost"}
MALFORMED = Reported(None, malformed=True)


@pytest.mark.parametrize(
    ("flavour", "values", "expected"),
    [
        (Flavour.RAPIDAPI, (), Reported()),
        (Flavour.RAPIDAPI, ("19",), Reported(Credits.whole(19))),
        (Flavour.RAPIDAPI, ("0",), Reported(Credits.ZERO)),
        (Flavour.RAPIDAPI, ("19.0001",), Reported(Credits(19_001))),
        (Flavour.DIRECT, ("0.0019",), Reported(Credits.whole(19))),
        (Flavour.DIRECT, ("0.00000001",), Reported(Credits(1))),
        (Flavour.DIRECT, ("0",), Reported(Credits.ZERO)),
        *((flavour, ("1", "1"), MALFORMED) for flavour in Flavour),
        *(
            (flavour, (value,), MALFORMED)
            for flavour in Flavour
            for value in (
                "",
                " ",
                "-1",
                "+1",
                "19, 1",
                "1 9",
                "1e3",
                "1" + "0" * 30,
                "NaN",
                "Infinity",
                "0x1",
                "١",
                "$1",
            )
        ),
    ],
)
def test_one_readable_amount_is_a_charge_and_all_else_is_malformed(
    flavour: Flavour, values: tuple[str, ...], expected: Reported
) -> None:
    fields = (("x-first", "1"), *((FIELD[flavour], value) for value in values))
    assert reported(flavour, fields) == expected


@pytest.mark.parametrize("flavour", Flavour)
def test_the_other_flavours_field_is_no_charge(flavour: Flavour) -> None:
    other = next(one for one in Flavour if one is not flavour)
    assert reported(flavour, ((FIELD[other], "19"),)) == Reported()


@given(st.lists(st.tuples(st.sampled_from(list(FIELD.values())), st.text()), max_size=3), st.sampled_from(Flavour))
def test_no_text_is_ever_an_error_or_a_negative_charge(fields: list[tuple[str, str]], flavour: Flavour) -> None:
    charge = reported(flavour, tuple(fields))
    assert charge.credits is None or (not charge.malformed and charge.credits >= Credits.ZERO)


async def test_a_folded_charge_is_never_an_amount() -> None:
    outcome = await answered(b"HTTP/1.1 200 OK\r\nx-dezgo-job-amount-usd: 0.\r\n 0019\r\ncontent-length: 0\r\n\r\n")
    # A strict parser (Python's development mode) refuses the whole head instead.
    assert outcome.ending == "upstream_unanswered unreadable" if outcome.reply is None else outcome.reply.malformed


async def test_a_charge_after_the_body_is_none() -> None:
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    outcome = await answered(chunked + b"2\r\nOK\r\n0\r\nx-dezgo-job-amount-usd: 0.0019\r\n\r\n")
    assert outcome.reply is not None
    assert (outcome.ending, outcome.reply.reported, outcome.reply.malformed) == ("whole", None, False)


@pytest.mark.parametrize(
    ("flavour", "values", "reached"),
    [
        (Flavour.RAPIDAPI, (), True),
        (Flavour.RAPIDAPI, ("true",), False),
        (Flavour.RAPIDAPI, ("True",), False),
        (Flavour.RAPIDAPI, ("false", "true"), False),
        (Flavour.RAPIDAPI, ("false",), True),
        (Flavour.DIRECT, ("true",), True),
    ],
)
def test_only_rapidapi_says_that_the_api_was_not_reached(
    flavour: Flavour, values: tuple[str, ...], reached: bool
) -> None:
    assert api_reached(flavour, tuple(("x-rapidapi-proxy-response", value) for value in values)) is reached


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (("x-ratelimit-credits-remaining", "-1"), ("x-ratelimit-credits-reset", "-1")),
        (("x-ratelimit-credits-limit", ""), ("x-ratelimit-credits-reset", "9" * 40)),
        (("x-ratelimit-credits-limit", "1"), ("x-ratelimit-credits-limit", "1")),
        (("x-ratelimit-credits-reset", "1"), ("x-ratelimit-credits-reset", "1")),
    ],
)
def test_an_unreadable_number_of_the_account_is_none(fields: Fields) -> None:
    assert account(Flavour.RAPIDAPI, fields) == Account()


@pytest.mark.parametrize(
    ("values", "index"),
    [
        (("7",), 7),
        (("0",), 0),
        (("9" * 15,), 10**15 - 1),
        ((), None),
        *(((value,), None) for value in ("", " ", "-1", "+1", "1.0", "1e3", "0x1", "١", "9" * 16, "1, 2")),
        (("7", "7"), None),
    ],
)
def test_a_balance_index_is_one_whole_number_or_none(values: tuple[str, ...], index: int | None) -> None:
    fields = tuple(("x-dezgo-balance-index", value) for value in values)
    assert account(Flavour.DIRECT, fields) == Account(index=index)
    assert account(Flavour.RAPIDAPI, fields) == Account()


@pytest.mark.parametrize(
    ("text", "allow_http"),
    [
        ("https://api.dezgo.com", False),
        ("https://api.dezgo.com/", True),
        ("https://api.dezgo.com:8443", False),
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000/", True),
        ("http://[::1]:8000", True),
        ("http://simulator:8090", True),
    ],
)
def test_scheme_and_host_make_a_base_url(text: str, allow_http: bool) -> None:
    assert str(checked_base_url(text, allow_http=allow_http, allow_private=True)).rstrip("/") == text.rstrip("/")


@pytest.mark.parametrize(
    ("text", "allow_http"),
    [
        ("http://api.dezgo.com", False),
        ("http://127.0.0.1", False),
        ("ftp://api.dezgo.com", True),
        ("//api.dezgo.com", True),
        ("api.dezgo.com", True),
        ("", True),
        ("https://", False),
        ("https:///x", False),
        ("https://user@api.dezgo.com", False),
        ("https://user:secret@api.dezgo.com", False),
        ("https://@api.dezgo.com", False),
        ("https://api.dezgo.com/v1", False),
        ("https://api.dezgo.com//", False),
        ("https://api.dezgo.com?", False),
        ("https://api.dezgo.com/?x=secret", False),
        ("https://api.dezgo.com#", False),
        ("https://api.dezgo.com:0", False),
        ("https://api.dezgo.com:99999", False),
        ("https://api.dezgo.com:secret", False),
        ("https://[fe80::1%25eth0]", False),
        ("https://api.dezgo.com\\@evil.example", False),
        ("https://api.dezgo.com\n", False),
        (" https://api.dezgo.com", False),
    ],
)
def test_anything_more_or_less_is_refused_and_not_repeated(text: str, allow_http: bool) -> None:
    with pytest.raises(ValueError, match="the upstream's URL") as refused:
        checked_base_url(text, allow_http=allow_http, allow_private=True)
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None
