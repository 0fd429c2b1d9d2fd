"""Promises of headers.py: both ways are allow-lists, and a client finds its own money where the account's was."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.headers import PASSED_BACK, forwardable, gateway_fields, passed_back, standing_fields
from gateway.ledger.budget import Balance, Budget
from gateway.ledger.window import Every, Span, Window
from gateway.messages import Fields, Flavour, Reply
from gateway.units import Credits

DAY_MS = 86_400_000
START_MS = 3 * DAY_MS
END_MS = START_MS + DAY_MS


async def nothing() -> AsyncIterator[bytes]:
    yield b""


def reply(*fields: tuple[str, str]) -> Reply:
    return Reply(200, fields, nothing())


def balance(*, name: str = "tenant/day", limit: int = 20_000_000, end_ms: int | None = END_MS) -> Balance:
    budget = Budget(name, "tenant", Credits(limit), Window(Every.DAY if end_ms else Every.TOTAL))
    return Balance(budget, Span(START_MS, end_ms), Credits(0), Credits(0), now_ms=END_MS - 90_500)


# --- to the upstream ----------------------------------------------------------------------------------------

KEPT: Fields = (("content-type", "application/json"), ("accept", "image/png"))

STAYS_HERE = [
    *("x-dezgo-key", "x-rapidapi-key", "x-rapidapi-host", "authorization", "cookie", "host", "user-agent"),
    *("te", "trailer", "upgrade", "keep-alive", "proxy-authorization", "proxy-connection", "transfer-encoding"),
    *("connection", "content-length", "expect", "accept-encoding", "range", "if-none-match", "content-encoding"),
    *("x-forwarded-for", "forwarded", "x-real-ip", "x-http-method-override", "x-gateway-max-credits", "referer"),
    *("x_dezgo_key", "content_type", "content_length", "transfer_encoding", "idempotency-key", "x-anything"),
]


@pytest.mark.parametrize("name", STAYS_HERE)
def test_a_field_that_is_not_listed_stays_here(name: str) -> None:
    assert forwardable((KEPT[0], (name, "1"), KEPT[1])) == KEPT


def test_listed_fields_go_on_in_order_also_when_given_twice() -> None:
    fields = (("accept", "image/png"), ("content-type", "text/plain"), ("accept", "*/*"))
    assert forwardable(fields) == fields


@pytest.mark.parametrize(
    ("connection", "left"),
    [
        (("close",), KEPT),
        (("close, Content-Type",), KEPT[1:]),
        (("accept ,\tcontent-type",), ()),
        (("close", "ACCEPT"), KEPT[:1]),
        ((", ,",), KEPT),
    ],
)
def test_what_connection_names_leaves_with_it(connection: tuple[str, ...], left: Fields) -> None:
    assert forwardable((*KEPT, *(("connection", value) for value in connection))) == left


# --- to the client ------------------------------------------------------------------------------------------

ACCOUNT = [
    *("x-dezgo-balance-total-usd", "x-dezgo-balance-index", "x-dezgo-auth-userid", "x-dezgo-job-amount-usd"),
    *("x-credits-cost", "x-ratelimit-credits-limit", "x-ratelimit-credits-remaining", "x-ratelimit-credits-reset"),
    *("x-rapidapi-version", "x-rapidapi-region", "x-rapidapi-proxy-response", "server", "set-cookie", "via"),
    *("cf-ray", "location", "refresh", "cache-control", "connection", "transfer-encoding", "content-length", "date"),
    *("x_input_seed", "www-authenticate", "alt-svc", "strict-transport-security", "access-control-allow-origin"),
]


@pytest.mark.parametrize("name", ACCOUNT)
def test_the_upstreams_other_fields_never_reach_a_client(name: str) -> None:
    assert passed_back(reply((name, "1"))) == []


def test_listed_fields_come_back_unchanged() -> None:
    fields = [
        ("content-type", "image/png"),
        ("content-disposition", 'inline; filename="a.png"'),
        ("x-input-seed", "4294967295"),
        ("x-dezgo-job-id", "65f0c1"),
    ]
    assert passed_back(reply(*fields)) == fields


@pytest.mark.parametrize("name", list(PASSED_BACK))
@pytest.mark.parametrize(
    "value", ["", "a\r\nb: c", "a\nb", "\x00", "\x7f", "\x1b[0m", "é", "\u2028", "a" * 1025, "a/b\n"]
)
def test_an_unfit_value_is_dropped(name: str, value: str) -> None:
    assert passed_back(reply((name, value))) == []


def test_a_value_may_have_1024_characters() -> None:
    field = ("x-dezgo-job-id", "a" * 1024)
    assert passed_back(reply(field)) == [field]


@pytest.mark.parametrize("name", list(PASSED_BACK))
def test_a_doubled_field_is_dropped_whole(name: str) -> None:
    assert passed_back(reply((name, "image/png"), (name, "image/png"))) == []


@pytest.mark.parametrize(
    ("value", "fit"),
    [
        ("image/png", True),
        ("application/json; charset=utf-8", True),
        ('multipart/mixed; boundary="a b"', True),
        ("video/mp4;a=b ; c=d", True),
        ("image", False),
        ("image/", False),
        ("image/png;", False),
        ("image/png, text/html", False),
        ("image/png; a", False),
        ('image/png; a="b', False),
        (" image/png", False),
        ("<script>/x", False),
    ],
)
def test_a_content_type_comes_back_only_in_its_one_form(value: str, *, fit: bool) -> None:
    assert passed_back(reply(("content-type", value))) == ([("content-type", value)] if fit else [])


@given(st.lists(st.tuples(st.sampled_from([*PASSED_BACK, "x-other"]), st.text(max_size=40))))
def test_whatever_the_upstream_sends_only_listed_printable_fields_come_back(fields: list[tuple[str, str]]) -> None:
    back = passed_back(reply(*fields))
    assert len(dict(back)) == len(back)
    assert all(name in PASSED_BACK and value.isascii() and value.isprintable() for name, value in back)


# --- the client's own money ---------------------------------------------------------------------------------


def test_a_direct_client_finds_its_own_money_in_credits_and_in_usd() -> None:
    found = standing_fields(Credits.whole(19), balance(), Credits.whole(12_345), Flavour.DIRECT)
    assert dict(found) == {
        "x-credits-cost": "19",
        "x-dezgo-job-amount-usd": "0.0019",
        "x-dezgo-balance-total-usd": "1.2345",
        "x-ratelimit-credits-limit": "20000",
        "x-ratelimit-credits-remaining": "12345",
        "x-ratelimit-credits-reset": "91",
        "ratelimit-policy": '"tenant-day";q=20000;w=86400',
        "ratelimit": '"tenant-day";r=12345;t=91',
    }
    assert len(found) == len(dict(found))


def test_a_rapidapi_client_finds_credits_only() -> None:
    found = dict(standing_fields(Credits.whole(19), balance(), Credits.whole(1), Flavour.RAPIDAPI))
    assert found["x-credits-cost"] == "19"
    assert not [name for name in found if "usd" in name or "dezgo" in name]


def test_a_free_call_names_no_charge() -> None:
    found = dict(standing_fields(None, balance(), Credits.whole(1), Flavour.DIRECT))
    assert "x-credits-cost" not in found
    assert "x-dezgo-job-amount-usd" not in found
    assert dict(standing_fields(Credits.ZERO, balance(), Credits.ZERO, Flavour.DIRECT))["x-credits-cost"] == "0"


def test_a_charge_is_exact_and_what_is_left_is_never_overstated() -> None:
    found = dict(standing_fields(Credits(19_873), balance(limit=1_999), Credits(999), Flavour.DIRECT))
    assert found["x-credits-cost"] == "19.873"
    assert found["x-ratelimit-credits-limit"] == "1"
    assert found["x-ratelimit-credits-remaining"] == "0"
    assert found["x-dezgo-balance-total-usd"] == "0.0000999"
    assert found["ratelimit"].startswith('"tenant-day";r=0;')


def test_a_limit_is_told_with_what_is_granted_on_top_of_it() -> None:
    granted = replace(balance(), granted=Credits.whole(500))
    found = dict(standing_fields(Credits.ZERO, granted, granted.remaining, Flavour.RAPIDAPI))
    assert (found["x-ratelimit-credits-limit"], found["x-ratelimit-credits-remaining"]) == ("20500", "20500")
    assert found["ratelimit-policy"] == '"tenant-day";q=20500;w=86400'


def test_a_window_without_end_has_no_reset_anywhere() -> None:
    found = dict(standing_fields(Credits.ZERO, balance(end_ms=None), Credits.whole(5), Flavour.DIRECT))
    assert "x-ratelimit-credits-reset" not in found
    assert found["ratelimit-policy"] == '"tenant-day";q=20000'
    assert found["ratelimit"] == '"tenant-day";r=5'


NUMBERS = st.integers(min_value=0, max_value=10**12).map(Credits)


@given(st.text(min_size=1, max_size=200), NUMBERS, NUMBERS, st.sampled_from(Flavour))
def test_fields_are_always_numbers_and_well_formed_structured_fields(
    name: str, charged: Credits, remaining: Credits, flavour: Flavour
) -> None:
    found = dict(standing_fields(charged, balance(name=name), remaining, flavour))
    assert re.fullmatch(r'"[A-Za-z0-9._:@%-]{1,128}";q=[0-9]{1,15};w=[0-9]{1,15}', found.pop("ratelimit-policy"))
    assert re.fullmatch(r'"[A-Za-z0-9._:@%-]{1,128}";r=[0-9]{1,15};t=[0-9]{1,15}', found.pop("ratelimit"))
    assert all(re.fullmatch(r"[0-9]+(\.[0-9]+)?", value) for value in found.values())


@given(st.text(max_size=80))
def test_a_request_id_is_sent_only_in_its_own_alphabet(request_id: str) -> None:
    legal = bool(re.fullmatch(r"[A-Za-z0-9-]{1,64}", request_id, re.ASCII))
    assert gateway_fields(request_id) == ([("x-request-id", request_id)] if legal else [])


def test_a_made_request_id_is_sent() -> None:
    assert gateway_fields("4f2a-9") == [("x-request-id", "4f2a-9")]
