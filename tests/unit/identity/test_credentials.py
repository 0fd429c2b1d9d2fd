"""Where a token may stand in a request (ID20, ID21)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import AmbiguousCredentials, GatewayError, TokenInUrl, Unauthenticated
from gateway.identity.credentials import find_token
from tests.unit.identity.tokens import code_of

Fields = list[tuple[str, str]]

DEZGO, RAPID, HOST = ("x-dezgo-key", "a.b.c"), ("x-rapidapi-key", "a.b.c"), ("x-rapidapi-host", "h")
BEARER = ("authorization", "Bearer a.b.c")

FOUND: dict[str, tuple[Fields, bool]] = {
    "Dezgo key": ([DEZGO], False),
    "RapidAPI key with host": ([HOST, RAPID], True),
    "RapidAPI key alone": ([RAPID], True),
    "bearer": ([BEARER], False),
    "lower-case scheme": ([("authorization", "bearer a.b.c")], False),
    "upper-case scheme": ([("authorization", "BEARER a.b.c")], False),
    "twice the same line": ([BEARER, BEARER], False),
    "the same everywhere": ([BEARER, DEZGO, RAPID], True),
    "an empty key field beside it": ([("x-dezgo-key", ""), BEARER], False),
    "a RapidAPI host is no RapidAPI key": ([HOST, DEZGO], False),
    "cookies are not looked at": ([("cookie", "token=x.y.z"), DEZGO], False),
}

REFUSED: dict[str, tuple[Fields, str]] = {
    "nothing": ([], "missing"),
    "only a cookie": ([("cookie", "token=a.b.c")], "missing"),
    "only empty fields": ([("x-dezgo-key", ""), ("x-rapidapi-key", "")], "missing"),
    "two keys": ([DEZGO, ("x-rapidapi-key", "x")], "ambiguous_credentials"),
    "two Dezgo keys": ([DEZGO, ("x-dezgo-key", "x")], "ambiguous_credentials"),
    "two bearers": ([BEARER, ("authorization", "Bearer x")], "ambiguous_credentials"),
    "bearer and another key": ([BEARER, ("x-dezgo-key", "x")], "ambiguous_credentials"),
    "another case is another token": ([BEARER, ("x-dezgo-key", "A.b.c")], "ambiguous_credentials"),
    **{
        f"authorization {value!r}": ([("authorization", value)], "jwt_form")
        for value in (
            "", "Bearer", "Bearer ", "Bearer  a.b.c", "Bearer\ta.b.c", " Bearer a.b.c", "Bearer a.b.c ", "a.b.c",
            "Bearer a, Bearer b", "Bearer a,b", "Bearer a b", "Bearer a\n", "Basic YTpi", "BearerX a", "Bearer é",
            "Token a.b.c", "Bearer a;b",
        )
    },
    "a bad authorization beside a good key": ([DEZGO, ("authorization", "Basic YTpi")], "jwt_form"),
}  # fmt: skip

IN_URL = [
    "access_token=x", "token=x", "x-dezgo-key=x", "X-Dezgo-Key=x", "key=x", "api_key=x", "apikey=x", "ApiKey=x",
    "jwt=x", "authorization=x", "AUTHORIZATION=x", "a=1&token=x", "a=1;token=x", "%74oken=x", "access%5Ftoken=x",
    "api-key=x", "x-rapidapi-key=x", "X-API-Key=x", "token", "token=", "token[]=x", "token%5B0%5D=x", "+token=x",
    "%20token%20=x", "&&token=x",
]  # fmt: skip
IN_ORDER = ["", "prompt=token", "prompt=key%3Dx", "tokens=1", "monkey=1", "a=access_token", "keys=1", "=token", "%ff=1"]


@pytest.mark.parametrize(("fields", "speaks_rapidapi"), FOUND.values(), ids=FOUND.keys())
def test_one_token_is_found_wherever_it_may_stand(fields: Fields, speaks_rapidapi: bool) -> None:
    presented = find_token([("accept", "*/*"), *fields], "a=1")
    assert presented.token == "a.b.c"
    assert presented.speaks_rapidapi is speaks_rapidapi


@pytest.mark.parametrize(("fields", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_no_token_or_more_than_one_is_refused(fields: Fields, code: str) -> None:
    with pytest.raises((Unauthenticated, AmbiguousCredentials)) as refused:
        find_token(fields, "")
    assert code_of(refused.value) == code


@pytest.mark.parametrize("query", IN_URL)
def test_a_credential_in_the_url_is_refused_even_beside_a_good_one(query: str) -> None:
    with pytest.raises(TokenInUrl):
        find_token([DEZGO], query)


@pytest.mark.parametrize("query", IN_ORDER)
def test_other_parameters_are_no_credentials(query: str) -> None:
    assert find_token([DEZGO], query).token == "a.b.c"


def test_the_token_does_not_show_in_the_repr() -> None:
    assert "a.b.c" not in repr(find_token([DEZGO], ""))


NAMES = st.sampled_from(["authorization", "x-dezgo-key", "x-rapidapi-key", "cookie"])


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, st.text(max_size=12) | st.just("Bearer a"))), st.text(max_size=20))
def test_any_fields_and_query_end_in_a_token_or_a_refusal(fields: Fields, query: str) -> None:
    try:
        token = find_token(fields, query).token
    except GatewayError:
        return
    assert token
    assert any(token in value for _, value in fields)
