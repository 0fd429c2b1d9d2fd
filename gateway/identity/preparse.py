"""What a token says before anything is proven: one strict reading, or a refusal.

1. Pure: no clock, no key, no I/O.
2. The size is looked at before base64, base64 before JSON, JSON before any cryptography.
3. The only exception is `Unauthenticated`; it carries a code and never a value.

PyJWT alone takes the last of two equal claims, `exp` as a string, padded base64 and any size; every token comes
through here first.
"""

from dataclasses import dataclass, field

from gateway.errors import Unauthenticated
from gateway.identity import base64url
from gateway.identity.strictjson import NotStrict, read_object

TOKEN_BYTES_MAX = 8 * 1024
KID_CHARS_MAX = 128

# The end of the year 9999: a time beyond it is a mistake or an attack.
SECONDS_MAX = 253_402_300_799

ALGORITHMS = frozenset({"HS256", "RS256", "ES256", "EdDSA"})
TYPES = frozenset({"jwt", "at+jwt"})

# The thumbprints name a certificate and nothing else; some providers always send them. They are never read.
# Whatever brings a key, an address, a compression or a rule of its own (jwk jku x5c x5u zip crit b64 cty …) is
# refused by not being here.
HEADER_MEMBERS = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})


@dataclass(frozen=True, slots=True)
class Unverified:
    """A well-formed token's content. Nothing in it is true yet.

    Attributes:
        algorithm: one of `ALGORITHMS`.
        typed: its header has a `typ`, and a fitting one.
        kid: at most 128 characters, or None.
        issuer: the `iss` claim, not empty.
        expires_at, not_before, issued_at: `exp`, `nbf`, `iat`, seconds since the epoch; the last two may be None.
        claims: all claims as read.
    """

    algorithm: str
    typed: bool
    kid: str | None = field(repr=False)
    issuer: str = field(repr=False)
    expires_at: float
    not_before: float | None
    issued_at: float | None
    claims: dict[str, object] = field(repr=False)


def preparse(token: str | bytes, *, require_typ: bool = True) -> Unverified:
    """Read `token` in the one way it can be read.

    Args:
        token: the compact form, as received.
        require_typ: refuse a token without `typ`. One that has it must say `JWT` or `at+jwt` in any case.

    Raises:
        Unauthenticated: with `jwt_size`, `jwt_form`, `jwt_dup`, `jwt_header`, `jwt_alg`, `jwt_kid`, `jwt_typ`,
            `jwt_claim` or `jwt_iss`.
    """
    header_raw, claims_raw, signature = _parts(token)
    header = _object(header_raw, number_code="jwt_header")
    algorithm, kid = _read_header(header, require_typ=require_typ)
    if not signature:
        raise Unauthenticated("jwt_form")
    claims = _object(claims_raw, number_code="jwt_claim")
    expires_at = _time(claims, "exp")
    if expires_at is None:
        raise Unauthenticated("jwt_claim")
    return Unverified(
        algorithm=algorithm,
        typed="typ" in header,
        kid=kid,
        issuer=_issuer(claims),
        expires_at=expires_at,
        not_before=_time(claims, "nbf"),
        issued_at=_time(claims, "iat"),
        claims=claims,
    )


def _parts(token: str | bytes) -> tuple[bytes, bytes, bytes]:
    if len(token) > TOKEN_BYTES_MAX:
        raise Unauthenticated("jwt_size")
    # latin-1 never fails; what is not ASCII is not in the alphabet either.
    text = token if isinstance(token, str) else token.decode("latin-1")
    parts = text.split(".")
    if len(parts) == 5:  # noqa: PLR2004 - an encrypted token (JWE) has five parts
        raise Unauthenticated("jwt_header")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature
        raise Unauthenticated("jwt_form")
    header, claims, signature = map(base64url.decode, parts)
    if header is None or claims is None or signature is None:
        raise Unauthenticated("jwt_form")
    return header, claims, signature


def _object(raw: bytes, *, number_code: str) -> dict[str, object]:
    codes = {"form": "jwt_form", "duplicate": "jwt_dup", "number": number_code}
    try:
        return read_object(raw)
    except NotStrict as fault:
        raise Unauthenticated(codes[fault.problem]) from None


def _read_header(header: dict[str, object], *, require_typ: bool) -> tuple[str, str | None]:
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise Unauthenticated("jwt_alg")
    if not header.keys() <= HEADER_MEMBERS:
        raise Unauthenticated("jwt_header")
    if "kid" not in header:
        kid = None
    elif not isinstance(kid, str) or not 1 <= len(kid) <= KID_CHARS_MAX:
        raise Unauthenticated("jwt_kid")
    _check_typ(header, require_typ=require_typ)
    return algorithm, kid


def _check_typ(header: dict[str, object], *, require_typ: bool) -> None:
    if "typ" not in header and not require_typ:
        return
    typ = header.get("typ")
    if not isinstance(typ, str) or typ.lower() not in TYPES:
        raise Unauthenticated("jwt_typ")


def _issuer(claims: dict[str, object]) -> str:
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise Unauthenticated("jwt_iss")
    return issuer


def _time(claims: dict[str, object], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    # bool is an int to Python, but no time.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= SECONDS_MAX:
        raise Unauthenticated("jwt_claim")
    return float(value)
