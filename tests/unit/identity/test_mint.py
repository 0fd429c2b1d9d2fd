"""Minting: what is minted is what is read back."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import TenantInvalid
from gateway.identity.claims import Claim, ClaimRules, Fixed
from gateway.identity.keys import BadKey, KeySet, pem_key
from gateway.identity.mint import (
    SigningKey,
    fresh_private_pem,
    fresh_secret,
    mint_token,
    pem_signer,
    public_pem,
    secret_signer,
)
from gateway.identity.principal import Grants, Principal
from gateway.identity.verify import Issuer, Verifier
from gateway.units import Credits
from tests.unit.identity.tokens import AUDIENCE, ISSUER, KINDS, NOW, private_pem, signer

NESTED = ClaimRules(Claim.at("org.tenant"), Claim.at("org.team"), Claim.at("who"), Claim.at("g.m"), Claim.at("g.c"))


def mint(key: SigningKey, tenant: str = "acme", *, ttl_s: int = 60, rules: ClaimRules | None = None) -> str:
    return mint_token(key, issuer=ISSUER, audience=AUDIENCE, tenant=tenant, ttl_s=ttl_s, now=NOW, rules=rules)


def verifier(key: SigningKey, rules: ClaimRules | None = None) -> Verifier:
    issuer = Issuer(ISSUER, frozenset({AUDIENCE}), KeySet.of([key.verifying]), rules=rules or ClaimRules())
    return Verifier([issuer], clock=lambda: NOW)


@pytest.mark.parametrize("kind", ["secret", *KINDS])
@pytest.mark.parametrize("kid", ["k1", None])
@pytest.mark.parametrize("rules", [ClaimRules(), NESTED], ids=["flat", "nested"])
async def test_a_minted_token_is_read_back_as_the_same_caller(kind: str, kid: str | None, rules: ClaimRules) -> None:
    key = signer(kind, kid=kid)
    token = mint_token(
        key, issuer=ISSUER, audience=AUDIENCE, tenant="acme", team="art", user="u@example.com", ttl_s=60, now=NOW,
        methods=frozenset({"b", "a"}), credits_max=Credits(19_500), rules=rules,
    )  # fmt: skip
    principal = await verifier(key, rules).verify(token)
    grants = Grants(frozenset({"a", "b"}), Credits(19_500))
    assert principal == Principal("acme", "art", "u@example.com", grants, NOW + 60, principal.token_id)
    assert principal.token_id


async def test_fresh_keys_differ_and_work() -> None:
    assert fresh_secret() != fresh_secret()
    pem = fresh_private_pem()
    assert pem != fresh_private_pem()
    for key in (secret_signer(fresh_secret().encode()), pem_signer(pem)):
        assert (await verifier(key).verify(mint(key))).tenant == "acme"
    assert pem_key(public_pem(pem)) == pem_signer(pem).verifying


@settings(deadline=None)
@given(st.text(max_size=70))
def test_no_token_is_minted_that_would_be_refused(tenant: str) -> None:
    try:
        mint(signer("secret"), tenant)
    except TenantInvalid:
        return
    assert tenant
    assert set(tenant) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")


IMPOSSIBLE = {
    "another fixed tenant": ClaimRules(tenant=Fixed("other")),
    "two claims at one place": ClaimRules(tenant=Claim.at("a"), team=Claim.at("a")),
    "a claim inside another": ClaimRules(tenant=Claim.at("a"), team=Claim.at("a.b")),
}


@pytest.mark.parametrize("rules", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_a_caller_the_rules_cannot_say_is_refused(rules: ClaimRules) -> None:
    with pytest.raises(ValueError, match=r"rules|paths"):
        mint_token(
            signer("secret"), issuer=ISSUER, audience=AUDIENCE, tenant="acme", team="art", ttl_s=1, now=0, rules=rules
        )  # fmt: skip


def test_a_token_that_is_never_valid_is_refused() -> None:
    with pytest.raises(ValueError, match="ttl_s"):
        mint(signer("secret"), ttl_s=0)


def unusable_pems() -> list[bytes]:
    foreign = dsa.generate_private_key(2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = public_pem(private_pem("ed25519")).encode()
    return [b"nonsense", public, foreign, private_pem("rsa1024"), private_pem("p384")]


def test_a_key_nobody_would_verify_with_signs_nothing() -> None:
    for pem in unusable_pems():
        with pytest.raises(BadKey):
            pem_signer(pem)
