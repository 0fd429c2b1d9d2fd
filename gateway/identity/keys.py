"""Keys a token may be verified with, each bound to the one algorithm it is for.

1. The algorithm comes from the key, never from a token.
2. A weak or ambiguous key is refused when it is loaded, not when it is used.
3. No key shows in a repr, an error or a log.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidKeyError

from gateway.identity.preparse import KID_CHARS_MAX

SECRET_BYTES_MIN = 32
RSA_BITS_MIN = 2048
RSA_BITS_MAX = 8192

# A smaller exponent is weak, a larger one makes every check slow.
RSA_EXPONENTS = range(65_537, 2**32)

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


@dataclass(eq=False)
class BadKey(ValueError):
    """A key that is not taken. `problem` says why, in our words; nothing of the key is kept."""

    problem: str

    def __str__(self) -> str:
        return f"key {self.problem}"


@dataclass(frozen=True, slots=True)
class Key:
    """One key; built by `secret_key`, `pem_key` or `jwk.read_jwk`, which refuse the weak ones.

    Attributes:
        kid: 1 to 128 characters, or None.
        algorithm: HS256, RS256, ES256 or EdDSA; the only one it verifies.
        material: the secret's bytes or the public key.
        fingerprint: equal for equal keys.
    """

    kid: str | None
    algorithm: str
    material: bytes | PublicKey = field(repr=False, compare=False)
    fingerprint: bytes = field(repr=False)


def secret_key(secret: bytes, *, kid: str | None = None) -> Key:
    """An HS256 key of at least 32 bytes.

    Raises:
        BadKey: too short, or it is a public key, certificate or JWK in any spelling: everybody knows those.
    """
    if len(secret) < SECRET_BYTES_MIN:
        raise BadKey("is shorter than 32 bytes")
    if b"-----BEGIN" in secret or not _is_secret(secret):
        raise BadKey("is no secret: it reads as a key or certificate")
    return Key(_checked_kid(kid), "HS256", secret, hashlib.sha256(secret).digest())


def pem_key(pem: str | bytes, *, kid: str | None = None) -> Key:
    """A public key from its PEM form: RSA → RS256, P-256 → ES256, Ed25519 → EdDSA.

    Raises:
        BadKey: unreadable, private, of another kind, or RSA outside 2048 to 8192 bits or with an unusual exponent.
    """
    raw = pem.encode() if isinstance(pem, str) else pem
    if b"PRIVATE KEY-----" in raw:
        raise BadKey("is a private key: configure its public half")
    try:
        public = load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey("is not a readable PEM public key") from None
    return public_key(public, kid=kid)


def public_key(public: object, *, kid: str | None = None) -> Key:
    """A key from a loaded public key; which are taken and BadKey as in `pem_key`."""
    if not isinstance(public, PublicKey):
        raise BadKey("is not an RSA, P-256 or Ed25519 key")
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Key(_checked_kid(kid), _algorithm_of(public), public, hashlib.sha256(der).digest())


def _algorithm_of(public: PublicKey) -> str:
    if isinstance(public, RSAPublicKey):
        if not RSA_BITS_MIN <= public.key_size <= RSA_BITS_MAX:
            raise BadKey("is RSA outside 2048 to 8192 bits")
        if public.public_numbers().e not in RSA_EXPONENTS:
            raise BadKey("is RSA with an exponent below 65537 or of more than 32 bits")
        return "RS256"
    if isinstance(public, EllipticCurvePublicKey):
        if not isinstance(public.curve, SECP256R1):
            raise BadKey("is on another curve than P-256")
        return "ES256"
    return "EdDSA"


def _checked_kid(kid: str | None) -> str | None:
    if kid is not None and not 1 <= len(kid) <= KID_CHARS_MAX:
        raise BadKey("has a kid outside 1 to 128 characters")
    return kid


def _is_secret(secret: bytes) -> bool:
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class KeySet:
    """An immutable set of keys in which no `kid` means two of them."""

    keys: frozenset[Key] = frozenset()
    _by_kid: dict[str, Key] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_kid = {key.kid: key for key in self.keys if key.kid is not None}
        if len(by_kid) != sum(key.kid is not None for key in self.keys):
            raise BadKey("shares its kid with another")
        object.__setattr__(self, "_by_kid", by_kid)

    @classmethod
    def of(cls, keys: Iterable[Key]) -> Self:
        """The set of `keys`. Raises BadKey when a `kid` stands twice, even for the same key."""
        listed = tuple(keys)
        kids = [key.kid for key in listed if key.kid is not None]
        if len(set(kids)) != len(kids):
            raise BadKey("shares its kid with another")
        return cls(frozenset(listed))

    def by_kid(self, kid: str) -> Key | None:
        """The key of exactly this `kid`."""
        return self._by_kid.get(kid)

    def by_algorithm(self, algorithm: str) -> tuple[Key, ...]:
        """All keys for `algorithm`, in no order."""
        return tuple(key for key in self.keys if key.algorithm == algorithm)
