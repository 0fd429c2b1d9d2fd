"""Promises of wishes.py: a key has one meaning however it is spelt, and what has none is refused."""

import pytest

from gateway.errors import BadHeader
from gateway.ledger.budget import Path
from gateway.messages import Call
from gateway.web.wishes import HASHED_ON_LOOP_BYTES_MAX, IDEMPOTENCY_KEY, idempotency_key, once_of

READ = {
    "k": "k",
    '"k"': "k",
    "8e03978e-40d5-43dd-bc93-6894a57f9324": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    '"8e03978e-40d5-43dd-bc93-6894a57f9324"': "8e03978e-40d5-43dd-bc93-6894a57f9324",
    '"two words"': "two words",
    '"a,b"': "a,b",
    r'"a\"b\\c"': r"a\"b\c".replace(r"\"", '"'),
    "a;b=1": "a;b=1",
    "!#$%&'()*+-./:;<=>?@[]^_`{|}~": "!#$%&'()*+-./:;<=>?@[]^_`{|}~",
    "k" * 255: "k" * 255,
    f'"{"k" * 255}"': "k" * 255,
}

REFUSED = [
    *("", '""', " ", "a b", "a,b", "a, b", 'a"b', "a\\b", '"', '"a', 'a"', '"a"b"', '"a" ', '"a";p=1', '"a", "b"'),
    *('"a\\b"', '"a\\"', "ä", '"ä"', "a\tb", '"a\tb"', "a\x7f", '"a\x00"', "k" * 256, f'"{"k" * 256}"', "١"),
]


@pytest.mark.parametrize("said", READ)
def test_a_key_is_read_quoted_or_bare(said: str) -> None:
    assert idempotency_key((("accept", "*/*"), (IDEMPOTENCY_KEY, said))) == READ[said]


@pytest.mark.parametrize("said", REFUSED)
def test_what_is_no_key_is_refused_without_being_repeated(said: str) -> None:
    with pytest.raises(BadHeader) as refused:
        idempotency_key(((IDEMPOTENCY_KEY, said),))
    assert refused.value.header == "Idempotency-Key"
    assert len(said) < 10 or said not in refused.value.detail


def test_a_second_key_is_refused_also_when_it_is_the_same() -> None:
    with pytest.raises(BadHeader):
        idempotency_key(((IDEMPOTENCY_KEY, "k"), (IDEMPOTENCY_KEY, "k")))


def test_who_sends_no_key_has_none() -> None:
    assert idempotency_key((("x-idempotency-key", "k"), ("idempotency_key", "k"))) is None


PAYER = Path("studio", None, "ann")
CALL = Call("r1", "POST", "/text2image", "a=1", (("content-type", "application/json"), ("accept", "*/*")), b"{}")


async def test_the_same_call_again_is_known_by_everything_but_its_own_id_and_what_it_accepts() -> None:
    again = Call(
        "r2", "POST", "/text2image", "a=1", (("accept", "image/png"), ("content-type", "application/json")), b"{}"
    )
    assert await once_of("k", PAYER, CALL) == await once_of("k", PAYER, again)


@pytest.mark.parametrize(
    "other",
    [
        Call("r1", "GET", CALL.path, CALL.query, CALL.fields, CALL.body),
        Call("r1", "POST", "/text2image_flux", CALL.query, CALL.fields, CALL.body),
        Call("r1", "POST", CALL.path, "", CALL.fields, CALL.body),
        Call("r1", "POST", CALL.path, CALL.query, (), CALL.body),
        Call("r1", "POST", CALL.path, CALL.query, CALL.fields, b"{ }"),
        Call("r1", "POST", CALL.path, CALL.query, CALL.fields, b"{}" * HASHED_ON_LOOP_BYTES_MAX),
    ],
)
async def test_another_call_is_told_apart(other: Call) -> None:
    mine, theirs = await once_of("k", PAYER, CALL), await once_of("k", PAYER, other)
    assert mine.key == theirs.key
    assert mine.fingerprint != theirs.fingerprint
