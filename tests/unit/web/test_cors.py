"""CORS: off unless origins are named; then exactly those, and never credentials."""

import pytest

from gateway.headers import PASSED_BACK
from gateway.web.cors import EXPOSED, Cors

APP = "https://app.example"
ON, OFF = Cors([APP, "http://localhost:3000"]), Cors()


@pytest.mark.parametrize("origin", [None, APP, "*", "null", ""])
def test_without_origins_no_answer_says_a_word(origin: str | None) -> None:
    assert OFF.answer_fields(origin) == ()
    assert OFF.asked_verb("OPTIONS", (("origin", origin or ""), ("access-control-request-method", "POST"))) is None


@pytest.mark.parametrize(
    "origin", ["https://app.example.evil", "https://APP.example", "http://app.example", f"{APP}:443", f"{APP}/", "null"]
)
def test_another_origin_is_not_told_back_but_caches_learn_that_it_matters(origin: str) -> None:
    assert ON.answer_fields(origin) == (("Vary", "Origin"),)
    assert ON.asked_verb("OPTIONS", (("origin", origin), ("access-control-request-method", "POST"))) is None


def test_a_named_origin_is_told_back_exactly_and_without_credentials() -> None:
    fields = dict(ON.answer_fields(APP))
    assert (fields["Access-Control-Allow-Origin"], fields["Vary"]) == (APP, "Origin")
    assert "Access-Control-Allow-Credentials" not in {*fields, *dict(ON.preflight_fields(["POST"]))}
    assert "*" not in "".join(fields.values())


def test_only_fields_that_a_client_gets_anyway_are_exposed() -> None:
    exposed = {name.lower() for name in EXPOSED}
    assert set(PASSED_BACK) - exposed == {"content-type"}  # every page may read that one
    assert not exposed & {"set-cookie", "server", "x-dezgo-balance-index", "x-dezgo-auth-userid"}


@pytest.mark.parametrize(
    ("verb", "fields"),
    [
        ("POST", (("origin", APP), ("access-control-request-method", "POST"))),
        ("OPTIONS", (("origin", APP),)),
        ("OPTIONS", (("access-control-request-method", "POST"),)),
        ("OPTIONS", (("origin", APP), ("origin", APP), ("access-control-request-method", "POST"))),
        ("OPTIONS", (("origin", APP), *[("access-control-request-method", "POST")] * 2)),
    ],
)
def test_what_is_not_exactly_a_preflight_is_none(verb: str, fields: tuple[tuple[str, str], ...]) -> None:
    assert ON.asked_verb(verb, fields) is None


def test_a_preflight_says_which_verb_is_asked_for() -> None:
    assert ON.asked_verb("OPTIONS", (("origin", APP), ("access-control-request-method", "PUT"))) == "PUT"
