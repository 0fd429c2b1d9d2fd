"""Multipart bodies: hazards PM11, PM08, F15, F16."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadBody
from gateway.parse.fields import Part
from gateway.parse.multipart import read_multipart
from tests.unit.parse.wire import STYLES, File, Style

A = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
END = b"--x--\r\n"


def part(header: str, content: bytes = b"1") -> bytes:
    """A whole body of one part with this header."""
    return b"--x\r\n" + header.encode() + b"\r\n\r\n" + content + b"\r\n" + END


def disposition(rest: str) -> bytes:
    """A whole body of one part with these parameters of Content-Disposition."""
    return part(f"Content-Disposition: form-data; {rest}")


NAMED = 'Content-Disposition: form-data; name="a"'


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_what_common_libraries_send_is_read(style: Style) -> None:
    file = File("init_image", "photo.png", "image/png", b"\x89PNG\r\n\x1a\n--\r\n\x00")
    body = style.body({"steps": "30", "prompt": "a\r\n--b ä", "seed": ""}, file)
    fields = read_multipart(body, style.boundary).read
    contents = [(name, bytes(value.content)) for name, value in fields if isinstance(value, Part)]
    assert contents == [
        ("steps", b"30"),
        ("prompt", "a\r\n--b ä".encode()),
        ("seed", b""),
        ("init_image", file.content),
    ]
    last = fields[-1][1]
    assert isinstance(last, Part)
    assert last.filename == "photo.png"


def test_contents_are_views_and_not_copies() -> None:
    body = part(NAMED, b"x" * 100_000)
    _, value = read_multipart(body, "x").read[0]
    assert isinstance(value, Part)
    assert value.content.obj is body


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(disposition('name="a";\tfilename="b"'), id="a tab between parameters"),
        pytest.param(part(f"{NAMED}\r\n%: b"), id="a sign in a header's name"),
        pytest.param(b"", id="nothing"),
        pytest.param(END, id="no parts"),
        pytest.param(A, id="no last boundary"),
        pytest.param(A[:-2], id="cut before the last boundary"),
        pytest.param(A + b"--x", id="last boundary cut"),
        pytest.param(A + b"--x-", id="half a last boundary"),
        pytest.param(A + b"--x\r\n", id="a part announced and missing"),
        pytest.param(b"preamble\r\n" + A + END, id="preamble"),
        pytest.param(A[2:] + END, id="no first boundary"),
        pytest.param(b"\r\n\r\n" + A + END, id="two empty lines first"),
        pytest.param(b" " + A + END, id="a blank first"),
        pytest.param(A + END + b"epilogue", id="epilogue"),
        pytest.param(A + END + A + END, id="a second body behind the first"),
        pytest.param(A + END + b"\r\n\r\n", id="three empty lines last"),
        pytest.param(A + b"--x-- \r\n", id="a blank last"),
        pytest.param((A + END).replace(b"\r\n", b"\n"), id="line feeds only"),
        pytest.param(A.replace(b"\r\n\r\n", b"\n\n") + END, id="line feeds in a header"),
        pytest.param(part(NAMED, b"1\n--x\nz"), id="boundary after a bare line feed"),
        pytest.param(part(NAMED, b"1\r--x\rz"), id="boundary after a bare carriage return"),
        pytest.param(part(NAMED, b"1\r\n--xy\r\nz"), id="boundary as a prefix of a line"),
        pytest.param(part(NAMED, b"1 --x 2"), id="boundary inside a line"),
        pytest.param(part(NAMED, b"1\r\n--x \r\n" + NAMED.encode() + b"\r\n\r\n2"), id="padded boundary"),
        pytest.param(part(NAMED, b"1\r\n--x--\r\n2"), id="last boundary inside"),
        pytest.param(b"--x\r\n\r\n1\r\n" + END, id="no header"),
        pytest.param(b"--x\r\n" + NAMED.encode() + b"\r\n" + END, id="no end of header"),
        pytest.param(part("Content-Type: text/plain"), id="no Content-Disposition"),
        pytest.param(part(f"{NAMED}\r\n{NAMED}"), id="two Content-Dispositions"),
        pytest.param(part(f"{NAMED}\r\ncontent-disposition: form-data; name=steps"), id="two in other case"),
        pytest.param(part(f"{NAMED}\r\n folded"), id="folded line"),
        pytest.param(part(f"{NAMED}\r\nno colon"), id="line without a colon"),
        pytest.param(part(f"{NAMED}\r\nX : 1"), id="blank before the colon"),
        pytest.param(part(f"{NAMED}\r\nX: a\x00b"), id="NUL in a header"),
        pytest.param(part(f"{NAMED}\r\nX: a\nY: b"), id="bare line feed in a header"),
        pytest.param(part(f"{NAMED}\r\nX: a\rY: b"), id="bare carriage return in a header"),
        pytest.param(part(f"{NAMED}\r\nX: a\u2028Y: b"), id="line separator in a header"),
        pytest.param(part(f"{NAMED}\r\nX: a\x85"), id="next line in a header"),
        pytest.param(part(NAMED).replace(b'"a"', b'"\xff"'), id="no utf-8 in a header"),
        pytest.param(part(f"{NAMED}\r\nX: {'y' * 8200}"), id="header above 8 KiB"),
        pytest.param(part(f"{NAMED}\r\nContent-Transfer-Encoding: base64"), id="base64"),
        pytest.param(part(f"{NAMED}\r\nContent-Transfer-Encoding: quoted-printable"), id="quoted-printable"),
        pytest.param(part(f"{NAMED}\r\nContent-Transfer-Encoding: x-bogus"), id="unknown transfer encoding"),
        pytest.param(part(f"{NAMED}\r\nContent-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: 7bit"), id="two"),
        pytest.param(part(f"{NAMED}\r\nContent-Encoding: gzip"), id="compressed"),
        pytest.param(part(f"{NAMED}\r\nContent-Length: 2"), id="length too long"),
        pytest.param(part(f"{NAMED}\r\nContent-Length: 0"), id="length too short"),
        pytest.param(part(f"{NAMED}\r\nContent-Length: +1"), id="length with a sign"),
        pytest.param(part(f"{NAMED}\r\nContent-Length: 1\r\nContent-Length: 1"), id="two lengths"),
        pytest.param(part(f"{NAMED}\r\nContent-Type: multipart/mixed; boundary=y"), id="nested"),
        pytest.param(part(f"{NAMED}\r\nContent-Type: message/rfc822"), id="a mail inside"),
        pytest.param(part(f"{NAMED}\r\nContent-Type: a/b\r\nContent-Type: c/d"), id="two part types"),
        pytest.param(part("Content-Disposition: attachment; name=a"), id="no form-data"),
        pytest.param(part("Content-Disposition: form-data"), id="no name"),
        pytest.param(part("Content-Disposition: form-data;"), id="no parameters"),
        pytest.param(disposition('name=""'), id="empty name"),
        pytest.param(disposition("name="), id="unquoted empty name"),
        pytest.param(disposition("name"), id="name without a value"),
        pytest.param(disposition('name="a'), id="unterminated name"),
        pytest.param(disposition("name=a b"), id="unquoted name with a blank"),
        pytest.param(disposition("name=a[]"), id="unquoted name with brackets"),
        pytest.param(disposition('name="a"; name="steps"'), id="two names"),
        pytest.param(disposition('name="a"; Name="steps"'), id="two names in other case"),
        pytest.param(disposition("name=\"a\"; name*=utf-8''steps"), id="name*"),
        pytest.param(disposition("name*=utf-8''steps"), id="name* alone"),
        pytest.param(disposition('name*0="ste"; name*1="ps"'), id="name in pieces"),
        pytest.param(disposition('name="a"; filename*0="x"'), id="filename in pieces"),
        pytest.param(disposition('filename="f"; name="a"'), id="name not first"),
        pytest.param(disposition('name="a"; filename="f" x'), id="junk after a parameter"),
        pytest.param(disposition(r'name="a\"b"'), id="escaped quote in a name"),
        pytest.param(disposition(r'name="\steps"'), id="backslash in a name"),
        pytest.param(disposition('name="a;steps"'), id="semicolon in a name"),
        pytest.param(disposition('name="=?utf-8?q?steps?="'), id="mail encoding in a name"),
        pytest.param(disposition(r'name="a"; filename="f\"; name=\"steps"'), id="escaped quotes hide a name"),
        pytest.param(disposition('name="a"; filename="f; name=steps"'), id="a name inside a filename"),
        pytest.param(part("Content-Disposition: form-data; name=_charset_", b"utf-16"), id="another charset"),
    ],
)
def test_what_readers_could_take_apart_differently_is_refused(body: bytes) -> None:
    with pytest.raises(BadBody):
        read_multipart(body, "x")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(A + b"--x--", id="no line end at the end"),
        pytest.param(A + END + b"\r\n", id="an empty line at the end"),
        pytest.param(b"\r\n" + A + END, id="an empty line first"),
        pytest.param(part('CONTENT-DISPOSITION:form-data;name="a"'), id="no blanks"),
        pytest.param(part(f"{NAMED}\r\nContent-Transfer-Encoding: Binary\r\nContent-Length: 1"), id="retrofit"),
        pytest.param(part(f"{NAMED}\r\nX-Other: 1\r\nX-Other: 2"), id="unknown part headers"),
        pytest.param(part(f"{NAMED}\r\nContent-Type: application/octet-stream"), id="octet stream"),
        pytest.param(disposition('name="a"; filename="C:\\dir\\f.png"'), id="a path as filename"),
        pytest.param(disposition('name="a"; filename="ü;ñ.png"'), id="any filename"),
        pytest.param(disposition('name="a"; filename=""'), id="empty filename"),
        pytest.param(disposition("name=a; filename=f.png; filename*=utf-8''f.png"), id="both filenames"),
        pytest.param(part(NAMED, b"1\r\n--y\r\n-- x"), id="other boundaries in the content"),
    ],
)
def test_harmless_deviations_pass(body: bytes) -> None:
    assert [name for name, _ in read_multipart(body, "x").read] == ["a"]


def test_128_parts_pass_and_one_more_does_not() -> None:
    assert len(read_multipart(A * 128 + END, "x").read) == 128
    with pytest.raises(BadBody):
        read_multipart(A * 129 + END, "x")


@pytest.mark.parametrize("boundary", ["-", "--", "----", "abab"])
def test_a_boundary_that_overlaps_itself_is_never_read_two_ways(boundary: str) -> None:
    body = f"--{boundary}\r\n{NAMED}\r\n\r\n1\r\n--{boundary}--\r\n".encode()
    if set(boundary) == {"-"}:
        with pytest.raises(BadBody):
            read_multipart(body, boundary)
    else:
        assert read_multipart(body, boundary).read


@given(st.lists(st.sampled_from([b"--x", b"--", b"\r\n", b"\n", NAMED.encode(), b"1", b"\r\n\r\n", b" "]), max_size=14))
def test_any_arrangement_of_pieces_is_read_or_refused(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    try:
        fields = read_multipart(body, "x").read
    except BadBody:
        return
    assert body.count(b"--x") == len(fields) + 1


@pytest.mark.parametrize("blank", [" ", "\t", " \t "])
@pytest.mark.parametrize("name", ["steps", '"steps"'])
def test_blanks_behind_a_name_are_refused_since_some_readers_keep_them(name: str, blank: str) -> None:
    assert read_multipart(disposition(f"name={name}"), "x").read
    with pytest.raises(BadBody):
        _ = read_multipart(disposition(f"name={name}{blank}"), "x").read


@pytest.mark.parametrize(
    ("header", "shadows"),
    [
        ('Content-Disposition: form-data; name="a"\r\nX-A: name=height', ["height", "height"]),
        ('X-A: NAME*="height"\r\nContent-Disposition: form-data; name="a"', ["height", "height"]),
        ('Content-Disposition: form-data; name="a"\r\nContent-Type: image/png; name="a b.png"', ["a b.png", "a"]),
        ('Content-Disposition: form-data; name="a"; filename="name=height"', ["height", "height"]),
        ('Content-Disposition: form-data; name="a"; filename="my name.png"', []),
        (NAMED, []),
    ],
)
def test_a_name_that_only_a_searching_reader_sees_is_told(header: str, shadows: list[str]) -> None:
    body = part(header)
    fields = read_multipart(body, "x")
    assert list(fields.shadows) == shadows
    value = fields.read[0][1]
    assert isinstance(value, Part)
    assert value.shadowed == bool(shadows)


def test_a_header_of_nothing_but_names_is_refused() -> None:
    with pytest.raises(BadBody) as refusal:
        read_multipart(part(f"{NAMED}\r\nX-A: {'name=' * 9}"), "x")
    assert "too many names" in refusal.value.detail
