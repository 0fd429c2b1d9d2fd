"""Promises of problems.py: every error has one row, and a document shows our own words and listed facts only."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors, once
from gateway.errors import GatewayError, UpstreamRedirect
from gateway.pricing.advice import Advice
from gateway.pricing.job import Job
from gateway.problems import INTERNAL, TABLE, TYPE_PREFIX, Problem, error_rows, problem_for
from gateway.units import Credits, Flag

CREDITS = Credits.whole


def exhausted(*, reset_s: int | None = 3600) -> errors.BudgetExhausted:
    return errors.BudgetExhausted(
        quoted=CREDITS(181), budget="team:ads/day", limit=CREDITS(1000), remaining=Credits(31_500), reset_s=reset_s
    )


def ceiling(source: str) -> errors.AboveCeiling:
    return errors.AboveCeiling(quoted=CREDITS(19), ceiling=CREDITS(10), source=source)


FIRST = once.First("77aa", CREDITS(19), Flag.CONFIRMED, once.Facts(reason="ok", status=200, bytes=5, sha256="ab"))
FIRST_TOLD: dict[str, Any] = {
    "request_id": "77aa",
    "charged": 19,
    "charged_usd": "0.0019",
    "flag": "confirmed",
    "status": 200,
    "reason": "ok",
    "content_type": None,
    "bytes": 5,
    "sha256": "ab",
    "seed": None,
    "job_id": None,
}

# (error, status, members a client relies on)
CASES: list[tuple[GatewayError, int, dict[str, Any]]] = [
    (errors.UnknownPath(), 404, {}),
    (errors.VerbNotAllowed(("GET", "POST")), 405, {"allowed": ["GET", "POST"]}),
    (errors.BadHttp("a line is too long"), 400, {}),
    (errors.HeadTooLarge(), 431, {}),
    (errors.TokenInUrl(), 400, {}),
    (errors.AmbiguousCredentials(), 400, {}),
    (errors.BodyTooLarge(1024), 413, {"body_bytes_max": 1024}),
    (errors.BodyTooSlow(30.0, 1024), 408, {}),
    (errors.ExpectationFailed(), 417, {}),
    (errors.UnsupportedMediaType("the content type is missing"), 415, {}),
    (errors.BadBody("a part has no name"), 400, {}),
    (errors.BadParameter("steps", "must be a whole number"), 400, {"parameter": "steps"}),
    (errors.DuplicateParameter("width", "is given twice"), 400, {"parameter": "width"}),
    (errors.BadImage("init_image", "two_sizes"), 400, {"parameter": "init_image"}),
    (errors.BadHeader("X-Gateway-Dry-Run", "must be true or false"), 400, {"header": "X-Gateway-Dry-Run"}),
    (errors.Unauthenticated("jwt_signature"), 401, {}),
    (errors.IdentityUnavailable(), 503, {}),
    (errors.TenantInvalid("org"), 403, {"claim": "org"}),
    (errors.TenantUnknown(), 403, {}),
    (errors.TenantFrozen(), 403, {}),
    (errors.Overloaded("full", 7), 503, {}),
    (
        errors.TooManyCalls("calls_per_second", Decimal("0.5"), 2),
        429,
        {
            "limit": "calls_per_second",
            "allowed": 0.5,
            "detail": "The limit of 0.5 calls per second is reached. Nothing was charged.",
        },
    ),
    (errors.TooManyCalls("calls_in_flight", Decimal(20), 1), 429, {"limit": "calls_in_flight", "allowed": 20}),
    (errors.MethodNotGranted("text2image"), 403, {"method": "text2image"}),
    (errors.Unpriced(), 403, {}),
    (errors.NotYourJob(), 404, {}),
    (ceiling("header"), 412, {"quoted": 19, "ceiling": 10, "source": "header"}),
    (ceiling("grant"), 403, {"source": "grant"}),
    (
        exhausted(),
        402,
        {
            "quoted": 181,
            "quoted_usd": "0.0181",
            "remaining": 31.5,
            "remaining_usd": "0.00315",
            "limit": 1000,
            "budget": "team:ads/day",
            "resets_in_s": 3600,
        },
    ),
    (errors.LedgerUnavailable("timeout"), 503, {}),
    (errors.LedgerPoisoned("poisoned"), 503, {}),
    (errors.LedgerMissing("missing"), 503, {}),
    (errors.LedgerRegressed("regressed"), 503, {}),
    (errors.HoldClosed(), 409, {}),
    (once.IdempotencyMismatch(), 422, {}),
    (once.IdempotencyOpen(), 409, {}),
    (once.IdempotencyEnded(first=FIRST), 409, {"first": FIRST_TOLD}),
    (errors.Busy(), 503, {}),
    (errors.UpstreamUnreachable(), 502, {"charge": "none"}),
    (errors.UpstreamUnanswered("timeout"), 504, {"charge": "uncertain"}),
    (errors.UpstreamUnanswered("reset"), 502, {"charge": "uncertain"}),
    (errors.UpstreamRedirect(), 502, {}),
    (errors.UpstreamLeak(), 502, {}),
    (errors.UpstreamExhausted(402), 503, {}),
    (errors.ClientGone(), 499, {}),
]


def told(error: Exception, *, rapidapi: bool = False, advice: Advice | None = None) -> Problem:
    return problem_for(error, request_id="4f2a", speaks_rapidapi=rapidapi, advice=advice, chance=lambda: 0.5)


def document(problem: Problem) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(problem.body)
    return found


def all_below(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for narrower in kind.__subclasses__():
        if narrower.__module__.startswith((errors.__name__, once.__name__)):
            yield narrower
            yield from all_below(narrower)


def with_a_reason() -> set[type[GatewayError]]:
    return {kind for kind in all_below(GatewayError) if kind.reason != "internal"}


def test_every_error_with_a_reason_of_its_own_has_its_own_row_and_every_leaf_has_a_reason() -> None:
    leaves = {kind for kind in all_below(GatewayError) if not kind.__subclasses__()}
    assert set(TABLE) == with_a_reason()
    assert leaves <= set(TABLE)


def test_every_row_is_tried_by_a_case_of_this_file() -> None:
    assert {type(error) for error, _, _ in CASES} == set(TABLE)


def test_reasons_are_told_apart() -> None:
    reasons = [kind.reason for kind in TABLE]
    assert len(set(reasons)) == len(reasons)


@pytest.mark.parametrize(("error", "status", "members"), CASES, ids=lambda value: getattr(value, "reason", ""))
def test_an_error_becomes_a_document_with_its_status_and_facts(
    error: GatewayError, status: int, members: dict[str, Any]
) -> None:
    problem = told(error)
    found = document(problem)
    assert problem.status == found["status"] == status
    assert found["reason"] == error.reason
    assert found["type"] == TYPE_PREFIX + error.reason.replace("_", "-")
    assert found["instance"] == "urn:dezgo-gateway:request:4f2a"
    assert found["title"]
    assert found["detail"] == found["message"]
    assert {name: found[name] for name in members} == members


@pytest.mark.parametrize(("error", "status", "members"), CASES, ids=lambda value: getattr(value, "reason", ""))
def test_every_document_is_ascii_json_that_no_cache_keeps(error: GatewayError, status: int, members: object) -> None:
    problem = told(error)
    assert problem.body.isascii()
    assert problem.body.count(b"\n") == 1
    assert ("Content-Type", "application/problem+json") in problem.fields
    assert ("Cache-Control", "no-store") in problem.fields
    assert all(value.isascii() and value.isprintable() for pair in problem.fields for value in pair)
    assert len(dict(problem.fields)) == len(problem.fields)


def test_an_empty_budget_is_402_and_429_for_clients_that_speak_rapidapi_both_with_the_reset() -> None:
    for rapidapi, status in ((False, 402), (True, 429)):
        problem = told(exhausted(), rapidapi=rapidapi)
        assert problem.status == document(problem)["status"] == status
        assert dict(problem.fields)["Retry-After"] == "3600"


def test_a_budget_that_never_resets_says_so_and_names_no_time_to_come_back() -> None:
    problem = told(exhausted(reset_s=None))
    assert "Retry-After" not in dict(problem.fields)
    assert document(problem)["resets_in_s"] is None
    assert "begins anew" not in document(problem)["detail"]


def test_only_an_empty_budget_becomes_another_status_for_rapidapi() -> None:
    differing = {type(error) for error, _, _ in CASES if told(error).status != told(error, rapidapi=True).status}
    assert differing == {errors.BudgetExhausted}


def test_advice_is_shown_as_parameters_to_send_and_only_with_an_empty_budget() -> None:
    advice = Advice(Job("text2image"), width=512, height=512, steps=30, upscaled=True, credits=CREDITS(31))
    cheaper = {"width": 512, "height": 512, "steps": 30, "upscale": 2, "credits": 31}
    assert document(told(exhausted(), advice=advice))["cheaper"] == cheaper
    plain = replace(advice, upscaled=False)
    assert document(told(exhausted(), advice=plain))["cheaper"] == {**cheaper, "upscale": 1}
    assert "cheaper" not in document(told(exhausted()))
    assert "cheaper" not in document(told(errors.Busy(), advice=advice))


RETRY = {
    errors.Overloaded: "11",
    errors.TooManyCalls: "1",
    errors.LedgerRegressed: "3",
    errors.IdentityUnavailable: "3",
    errors.LedgerUnavailable: "3",
    once.IdempotencyOpen: "3",
    errors.Busy: "1",
    errors.BudgetExhausted: "3600",
}


def test_a_time_to_come_back_is_named_where_coming_back_can_help_and_nowhere_else() -> None:
    named = {type(error): dict(told(error).fields).get("Retry-After") for error, _, _ in CASES}
    assert {kind: value for kind, value in named.items() if value is not None} == RETRY


@given(st.floats(min_value=0, max_value=1, exclude_max=True))
def test_jitter_stays_between_one_and_five_seconds(share: float) -> None:
    problem = problem_for(
        errors.LedgerUnavailable("timeout"), request_id="-", speaks_rapidapi=False, chance=lambda: share
    )
    assert dict(problem.fields)["Retry-After"] in {"1", "2", "3", "4", "5"}


def test_busy_names_its_own_time() -> None:
    assert dict(told(errors.Busy(retry_after_s=7)).fields)["Retry-After"] == "7"
    assert dict(told(errors.Busy(retry_after_s=0)).fields)["Retry-After"] == "1"


def test_a_challenge_says_whether_a_token_was_there_and_not_which_check_failed() -> None:
    assert dict(told(errors.Unauthenticated("missing")).fields)["WWW-Authenticate"] == "Bearer"
    refused = [told(errors.Unauthenticated(code)) for code in ("jwt_signature", "jwt_time")]
    assert dict(refused[0].fields)["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert refused[0] == refused[1]
    assert b"jwt" not in refused[0].body


def test_which_level_is_unknown_to_the_ledger_or_why_it_failed_is_not_told() -> None:
    assert told(errors.TenantUnknown(level="team")) == told(errors.TenantUnknown(level="tenant"))
    assert told(errors.LedgerUnavailable("oom")) == told(errors.LedgerUnavailable("timeout"))


def test_a_refused_verb_lists_the_allowed_ones() -> None:
    assert dict(told(errors.VerbNotAllowed(("GET", "POST"))).fields)["Allow"] == "GET, POST"


def test_the_shared_account_is_never_taken_for_the_callers_budget() -> None:
    found = document(told(errors.UpstreamExhausted(402)))
    assert "own budget is not the reason" in found["detail"]
    assert found["reason"] != "budget_exhausted"


def test_connections_with_an_unread_or_broken_message_are_to_be_closed() -> None:
    closing = {type(error) for error, _, _ in CASES if told(error).close}
    assert closing == {
        errors.BadHttp,
        errors.HeadTooLarge,
        errors.BodyTooLarge,
        errors.BodyTooSlow,
        errors.ExpectationFailed,
        errors.ClientGone,
    }


@pytest.mark.parametrize("error", [ValueError("secret words"), GatewayError(), errors.BadRequest(), KeyError("key")])
def test_anything_else_is_a_bare_500(error: Exception) -> None:
    problem = told(error)
    found = document(problem)
    assert problem.status == INTERNAL.status == 500
    assert found["reason"] == "internal"
    assert found["detail"] == INTERNAL.detail
    assert b"secret" not in problem.body


def test_a_narrower_error_without_a_row_is_told_as_the_wider_one() -> None:
    @dataclass(eq=False)
    class Narrower(errors.LedgerUnavailable):
        pass

    assert told(Narrower("error")) == told(errors.LedgerUnavailable("error"))


@given(st.text(max_size=80))
def test_only_a_well_formed_request_id_is_shown(request_id: str) -> None:
    legal = request_id.isascii() and request_id.replace("-", "a").isalnum() and not request_id.startswith("-")
    body = problem_for(errors.UnknownPath(), request_id=request_id, speaks_rapidapi=False).body
    assert ("instance" in json.loads(body)) == (legal and len(request_id) <= 64)


@given(st.text(max_size=1000))
def test_a_detail_is_one_bounded_line_whatever_it_says(said: str) -> None:
    problem = told(errors.BadBody(said))
    detail = document(problem)["detail"]
    assert problem.body.isascii()
    assert len(detail) <= 512
    assert detail.isprintable()


def test_a_long_detail_is_cut() -> None:
    assert len(document(told(errors.BadBody("x" * 1000)))["detail"]) == 512


def test_the_table_for_people_has_a_row_for_each_error_and_one_for_the_rest() -> None:
    rows = error_rows()
    assert [reason for _, reason, _ in rows] == [*(kind.reason for kind in TABLE), "internal"]
    assert all(when.endswith(".") and "\n" not in when for _, _, when in rows)
    statuses = {reason: status for status, reason, _ in rows}
    assert statuses["budget_exhausted"] == "402 / 429"
    assert statuses["above_ceiling"] == "412 / 403"
    assert statuses["upstream_unanswered"] == "502 / 504"


def test_a_call_that_failed_after_it_was_sent_says_what_is_booked_all_the_same() -> None:
    told = problem_for(UpstreamRedirect(), request_id="r", speaks_rapidapi=False, charged=Credits.whole(19))
    document = json.loads(told.body)
    assert (document["charged"], document["charged_usd"]) == (19, "0.0019")
    assert ("x-credits-cost", "19") in told.fields
    unsaid = problem_for(UpstreamRedirect(), request_id="r", speaks_rapidapi=False)
    assert "charged" not in json.loads(unsaid.body)
    assert "x-credits-cost" not in dict(unsaid.fields)
