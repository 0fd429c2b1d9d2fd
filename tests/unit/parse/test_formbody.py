"""Urlencoded bodies: hazards PM01, PM02, PM07, PM08."""

from urllib.parse import parse_qsl, quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadBody
from gateway.parse.formbody import decoded, decoded_base64, read_form


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", []),
        (b"a=1&b=2", [("a", b"1"), ("b", b"2")]),
        (b"prompt=x&prompt=y", [("prompt", b"x"), ("prompt", b"y")]),
        (b"a", [("a", b"")]),
        (b"a=", [("a", b"")]),
        (b"=1", [("", b"1")]),
        (b"&&a=1&", [("a", b"1")]),
        (b"a=b=c", [("a", b"b=c")]),
        (b"a+b=1", [("a b", b"1")]),
        (b"%61=%zz", [("%61", b"%zz")]),
        (b"a%5B%5D=1", [("a[]", b"1")]),
        (b"a=100%&b=\xff", [("a", b"100%"), ("b", b"\xff")]),
        (b"%E6%8F%90=1", [("提", b"1")]),
        ("提=1".encode(), [("提", b"1")]),
        (b"a=line\r\nline", [("a", b"line\r\nline")]),
        (b"_charset_=UTF-8", [("_charset_", b"UTF-8")]),
    ],
)
def test_names_are_decoded_and_values_are_left_alone(body: bytes, fields: list[tuple[str, bytes]]) -> None:
    assert list(read_form(body).read) == fields


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"%=1", id="broken escape in a name"),
        pytest.param(b"a%2=1", id="half an escape in a name"),
        pytest.param(b"%zz=1", id="no hex in a name"),
        pytest.param(b"%u0073teps=1", id="percent-u escape in a name"),
        pytest.param(b"%ff=1", id="no utf-8 in a name"),
        pytest.param(b"\xff=1", id="raw no utf-8 in a name"),
        pytest.param(b"%C0%B3teps=1", id="overlong utf-8 in a name"),
        pytest.param(b"a\nb=1", id="raw newline in a name"),
        pytest.param(b"a=1\x00&b=2", id="raw NUL"),
        pytest.param(b"n" * 3000 + b"=1", id="long name"),
        pytest.param(b"a=1&" * 128 + b"a=1", id="129 fields"),
        pytest.param(b"a=" + b";" * 1000, id="1,000 semicolons"),
        pytest.param(b'{"steps": 30}', id="JSON"),
        pytest.param(b' \r\n[{"steps": 30}]', id="JSON behind blanks"),
        pytest.param(b'--x\r\nContent-Disposition: form-data; name="steps"\r\n\r\n30\r\n--x--', id="multipart"),
        pytest.param(b"_charset_=utf-16", id="another charset"),
        pytest.param(b"_Charset_=iso-8859-1", id="another charset in capitals"),
    ],
)
def test_what_is_no_form_with_one_reading_is_refused(body: bytes) -> None:
    with pytest.raises(BadBody):
        read_form(body)


@pytest.mark.parametrize(
    ("body", "shadows"),
    [
        (b"a=1&b=2", []),
        (b"a=1;steps=2", ["steps"]),
        (b"a=1;steps", ["steps"]),
        (b"a=1;%73teps=2", ["steps"]),
        (b"a=x;+steps+=2", ["steps"]),
        (b"a=1&amp;steps=2", ["steps"]),
        (b"a=1;b=2;c", ["b", "c"]),
        (b"a=x; " + b"prose " * 600 + b"=1", []),
    ],
)
def test_what_a_reader_who_splits_at_semicolons_sees_is_told(body: bytes, shadows: list[str]) -> None:
    assert list(read_form(body).shadows) == shadows


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a+b", "a b"),
        (b"%41%c3%a4", "Aä"),
        (b"%2B", "+"),
        (b"plain", "plain"),
        (b"%", None),
        (b"%4", None),
        (b"%4g", None),
        (b"%ff", None),
        (b"\xff", None),
    ],
)
def test_a_value_is_decoded_once_and_strictly(raw: bytes, text: str | None) -> None:
    assert decoded(raw) == text


@pytest.mark.parametrize(
    ("raw", "base64"),
    [
        (b"QUJD", b"QUJD"),
        (b"QU%2BD%2fQ%3D%3d", b"QU+D/Q=="),
        (b"data%3Aimage%2Fpng%3Bbase64%2CQUJD", b"data:image/png;base64,QUJD"),
        (b"QU+D", b" "),
        (b"data:image/png;base64,QUJD", b" "),
        (b"%51UJD", b"%51UJD"),
        (b"%2bQ%55", b"%2bQ%55"),
    ],
)
def test_only_the_escapes_of_base64_are_undone(raw: bytes, base64: bytes) -> None:
    assert decoded_base64(raw) == base64


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40)), max_size=12))
def test_what_an_ordinary_client_encodes_is_read_as_an_ordinary_server_reads_it(pairs: list[tuple[str, str]]) -> None:
    pairs = [(name, value) for name, value in pairs if name.lower() != "_charset_"]
    body = urlencode(pairs, quote_via=quote).encode()
    fields = [(name, decoded(value)) for name, value in read_form(body).read if isinstance(value, bytes)]
    assert fields == pairs == parse_qsl(body.decode(), keep_blank_values=True)


@given(st.binary(max_size=80) | st.text(alphabet="ab%3&;=+[] \n\x00", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        fields = read_form(body).read
    except BadBody:
        return
    assert len(fields) <= 128
