"""OpenAPI: both listeners described by the tables the code runs on: routes, tariff, problems. Pure.

What a route can be refused for stands in `REFUSALS`, by kind; a test holds every error of the problem table to one of
them, and whatever a running gateway answers to this document.
"""

from collections.abc import Mapping
from typing import Any

from gateway import __version__
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
    Unpriced,
    UnsupportedMediaType,
    UpstreamExhausted,
    UpstreamLeak,
    UpstreamRedirect,
    UpstreamUnanswered,
    UpstreamUnreachable,
)
from gateway.jobs import JOB_ID
from gateway.once import IdempotencyEnded, IdempotencyMismatch, IdempotencyOpen
from gateway.pricing.tariff import Kind as Read
from gateway.pricing.tariff import Method
from gateway.problems import CONTENT_TYPE, INTERNAL, TABLE, TYPE_PREFIX, Row
from gateway.web.routes import JOB_PREFIX, Kind, Route, Routes

Document = dict[str, Any]
Errors = tuple[type[GatewayError], ...]

_ANY: Errors = (BadHttp, HeadTooLarge, ExpectationFailed)
_TOKEN: Errors = (TokenInUrl, AmbiguousCredentials, Unauthenticated, IdentityUnavailable, TenantInvalid)
_LEDGER: Errors = (TenantUnknown, LedgerUnavailable, LedgerPoisoned, LedgerMissing, LedgerRegressed)
_BODY: Errors = (
    *(BodyTooLarge, BodyTooSlow, UnsupportedMediaType, BadBody, BadParameter, DuplicateParameter, BadImage, BadHeader),
    *(MethodNotGranted, Unpriced, Busy),
)
_FORWARDED: Errors = (
    *(UpstreamUnreachable, UpstreamUnanswered, UpstreamRedirect, UpstreamLeak, UpstreamExhausted, Busy),
)
_SPENDING: Errors = (
    *(AboveCeiling, BudgetExhausted, TooManyCalls, TenantFrozen, HoldClosed, Overloaded),
    *(IdempotencyOpen, IdempotencyMismatch, IdempotencyEnded),
)

_GUARDED: Errors = (*_ANY, Unauthenticated)

# What each kind of route can end in besides its answer, and besides 500.
REFUSALS: dict[Kind, Errors] = {
    Kind.PAID: (*_ANY, *_TOKEN, *_LEDGER, *_BODY, *_SPENDING, *_FORWARDED),
    Kind.QUOTE: (*_ANY, *_TOKEN, *_LEDGER, *_BODY),
    Kind.INFO: (*_ANY, *_TOKEN, *_FORWARDED),
    Kind.JOB: (*_ANY, *_TOKEN, LedgerUnavailable, NotYourJob, *_FORWARDED),
    Kind.ACCOUNT: (*_ANY, *_TOKEN, *_LEDGER),
    Kind.BUDGET: (*_ANY, *_TOKEN, *_LEDGER),
    Kind.OPENAPI: _ANY,
}

_SUMMARIES = {
    Kind.PAID: "Make it: priced, held, forwarded, booked.",
    Kind.QUOTE: "What the real body would cost, and what each budget would say. Nothing is called or held.",
    Kind.INFO: "The upstream's list of models; free.",
    Kind.JOB: "Ask for an asynchronous job of one's own tenant; free.",
    Kind.ACCOUNT: "The caller's own remaining balance, in the upstream's shape.",
    Kind.BUDGET: "Limits, spent, held and remaining of every budget on the caller's path.",
    Kind.OPENAPI: "This document.",
}

_FORWARDING = frozenset({Kind.PAID, Kind.INFO, Kind.JOB})
_FORWARDING_GROUPS = frozenset(kind.name.lower() for kind in _FORWARDING)
_SECURITY: list[Document] = [{"dezgoKey": []}, {"rapidApiKey": []}, {"bearer": []}]
_SCHEMES: Document = {
    "dezgoKey": {"type": "apiKey", "in": "header", "name": "X-Dezgo-Key"},
    "rapidApiKey": {"type": "apiKey", "in": "header", "name": "X-RapidAPI-Key"},
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}
_PROBLEM: Document = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "reason", "message"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "reason": {"type": "string"},
        "message": {"type": "string", "description": "The detail once more, where the marketplace's clients look."},
        "instance": {"type": "string"},
    },
}
# Every problem of ours has a reason.
_NOT_OURS: Document = {"not": {"required": ["reason"]}}
_WISHES = [
    {
        "name": "X-Gateway-Max-Credits",
        "in": "header",
        "description": "Refuse the call above so many credits.",
        "schema": {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,3})?$"},
    },
    {
        "name": "X-Gateway-Dry-Run",
        "in": "header",
        "description": "true: the quote instead of the call.",
        "schema": {"type": "string", "enum": ["true", "false"]},
    },
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "An id of the caller's own: the call is made and charged once, however often it is sent.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 257},
    },
]
_JOB_ID = {
    "name": "job",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": f"^{JOB_ID.pattern}$"},
}
_SIDE = {"type": "integer", "minimum": 1}
_READ: dict[Read, Document] = {
    Read.SIDE: _SIDE,
    Read.STEPS: {"type": "integer", "minimum": 1},
    Read.UPSCALE: {"type": "integer", "enum": [1, 2]},
    Read.LORA: {"type": "string"},
    Read.OPTION: {"type": "boolean"},
    Read.IMAGE: {"type": "string", "minLength": 1, "description": "An image: base64 in JSON, a file in a form."},
}


def clients_document(routes: Routes) -> Document:
    """What clients can ask for."""
    paths: Document = {}
    for path, route in routes.table.items():
        paths[path] = {verb.lower(): _operation(route, verb) for verb in sorted(route.verbs)}
    job = Route(Kind.JOB, "job", JOB_PREFIX, frozenset({"GET"}))
    paths[JOB_PREFIX + "{job}"] = {"get": _operation(job, "GET"), "parameters": [_JOB_ID]}
    return _document("dezgo-gateway", paths, {kind.name.lower(): errors for kind, errors in REFUSALS.items()})


def operators_document() -> Document:
    """What operators can ask for."""
    plain = {"200": {"description": "Yes.", "content": {"application/json": {}}}, **_refused("open", _ANY)}
    not_yet = {"description": "Not ready; `missing` says what for.", "content": {"application/json": {}}}
    shown = {"200": {"description": "Metrics.", "content": {"text/plain": {}}}, **_refused("guarded", _GUARDED)}
    told = {**shown, "200": {"description": "This document.", "content": {"application/json": {}}}}
    guarded: Document = {"security": [{"bearer": []}, {}]}
    paths: Document = {
        "/healthz": {"get": {"summary": "Does the process live?", "responses": plain}},
        "/readyz": {"get": {"summary": "Should calls be sent here?", "responses": {**plain, "503": not_yet}}},
        "/metrics": {"get": {"summary": "Metrics in the text format.", "responses": shown, **guarded}},
        "/openapi.json": {"get": {"summary": "This document.", "responses": told, **guarded}},
    }
    return _document("dezgo-gateway, for operators", paths, {"open": _ANY, "guarded": _GUARDED})


def _document(title: str, paths: Document, refusals: Mapping[str, Errors]) -> Document:
    responses = {
        f"{group}-{status}": _problem_response(rows, forwarded=group in _FORWARDING_GROUPS)
        for group, errors in refusals.items()
        for status, rows in _by_status(errors).items()
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": __version__},
        "paths": paths,
        "components": {"securitySchemes": _SCHEMES, "schemas": {"Problem": _PROBLEM}, "responses": responses},
    }


def _operation(route: Route, verb: str) -> Document:
    method = route.method
    name = route.name if method is None or route.kind is Kind.PAID else f"{route.name}_{method.name}"
    operation: Document = {
        "operationId": f"{verb.lower()}_{name.replace('-', '_')}",
        "summary": _SUMMARIES[route.kind],
        "responses": {"200": _success(route.kind), **_refused(route.kind.name.lower(), REFUSALS[route.kind])},
    }
    if route.kind is not Kind.OPENAPI:
        # The model list asks for no token where the direct upstream asks for none.
        operation["security"] = [*_SECURITY, {}] if route.kind is Kind.INFO else _SECURITY
    if route.kind in _FORWARDING:
        operation["responses"]["default"] = {"description": "The upstream's own answer, as it is."}
    if method is not None:
        # A quote is nothing to repeat: it does not look at an idempotency key.
        wishes = _WISHES if route.kind is Kind.PAID else [w for w in _WISHES if w["name"] != "Idempotency-Key"]
        operation |= {"parameters": wishes, "requestBody": _body(method), "x-price": _price(method)}
    return operation


def _success(kind: Kind) -> Document:
    if kind in _FORWARDING:
        return {"description": "The upstream's answer.", "content": {"*/*": {}}}
    return {"description": "The answer.", "content": {"application/json": {"schema": {"type": "object"}}}}


def _body(method: Method) -> Document:
    """The parameters that change the price; all others pass as they are."""
    schema: Document = {
        "type": "object",
        "properties": {name: _READ[kind] for name, kind in method.parameters.items()},
        "additionalProperties": True,
    }
    images = [name for name, kind in method.parameters.items() if kind is Read.IMAGE]
    if images:
        schema["required"] = images
    kinds = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
    return {"required": True, "content": {kind: {"schema": schema} for kind in kinds}}


def _price(method: Method) -> Document:
    return {"status": str(method.status), "source": method.source, "enabled": method.enabled}


def _refused(group: str, errors: Errors) -> Document:
    return {status: {"$ref": f"#/components/responses/{group}-{status}"} for status in _by_status(errors)}


def _by_status(errors: Errors) -> dict[str, dict[str, Row]]:
    """By status: the row of every reason that has it."""
    found: dict[int, dict[str, Row]] = {INTERNAL.status: {"internal": INTERNAL}}
    for kind in errors:
        row = TABLE[kind]
        for status in (row.status, *([row.other.status] if row.other is not None else [])):
            found.setdefault(status, {})[kind.reason] = row
    return {str(status): rows for status, rows in sorted(found.items())}


def _problem_response(rows: Mapping[str, Row], *, forwarded: bool) -> Document:
    """A refusal of ours; where calls are forwarded, the upstream may have answered so too, in a form of its own."""
    told = {
        "reason": {"enum": list(rows)},
        "type": {"enum": [TYPE_PREFIX + reason.replace("_", "-") for reason in rows]},
    }
    schema: Document = {"allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": told}]}
    titles = "; ".join(dict.fromkeys(row.title for row in rows.values()))
    if not forwarded:
        return {"description": f"{titles}.", "content": {CONTENT_TYPE: {"schema": schema}}}
    content: Document = {CONTENT_TYPE: {"schema": {"anyOf": [schema, _NOT_OURS]}}, "*/*": {}}
    return {"description": f"{titles}; or the upstream's own answer, as it is.", "content": content}
