"""Answers in the upstream's words: pictures, errors of both flavours, and the fields that speak of money.

Exact bodies of the direct 401, 402 and 429 are not known; theirs follow the known shape of its 400.
"""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus

from gateway.simulator.book import Book, Charge, plain, usd
from gateway.simulator.faults import Fault
from gateway.simulator.settings import Flavour

JSON = "application/json"
PROBLEM = "application/problem+json"
USER_ID = "simulated-user"

_PLANS = "https:\\/\\/rapidapi.com\\/simulator\\/api\\/simulator"
_BAD_KEY = "Invalid API key. Go to https://docs.rapidapi.com/docs/keys for more info."
_NO_CREDITS = (
    f"You have exceeded the MONTHLY quota for Credits on your current plan, BASIC. Upgrade your plan at {_PLANS}"
)
_UNREACHABLE = {
    "messages": "The API is unreachable, please contact the API provider",
    "info": "Your Client (working) ---> Gateway (working) ---> API (not working)",
}
_BY_GATEWAY = ("x-rapidapi-proxy-response", "true")
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Payload Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass(slots=True)
class Answer:
    """One answer before it is sent: status, body, its type, and further fields in order."""

    status: int
    body: bytes
    content_type: str = JSON
    fields: list[tuple[str, str]] = field(default_factory=list)


def as_json(value: object, *, status: int = 200) -> Answer:
    """`value` as a JSON answer."""
    return Answer(status, json.dumps(value).encode())


def problem(status: int, detail: str, *, title: str | None = None) -> Answer:
    """An error of the API itself, the same in both flavours."""
    document = {"title": title or _TITLES.get(status, "Error"), "status": status, "detail": detail}
    return Answer(status, json.dumps(document).encode(), PROBLEM)


def _message(status: int, text: str) -> Answer:
    """An error of RapidAPI's own gateway. `text` is already escaped for JSON."""
    return Answer(status, f'{{"message":"{text}"}}'.encode(), fields=[_BY_GATEWAY])


def refused_key(flavour: Flavour) -> Answer:
    """The key is missing or wrong."""
    return _message(401, _BAD_KEY) if flavour == "rapidapi" else problem(401, "Missing or invalid API key")


def exhausted(flavour: Flavour) -> Answer:
    """The account cannot bear the call."""
    return _message(429, _NO_CREDITS) if flavour == "rapidapi" else problem(402, "Insufficient balance")


def not_found(flavour: Flavour, path: str) -> Answer:
    """No such path."""
    if flavour == "rapidapi":
        return _message(404, f"Endpoint '{json.dumps(path)[1:-1]}' does not exist")
    return problem(404, "No such endpoint")


def faulty(flavour: Flavour, fault: Fault) -> Answer | None:
    """The answer a fault puts in place of the true one; None when it leaves it there."""
    status = fault.status
    if "rapidapi_gateway" in fault:
        return Answer(status or 502, json.dumps(_UNREACHABLE).encode(), fields=[_BY_GATEWAY])
    if "html_5xx" in fault:
        page = b"<!DOCTYPE html><html><body><h1>Application error</h1></body></html>"
        return Answer(status or 500, page, "text/html; charset=utf-8")
    if url := fault.get("redirect"):
        return Answer(status or 302, b"", "text/plain", [("location", url)])
    if "exhausted" in fault or status == (402 if flavour == "direct" else 429):
        return exhausted(flavour)
    if status is None or status < HTTPStatus.BAD_REQUEST:
        return None
    return refused_key(flavour) if status == HTTPStatus.UNAUTHORIZED else problem(status, "Simulated failure")


def told_amounts(flavour: Flavour, credits: Decimal, lie: str | None) -> tuple[str, ...]:
    """The charge as the answer names it, truly or with one of the lies of the fault `charge`."""
    amount = usd(credits) if flavour == "direct" else plain(credits)
    head, last = (amount[:-1], amount[-1]) if len(amount) > 1 else (amount, "0")
    lies: dict[str, tuple[str, ...]] = {
        "missing": (),
        "duplicate": (amount, "0.0001" if flavour == "direct" else "1"),
        "malformed": ("nineteen",),
        "folded": (f"{head}\r\n {last}",),
        "zero": ("0",),
        "huge": ("9" * 15,),
    }
    return (amount,) if lie is None else lies[lie]


def money_fields(flavour: Flavour, charge: Charge, book: Book) -> list[tuple[str, str]]:
    """What a charged answer says of money and of the job."""
    if flavour == "direct":
        return [
            *(("x-dezgo-job-amount-usd", amount) for amount in charge.told),
            ("x-dezgo-balance-total-usd", usd(charge.balance)),
            ("x-dezgo-balance-index", str(charge.index)),
            ("x-dezgo-auth-userid", USER_ID),
            ("x-dezgo-job-id", charge.job),
        ]
    return [
        *(("x-credits-cost", amount) for amount in charge.told),
        ("x-ratelimit-credits-limit", plain(book.limit)),
        ("x-ratelimit-credits-remaining", plain(charge.balance)),
        ("x-ratelimit-credits-reset", str(book.reset_s)),
    ]


def house_fields(flavour: Flavour) -> list[tuple[str, str]]:
    """What every answer of this flavour carries."""
    if flavour == "direct":
        return [("server", "simulator")]
    return [
        ("x-rapidapi-version", "1.2.8"),
        ("x-rapidapi-region", "AWS - us-east-1"),
        ("server", "RapidAPI-1.2.8"),
    ]
