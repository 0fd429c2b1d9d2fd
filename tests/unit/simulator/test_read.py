"""The three encodings mean the same, and lenient reading loses nothing."""

import base64
import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.read import UnreadableError, read_params

FORM = "application/x-www-form-urlencoded"
BOUNDARY = "----simulated7f3a"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)


def part(name: str, content: bytes, extra: str = "") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


@given(texts)
def test_a_text_reads_the_same_in_every_encoding(text: str) -> None:
    read = [
        read_params("application/json; charset=UTF-8", json.dumps({"prompt": text}).encode()),
        read_params(FORM, urlencode({"prompt": text}).encode()),
        read_params(MULTIPART, multipart(part("prompt", text.encode()))),
    ]
    assert [params.text("prompt") for params in read] == [text] * 3


@given(st.binary(max_size=300))
def test_uploaded_bytes_come_through_unchanged(content: bytes) -> None:
    as_file = read_params(MULTIPART, multipart(part("image", content, '; filename="image"')))
    as_text = read_params("application/json", json.dumps({"image": base64.b64encode(content).decode()}).encode())
    assert as_file.parts["image"] == content
    assert as_text.binary("image") == content


def test_a_data_uri_prefix_before_base64_is_dropped() -> None:
    text = "data:image/png;base64," + base64.b64encode(b"picture").decode()
    assert read_params("application/json", json.dumps({"image": text}).encode()).binary("image") == b"picture"


def test_binary_without_a_filename_is_still_binary() -> None:
    params = read_params(MULTIPART, multipart(part("image", b"\xff\xd8\xff")))
    assert params.binary("image") == b"\xff\xd8\xff"


@pytest.mark.parametrize("value", ["", None])
def test_empty_and_null_mean_not_said(value: str | None) -> None:
    params = read_params("application/json", json.dumps({"steps": value}).encode())
    assert not params.has("steps")
    assert params.whole("steps") is None


@pytest.mark.parametrize(("value", "number"), [(30, 30), ("30", 30), ("030", 30), (30.0, 30), ("-1", -1), (" 8 ", 8)])
def test_whole_numbers_are_read_from_numbers_and_texts(value: object, number: int) -> None:
    assert read_params("application/json", json.dumps({"steps": value}).encode()).whole("steps") == number


@pytest.mark.parametrize("value", ["abc", "1.5", 1.5, True, [1], "1_0", "３０", "9" * 16, float("inf")])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(UnreadableError):
        read_params("application/json", json.dumps({"steps": value}).encode()).whole("steps")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b"\xff"),
        ("application/json", b"[" * 100_000),
        (FORM, b"&".join(b"a=1" for _ in range(500))),
        ("multipart/form-data", multipart(part("prompt", b"x"))),
    ],
)
def test_a_body_that_breaks_its_encoding_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_params(content_type, body)


def test_a_content_type_without_parameters_says_nothing() -> None:
    assert not read_params("text/plain", b"[object FormData]").texts


def test_of_a_repeated_field_the_last_counts() -> None:
    assert read_params(FORM, b"prompt=a&prompt=b").text("prompt") == "b"


@pytest.mark.parametrize(("value", "on"), [("true", True), (True, True), ("false", False), (False, False), ("", False)])
def test_switches_are_read_from_booleans_and_texts(value: object, on: bool) -> None:
    assert read_params("application/json", json.dumps({"refiner": value}).encode()).flag("refiner") is on
