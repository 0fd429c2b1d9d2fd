"""Pouring: heads as bytes, and which answers are poured."""

import re

import pytest

from gateway.web.pouring import head_of


def test_a_head_says_status_fields_length_and_date_and_ends_in_an_empty_line() -> None:
    lines = head_of(200, {"content-type": "image/png", "X-Request-Id": "1"}, 5).split(b"\r\n")
    assert lines[:4] == [b"HTTP/1.1 200 OK", b"content-type: image/png", b"X-Request-Id: 1", b"Content-Length: 5"]
    assert re.fullmatch(rb"Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", lines[4])
    assert lines[5:] == [b"", b""]


def test_a_status_nobody_has_named_has_no_phrase() -> None:
    assert head_of(599, {}, 0).startswith(b"HTTP/1.1 599 \r\n")


def test_bytes_of_no_said_kind_are_called_that() -> None:
    assert b"content-type: application/octet-stream" in head_of(200, {}, 1)
    assert b"content-type" not in head_of(200, {}, 0)


@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\x08", "\x0b", "\x1f", "\x7f"])
def test_no_field_ends_a_line(character: str) -> None:
    for fields in ({"name": f"a{character}b"}, {f"na{character}me": "b"}):
        with pytest.raises(ValueError, match="control character"):
            head_of(200, fields, 0)
