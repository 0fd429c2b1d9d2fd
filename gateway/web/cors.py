"""CORS: which browsers' pages may call. Off without origins. Pure.

Tokens travel in fields, never in cookies, so no answer ever allows credentials; an origin is told back exactly, never
as `*`.
"""

from collections.abc import Iterable

from gateway.messages import Fields

Pairs = tuple[tuple[str, str], ...]

# What a page may send, and what of an answer it may read besides the few fields every page may.
ALLOWED = (
    *("Authorization", "Content-Type", "X-Dezgo-Key", "X-RapidAPI-Key", "X-RapidAPI-Host"),
    *("X-Gateway-Max-Credits", "X-Gateway-Dry-Run", "Idempotency-Key", "traceparent", "tracestate"),
)
EXPOSED = (
    *("X-Request-Id", "X-Input-Seed", "X-Credits-Cost", "X-RateLimit-Credits-Limit", "X-RateLimit-Credits-Remaining"),
    *("X-RateLimit-Credits-Reset", "RateLimit", "RateLimit-Policy", "Retry-After", "Content-Disposition"),
    *("X-Dezgo-Job-Id", "X-Dezgo-Job-Amount-Usd", "X-Dezgo-Balance-Total-Usd"),
)
MAX_AGE_S = 600


class Cors:
    """The rules for browsers.

    Args:
        origins: exact origins, such as `https://app.example`; none switches all of this off.
    """

    def __init__(self, origins: Iterable[str] = ()) -> None:
        self._origins = frozenset(origins)

    def answer_fields(self, origin: str | None) -> Pairs:
        """What every answer carries for a page of `origin`."""
        if not self._origins:
            return ()
        fields: Pairs = (("Vary", "Origin"),)
        if origin in self._origins and origin is not None:
            fields += (("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", ", ".join(EXPOSED)))
        return fields

    def asked_verb(self, verb: str, fields: Fields) -> str | None:
        """The verb that a preflight of an allowed origin asks for; None for everything else."""
        origins = [value for name, value in fields if name == "origin"]
        asked = [value for name, value in fields if name == "access-control-request-method"]
        if verb != "OPTIONS" or len(asked) != 1 or len(origins) != 1 or origins[0] not in self._origins:
            return None
        return asked[0]

    def preflight_fields(self, verbs: Iterable[str]) -> Pairs:
        """What a preflight is told besides `answer_fields`."""
        return (
            ("Access-Control-Allow-Methods", ", ".join(sorted(verbs))),
            ("Access-Control-Allow-Headers", ", ".join(ALLOWED)),
            ("Access-Control-Max-Age", str(MAX_AGE_S)),
        )
