"""Tokens built by hand, right and wrong, and the keys they are signed with."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.errors import GatewayError, TenantInvalid, Unauthenticated
from gateway.identity import base64url
from gateway.identity.mint import SigningKey, pem_signer, secret_signer

NOW = 1_800_000_000
ISSUER = "https://login.example"
AUDIENCE = "dezgo-gateway"
SECRET = b"an HS256 secret for tests, 40 bytes long"
KINDS = ("rsa", "p256", "ed25519")

HEADER: dict[str, object] = {"alg": "HS256", "typ": "JWT", "kid": "k1"}
CLAIMS: dict[str, object] = {
    "iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 600, "tenant": "acme", "team": "art", "sub": "user-1",
}  # fmt: skip


def private_pem(kind: str, name: str = "a") -> bytes:
    """A private key, the same for the same kind and name within a run."""
    return _private_pem(kind, name)


@cache
def _private_pem(kind: str, _name: str) -> bytes:
    made: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    if kind.startswith("rsa"):
        made = rsa.generate_private_key(65537, int(kind[3:] or 2048))
    elif kind.startswith("p"):
        made = ec.generate_private_key({"p256": ec.SECP256R1, "p384": ec.SECP384R1}[kind]())
    else:
        made = ed25519.Ed25519PrivateKey.generate()
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def signer(kind: str, *, kid: str | None = "k1", name: str = "a") -> SigningKey:
    """A signing key of `kind`: `secret`, `rsa`, `p256` or `ed25519`."""
    if kind == "secret":
        return secret_signer(SECRET, kid=kid)
    return pem_signer(private_pem(kind, name), kid=kid)


def public_of(kind: str, encoding: Encoding, layout: PublicFormat) -> bytes:
    """The public half of `signer(kind)` in any spelling."""
    material = signer(kind).verifying.material
    assert not isinstance(material, bytes)
    return material.public_bytes(encoding, layout)


def jwk_of(key: SigningKey, **members: object) -> dict[str, object]:
    """The public JWK of `key`, with `members` changed; None removes one."""
    material = key.verifying.material
    assert not isinstance(material, bytes)
    jwk: dict[str, object]
    if isinstance(material, rsa.RSAPublicKey):
        jwk = dict(RSAAlgorithm.to_jwk(material, as_dict=True))
    elif isinstance(material, ec.EllipticCurvePublicKey):
        jwk = dict(ECAlgorithm.to_jwk(material, as_dict=True))
    else:
        jwk = dict(OKPAlgorithm.to_jwk(material, as_dict=True))
    jwk |= {"kid": key.verifying.kid, "use": "sig"} | members
    return {name: value for name, value in jwk.items() if value is not None}


def jwks_of(*keys: SigningKey | dict[str, object]) -> bytes:
    """A provider's document of `keys`."""
    return json.dumps({"keys": [key if isinstance(key, dict) else jwk_of(key) for key in keys]}).encode()


def raw_token(header: bytes, claims: bytes, *, secret: bytes = SECRET) -> str:
    """A token of exactly these bytes, signed with HMAC-SHA-256 whatever the header says."""
    signed = f"{base64url.encode(header)}.{base64url.encode(claims)}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64url.encode(signature)}"


def token(
    *, header: Mapping[str, object] = {}, claims: Mapping[str, object] = {}, without: tuple[str, ...] = ()
) -> str:
    """A good HS256 token with `header` and `claims` laid over it, and some members left out."""
    head = {name: value for name, value in (HEADER | dict(header)).items() if name not in without}
    body = {name: value for name, value in (CLAIMS | dict(claims)).items() if name not in without}
    return raw_token(json.dumps(head).encode(), json.dumps(body).encode())


def code_of(error: GatewayError) -> str:
    """What the error says: its code, claim or reason."""
    if isinstance(error, Unauthenticated):
        return error.code
    return error.claim if isinstance(error, TenantInvalid) else error.reason


class Clock:
    """Time that stands until it is moved."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
