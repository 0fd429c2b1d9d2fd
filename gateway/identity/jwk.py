"""Public keys in JSON (RFC 7517): one JWK, or a provider's whole document. Pure.

Only public keys come from here: a symmetric or private key somebody published is no longer secret.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from gateway.identity import base64url
from gateway.identity.keys import RSA_BITS_MAX, BadKey, Key, KeySet, PublicKey, public_key
from gateway.identity.strictjson import NotStrict, read_object

KEYS_MAX = 100
_COORDINATE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Reading:
    """A provider's document: the usable keys, and how many were rejected."""

    keys: KeySet
    rejected: int


def read_jwks(body: bytes) -> Reading:
    """The usable keys of a JWKS document. Bad ones are rejected one by one, the rest is kept.

    Two different keys under one `kid` are both rejected: a token could mean either.

    Raises:
        BadKey: no JSON object with a list `keys` of at most 100, or no usable key in it.
    """
    try:
        listed = read_object(body).get("keys")
    except NotStrict:
        raise BadKey("set is not readable JSON") from None
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise BadKey("set has no list of at most 100 keys")
    distinct = {key for key in map(_key_or_none, listed) if key is not None}
    times = Counter(key.kid for key in distinct)
    keys = KeySet.of(key for key in distinct if key.kid is None or times[key.kid] == 1)
    if not keys.keys:
        raise BadKey("set has no usable key")
    return Reading(keys, rejected=len(listed) - len(keys.keys))


def _key_or_none(entry: object) -> Key | None:
    try:
        return read_jwk(entry) if isinstance(entry, dict) else None
    except BadKey:
        return None


def read_jwk(jwk: Mapping[str, object]) -> Key:
    """One public RSA, P-256 or Ed25519 key; its algorithm follows from its kind.

    Raises:
        BadKey: symmetric, private, weak, malformed, or declared for another use, operation or algorithm.
    """
    if "d" in jwk or "k" in jwk:
        raise BadKey("holds a secret part")
    kid = jwk.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise BadKey("has a kid that is no string")
    key = public_key(_public(jwk), kid=kid)
    _check_purpose(jwk, key.algorithm)
    return key


def _check_purpose(jwk: Mapping[str, object], algorithm: str) -> None:
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig":
        raise BadKey("is not for signatures")
    if not isinstance(operations, list) or "verify" not in operations:
        raise BadKey("is not for verifying")
    if jwk.get("alg", algorithm) != algorithm:
        raise BadKey("is declared for another algorithm")


def _public(jwk: Mapping[str, object]) -> PublicKey:
    kind = (jwk.get("kty"), jwk.get("crv"))
    try:
        if kind[0] == "RSA":
            return RSAPublicNumbers(e=_number(jwk, "e"), n=_number(jwk, "n")).public_key()
        if kind == ("EC", "P-256"):
            x, y = _number(jwk, "x", _COORDINATE_BYTES), _number(jwk, "y", _COORDINATE_BYTES)
            return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
        if kind == ("OKP", "Ed25519"):
            return Ed25519PublicKey.from_public_bytes(_octets(jwk, "x"))
    except BadKey:
        raise
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey("has impossible numbers") from None
    raise BadKey("is not an RSA, P-256 or Ed25519 key")


def _number(jwk: Mapping[str, object], member: str, exactly_bytes: int | None = None) -> int:
    octets = _octets(jwk, member)
    if exactly_bytes is not None and len(octets) != exactly_bytes:
        raise BadKey("has a coordinate of the wrong length")
    return int.from_bytes(octets, "big")


def _octets(jwk: Mapping[str, object], member: str) -> bytes:
    text = jwk.get(member)
    octets = base64url.decode(text) if isinstance(text, str) else None
    if not octets or len(octets) > RSA_BITS_MAX // 8 + 1:
        raise BadKey("has a member that is not canonical base64url")
    return octets
