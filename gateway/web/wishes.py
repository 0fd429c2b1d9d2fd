"""Wishes: what a caller asks of the gateway itself, in fields that go no further. Unreadable ones are refused."""

import asyncio
import re

from gateway.errors import BadHeader, Busy
from gateway.exchange import Ceiling
from gateway.identity.principal import Principal
from gateway.ledger.budget import Path
from gateway.messages import Call, Fields
from gateway.once import Digest, Once
from gateway.units import Credits

MAX_CREDITS = "x-gateway-max-credits"
DRY_RUN = "x-gateway-dry-run"
IDEMPOTENCY_KEY = "idempotency-key"

KEY_CHARACTERS_MAX = 255

# Bodies up to this size are hashed in about two milliseconds.
HASHED_ON_LOOP_BYTES_MAX = 1_048_576

_WHOLE = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,3})?", re.ASCII)

# A structured-field string (RFC 9651), and the same key as most clients write it.
_QUOTED = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"', re.ASCII)
_BARE = re.compile(r"[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]+", re.ASCII)
_ESCAPED = re.compile(r"\\(.)")


def ceilings_of(fields: Fields, principal: Principal) -> tuple[Ceiling, ...]:
    """What the caller's header and token allow one call to cost at most. Raises BadHeader."""
    found = []
    said = [value for name, value in fields if name == MAX_CREDITS]
    if len(said) > 1 or any(not _WHOLE.fullmatch(value) for value in said):
        raise BadHeader("X-Gateway-Max-Credits", "must be one plain number of credits")
    if said:
        found.append(Ceiling(_credits(said[0]), "header"))
    if principal.grants.credits_max is not None:
        found.append(Ceiling(principal.grants.credits_max, "grant"))
    return tuple(found)


def _credits(text: str) -> Credits:
    try:
        return Credits.parse(text)
    except ValueError:
        raise BadHeader("X-Gateway-Max-Credits", "is too large") from None


def wants_dry_run(fields: Fields) -> bool:
    """Whether only the price is asked for. Raises BadHeader."""
    said = [value.lower() for name, value in fields if name == DRY_RUN]
    if not said:
        return False
    if len(said) > 1 or said[0] not in ("true", "false"):
        # Taken for "no", a misspelt wish not to be charged would cost money.
        raise BadHeader("X-Gateway-Dry-Run", "must be true or false")
    return said[0] == "true"


def idempotency_key(fields: Fields) -> str | None:
    """The caller's key without its quotes, None when there is none. Raises BadHeader."""
    said = [value for name, value in fields if name == IDEMPOTENCY_KEY]
    if not said:
        return None
    if len(said) > 1:
        raise BadHeader("Idempotency-Key", "must be given once")
    quoted = _QUOTED.fullmatch(said[0])
    key = _ESCAPED.sub(r"\1", quoted[1]) if quoted else said[0]
    if not quoted and not _BARE.fullmatch(key):
        raise BadHeader(
            "Idempotency-Key", "must be a quoted string, or printable ASCII without space, quote, backslash and comma"
        )
    if not 1 <= len(key) <= KEY_CHARACTERS_MAX:
        raise BadHeader("Idempotency-Key", f"must have 1 to {KEY_CHARACTERS_MAX} characters")
    return key


async def once_of(key: str, payer: Path, call: Call) -> Once:
    """`call`, to be made once for `payer`. Its bytes count, not their meaning: a retry sends them as they were.

    Raises:
        Busy: its body cannot be read again.
    """
    kind = next((value for name, value in call.fields if name == "content-type"), "")
    asked = [part.encode("utf-8", "surrogateescape") for part in (call.verb, call.path, call.query, kind)]
    who = (payer.tenant, payer.team, payer.user)
    if not isinstance(call.body, bytes):
        digest = Digest(asked)
        digest.begin(len(call.body))
        try:
            async for piece in call.body.pieces():
                digest.feed(piece)
        except OSError:
            raise Busy from None
        return Once.over(key, who, digest)
    if len(call.body) <= HASHED_ON_LOOP_BYTES_MAX:
        return Once.of(key, who, [*asked, call.body])
    return await asyncio.to_thread(Once.of, key, who, [*asked, call.body])
