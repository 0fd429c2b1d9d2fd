"""Claims to Principal: legal names or a named refusal; grants only narrow (ID22, ID23)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import TenantInvalid, Unauthenticated
from gateway.identity.claims import Claim, ClaimRules, Fixed, read_principal
from gateway.identity.principal import Grants, Principal
from gateway.units import Credits

RULES = ClaimRules()
CLAIMS: dict[str, object] = {"tenant": "acme", "team": "art", "sub": "user-1"}


def read(changes: dict[str, object], rules: ClaimRules = RULES) -> Principal:
    return read_principal(CLAIMS | changes, rules, expires_at=1.0)


BAD_NAMES: list[object] = [
    "", " ", "Acme", "acme ", " acme", "acme\n", "ac\nme", "a:b", "{acme}", "a}b", "a/b", "a\x00b", ".acme", "-a",
    "_a", "аcme", "ａcme", "acmé", "٣", "a" * 65, "a" * 1_000_000, None, 1, True, ["acme"], {"acme": 1},
]  # fmt: skip
BAD_USERS: list[object] = ["", "a b", "a\n", "a\x7f", "a\x00", "é", "u" * 129, None, 5, False, ["a"], {}]


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: ascii(name)[:20])
@pytest.mark.parametrize("claim", ["tenant", "team"])
def test_an_illegal_tenant_or_team_is_refused_by_its_claim(claim: str, name: object) -> None:
    with pytest.raises(TenantInvalid) as refused:
        read({claim: name})
    assert refused.value.claim == claim


@pytest.mark.parametrize("user", BAD_USERS, ids=lambda user: ascii(user)[:20])
def test_an_illegal_user_is_refused_by_its_claim(user: object) -> None:
    with pytest.raises(TenantInvalid) as refused:
        read({"sub": user})
    assert refused.value.claim == "sub"


@pytest.mark.parametrize("name", ["a", "0", "007", "a.b-c_d", "a" * 64, "a..b"])
def test_a_legal_name_is_taken_as_it_is(name: str) -> None:
    principal = read({"tenant": name, "team": name})
    assert (principal.tenant, principal.team) == (name, name)


@pytest.mark.parametrize("user", ["!", "~", "auth0|5f7c8ec7", "a:{b}/c", "u" * 128])
def test_a_printable_user_is_taken_as_it_is(user: str) -> None:
    assert read({"sub": user}).user == user


def test_a_missing_tenant_is_refused_and_missing_team_and_user_are_none() -> None:
    assert read_principal({"tenant": "acme"}, RULES, expires_at=9.5) == Principal(
        tenant="acme", team=None, user=None, grants=Grants(), expires_at=9.5
    )
    with pytest.raises(TenantInvalid):
        read_principal({"team": "art", "sub": "u"}, RULES, expires_at=1)


NESTED = ClaimRules(
    tenant=Claim.at("org.tenant"), team=Claim.at(["https://example.com/team"]), user=None, methods=Claim.at("gw.m")
)


def test_claims_are_found_by_dotted_path_and_by_listed_names() -> None:
    claims = {"org": {"tenant": "deep"}, "org.tenant": "flat", "https://example.com/team": "art", "sub": "x"}
    principal = read_principal(claims, NESTED, expires_at=1)
    assert (principal.tenant, principal.team, principal.user) == ("deep", "art", None)


@pytest.mark.parametrize("org", [None, "acme", ["acme"], 1])
def test_something_else_in_the_way_of_a_path_is_refused(org: object) -> None:
    with pytest.raises(TenantInvalid) as refused:
        read_principal({"org": org}, NESTED, expires_at=1)
    assert refused.value.claim == "org.tenant"


@pytest.mark.parametrize("way", [None, "x", []])
def test_something_else_in_the_way_of_a_grant_is_no_lack_of_limits(way: object) -> None:
    with pytest.raises(Unauthenticated):
        read_principal({"org": {"tenant": "acme"}, "gw": way}, NESTED, expires_at=1)


def test_a_fixed_value_holds_whatever_the_token_says() -> None:
    rules = ClaimRules(tenant=Fixed("fixed-tenant"), team=Fixed("t"), user=Fixed("robot"))
    principal = read({"tenant": {}, "team": "other"}, rules)
    assert (principal.tenant, principal.team, principal.user) == ("fixed-tenant", "t", "robot")


@pytest.mark.parametrize("level", ["tenant", "team", "user"])
def test_an_illegal_fixed_value_is_refused_when_configured(level: str) -> None:
    with pytest.raises(ValueError, match="not a legal name"):
        ClaimRules(**{level: Fixed("no good")})  # type: ignore[arg-type] # the level is the parameter


@pytest.mark.parametrize("path", ["", ".", "a..b", "a.", [], [""]])
def test_an_empty_claim_name_is_refused_when_configured(path: str | list[str]) -> None:
    with pytest.raises(ValueError, match="claim path"):
        Claim.at(path)


GRANTS: dict[str, tuple[dict[str, object], Grants]] = {
    "none": ({}, Grants()),
    "no method at all": ({"methods": []}, Grants(methods=frozenset())),
    "two methods": ({"methods": ["a", "b", "a"]}, Grants(methods=frozenset({"a", "b"}))),
    "64 methods": ({"methods": ["a"] * 64}, Grants(methods=frozenset({"a"}))),
    "whole credits": ({"credits_max": 19}, Grants(credits_max=Credits.whole(19))),
    "nothing may be spent": ({"credits_max": 0}, Grants(credits_max=Credits.ZERO)),
    "decimal text": ({"credits_max": "19.5"}, Grants(credits_max=Credits(19_500))),
}
BAD_METHODS: list[object] = [
    None, "a", {"a": 1}, [1], [None], ["a", ["b"]], [""], ["a" * 65], ["a"] * 65,
]  # fmt: skip
BAD_CREDITS: list[object] = [
    None, True, -1, 1.5, "-1", "", " 1", "1e3", "１", "1_0", "NaN", [], {}, 10**12, "9" * 13,
]  # fmt: skip
BAD_GRANTS = [("methods", value) for value in BAD_METHODS] + [("credits_max", value) for value in BAD_CREDITS]


@pytest.mark.parametrize(("claims", "grants"), GRANTS.values(), ids=GRANTS.keys())
def test_grants_are_read(claims: dict[str, object], grants: Grants) -> None:
    assert read(claims).grants == grants


@pytest.mark.parametrize(("claim", "value"), BAD_GRANTS, ids=lambda value: ascii(value)[:20])
def test_a_malformed_grant_is_refused_never_read_as_no_limit(claim: str, value: object) -> None:
    with pytest.raises(Unauthenticated) as refused:
        read({claim: value})
    assert refused.value.code == "jwt_claim"


def test_the_token_id_is_a_short_hash_and_not_the_jti() -> None:
    token_id = read({"jti": "a-long-token-identifier"}).token_id
    assert token_id is not None
    assert len(token_id) == 12
    assert token_id not in "a-long-token-identifier"
    assert token_id == read({"jti": "a-long-token-identifier"}).token_id != read({"jti": "b"}).token_id
    with pytest.raises(Unauthenticated):
        read({"jti": 5})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["tenant", "team", "sub", "methods", "credits_max", "jti"]), JSON))
def test_any_claims_end_in_a_legal_principal_or_a_refusal(claims: dict[str, object]) -> None:
    try:
        principal = read_principal(claims, RULES, expires_at=1)
    except (TenantInvalid, Unauthenticated):
        return
    assert principal.tenant == claims["tenant"]
    assert not set(principal.tenant) & set(":{}/ \n")
    assert ("credits_max" in claims) == (principal.grants.credits_max is not None)
    assert ("methods" in claims) == (principal.grants.methods is not None)
