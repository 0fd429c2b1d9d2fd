"""What one unquoted word means, and which words are refused because they have two meanings."""

from decimal import Decimal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.scalars import Surprise, plain


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("0", 0),
        ("8080", 8080),
        ("-3", -3),
        ("0.3", Decimal("0.3")),
        ("-1.133", Decimal("-1.133")),
        ("1.10", Decimal("1.10")),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("127.0.0.1", "127.0.0.1"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("https://host:80/x", "https://host:80/x"),
        (".dezgo-gateway", ".dezgo-gateway"),
        ("nothing", "nothing"),
        ("e3", "e3"),
    ],
)
def test_a_plain_word_is_what_it_looks_like(word: str, value: object) -> None:
    assert plain(word) == value
    assert type(plain(word)) is type(value)


@pytest.mark.parametrize(
    ("word", "message", "hint"),
    [
        *[(word, "truth value", "true or false") for word in ("no", "No", "NO", "yes", "YES", "on", "Off", "y", "N")],
        *[(word, "truth value", "true or false") for word in ("True", "TRUE", "False", "FALSE", "OFF", "n", "Y")],
        ("NULL", "null", "write null"),
        ("010", "octal", "without the zero"),
        ("-007", "octal", "without the zero"),
        ("0x1F", "decimal numbers", "decimal digits"),
        ("0o17", "decimal numbers", "decimal digits"),
        ("0b11", "decimal numbers", "decimal digits"),
        ("1e3", "exponent", "all its digits"),
        ("6.849e-6", "exponent", "all its digits"),
        ("1.5E+3", "exponent", "all its digits"),
        ("1_000", "digits and one point", "plain digits"),
        ("+5", "digits and one point", "plain digits"),
        ("5.", "digits and one point", "plain digits"),
        ("12:30", "sixties", "plain number"),
        ("1:30:00.5", "sixties", "plain number"),
        ("2026-07-17", "date", "quotes"),
        ("1O00", "letter stands among the digits", "digits only"),
        ("8O8l", "letter stands among the digits", "digits only"),
        ("25s", "without a unit", "end of the key names the unit"),
        ("300ms", "without a unit", "end of the key names the unit"),
        ("32 MiB", "without a unit", "end of the key names the unit"),
        ("1.2.3", "begins like a number", "plain digits"),
        (".5", "begins like a number", "plain digits"),
        (".inf", "begins like a number", "plain digits"),
        ("-.INF", "begins like a number", "plain digits"),
        (".NaN", "begins like a number", "plain digits"),
        ("1" * 31, "at most 30 digits", "quotes"),
    ],
)
def test_a_word_with_two_readings_is_refused_with_the_way_out(word: str, message: str, hint: str) -> None:
    found = plain(word)
    assert isinstance(found, Surprise)
    assert message in found.message
    assert hint in found.hint
    assert "quotes" in found.hint


@given(st.one_of(st.text(max_size=40), st.from_regex(r"[+-]?[0-9._:eExOo-]{1,12}", fullmatch=True)))
def test_no_word_is_read_otherwise_than_yaml_1_1_reads_it(word: str) -> None:
    found = plain(word)
    if isinstance(found, str):
        assert found == word
    elif isinstance(found, Decimal):
        assert found == Decimal(word)
        assert float(found) == yaml.safe_load(word)
    elif not isinstance(found, Surprise):
        assert found == (yaml.safe_load(word) if word else None)


@given(st.one_of(st.text(min_size=1, max_size=12), st.from_regex(r"[0-9a-zA-Z+.:_-]{1,8}", fullmatch=True)))
def test_what_is_taken_for_text_is_text_for_yaml_1_1_too(word: str) -> None:
    # None of these five can stand unquoted as a value, but for = and <<, which have no meaning for us.
    if isinstance(plain(word), str) and word not in ("=", "<<", "&", "*", "!"):
        tag = yaml.SafeLoader("").resolve(yaml.ScalarNode, word, (True, False))  # type: ignore[no-untyped-call]
        assert tag == "tag:yaml.org,2002:str"
