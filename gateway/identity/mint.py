"""Tokens of our own, for development, the demo and tests. A production gateway only verifies."""

import secrets
from dataclasses import dataclass, field, replace

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from jwt import encode

from gateway.identity.claims import Claim, ClaimRules, Fixed, read_principal
from gateway.identity.keys import BadKey, Key, public_key, secret_key
from gateway.identity.principal import Grants, Principal
from gateway.units import Credits

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What signs, and the key that verifies it."""

    verifying: Key
    material: bytes | PrivateKey = field(repr=False, compare=False)


def secret_signer(secret: bytes, *, kid: str | None = None) -> SigningKey:
    """Sign with HS256. Raises BadKey as `keys.secret_key`."""
    return SigningKey(secret_key(secret, kid=kid), secret)


def pem_signer(pem: str | bytes, *, kid: str | None = None) -> SigningKey:
    """Sign with an unencrypted private key: RSA, P-256 or Ed25519.

    Raises:
        BadKey: unreadable, or a kind of key no token would be verified with.
    """
    raw = pem.encode() if isinstance(pem, str) else pem
    try:
        private = load_pem_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey("is not a readable PEM private key") from None
    if not isinstance(private, PrivateKey):
        raise BadKey("is not an RSA, P-256 or Ed25519 key")
    return SigningKey(public_key(private.public_key(), kid=kid), private)


def fresh_secret() -> str:
    """A new HS256 secret: 64 printable characters, 384 random bits."""
    return secrets.token_urlsafe(48)


def fresh_private_pem() -> str:
    """A new Ed25519 private key, PEM, unencrypted."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode("ascii")


def public_pem(private_pem: str | bytes) -> str:
    """The public half, for the gateway's configuration. Raises BadKey as `pem_signer`."""
    material = pem_signer(private_pem).verifying.material
    if isinstance(material, bytes):
        raise BadKey("has no public half")
    return material.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def mint_token(
    key: SigningKey,
    *,
    issuer: str,
    audience: str,
    tenant: str,
    ttl_s: int,
    now: float,
    team: str | None = None,
    user: str | None = None,
    methods: frozenset[str] | None = None,
    credits_max: Credits | None = None,
    rules: ClaimRules | None = None,
) -> str:
    """A token that `rules` read back as exactly this caller, valid from `now` for `ttl_s` seconds.

    `issuer` and `audience` become `iss` and `aud`; the rest says who calls and what the token narrows. `now` is in
    seconds since the epoch. Without `rules` the claims stand in their default places.

    Raises:
        ValueError: `ttl_s` below 1, or the rules cannot say this caller (a fixed tenant, say).
        TenantInvalid, Unauthenticated: a name or grant no token may carry.
    """
    if ttl_s < 1:
        raise ValueError("ttl_s must be at least 1")
    issued = int(now)
    claims: dict[str, object] = {"iss": issuer, "aud": audience, "iat": issued, "exp": issued + ttl_s}
    claims["jti"] = secrets.token_hex(8)
    caller = Principal(tenant, team, user, Grants(methods, credits_max), expires_at=issued + ttl_s)
    _say(claims, caller, rules or ClaimRules())
    kid = key.verifying.kid
    headers = None if kid is None else {"kid": kid}
    return encode(claims, key.material, algorithm=key.verifying.algorithm, headers=headers)


def _say(claims: dict[str, object], caller: Principal, rules: ClaimRules) -> None:
    """Write the caller where `rules` look for it, and read it back."""
    methods, credits_max = caller.grants.methods, caller.grants.credits_max
    _put(claims, rules.tenant, caller.tenant)
    _put(claims, rules.team, caller.team)
    _put(claims, rules.user, caller.user)
    _put(claims, rules.methods, None if methods is None else sorted(methods))
    _put(claims, rules.credits_max, None if credits_max is None else str(credits_max))
    read = read_principal(claims, rules, expires_at=caller.expires_at)
    if replace(read, token_id=None) != caller:
        raise ValueError("the claim rules cannot say this caller")


def _put(claims: dict[str, object], place: Claim | Fixed | None, value: object) -> None:
    if value is None or not isinstance(place, Claim):
        return
    *outer, last = place.path
    here = claims
    for step in outer:
        inner = here.setdefault(step, {})
        if not isinstance(inner, dict):
            raise ValueError("two claim paths stand in each other's way")  # noqa: TRY004 - a value's fault
        here = inner
    here[last] = value
