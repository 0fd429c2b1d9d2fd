"""Verifying: the issuer's key, its algorithm, its audience, its time (ID02 to ID07, ID19)."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError, TenantInvalid, Unauthenticated
from gateway.identity import base64url
from gateway.identity.jwks import JwksSource, SetState
from gateway.identity.keys import Key, KeySet
from gateway.identity.mint import SigningKey, mint_token
from gateway.identity.principal import Grants, Principal
from gateway.identity.verify import CACHE_MAX, Issuer, Verifier
from tests.unit.identity.tokens import (
    AUDIENCE,
    CLAIMS,
    HEADER,
    ISSUER,
    KINDS,
    NOW,
    Clock,
    code_of,
    jwk_of,
    public_of,
    raw_token,
    signer,
    token,
)

OTHER = "https://other.example"
LEEWAY_S = 30
SECRET_KEY = signer("secret").verifying


def verifier(*keys: Key, clock: Clock | None = None, cache_max: int = 8, require_typ: bool = True) -> Verifier:
    issuer = Issuer(ISSUER, frozenset({AUDIENCE, "second"}), KeySet.of(keys or (SECRET_KEY,)), leeway_s=LEEWAY_S)
    issuer = replace(issuer, require_typ=require_typ)
    stranger = Issuer(OTHER, frozenset({AUDIENCE}), KeySet.of([signer("rsa", name="b").verifying]))
    return Verifier([issuer, stranger], clock=clock or Clock(NOW), cache_max=cache_max)


def minted(key: SigningKey, issuer: str = ISSUER, tenant: str = "acme") -> str:
    return mint_token(key, issuer=issuer, audience=AUDIENCE, tenant=tenant, ttl_s=600, now=NOW)


async def code(text: str, judge: Verifier | None = None) -> str:
    """What refusing `text` says; the code must also not depend on the cache."""
    with pytest.raises(GatewayError) as refused:
        await (judge or verifier()).verify(text)
    return code_of(refused.value)


async def test_a_good_token_becomes_a_principal_that_does_not_hold_it() -> None:
    text = token()
    principal = await verifier().verify(text)
    assert principal == Principal("acme", "art", "user-1", Grants(), NOW + 600)
    assert not any(part in repr(principal) for part in text.split("."))


async def test_a_key_verifies_only_its_own_algorithm_and_signature() -> None:
    for kind in KINDS:
        key = signer(kind)
        assert (await verifier(key.verifying).verify(minted(key))).tenant == "acme"
        assert await code(minted(signer(kind, name="c")), verifier(key.verifying)) == "jwt_signature"
        assert await code(token(), verifier(key.verifying)) == "jwt_alg"
        assert await code(minted(key)) == "jwt_alg"


@pytest.mark.parametrize("kid", ["k1", None])
async def test_a_public_key_is_no_hmac_secret_in_any_spelling(kid: str | None) -> None:
    """ID02, with HS256 and the public key configured side by side."""
    public = signer("rsa", kid="k1").verifying
    both = verifier(public, signer("secret", kid="hs").verifying)
    spellings = [
        public_of("rsa", Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public_of("rsa", Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
        public_of("rsa", Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public_of("rsa", Encoding.DER, PublicFormat.PKCS1),
        json.dumps(jwk_of(signer("rsa"))).encode(),
        str(jwk_of(signer("rsa"))["n"]).encode(),
    ]
    header = json.dumps({"alg": "HS256", "typ": "JWT"} | ({"kid": kid} if kid else {})).encode()
    expected = "jwt_alg" if kid else "jwt_signature"
    for spelling in spellings:
        forged = raw_token(header, json.dumps(CLAIMS).encode(), secret=spelling)
        assert await code(forged, both) == expected
        if kid is None:
            assert await code(forged, verifier(public)) == "jwt_alg"


KIDS = ["../../etc/passwd", "' OR 1=1 --", "k1\x00", "\x00", "K1", "k1 ", "http://127.0.0.1/k", "k" * 128]


@pytest.mark.parametrize("kid", KIDS)
async def test_a_kid_is_only_an_exact_name(kid: str) -> None:
    assert await code(token(header={"kid": kid})) == "jwt_kid"


async def test_a_token_without_kid_is_taken_when_one_key_is_for_its_algorithm() -> None:
    bare = token(without=("kid",))
    assert (await verifier(SECRET_KEY, signer("rsa", kid="r").verifying).verify(bare)).tenant == "acme"
    two = verifier(SECRET_KEY, signer("secret", kid="k2").verifying)
    assert await code(bare, two) == "jwt_kid"
    assert await code(bare, verifier(signer("rsa").verifying)) == "jwt_alg"


async def test_keys_are_looked_up_under_their_issuer() -> None:
    """ID07: both issuers have a key `k1`; neither speaks for the other."""
    ours, theirs = signer("rsa"), signer("rsa", name="b")
    judge = verifier(ours.verifying)
    assert (await judge.verify(minted(ours))).tenant == "acme"
    assert (await judge.verify(minted(theirs, OTHER))).tenant == "acme"
    assert await code(minted(ours, OTHER), judge) == "jwt_signature"
    assert await code(minted(theirs), judge) == "jwt_signature"


ISSUERS = [ISSUER + "/", ISSUER[:-1], ISSUER.upper(), " " + ISSUER, "https://login.example.evil"]
BAD_AUDIENCES: list[object] = [
    "", "dezgo", AUDIENCE + "-2", AUDIENCE.upper(), f"{AUDIENCE} second", [], ["other"], [[AUDIENCE]],
    [AUDIENCE, 1], [AUDIENCE, None], None, 1, True, {AUDIENCE: 1},
]  # fmt: skip


@pytest.mark.parametrize("issuer", ISSUERS)
async def test_an_issuer_is_compared_character_by_character(issuer: str) -> None:
    assert await code(token(claims={"iss": issuer})) == "jwt_iss"


@pytest.mark.parametrize("audience", BAD_AUDIENCES, ids=repr)
async def test_a_wrong_audience_is_refused(audience: object) -> None:
    assert await code(token(claims={"aud": audience})) == "jwt_aud"


async def test_a_missing_audience_is_refused_and_one_of_a_list_is_enough() -> None:
    assert await code(token(without=("aud",))) == "jwt_aud"
    assert (await verifier().verify(token(claims={"aud": ["other", "second"]}))).tenant == "acme"


TIMES: list[tuple[dict[str, float], float, bool]] = [
    ({"exp": NOW}, LEEWAY_S - 0.001, True),
    ({"exp": NOW}, LEEWAY_S, False),
    ({"exp": NOW}, 2 * LEEWAY_S, False),
    ({"exp": NOW + 0.5}, LEEWAY_S + 0.4, True),
    ({"nbf": NOW}, -LEEWAY_S, True),
    ({"nbf": NOW}, -LEEWAY_S - 0.001, False),
    ({"iat": NOW}, -LEEWAY_S, True),
    ({"iat": NOW}, -LEEWAY_S - 0.001, False),
    ({"nbf": NOW, "iat": NOW - 900}, -LEEWAY_S - 0.001, False),
    ({"exp": 0}, 0, False),
    ({"nbf": NOW + 700}, 0, False),
]


@pytest.mark.parametrize(("claims", "at_s", "valid"), TIMES)
async def test_the_leeway_is_applied_once_and_the_end_is_outside(
    claims: Mapping[str, float], at_s: float, valid: bool
) -> None:
    """ID05: [nbf − leeway, exp + leeway)."""
    judge = verifier(clock=Clock(NOW + at_s))
    if valid:
        assert (await judge.verify(token(claims=claims))).tenant == "acme"
    else:
        assert await code(token(claims=claims), judge) == "jwt_time"


async def test_a_wrong_signature_is_told_before_anything_the_claims_say() -> None:
    forged = raw_token(json.dumps(HEADER).encode(), json.dumps(CLAIMS | {"exp": 1}).encode(), secret=b"x" * 32)
    assert await code(forged) == "jwt_signature"


async def test_a_valid_token_with_an_illegal_tenant_names_the_claim() -> None:
    assert await code(token(claims={"tenant": "{acme}"})) == "tenant"
    assert await code(token(claims={"methods": "all"})) == "jwt_claim"
    assert await code(token(header={"typ": "JWE"})) == "jwt_typ"
    assert (await verifier(require_typ=False).verify(token(without=("typ",)))).tenant == "acme"


async def test_an_issuer_without_typ_frees_no_other_issuer() -> None:
    bare = token(without=("typ",))
    lax = Issuer(OTHER, frozenset({AUDIENCE}), KeySet.of([SECRET_KEY]), require_typ=False)
    strict = Issuer(ISSUER, frozenset({AUDIENCE}), KeySet.of([SECRET_KEY]))
    judge = Verifier([lax, strict], clock=Clock(NOW))
    assert await code(bare, judge) == "jwt_typ"
    assert (await judge.verify(token(claims={"iss": OTHER}, without=("typ",)))).tenant == "acme"


async def test_a_verified_token_is_remembered_until_exactly_its_expiry() -> None:
    """ID19: the leeway is for verifying, not for remembering; a clock set back finds nothing early either."""
    clock, text = Clock(NOW), token(claims={"nbf": NOW})
    judge = verifier(clock=clock)
    assert judge.verify_cached(text) is None
    principal = await judge.verify(text)
    assert judge.verify_cached(text) is principal
    clock.now = NOW + 599.999
    assert judge.verify_cached(text) is principal
    clock.now = NOW + 600
    assert judge.verify_cached(text) is None
    assert (await judge.verify(text)).tenant == "acme"
    clock.now = NOW - LEEWAY_S - 1
    assert judge.verify_cached(text) is None


async def test_tokens_with_a_common_beginning_are_never_mistaken_for_each_other() -> None:
    """ID19: equal in all but the end of the signature, or in all but the tenant at the end of the claims."""
    judge = verifier()
    text = token(claims={"padding": "p" * 300, "z": "a"})
    await judge.verify(text)
    body = base64url.encode(json.dumps({**CLAIMS, "padding": "p" * 300, "z": "b"}).encode())
    head, _, signature = text.split(".")
    for other in (text[:-2] + ("AA" if text[-2:] != "AA" else "BA"), f"{head}.{body}.{signature}", text[:200]):
        assert judge.verify_cached(other) is None
        assert (await code(other, judge)) in {"jwt_signature", "jwt_form"}


async def test_at_most_cache_max_tokens_are_remembered_the_latest_used_ones() -> None:
    assert CACHE_MAX == 4_096  # unless somebody says otherwise, as here
    judge = verifier(cache_max=2)
    first, second, third = (token(claims={"sub": f"u{n}"}) for n in range(3))
    await judge.verify(first)
    await judge.verify(second)
    assert judge.verify_cached(first)
    await judge.verify(third)
    assert [judge.verify_cached(text) is None for text in (first, second, third)] == [False, True, False]


async def test_refused_tokens_are_not_remembered() -> None:
    judge = verifier()
    for bad in (token(claims={"tenant": "A"}), token(claims={"aud": "x"}), "x" * 9000, "é", "\ud800", ""):
        await code(bad, judge)
        assert judge.verify_cached(bad) is None
    assert not judge._verified


async def test_no_memory_at_all_still_verifies() -> None:
    judge = verifier(cache_max=0)
    assert (await judge.verify(token())).tenant == "acme"
    assert judge.verify_cached(token()) is None


def at_once(judge: Verifier, text: str) -> Principal:
    """Verify without an event loop: fails if there is anything to wait for."""
    with pytest.raises(StopIteration) as ended:
        judge.verify(text).send(None)
    principal = ended.value.value
    assert isinstance(principal, Principal)
    return principal


def test_nothing_is_waited_for_when_the_keys_are_in_hand() -> None:
    assert at_once(verifier(), token()).tenant == "acme"


@cache
def of_three_kinds() -> Verifier:
    kinds = (("secret", "k1"), ("p256", "k2"), ("ed25519", "k3"))
    return verifier(*(signer(kind, kid=kid).verifying for kind, kid in kinds), cache_max=0)


JUNK = st.text(max_size=60) | st.binary(max_size=60).map(base64url.encode)
PART = st.sampled_from([*token().split("."), *minted(signer("p256")).split("."), *minted(signer("ed25519")).split(".")])


@settings(deadline=None)
@given(
    JUNK
    | st.lists(PART | JUNK, min_size=3, max_size=3).map(".".join)
    | st.dictionaries(
        st.sampled_from([*CLAIMS, "nbf", "jti"]), st.none() | st.integers() | st.text() | st.floats()
    ).map(lambda claims: token(claims=claims))
)
def test_any_text_ends_in_a_principal_or_one_of_our_errors(text: str) -> None:
    try:
        principal = at_once(of_three_kinds(), text)
    except (Unauthenticated, TenantInvalid):
        return
    assert principal.tenant


BROKEN = {
    "no name": {"name": ""},
    "no audience": {"audiences": frozenset()},
    "empty audience": {"audiences": frozenset({""})},
    "no key": {"keys": KeySet()},
    "negative leeway": {"leeway_s": -1},
    "leeway of an hour": {"leeway_s": 3600},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_an_issuer_that_could_not_be_checked_is_refused(broken: dict[str, object]) -> None:
    parts: dict[str, object] = {"name": ISSUER, "audiences": frozenset({AUDIENCE}), "keys": KeySet.of([SECRET_KEY])}
    with pytest.raises(ValueError, match=r"issuer|leeway"):
        Issuer(**(parts | broken))  # type: ignore[arg-type] # the broken part is the parameter


def test_no_issuer_or_one_name_twice_is_refused() -> None:
    issuer = Issuer(ISSUER, frozenset({AUDIENCE}), KeySet.of([SECRET_KEY]))
    for issuers in ([], [issuer, issuer]):
        with pytest.raises(ValueError, match="issuer"):
            Verifier(issuers)


async def never() -> bytes:
    raise AssertionError


async def test_configured_keys_need_no_provider_and_states_tell_which_issuer_has_none() -> None:
    names = frozenset({AUDIENCE})
    both = Issuer(ISSUER, names, KeySet.of([SECRET_KEY]), JwksSource(never))
    judge = Verifier([both, Issuer(OTHER, names, jwks=JwksSource(never))], clock=Clock(NOW))
    assert (await judge.verify(token())).tenant == "acme"
    assert judge.verify_cached(token())
    assert judge.states() == {ISSUER: SetState.STALE, OTHER: SetState.NONE}
    assert verifier().states() == {ISSUER: SetState.FRESH, OTHER: SetState.FRESH}
    assert await code(minted(signer("rsa"), OTHER), judge) == "identity_unavailable"


async def test_what_is_remembered_is_counted_as_known_or_verified() -> None:
    judge = verifier()
    assert (judge.cache_hits, judge.cache_misses, judge.cached) == (0, 0, 0)
    assert judge.verify_cached(token()) is None
    await judge.verify(token())
    await judge.verify(token())
    assert judge.verify_cached(token()) is not None
    assert await code("no token at all", judge) == "jwt_form"
    assert (judge.cache_hits, judge.cache_misses, judge.cached) == (2, 2, 1)
