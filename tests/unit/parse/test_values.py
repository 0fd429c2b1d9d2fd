"""Values: hazards PM03, PM05, PM12, F17, in every encoding that can write them."""

import json
from urllib.parse import quote

import pytest

from gateway.errors import BadParameter
from gateway.parse.limits import Limits
from gateway.pricing.job import Job
from gateway.pricing.tariff import Method
from tests.unit.parse.methods import FORM, JSON, SDXL, TEXT, read

MULTIPART = "multipart/form-data; boundary=x"


def written(name: str, text: str) -> dict[str, bytes]:
    """`name` with the text `text`, in each encoding."""
    part = f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n--x--\r\n'
    return {
        JSON: json.dumps({name: text}).encode(),
        FORM: f"{name}={quote(text)}".encode(),
        MULTIPART: part.encode(),
    }


def outcomes(method: Method, name: str, text: str) -> list[Job | BadParameter]:
    """What each encoding of the text comes to."""
    found: list[Job | BadParameter] = []
    for content_type, body in written(name, text).items():
        try:
            found.append(read(method, content_type, body))
        except BadParameter as error:
            found.append(error)
    return found


NO_WHOLE_NUMBERS = [
    *[" 30", "30 ", " ", "\t30", "30\n", "30\r\n", "\x0b30", "\x0c30", "30\x00", "\x0030", "\u200b30", "\ufeff30"],
    *["+30", "-30", "-1", "-0", "0", "00", "030", "0030", "1_0", "1,000", "1 000", "3e1", "1e3", "30.0", "30.", ".5"],
    *["30.9", "0x1e", "0b11", "0o36", "36r", "30L", "30n", "３０", "٣٠", "३०", "²", "③", "一", "½", "Ⅷ"],
    *["NaN", "nan", "Infinity", "inf", "-inf", "true", "false", "null", "undefined", "None", "[30]", "{}", "30;31"],
    *["1" * 7, "2147483648", "9223372036854775808", "9" * 30, "9" * 5000, "30,31", "30&31", "'30'", '"30"', "%33%30"],
]


EXPLAINED = {
    "must be a whole number from 1 to 8192",
    "must be a whole number from 1 to 1000",
    "must be short percent-encoded UTF-8 text",
    "must be short text",
}


@pytest.mark.parametrize("text", NO_WHOLE_NUMBERS)
@pytest.mark.parametrize("name", ["width", "height", "steps"])
def test_text_that_is_no_plain_whole_number_is_refused_in_every_encoding(name: str, text: str) -> None:
    for outcome in outcomes(TEXT, name, text):
        assert isinstance(outcome, BadParameter), outcome
        assert outcome.parameter == name
        assert outcome.detail in EXPLAINED


@pytest.mark.parametrize(
    "literal",
    [
        *["30.0", "30.9", "3e1", "3E1", "-30", "-0", "0", "0.0", "1e400", "true", "false", "[30]", "[]", "{}"],
        *['{"a":30}', "[[30]]", "2147483648", "9223372036854775807", "9223372036854775808", "1" + "0" * 100],
    ],
)
@pytest.mark.parametrize("name", ["width", "height", "steps"])
def test_json_values_that_are_no_whole_number_are_refused(name: str, literal: str) -> None:
    with pytest.raises(BadParameter) as refusal:
        read(TEXT, JSON, f'{{"{name}":{literal}}}'.encode())
    assert refusal.value.parameter == name


@pytest.mark.parametrize("literal", ["30", '"30"', r'"\u0033\u0030"'])
def test_a_json_number_and_its_text_mean_the_same(literal: str) -> None:
    assert read(TEXT, JSON, f'{{"steps":{literal}}}'.encode()) == Job("text2image", steps=30)


@pytest.mark.parametrize(("name", "most"), [("width", 8192), ("height", 8192), ("steps", 1000)])
def test_whole_numbers_are_read_up_to_their_bound(name: str, most: int) -> None:
    for number in (1, 9, 512, most):
        assert outcomes(TEXT, name, str(number)) == [Job("text2image", **{name: number})] * 3  # type: ignore[arg-type] # a priced name is a field of Job
    for outcome in outcomes(TEXT, name, str(most + 1)):
        assert isinstance(outcome, BadParameter)
        assert outcome.detail == f"must be a whole number from 1 to {most}"


def test_the_bounds_are_the_callers() -> None:
    tight = Limits(side_max=64, steps_max=5)
    assert read(TEXT, JSON, b'{"width":64,"steps":5}', limits=tight) == Job("text2image", width=64, steps=5)
    for body in (b'{"width":65}', b'{"steps":6}'):
        with pytest.raises(BadParameter):
            read(TEXT, JSON, body, limits=tight)


@pytest.mark.parametrize("name", ["width", "height", "steps", "upscale", "lora1", "lora2"])
def test_empty_text_and_null_and_absence_mean_the_default(name: str) -> None:
    assert outcomes(TEXT, name, "") == [Job("text2image")] * 3
    assert read(TEXT, JSON, f'{{"{name}":null}}'.encode()) == Job("text2image")
    assert read(TEXT, FORM, name.encode()) == Job("text2image")
    assert read(TEXT, JSON, b"{}") == read(TEXT, FORM, b"") == Job("text2image")


@pytest.mark.parametrize(
    ("text", "upscaled"), [("1", False), ("2", True), ("true", True), ("false", False), ("True", True)]
)
def test_upscale_is_1_or_2_and_true_is_priced_the_dearer_way(text: str, upscaled: bool) -> None:
    expected = Job("text2image", upscaled=upscaled)
    assert outcomes(TEXT, "upscale", text) == [expected] * 3
    if text != "True":  # no literal of JSON's
        assert read(TEXT, JSON, f'{{"upscale":{text}}}'.encode()) == expected


@pytest.mark.parametrize("text", ["0", "3", "4", "02", "2.0", " 2", "2x", "TRUE", "yes", "on", "x2", "²", "null"])
def test_every_other_upscale_is_refused(text: str) -> None:
    for outcome in outcomes(TEXT, "upscale", text):
        assert isinstance(outcome, BadParameter)


@pytest.mark.parametrize("literal", ["2.0", "1e0", "0", "3", "[2]", "{}", "-2"])
def test_every_other_json_upscale_is_refused(literal: str) -> None:
    with pytest.raises(BadParameter):
        read(TEXT, JSON, f'{{"upscale":{literal}}}'.encode())


@pytest.mark.parametrize("text", ["a" * 64, "x", " ", "\t", "0", "null", "undefined", "ü", "%zz"])
def test_any_text_names_a_lora_even_blank(text: str) -> None:
    assert outcomes(TEXT, "lora1", text) == [Job("text2image", loras=1)] * 3


def test_two_loras_count_twice_and_a_strength_alone_not_at_all() -> None:
    assert read(TEXT, FORM, b"lora1=a&lora2=b&lora1_strength=0.7") == Job("text2image", loras=2)
    assert read(TEXT, FORM, b"lora1=a&lora2=a") == Job("text2image", loras=2)
    assert read(TEXT, FORM, b"lora1=&lora1_strength=0.7&lora2=") == Job("text2image")


@pytest.mark.parametrize("literal", ["5", "0", "1.5", "true", "false", "[]", '["a"]', "{}"])
def test_a_lora_that_is_no_text_is_refused(literal: str) -> None:
    with pytest.raises(BadParameter):
        read(TEXT, JSON, f'{{"lora2":{literal}}}'.encode())


def test_a_priced_text_of_more_than_4_kib_in_a_form_or_part_is_refused() -> None:
    for outcome in outcomes(TEXT, "lora1", "a" * 5000)[1:]:
        assert isinstance(outcome, BadParameter)


@pytest.mark.parametrize("option", ["refiner", "transparent_background"])
@pytest.mark.parametrize(
    ("text", "on"),
    [("true", True), ("1", True), ("True", True), ("false", False), ("False", False), ("0", False), ("", False)],
)
def test_options_are_switched_by_true_or_1(option: str, text: str, on: bool) -> None:
    expected = Job("text2image_sdxl", options=frozenset({option} if on else ()))
    assert outcomes(SDXL, option, text) == [expected] * 3
    if text not in ("", "True", "False"):
        assert read(SDXL, JSON, f'{{"{option}":{text}}}'.encode()) == expected


@pytest.mark.parametrize("text", ["TRUE", "FALSE", "yes", "no", "on", "off", "2", "-1", "00", "1.0", " true", "null"])
def test_every_other_option_is_refused(text: str) -> None:
    for outcome in outcomes(SDXL, "refiner", text):
        assert isinstance(outcome, BadParameter)


@pytest.mark.parametrize("literal", ["2", "1.0", "0e0", "[]", "[true]", "{}"])
def test_every_other_json_option_is_refused(literal: str) -> None:
    with pytest.raises(BadParameter):
        read(SDXL, JSON, f'{{"refiner":{literal}}}'.encode())


@pytest.mark.parametrize(
    "body",
    [b"steps=%", b"steps=3%0", b"steps=%ff", b"steps=\xff", b"steps=30;x", b"lora1=;x=1", b"lora1=a;b", b"lora1=%"],
)
def test_a_priced_form_value_with_a_broken_escape_or_bare_semicolon_is_refused(body: bytes) -> None:
    with pytest.raises(BadParameter):
        read(TEXT, FORM, body)


@pytest.mark.parametrize(
    "header",
    [
        '; filename="a"',
        '; filename=""',
        "; filename=a",
        "; filename*=utf-8''a",
        "\r\nContent-Type: application/octet-stream",
        "\r\nContent-Type: application/json",
        "\r\nContent-Type: text/html",
        "\r\nContent-Type: text/plain; charset=utf-16",
        "\r\nContent-Type: text/plain; charset=utf-7",
        "\r\nContent-Type: text/plain; charset=utf-8; charset=utf-16",
        "\r\nContent-Type: ",
        "\r\nX-A: name=",
        '\r\nContent-Type: text/plain; name="a"',
    ],
)
def test_a_priced_value_in_a_file_or_coded_part_is_refused(header: str) -> None:
    body = f'--x\r\nContent-Disposition: form-data; name="steps"{header}\r\n\r\n30\r\n--x--\r\n'
    with pytest.raises(BadParameter) as refusal:
        read(TEXT, MULTIPART, body.encode())
    assert refusal.value.parameter == "steps"


@pytest.mark.parametrize(
    "header", ["", "\r\nContent-Type: text/plain", '\r\nContent-Type: Text/Plain; charset="UTF-8"']
)
def test_a_priced_value_in_a_plain_text_part_is_read(header: str) -> None:
    body = f'--x\r\nContent-Disposition: form-data; name="steps"{header}\r\n\r\n30\r\n--x--\r\n'
    assert read(TEXT, MULTIPART, body.encode()) == Job("text2image", steps=30)


def test_a_priced_part_that_is_no_utf8_is_refused() -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="lora1"\r\n\r\n\xff\r\n--x--\r\n'
    with pytest.raises(BadParameter):
        read(TEXT, MULTIPART, body)
