"""Where a request carries its token. Pure: header fields and the raw query in, the one token out."""

import re
from collections.abc import Iterable
from dataclasses import field
from urllib.parse import unquote_plus

from gateway.errors import AmbiguousCredentials, TokenInUrl, Unauthenticated
from gateway.values import value

# Compared without case, `-` and `_`: api_key, API-Key and apikey are one name.
QUERY_NAMES = frozenset(
    {
        "accesstoken", "apikey", "authorization", "jwt", "key", "token",
        "xapikey", "xdezgokey", "xrapidapikey",
    }
)  # fmt: skip

_FIELDS = frozenset({"x-dezgo-key", "x-rapidapi-key", "authorization"})

_BEARER = re.compile(r"bearer ([A-Za-z0-9._~+/=-]+)", re.IGNORECASE | re.ASCII)
_SEPARATORS = re.compile(r"[&;]")


@value(frozen=True, slots=True)
class Presented:
    """The one token of a request.

    Attributes:
        token: as received, not yet looked at.
        speaks_rapidapi: it came in `X-RapidAPI-Key`; such a client knows 429 but not 402.
    """

    token: str = field(repr=False)
    speaks_rapidapi: bool


def find_token(fields: Iterable[tuple[str, str]], query: str) -> Presented:
    """The token in `X-Dezgo-Key`, `X-RapidAPI-Key` or `Authorization: Bearer`.

    The same token may stand in several places. An empty key field holds no token.

    Args:
        fields: (lower-case name, value) in order of arrival.
        query: the raw query string without `?`.

    Raises:
        TokenInUrl: a query parameter has a credential's name, whatever its value.
        AmbiguousCredentials: two different tokens.
        Unauthenticated: `missing` when there is none, `jwt_form` for an `Authorization` that is not `Bearer`, one
            space and one token.
    """
    if query and any(map(_is_credential_name, _SEPARATORS.split(query))):
        raise TokenInUrl
    tokens: set[str] = set()
    speaks_rapidapi = False
    for name, said in fields:
        if name not in _FIELDS:
            continue
        token = _bearer(said) if name == "authorization" else said
        if token:
            tokens.add(token)
            speaks_rapidapi = speaks_rapidapi or name == "x-rapidapi-key"
    if not tokens:
        raise Unauthenticated("missing")
    if len(tokens) > 1:
        raise AmbiguousCredentials
    return Presented(tokens.pop(), speaks_rapidapi)


def _bearer(said: str) -> str:
    bearer = _BEARER.fullmatch(said)
    if bearer is None:
        raise Unauthenticated("jwt_form")
    return bearer[1]


def _is_credential_name(parameter: str) -> bool:
    name = unquote_plus(parameter.partition("=")[0]).partition("[")[0]
    return re.sub(r"[\s_-]", "", name).lower() in QUERY_NAMES
