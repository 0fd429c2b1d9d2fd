"""Problems: error -> problem document (RFC 9457). A table. Pure.

Wall 7: errors carry meaning, this file carries status. Wall 8: a document shows our own words and the facts an error
lists; of any other exception it shows nothing at all.
"""

import inspect
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.documents import (
    Facts,
    Pairs,
    advice_facts,
    budget_detail,
    budget_facts,
    ceiling_facts,
    first_facts,
    money,
    plain_number,
    printable,
    replay_fields,
)
from gateway.errors import (
    AboveCeiling,
    AmbiguousCredentials,
    BadBody,
    BadHeader,
    BadHttp,
    BadImage,
    BadParameter,
    BodyTooLarge,
    BodyTooSlow,
    BudgetExhausted,
    Busy,
    ClientGone,
    DuplicateParameter,
    ExpectationFailed,
    GatewayError,
    HeadTooLarge,
    HoldClosed,
    IdentityUnavailable,
    LedgerMissing,
    LedgerPoisoned,
    LedgerRegressed,
    LedgerUnavailable,
    MethodNotGranted,
    NotYourJob,
    Overloaded,
    TenantFrozen,
    TenantInvalid,
    TenantUnknown,
    TokenInUrl,
    TooManyCalls,
    Unauthenticated,
    UnknownPath,
    Unpriced,
    UnsupportedMediaType,
    UpstreamExhausted,
    UpstreamLeak,
    UpstreamRedirect,
    UpstreamUnanswered,
    UpstreamUnreachable,
    VerbNotAllowed,
)
from gateway.once import IdempotencyEnded, IdempotencyMismatch, IdempotencyOpen
from gateway.pricing.advice import Advice
from gateway.units import Credits

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:dezgo-gateway:problem:"
INSTANCE_PREFIX = "urn:dezgo-gateway:request:"

# A number of [0, 1), such as `random.random`.
Chance = Callable[[], float]

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}", re.ASCII)
_LONGEST_WAIT_S = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal, ready to be sent.

    Attributes:
        status: HTTP status.
        fields: header fields, content type included.
        body: the document, ASCII.
        close: the connection cannot be used again.
    """

    status: int
    fields: Pairs
    body: bytes
    close: bool = False


@dataclass(frozen=True, slots=True)
class Other:
    """A second status of the same error, and when it counts: asked of the error and of "speaks RapidAPI"."""

    status: int
    counts: Callable[[Any, bool], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """How one error is told.

    Attributes:
        status: HTTP status.
        title: the same for every occurrence.
        detail: what happened this time: a template over the error's fields, or a function of the error.
        facts: further members of the document.
        fields: further header fields.
        retry_s: seconds for `Retry-After`, None for no such field.
        other: a second status.
        close: the connection cannot be used again.
    """

    status: int
    title: str
    detail: str | Callable[[Any], str]
    facts: Callable[[Any], Facts] = lambda _: {}
    fields: Callable[[Any], Pairs] = lambda _: ()
    retry_s: Callable[[Any, Chance], int | None] = lambda _, __: None
    other: Other | None = None
    close: bool = False


def _parameter(error: BadParameter) -> Facts:
    return {"parameter": error.parameter}


def _soon(_: GatewayError, chance: Chance) -> int:
    """A few seconds, not the same for everybody: those refused together must not come back together."""
    return 1 + int(chance() * _LONGEST_WAIT_S)


def _challenge(error: Unauthenticated) -> Pairs:
    return (("WWW-Authenticate", "Bearer" if error.code == "missing" else 'Bearer error="invalid_token"'),)


def _charge(word: str) -> Callable[[Any], Facts]:
    return lambda _: {"charge": word}


_NO_BUDGET = "No budget is configured for this caller."
_CLAIM = "A claim of the token that says who pays is missing or not a legal name."

# No error's text is a client's: details are ours, parameters, claims and methods come from closed lists.
TABLE: dict[type[GatewayError], Row] = {
    UnknownPath: Row(404, "Not found", "There is no such path."),
    VerbNotAllowed: Row(
        405,
        "Method not allowed",
        "This path does not have that method.",
        facts=lambda error: {"allowed": list(error.allowed)},
        fields=lambda error: (("Allow", ", ".join(error.allowed)),),
    ),
    BadHttp: Row(400, "Bad request", "Refused: {detail}.", close=True),
    HeadTooLarge: Row(431, "Head too large", "The head of the message is too long or has too many fields.", close=True),
    TokenInUrl: Row(400, "Token in URL", "A token belongs in a header field, never in the URL."),
    AmbiguousCredentials: Row(400, "Ambiguous credentials", "Two different tokens were sent. Send one."),
    BodyTooLarge: Row(
        413,
        "Body too large",
        "The body may have {body_bytes_max} bytes at most.",
        facts=lambda error: {"body_bytes_max": error.body_bytes_max},
        close=True,
    ),
    BodyTooSlow: Row(
        408,
        "Body too slow",
        "A body must arrive within {body_timeout_s:g} seconds, at {bytes_per_s_min} bytes a second or more.",
        close=True,
    ),
    ExpectationFailed: Row(417, "Expectation failed", "Only 100-continue can be expected.", close=True),
    UnsupportedMediaType: Row(415, "Unsupported media type", "The body cannot be read: {detail}."),
    BadBody: Row(400, "Unreadable body", "The body is not what its content type says: {detail}."),
    BadParameter: Row(400, "Invalid parameter", "Parameter {parameter}: {detail}.", facts=_parameter),
    DuplicateParameter: Row(400, "Duplicate parameter", "Parameter {parameter}: {detail}.", facts=_parameter),
    BadImage: Row(400, "Unreadable image", "The image in {parameter} has no certain size: {detail}.", facts=_parameter),
    BadHeader: Row(
        400, "Invalid header field", "Field {header}: {detail}.", facts=lambda error: {"header": error.header}
    ),
    Unauthenticated: Row(401, "Unauthenticated", "A valid token is needed.", fields=_challenge),
    IdentityUnavailable: Row(503, "Identity unavailable", "No token can be checked at the moment.", retry_s=_soon),
    TenantInvalid: Row(403, "Tenant invalid", _CLAIM, facts=lambda error: {"claim": error.claim}),
    TenantUnknown: Row(403, "No budget", _NO_BUDGET),
    TenantFrozen: Row(403, "Tenant frozen", "An operator has frozen this caller's spending."),
    MethodNotGranted: Row(
        403,
        "Method not granted",
        "The token does not allow {method}.",
        facts=lambda error: {"method": error.method},
    ),
    Unpriced: Row(403, "No price", "This path has no price, so it cannot be called."),
    NotYourJob: Row(404, "Not found", "There is no such job."),
    AboveCeiling: Row(
        412,
        "Above ceiling",
        "This call needs {quoted} credits, more than the ceiling of {ceiling}.",
        facts=ceiling_facts,
        other=Other(403, lambda error, _: error.source == "grant"),
    ),
    BudgetExhausted: Row(
        402,
        "Budget exhausted",
        budget_detail,
        facts=budget_facts,
        retry_s=lambda error, _: error.reset_s,
        other=Other(429, lambda _, speaks_rapidapi: speaks_rapidapi),
    ),
    TooManyCalls: Row(
        429,
        "Too many calls",
        lambda error: f"The limit of {error.allowed:f} {error.code.replace('_', ' ')} is reached. Nothing was charged.",
        facts=lambda error: {"limit": error.code, "allowed": plain_number(error.allowed)},
        retry_s=lambda error, _: error.retry_after_s,
    ),
    LedgerUnavailable: Row(503, "Ledger unavailable", "Budgets cannot be checked at the moment.", retry_s=_soon),
    LedgerPoisoned: Row(503, "Ledger closed", "This caller's budgets are closed until an operator repairs them."),
    LedgerMissing: Row(503, "Ledger closed", "This caller's budgets are closed until an operator repairs them."),
    LedgerRegressed: Row(
        503, "Ledger behind", "This caller's budgets are closed until they are known to be whole.", retry_s=_soon
    ),
    HoldClosed: Row(409, "Already ended", "A call under this id has already ended."),
    IdempotencyMismatch: Row(
        422, "Another call's key", "This Idempotency-Key belongs to a call that asked something else."
    ),
    IdempotencyOpen: Row(
        409, "Not ended yet", "The first call under this Idempotency-Key is under way.", retry_s=_soon
    ),
    IdempotencyEnded: Row(
        409,
        "Already ended",
        "The first call under this Idempotency-Key has ended and is not made again; what it came to stands in `first`.",
        facts=first_facts,
        fields=lambda error: replay_fields(error.first.charged),
    ),
    Busy: Row(
        503,
        "Busy",
        "The gateway is at one of its bounds. Nothing was charged.",
        retry_s=lambda error, _: max(1, error.retry_after_s),
    ),
    Overloaded: Row(
        503,
        "Overloaded",
        "The upstream takes no more calls at the moment. Nothing was charged.",
        # Up to twice as long: those refused together must not come back together.
        retry_s=lambda error, chance: error.retry_after_s + int(chance() * (error.retry_after_s + 1)),
    ),
    UpstreamUnreachable: Row(
        502, "Upstream unreachable", "Nothing was sent upstream. Nothing was charged.", facts=_charge("none")
    ),
    UpstreamUnanswered: Row(
        502,
        "Upstream unanswered",
        "The call was sent upstream, and no whole answer came. It may have been charged.",
        facts=_charge("uncertain"),
        other=Other(504, lambda error, _: error.code == "timeout"),
    ),
    UpstreamRedirect: Row(502, "Upstream redirect", "The upstream answered with a redirect, which is not followed."),
    UpstreamLeak: Row(502, "Answer withheld", "The upstream's answer is not fit to be passed on."),
    UpstreamExhausted: Row(
        503,
        "Upstream account exhausted",
        "The account shared by all callers cannot be used upstream. The caller's own budget is not the reason.",
    ),
    ClientGone: Row(499, "Client gone", "The client left before its answer was complete.", close=True),
}

INTERNAL = Row(500, "Internal error", "Something went wrong inside the gateway.")


def problem_for(
    error: Exception,
    *,
    request_id: str,
    speaks_rapidapi: bool,
    advice: Advice | None = None,
    charged: Credits | None = None,
    chance: Chance = random.random,
) -> Problem:
    """Tell `error` as a problem document; an exception that is none of ours as a bare 500.

    Args:
        error: what ended the request.
        request_id: ours; shown when it is 1 to 64 of `[A-Za-z0-9-]`.
        speaks_rapidapi: the client sent its token as a RapidAPI key.
        advice: a cheaper setting, shown when a budget refused.
        charged: what the call is settled at all the same; None when nothing was held.
        chance: spreads `Retry-After` where no time is known.
    """
    row = _row(type(error))
    status = row.status
    if row.other is not None and row.other.counts(error, speaks_rapidapi):
        status = row.other.status
    document = _document(error, row, status, request_id)
    if isinstance(error, BudgetExhausted) and advice is not None:
        document["cheaper"] = advice_facts(advice)
    if charged is not None:
        document |= money(charged=charged)
    fields: Pairs = (("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-store"), *row.fields(error))
    retry_s = row.retry_s(error, chance)
    if retry_s is not None:
        fields += (("Retry-After", str(retry_s)),)
    if charged is not None:
        fields += (("x-credits-cost", str(charged)),)
    body = json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")
    return Problem(status, fields, body + b"\n", row.close)


def _row(kind: type[BaseException]) -> Row:
    return next((TABLE[base] for base in kind.__mro__ if base in TABLE), INTERNAL)


def _document(error: Exception, row: Row, status: int, request_id: str) -> Facts:
    reason = error.reason if isinstance(error, GatewayError) and row is not INTERNAL else "internal"
    detail = printable(row.detail.format_map(vars(error)) if isinstance(row.detail, str) else row.detail(error))
    document: Facts = {
        "type": TYPE_PREFIX + reason.replace("_", "-"),
        "title": row.title,
        "status": status,
        "detail": detail,
        "reason": reason,
        # What clients of the marketplace look for; the same words.
        "message": detail,
    }
    if _REQUEST_ID.fullmatch(request_id):
        document["instance"] = INSTANCE_PREFIX + request_id
    return document | row.facts(error)


def error_rows() -> tuple[tuple[str, str, str], ...]:
    """The table for people: (status, reason, when), in the order of `TABLE`; two statuses as `402 / 429`."""
    rows = []
    for kind, row in TABLE.items():
        statuses = str(row.status) if row.other is None else f"{row.status} / {row.other.status}"
        when = " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())
        rows.append((statuses, kind.reason, when))
    return (*rows, (str(INTERNAL.status), "internal", "Anything else: a fault of the gateway's own."))
