"""JSON bodies: hazards PM10, PM08, F15, F16."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadBody
from gateway.parse.fields import Number
from gateway.parse.jsonbody import read_json


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b" ", id="a blank"),
        pytest.param(b"[]", id="array root"),
        pytest.param(b'[["steps",30]]', id="array that looks like members"),
        pytest.param(b"30", id="number root"),
        pytest.param(b'"x"', id="text root"),
        pytest.param(b"null", id="null root"),
        pytest.param(b"true", id="boolean root"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param('{"a":1}'.encode("utf-16"), id="utf-16"),
        pytest.param('{"a":1}'.encode("utf-16-le"), id="utf-16 without mark"),
        pytest.param('{"a":1}'.encode("utf-32"), id="utf-32"),
        pytest.param(b'{"a":"\xff"}', id="no utf-8"),
        pytest.param(b'{"a":"\xc0\xaf"}', id="overlong utf-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', id="surrogate in utf-8"),
        pytest.param(b"{} x", id="trailing junk"),
        pytest.param(b"{}{}", id="two objects"),
        pytest.param(b"{}\x00", id="trailing NUL"),
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b'{"a":Infinity}', id="Infinity"),
        pytest.param(b'{"a":[-Infinity]}', id="nested -Infinity"),
        pytest.param(b"{'a':1}", id="single quotes"),
        pytest.param(b"{a:1}", id="bare name"),
        pytest.param(b'{"a":1,}', id="trailing comma"),
        pytest.param(b'{"a":1 "b":2}', id="missing comma"),
        pytest.param(b'{"a":1}//x', id="comment"),
        pytest.param(b'{"a":/**/1}', id="comment inside"),
        pytest.param(b'{"a":01}', id="leading zero"),
        pytest.param(b'{"a":+1}', id="plus sign"),
        pytest.param(b'{"a":0x1e}', id="hexadecimal"),
        pytest.param(b'{"a":1_0}', id="underscore"),
        pytest.param('{"a":３０}'.encode(), id="full-width digits"),
        pytest.param(b'{"a":"x\ny"}', id="raw newline in text"),
        pytest.param(b'{"a":"\\x41"}', id="unknown escape"),
        pytest.param(b'{"a":"x', id="cut in text"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", id="number of 5,000 digits"),
        pytest.param(b'{"a":1.' + b"9" * 5000 + b"}", id="fraction of 5,000 digits"),
        pytest.param(b'{"a":' + b"[" * 8 + b"]" * 8 + b"}", id="nine levels"),
        pytest.param(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="100,000 levels"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="100,000 objects deep"),
        pytest.param(b'{"a":' * 100_000, id="100,000 unclosed objects"),
        pytest.param(b"[" * 9 + b'"' + b'\\"' * 100_000, id="unterminated text of quotes"),
        pytest.param(b"[]" * 500_000, id="a million brackets"),
        pytest.param(b"{" + b",".join(b'"%d":1' % n for n in range(129)) + b"}", id="129 members"),
        pytest.param(b'{"a":[' + b"1," * 10_001 + b"1]}", id="10,001 commas"),
        pytest.param(b"--x\r\nContent-Disposition: form-data", id="multipart"),
        pytest.param(b"steps=30&prompt=x", id="urlencoded"),
        pytest.param(b"[object FormData]", id="a form object turned into text"),
        pytest.param(b"[object Object]", id="an object turned into text"),
    ],
)
def test_what_is_not_one_json_object_with_one_reading_is_refused(body: bytes) -> None:
    with pytest.raises(BadBody):
        read_json(body)


def test_every_member_is_kept_in_order_and_numbers_stay_as_written() -> None:
    fields = read_json(b'{"a":1,"b":"1","a":-0.50e3,"n":null,"t":true,"l":[1],"o":{"k":1,"k":2}}').read
    assert list(fields) == [
        ("a", "1"),
        ("b", "1"),
        ("a", "-0.50e3"),
        ("n", None),
        ("t", True),
        ("l", ["1"]),
        ("o", (("k", "1"), ("k", "2"))),
    ]
    assert [type(value) for _, value in fields[:3]] == [Number, str, Number]


def test_escaped_names_are_read_and_lone_surrogates_survive() -> None:
    fields = read_json(rb'{"st\u0065ps":1,"prompt":"\ud800"}').read
    assert list(fields) == [("steps", "1"), ("prompt", "\ud800")]


@pytest.mark.parametrize(
    "value",
    ["(((a))) [b:c:0.5] {d}" * 9, '[[[[[[[[[[ "quoted" \\', "\\" * 9 + "[" * 20, "[" * 5000, '"[' * 20],
)
def test_brackets_inside_text_are_no_nesting(value: str) -> None:
    body = json.dumps({"prompt": value, "last": [[["[[[[["]]]}).encode()
    assert read_json(body).read[0] == ("prompt", value)


def test_eight_levels_and_128_members_pass() -> None:
    assert read_json(b'{"a":' + b"[" * 7 + b"]" * 7 + b"}").read
    assert len(read_json(json.dumps({str(n): 1 for n in range(128)}).encode()).read) == 128


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


def _depth(tree: object) -> int:
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return 1 + max(map(_depth, inner), default=0) if isinstance(tree, dict | list) else 0


@given(st.dictionaries(st.text(), TREES, max_size=6), st.booleans())
def test_every_flat_enough_object_is_read_with_its_own_names(members: dict[str, object], ascii_only: bool) -> None:
    body = json.dumps(members, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    if _depth(members) > 8:
        with pytest.raises(BadBody):
            read_json(body)
    else:
        assert [name for name, _ in read_json(body).read] == list(members)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\ \n019.eE+-tfnul', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        members = [name for name, _ in read_json(body).read]
    except BadBody:
        return
    assert set(members) == set(json.loads(body))
