"""The strict pre-parser: ID01, ID03, ID04, ID06 and ID08 to ID12, each with its code."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Unauthenticated
from gateway.identity import base64url
from gateway.identity.preparse import preparse
from tests.unit.identity.tokens import CLAIMS, HEADER, NOW, raw_token, token

GOOD = token()
HEAD, BODY, SIGNATURE = GOOD.split(".")
HEADER_RAW, CLAIMS_RAW = json.dumps(HEADER).encode(), json.dumps(CLAIMS).encode()
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
BAD_KIDS: list[object] = [None, 1, ["k1"], {}, True]
BAD_ISSUERS: list[object] = ["", None, 1, ["x"], {}]
DEEP: object = []
for _ in range(20):
    DEEP = [DEEP]


def with_stray_bits(part: str) -> str:
    """Another spelling of the same bytes, or of none: the last character's unused bits set."""
    assert len(part) % 4 != 0
    return part[:-1] + ALPHABET[ALPHABET.index(part[-1]) | 1]


def claim_text(name: str, text: str) -> str:
    """A token whose claim `name` is written as `text`."""
    rest = {key: value for key, value in CLAIMS.items() if key != name}
    return raw_token(HEADER_RAW, json.dumps(rest).encode()[:-1] + f', "{name}": {text}}}'.encode())


SHAPES = {
    "empty": ("", "jwt_form"),
    "two parts": (f"{HEAD}.{BODY}", "jwt_form"),
    "four parts": (f"{GOOD}.x", "jwt_form"),
    "five parts, encrypted": (f"{HEAD}.a.b.c.d", "jwt_header"),
    "8 KiB and a byte": ("a" * 8193, "jwt_size"),
    "a megabyte": ("." * 1_000_000, "jwt_size"),
    "8 KiB of dots": ("." * 8192, "jwt_form"),
    "padded": (f"{HEAD}.{BODY}.{SIGNATURE}=", "jwt_form"),
    "padded header": (f"{HEAD}=.{BODY}.{SIGNATURE}", "jwt_form"),
    "space before": (f" {GOOD}", "jwt_form"),
    "newline after": (f"{GOOD}\n", "jwt_form"),
    "tab inside": (f"{HEAD}.\t{BODY}.{SIGNATURE}", "jwt_form"),
    "stray bits": (f"{HEAD}.{BODY}.{with_stray_bits(SIGNATURE)}", "jwt_form"),
    "standard alphabet": (f"{HEAD}.{BODY}.{SIGNATURE[:-4]}+/AA", "jwt_form"),
    "full-width letters": (f"{HEAD}.{BODY}.{SIGNATURE[:-1]}Ａ", "jwt_form"),
    "half a surrogate pair": (f"{HEAD}.{BODY}.\ud800", "jwt_form"),
    "impossible length": (f"{HEAD}.{BODY}.AAAAA", "jwt_form"),
    "no signature": (f"{HEAD}.{BODY}.", "jwt_form"),
    "no claims": (f"{HEAD}..{SIGNATURE}", "jwt_form"),
    "claims are a list": (raw_token(HEADER_RAW, b"[]"), "jwt_form"),
    "header is a string": (raw_token(b'"HS256"', CLAIMS_RAW), "jwt_form"),
    "claims in latin-1": (raw_token(HEADER_RAW, b'{"iss":"\xe9"}'), "jwt_form"),
    "deep claims": (token(claims={"x": DEEP}), "jwt_form"),
    "claim twice": (raw_token(HEADER_RAW, CLAIMS_RAW[:-1] + b', "exp": 1}'), "jwt_dup"),
    "claim twice, deep": (raw_token(HEADER_RAW, b'{"a":{"b":1,"b":1}}'), "jwt_dup"),
    "alg twice": (raw_token(b'{"alg":"none","alg":"HS256"}', CLAIMS_RAW), "jwt_dup"),
}

HEADERS: dict[str, tuple[dict[str, object], str]] = {
    **{f"alg {alg}": ({"alg": alg}, "jwt_alg") for alg in ("none", "None", "NONE", "nOnE", "", "hs256", "HS384")},
    **{f"alg is {alg!r}": ({"alg": alg}, "jwt_alg") for alg in (None, 1, True, ["HS256"], {"alg": "HS256"})},
    **{f"kid is {type(kid).__name__}": ({"kid": kid}, "jwt_kid") for kid in BAD_KIDS},
    "kid empty": ({"kid": ""}, "jwt_kid"),
    "kid of 129 characters": ({"kid": "k" * 129}, "jwt_kid"),
    **{
        f"{name} present": ({name: value}, "jwt_header")
        for name, value in {
            "crit": ["exp"], "b64": True, "zip": "DEF", "cty": "JWT", "jku": "http://127.0.0.1/", "x5u": "x",
            "x5c": [], "jwk": {"kty": "oct", "k": "AAAA"}, "enc": "A256GCM", "ALG": "none", "custom": 1,
        }.items()
    },
    "header number overflows": ({"x5t": float("inf")}, "jwt_header"),
    **{f"typ {typ!r}": ({"typ": typ}, "jwt_typ") for typ in ("JWE", "id+jwt", "", " JWT", None, 1, ["JWT"])},
}  # fmt: skip

TIMES = {
    **{
        f"{name} {text}": (claim_text(name, text), "jwt_claim")
        for name in ("exp", "nbf", "iat")
        for text in (
            '"1800000000"', '" 1800000000 "', '"１８"', "true", "false", "null", "[]", "{}", "NaN", "Infinity",
            "-Infinity", "1e400", "-1", "253402300800", "1" + "0" * 400,
        )
    },
    "exp missing": (token(without=("exp",)), "jwt_claim"),
    **{f"iss {iss!r}": (token(claims={"iss": iss}), "jwt_iss") for iss in BAD_ISSUERS},
    "iss missing": (token(without=("iss",)), "jwt_iss"),
}  # fmt: skip

CASES = SHAPES | {name: (token(header=head), code) for name, (head, code) in HEADERS.items()} | TIMES


@pytest.mark.parametrize(("text", "code"), CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_token_with_more_than_one_reading_is_refused_with_its_code(text: str, code: str, as_bytes: bool) -> None:
    with pytest.raises(Unauthenticated) as refused:
        preparse(text.encode("utf-8", "surrogatepass") if as_bytes else text)
    assert refused.value.code == code


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "AT+JWT"])
@pytest.mark.parametrize("require_typ", [True, False])
def test_both_token_types_are_taken_in_any_case(typ: str, require_typ: bool) -> None:
    assert preparse(token(header={"typ": typ}), require_typ=require_typ).algorithm == "HS256"


def test_a_missing_typ_is_taken_only_where_it_is_not_required() -> None:
    text = token(without=("typ",))
    with pytest.raises(Unauthenticated, match="unauthenticated") as refused:
        preparse(text)
    assert refused.value.code == "jwt_typ"
    assert preparse(text, require_typ=False).kid == "k1"


def test_a_wrong_typ_is_refused_even_where_none_is_required() -> None:
    with pytest.raises(Unauthenticated):
        preparse(token(header={"typ": "logout+jwt"}), require_typ=False)


def test_a_token_of_exactly_8_kib_is_read() -> None:
    filler = 8192 - len(token(claims={"x": ""}))
    text = next(made for n in range(filler, 0, -1) if len(made := token(claims={"x": "a" * (n * 3 // 4)})) <= 8192)
    assert len(text) in range(8185, 8193)
    assert preparse(text).issuer == CLAIMS["iss"]


def test_content_is_handed_over_unchanged_and_does_not_show_in_the_repr() -> None:
    read = preparse(token(claims={"nbf": NOW - 1.5, "iat": 0}, header={"x5t": "abc"}))
    assert (read.algorithm, read.kid, read.issuer) == ("HS256", "k1", CLAIMS["iss"])
    assert (read.expires_at, read.not_before, read.issued_at) == (NOW + 600, NOW - 1.5, 0)
    assert read.claims["tenant"] == "acme"
    assert "acme" not in repr(read)
    assert "k1" not in repr(read)


PARTS = st.sampled_from([HEAD, BODY, SIGNATURE, ""]) | st.text(ALPHABET + "=. \n", max_size=40)


@settings(deadline=None)
@given(
    st.text(max_size=200)
    | st.binary(max_size=200)
    | st.lists(PARTS, min_size=2, max_size=5).map(".".join)
    | st.builds(raw_token, st.just(HEADER_RAW) | st.binary(max_size=80), st.binary(max_size=200))
)
def test_any_text_or_bytes_end_in_a_reading_or_unauthenticated(text: str | bytes) -> None:
    with suppress(Unauthenticated):
        assert preparse(text).issuer


JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers())


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "x5t"]), JSON | st.just("HS256")),
    st.dictionaries(st.sampled_from(["iss", "exp", "nbf", "iat", "aud"]), JSON),
)
def test_any_members_end_in_a_reading_or_unauthenticated(header: dict[str, object], claims: dict[str, object]) -> None:
    try:
        read = preparse(token(header=header, claims=claims))
    except Unauthenticated:
        return
    assert 0 <= read.expires_at < 1e12
    assert read.issuer


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_every_byte_string_has_exactly_one_spelling(raw: bytes) -> None:
    text = base64url.encode(raw)
    assert base64url.decode(text) == raw
    assert base64url.decode(text + "=") is None
    if len(text) % 4:
        assert base64url.decode(with_stray_bits(text)) is None
