"""A provider's keys: bad ones are rejected one by one, the rest is kept (ID13)."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.identity import base64url
from gateway.identity.jwk import read_jwk, read_jwks
from gateway.identity.keys import BadKey
from gateway.identity.mint import SigningKey
from tests.unit.identity.tokens import KINDS, jwk_of, jwks_of, signer

RSA, EC, ED = (signer(kind, kid="bad") for kind in KINDS)
GOOD = signer("ed25519", kid="good", name="b")


def coordinate(key: SigningKey) -> bytes:
    """The x coordinate of a P-256 key, 32 bytes."""
    x = base64url.decode(str(jwk_of(key)["x"]))
    assert x is not None
    return x


OCT: dict[str, object] = {"kty": "oct", "kid": "bad", "k": base64url.encode(bytes(64)), "alg": "HS256"}

BAD_JWKS: dict[str, dict[str, object]] = {
    "no members": {},
    "symmetric": OCT,
    "symmetric that says RSA": OCT | {"kty": "RSA"},
    "private": jwk_of(ED, d=base64url.encode(bytes(32))),
    "for encryption": jwk_of(RSA, use="enc"),
    "use is a list": jwk_of(RSA, use=["sig"]),
    "only for signing": jwk_of(RSA, key_ops=["sign"]),
    "no operation": jwk_of(RSA, key_ops=[]),
    "operations are a string": jwk_of(RSA, key_ops="verify"),
    "another algorithm": jwk_of(RSA, alg="PS256"),
    "a symmetric algorithm": jwk_of(RSA, alg="HS256"),
    "an encryption algorithm": jwk_of(RSA, alg="RSA-OAEP"),
    "RSA of 1024 bits": jwk_of(RSA, n=base64url.encode(b"\xff" * 128)),
    "RSA of 9 kilobits": jwk_of(RSA, n=base64url.encode(b"\xff" * 1152)),
    "even exponent": jwk_of(RSA, e="Ag"),
    "exponent 1": jwk_of(RSA, e="AQ"),
    "exponent 3": jwk_of(RSA, e="Aw"),
    "exponent of 33 bits": jwk_of(RSA, e=base64url.encode((2**32 + 1).to_bytes(5, "big"))),
    "padded number": jwk_of(RSA, e="AQAB===="),
    "number is a number": jwk_of(RSA, e=65537),
    "no modulus": jwk_of(RSA, n=None),
    "P-384": jwk_of(EC, crv="P-384"),
    "not on the curve": jwk_of(EC, x=base64url.encode(bytes(32))),
    "coordinate with a zero before it": jwk_of(EC, x=base64url.encode(bytes(1) + coordinate(EC))),
    "short coordinate": jwk_of(EC, x=base64url.encode(bytes(31))),
    "Ed448": jwk_of(ED, crv="Ed448"),
    "Ed25519 of 31 bytes": jwk_of(ED, x=base64url.encode(bytes(31))),
    "kty unknown": jwk_of(ED, kty="AKP"),
    "kid is a number": jwk_of(ED, kid=7),
    "kid empty": jwk_of(ED, kid=""),
    "kid of 129 characters": jwk_of(ED, kid="k" * 129),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("members", [{}, {"use": None}, {"key_ops": ["verify"]}, {"x5c": ["AAAA"], "x5t": "AA"}])
def test_a_public_jwk_is_the_same_key_as_its_pem(kind: str, members: dict[str, object]) -> None:
    assert read_jwk(jwk_of(signer(kind), **members)) == signer(kind).verifying


@pytest.mark.parametrize("jwk", BAD_JWKS.values(), ids=BAD_JWKS.keys())
def test_a_bad_key_is_rejected_and_the_rest_is_kept(jwk: dict[str, object]) -> None:
    with pytest.raises(BadKey):
        read_jwk(jwk)
    reading = read_jwks(jwks_of(jwk, GOOD))
    assert reading.keys.keys == {GOOD.verifying}
    assert reading.rejected == 1


def test_two_different_keys_under_one_kid_are_both_rejected() -> None:
    reading = read_jwks(jwks_of(RSA, ED, GOOD))
    assert reading.keys.keys == {GOOD.verifying}
    assert reading.rejected == 2


def test_the_same_key_twice_is_one_key() -> None:
    assert read_jwks(jwks_of(GOOD, GOOD)).keys.keys == {GOOD.verifying}


def test_a_rejected_key_does_not_make_its_kid_ambiguous() -> None:
    twin = jwk_of(signer("rsa", kid="good"), use="enc")
    assert read_jwks(jwks_of(twin, GOOD)).keys.by_kid("good") == GOOD.verifying


def test_a_hundred_keys_are_read_and_one_more_is_refused() -> None:
    entries = [jwk_of(GOOD, kid=f"k{n}") for n in range(101)]
    assert len(read_jwks(jwks_of(*entries[:100])).keys.keys) == 100
    with pytest.raises(BadKey):
        read_jwks(jwks_of(*entries))


DOCUMENTS = {
    "empty": b"",
    "HTML": b"<!doctype html><title>Sign in</title>",
    "a list": b"[]",
    "no keys member": b"{}",
    "keys is an object": b'{"keys": {}}',
    "no key": b'{"keys": []}',
    "no usable key": json.dumps({"keys": [OCT, 1, None, "key", []]}).encode(),
    "compressed": b"\x1f\x8b\x08\x00\x00\x00",
    "keys twice": b'{"keys": [], "keys": []}',
    "deep": b'{"keys":' + b"[" * 100_000,
}


@pytest.mark.parametrize("body", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_document_without_a_usable_key_is_refused(body: bytes) -> None:
    with pytest.raises(BadKey):
        read_jwks(body)


MEMBERS = st.sampled_from([*jwk_of(RSA), *jwk_of(EC), "k", "d", "alg", "key_ops"])
VALUES = st.none() | st.integers() | st.text(max_size=6) | st.binary(max_size=70).map(base64url.encode)


@settings(deadline=None)
@given(st.sampled_from([RSA, EC, ED]).map(jwk_of), st.dictionaries(MEMBERS, VALUES | st.lists(VALUES, max_size=2)))
def test_any_jwk_ends_in_a_key_or_bad_key(jwk: dict[str, object], changes: dict[str, object]) -> None:
    with suppress(BadKey):
        assert read_jwk(jwk | changes).algorithm in {"RS256", "ES256", "EdDSA"}
