"""The model a body names: read where it is one plain name, and nothing is ever refused for it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.parse.model import MODEL_CHARS_MAX
from tests.unit.parse.methods import FLAT, FORM, JSON, TEXT, read

MULTIPART = "multipart/form-data; boundary=b"

PART = '--b\r\nContent-Disposition: form-data; name="model"{}\r\n\r\n{}\r\n--b--\r\n'


def of_json(value: object) -> str | None:
    return read(TEXT, JSON, json.dumps({"prompt": "a", "model": value}).encode()).model


@pytest.mark.parametrize("name", ["sdxl_1024px", "0001softrealistic_v187", "FLUX.1-dev", "m", "m" * MODEL_CHARS_MAX])
def test_a_plain_name_is_read_from_every_kind_of_body(name: str) -> None:
    assert of_json(name) == name
    assert read(FLAT, FORM, f"prompt=a&model={name}".encode()).model == name
    assert read(TEXT, MULTIPART, PART.format("", name).encode()).model == name


@pytest.mark.parametrize(
    "value",
    ["", " m", "m n", "m\n", "é", "-m", "m/n", 'm"', "m" * (MODEL_CHARS_MAX + 1), None, True, 15, 1.5, ["m"], {"m": 1}],
)
def test_anything_else_is_no_name_and_no_reason_to_refuse(value: object) -> None:
    assert of_json(value) is None


def test_a_model_named_twice_or_in_a_file_or_coded_badly_is_none() -> None:
    assert read(TEXT, JSON, b'{"model":"a","model":"a"}').model is None
    assert read(TEXT, FORM, b"model=a&model=b").model is None
    assert read(TEXT, FORM, b"model=%zz").model is None
    assert read(TEXT, FORM, b"model=%61").model == "a"
    assert read(TEXT, MULTIPART, PART.format('; filename="m"', "a").encode()).model is None
    assert read(TEXT, MULTIPART, PART.format("", "é").encode()).model is None
    assert read(TEXT, JSON, b'{"prompt":"a"}').model is None


def test_jobs_that_differ_in_the_model_alone_are_the_same() -> None:
    first, second = read(TEXT, JSON, b'{"model":"a"}'), read(TEXT, JSON, b'{"model":"b"}')
    assert (first.model, second.model) == ("a", "b")
    assert first == second
    assert hash(first) == hash(second)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=2)))
def test_whatever_is_named_only_the_alphabet_passes(value: object) -> None:
    found = of_json(value)
    assert found is None or (
        found == value and found.isascii() and found.replace("_", "a").strip(".-") and " " not in found
    )
