"""Strict JSON: one object with one meaning, or a named problem."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.identity.strictjson import NotStrict, read_object

REFUSED = {
    "empty": (b"", "form"),
    "a list": (b"[]", "form"),
    "a number": (b"1", "form"),
    "null": (b"null", "form"),
    "single quotes": (b"{'a':1}", "form"),
    "something after it": (b"{} {}", "form"),
    "byte order mark": (b"\xef\xbb\xbf{}", "form"),
    "UTF-16": ("{}".encode("utf-16"), "form"),
    "broken UTF-8": (b'{"a":"\xff"}', "form"),
    "raw newline in a string": (b'{"a":"\n"}', "form"),
    "half a surrogate pair": (b'{"a":"\\ud800"}', "form"),
    "half a pair as a name": (b'{"\\uDC00":1}', "form"),
    "17 levels": (b'{"a":' * 17 + b"1" + b"}" * 17, "form"),
    "100,000 levels": (b"[" * 100_000, "form"),
    "unterminated string full of quotes": (b'{"' + b'\\"' * 4000, "form"),
    "same member twice": (b'{"a":1,"a":1}', "duplicate"),
    "same member twice, escaped": (b'{"a":1,"\\u0061":2}', "duplicate"),
    "same member twice, deep down": (b'{"a":[{"b":{"c":1,"c":2}}]}', "duplicate"),
    "NaN": (b'{"a":NaN}', "number"),
    "Infinity": (b'{"a":-Infinity}', "number"),
    "overflow": (b'{"a":1e400}', "number"),
    "5,000 digits": (b'{"a":' + b"9" * 5000 + b"}", "number"),
    "21 digits": (b'{"a":' + b"9" * 21 + b"}", "number"),
    "full-width digits": ('{"a":１２}'.encode(), "form"),
}

TAKEN: dict[str, tuple[bytes, dict[str, object]]] = {
    "no members": (b"{}", {}),
    "brackets in strings are no depth": (b'{"a":"' + b"[{" * 50 + b'"}', {"a": "[{" * 50}),
    "a whole surrogate pair": (b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
    "16 levels": (b"{" + b'"a":[' + b"[" * 14 + b"]" * 14 + b"]}", {"a": json.loads("[" * 15 + "]" * 15)}),
    "20 digits": (b'{"a":' + b"9" * 20 + b"}", {"a": 10**20 - 1}),
}


@pytest.mark.parametrize(("raw", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_what_has_not_one_meaning_is_refused_by_name(raw: bytes, problem: str) -> None:
    with pytest.raises(NotStrict) as refused:
        read_object(raw)
    assert refused.value.problem == problem


@pytest.mark.parametrize(("raw", "members"), TAKEN.values(), ids=TAKEN.keys())
def test_unusual_but_clear_objects_are_taken(raw: bytes, members: dict[str, object]) -> None:
    assert read_object(raw) == members


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet='{}[]":,\\u0d8aeEtn1-. ', max_size=200).map(str.encode))
def test_any_bytes_end_in_an_object_or_a_refusal(raw: bytes) -> None:
    with suppress(NotStrict):
        assert isinstance(read_object(raw), dict)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES, max_size=4), st.booleans())
def test_what_a_writer_meant_is_what_is_read(members: dict[str, object], escaped: bool) -> None:
    raw = json.dumps(members, ensure_ascii=escaped).encode()
    assert read_object(raw) == members
