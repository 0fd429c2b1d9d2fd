"""Content types: hazards PM07, PM08, F15."""

import pytest

from gateway.errors import BadBody, UnsupportedMediaType
from gateway.parse.mediatype import Encoding, read_encoding, read_media_type


@pytest.mark.parametrize(
    ("text", "encoding", "boundary"),
    [
        ("application/json", Encoding.JSON, ""),
        ("Application/JSON", Encoding.JSON, ""),
        ("application/json; charset=UTF-8", Encoding.JSON, ""),
        ("application/json;charset=utf8", Encoding.JSON, ""),
        ('application/json; charset="utf-8"', Encoding.JSON, ""),
        (" application/json ; charset=utf-8 ", Encoding.JSON, ""),
        ("application/json;", Encoding.JSON, ""),
        ("application/json; v=1", Encoding.JSON, ""),
        ("application/x-www-form-urlencoded", Encoding.FORM, ""),
        ("application/x-www-form-urlencoded; charset=utf-8", Encoding.FORM, ""),
        ("multipart/form-data; boundary=x", Encoding.MULTIPART, "x"),
        ("Multipart/Form-Data; Boundary=aB", Encoding.MULTIPART, "aB"),
        ('multipart/form-data; boundary="a(b)=?:/,"', Encoding.MULTIPART, "a(b)=?:/,"),
        ("multipart/form-data; charset=UTF-8; boundary=----x", Encoding.MULTIPART, "----x"),
        (f"multipart/form-data; boundary={'b' * 70}", Encoding.MULTIPART, "b" * 70),
    ],
)
def test_the_three_encodings_are_read_in_any_letter_case(text: str, encoding: Encoding, boundary: str) -> None:
    assert read_encoding([text]) == (encoding, boundary)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        ["application/json", "application/json"],
        ["application/json, application/json"],
        ["application/json, text/plain"],
        *[
            [text]
            for text in (
                "text/plain",
                "text/plain;charset=UTF-8",
                "text/json",
                "application/octet-stream",
                "application/problem+json",
                "multipart/mixed; boundary=x",
                "multipart/related; boundary=x",
                "json",
                "application/json charset=utf-8",
                "application/json; charset",
                "application/json; charset=",
                "application/json; charset =utf-8",
                "application/json; charset=utf-16",
                "application/json; charset=utf-7",
                "application/json; charset=iso-8859-1",
                "application/json; charset=utf-8; charset=utf-16",
                "application/json; charset*=utf-16''x",
                "application/json; charset*0=utf-16",
                'application/json; charset="utf-8',
                'application/json; charset="utf\\-8"',
                "application/x-www-form-urlencoded; charset=windows-1252",
                "multipart/form-data; boundary=x; charset=utf-16",
                "multipart/form-data; boundary=x; boundary=y",
                "multipart/form-data; boundary=x; Boundary=x",
                "multipart/form-data; boundary=x, y",
                "multipart/form-data; boundary=a b",
                "multipart/form-data; boundary=----=_Part_1",
                "application/json\x00",
                "application/json\n",
                "applicatіon/json",
                "application/json; charset=utf‑8",
                "application/json; x=\udc80",
            )
        ],
    ],
)
def test_a_missing_doubled_other_or_unreadable_type_is_unsupported(values: list[str]) -> None:
    with pytest.raises(UnsupportedMediaType):
        read_encoding(values)


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        ";",
        '; boundary=""',
        f"; boundary={'b' * 71}",
        '; boundary="a b"',
        '; boundary="x "',
        "; boundary=a#b",
        "; boundary=a%20b",
        "; boundary=a*b",
        '; boundary="a;b"',
        "; charset=utf-8",
    ],
)
def test_multipart_without_one_legal_boundary_is_a_bad_body(parameters: str) -> None:
    with pytest.raises(BadBody):
        read_encoding([f"multipart/form-data{parameters}"])


def test_names_are_lower_case_and_values_stay_as_written() -> None:
    media = read_media_type('Text/PLAIN; Format="Flowed Text"; CHARSET=Utf-8')
    assert media is not None
    assert (media.name, media.parameters) == ("text/plain", {"format": "Flowed Text", "charset": "Utf-8"})
    assert media.is_utf8
