"""Headers: what of a client's fields goes upstream, what of the upstream's comes back, and what we add. Pure.

Both ways are allow-lists. The master account's numbers are on neither; in their place a client finds its own.
"""

import re
from functools import lru_cache

from gateway.ledger.budget import Balance
from gateway.messages import Fields, Flavour, Reply
from gateway.units import MILLICREDITS_PER_CREDIT, Credits

Pairs = list[tuple[str, str]]

# A caller's trace goes on too, but never as it came: see `traces`.
# Names with an underscore in the place of the hyphen are other names, so they are dropped with the rest.
FORWARDED = frozenset({"accept", "content-type"})

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105 - RFC 9110's word for a kind of name
_PARAMETER = rf"[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|\"[\x20-\x21\x23-\x5b\x5d-\x7e]*\")"
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:{_PARAMETER}){{0,8}}", re.ASCII)
_VISIBLE = re.compile(r"[\x20-\x7e]+", re.ASCII)
_VALUE_CHARACTERS_MAX = 1024

# What comes back, and the form each value must have.
PASSED_BACK: dict[str, re.Pattern[str]] = {
    "content-type": _MEDIA_TYPE,
    "content-disposition": _VISIBLE,
    "x-input-seed": _VISIBLE,
    "x-dezgo-job-id": _VISIBLE,
}

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9._:@%-]+", re.ASCII)
_NAME_CHARACTERS_MAX = 128
_NAMES_KEPT = 4_096


def forwardable(fields: Fields) -> Fields:
    """What of a client's fields (names in lower case) may go upstream, in order.

    A field that `Connection` names is the client's wish for one hop and leaves with it.
    """
    wishes = [value for name, value in fields if name == "connection"]
    one_hop = {name.strip().lower() for name in ",".join(wishes).split(",")} if wishes else ()
    return tuple([(name, value) for name, value in fields if name in FORWARDED and name not in one_hop])


def passed_back(reply: Reply) -> Pairs:
    """What of the upstream's fields a client sees: listed, given once, well formed, at most 1,024 characters."""
    found: dict[str, str | None] = {}
    for name, value in reply.fields:
        if name in PASSED_BACK:
            found[name] = None if name in found else value
    return [(name, value) for name, value in found.items() if value is not None and _is_fit(name, value)]


def holds_control(text: str) -> bool:
    """Whether `text` holds what a field's value may not: a control character other than the tab."""
    return not text.isprintable() and _CONTROL.search(text) is not None


def standing_fields(charged: Credits | None, balance: Balance, remaining: Credits, flavour: Flavour) -> Pairs:
    """What a client is told of its own money, under the names it knows from the upstream and by RFC draft.

    What was charged is exact. Limit and remaining are floored to whole credits, because clients read them as
    whole numbers; in USD remaining is exact. A window without end has no reset.

    Args:
        charged: what this call is settled at; None for a free call.
        balance: the caller's tightest budget.
        remaining: what that budget has left after this call.
        flavour: how the upstream is sold: a direct client finds its numbers in USD too.
    """
    limit, left, reset_s = _whole(balance.limit), _whole(remaining), balance.reset_s
    fields: Pairs = [("x-credits-cost", str(charged))] if charged is not None else []
    fields += [("x-ratelimit-credits-limit", limit), ("x-ratelimit-credits-remaining", left)]
    if reset_s is not None:
        fields.append(("x-ratelimit-credits-reset", str(reset_s)))
    if flavour is Flavour.DIRECT:
        fields += [("x-dezgo-job-amount-usd", charged.usd())] if charged is not None else []
        fields.append(("x-dezgo-balance-total-usd", remaining.usd()))
    return fields + _rate_limit(balance, limit, left, reset_s)


def _rate_limit(balance: Balance, limit: str, left: str, reset_s: int | None) -> Pairs:
    """`RateLimit-Policy` and `RateLimit`, as structured fields (RFC 9651)."""
    name = f'"{_sayable(balance.budget.name)}"'
    policy, state = f"{name};q={limit}", f"{name};r={left}"
    if reset_s is not None and balance.span.end_ms is not None:
        policy += f";w={max(1, (balance.span.end_ms - balance.span.start_ms) // 1000)}"
        state += f";t={reset_s}"
    return [("ratelimit-policy", policy), ("ratelimit", state)]


def gateway_fields(request_id: str) -> Pairs:
    """What every answer of the gateway carries; nothing for an id that is not 1 to 64 of `[A-Za-z0-9-]`."""
    return [("x-request-id", request_id)] if _REQUEST_ID.fullmatch(request_id) else []


def _is_fit(name: str, value: str) -> bool:
    return len(value) <= _VALUE_CHARACTERS_MAX and PASSED_BACK[name].fullmatch(value) is not None


def _whole(amount: Credits) -> str:
    return str(max(0, amount.millicredits) // MILLICREDITS_PER_CREDIT)


@lru_cache(maxsize=_NAMES_KEPT)
def _sayable(budget_name: str) -> str:
    """A budget's name in the alphabet of structured-field strings, without need of escapes."""
    return _UNNAMEABLE.sub("-", budget_name)[:_NAME_CHARACTERS_MAX]
