"""Keys: bound to one algorithm, and refused when weak or ambiguous (ID02, ID13)."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.identity.keys import BadKey, Key, KeySet, pem_key, public_key, secret_key
from gateway.identity.mint import public_pem
from tests.unit.identity.tokens import KINDS, SECRET, jwk_of, private_pem, public_of, signer

PEM, DER, SSH = Encoding.PEM, Encoding.DER, Encoding.OpenSSH
SPKI, OPENSSH = PublicFormat.SubjectPublicKeyInfo, PublicFormat.OpenSSH


@pytest.mark.parametrize(
    ("kind", "algorithm"), [("rsa", "RS256"), ("p256", "ES256"), ("ed25519", "EdDSA"), ("secret", "HS256")]
)
def test_the_algorithm_follows_from_the_kind_of_key(kind: str, algorithm: str) -> None:
    assert signer(kind).verifying.algorithm == algorithm


@pytest.mark.parametrize("kind", KINDS)
def test_a_public_key_is_read_from_pem(kind: str) -> None:
    assert pem_key(public_pem(private_pem(kind)), kid="k1") == signer(kind).verifying


SECRETS = {
    "empty": b"",
    "31 bytes": b"x" * 31,
    "PEM-looking": b"-----BEGIN ANYTHING----- " + b"x" * 40,
    "indented PEM": b"\n  " + public_of("rsa", PEM, SPKI),
    **{f"{kind} as PEM": public_of(kind, PEM, SPKI) for kind in KINDS},
    **{f"{kind} as DER": public_of(kind, DER, SPKI) for kind in KINDS},
    **{f"{kind} as OpenSSH": public_of(kind, SSH, OPENSSH) for kind in KINDS},
    **{f"{kind} as JWK": json.dumps(jwk_of(signer(kind))).encode() for kind in KINDS},
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_a_short_or_public_secret_is_refused(secret: bytes) -> None:
    with pytest.raises(BadKey) as refused:
        secret_key(secret)
    assert refused.value.__cause__ is None


def test_a_secret_of_32_bytes_is_taken() -> None:
    assert secret_key(bytes(range(32))).algorithm == "HS256"


PEMS = {
    "nonsense": b"nonsense",
    "empty": b"",
    "broken": b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    "private": private_pem("ed25519"),
}


@pytest.mark.parametrize("kind", ["rsa1024", "p384"])
def test_weak_or_foreign_curves_are_refused(kind: str) -> None:
    with pytest.raises(BadKey):
        public_pem(private_pem(kind))


@pytest.mark.parametrize("pem", PEMS.values(), ids=PEMS.keys())
def test_an_unreadable_or_private_pem_is_refused(pem: bytes) -> None:
    with pytest.raises(BadKey):
        pem_key(pem)


def test_another_kind_of_key_is_refused() -> None:
    with pytest.raises(BadKey):
        public_key(dsa.generate_private_key(2048).public_key())


@pytest.mark.parametrize("kid", ["", "k" * 129])
def test_a_kid_no_token_could_name_is_refused(kid: str) -> None:
    with pytest.raises(BadKey):
        secret_key(SECRET, kid=kid)


def test_no_key_shows_in_a_repr_or_an_error() -> None:
    key = secret_key(SECRET)
    with pytest.raises(BadKey) as refused:
        secret_key(SECRET[:20])
    shown = f"{key!r} {KeySet.of([key])!r} {signer('secret')!r} {refused.value!r} {refused.value}"
    assert SECRET.decode()[:10] not in shown
    assert key.fingerprint.hex() not in shown
    assert repr(key.fingerprint) not in shown


def test_a_key_set_finds_by_exact_kid_and_by_algorithm() -> None:
    rsa, named, nameless = signer("rsa").verifying, secret_key(SECRET, kid="K1"), secret_key(bytes(40))
    keys = KeySet.of([rsa, named, nameless])
    assert (keys.by_kid("k1"), keys.by_kid("K1"), keys.by_kid("k2"), keys.by_kid("")) == (rsa, named, None, None)
    assert set(keys.by_algorithm("HS256")) == {named, nameless}
    assert keys.by_algorithm("EdDSA") == ()


@pytest.mark.parametrize("other", [signer("rsa").verifying, signer("rsa", name="b").verifying])
def test_a_kid_given_twice_is_refused(other: Key) -> None:
    with pytest.raises(BadKey):
        KeySet.of([signer("rsa").verifying, other])


def test_a_kid_meaning_two_keys_is_refused_however_the_set_is_built() -> None:
    with pytest.raises(BadKey):
        KeySet(frozenset({signer("rsa").verifying, signer("p256").verifying}))


def test_key_sets_are_equal_when_their_keys_are() -> None:
    one, two = signer("rsa").verifying, signer("p256", kid="k2").verifying
    assert KeySet.of([one, two]) == KeySet.of([two, pem_key(public_pem(private_pem("rsa")), kid="k1")])
    assert KeySet.of([one]) != KeySet.of([signer("rsa", name="b").verifying])
