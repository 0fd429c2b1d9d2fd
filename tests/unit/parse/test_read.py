"""The way in: hazards PM01, PM06, PM07, PM13, IM08, ID20."""

import base64
import json
from urllib.parse import urlencode

import pytest

from gateway.errors import (
    BadBody,
    BadHttp,
    BadImage,
    BadParameter,
    DuplicateParameter,
    GatewayError,
    TokenInUrl,
    UnsupportedMediaType,
)
from gateway.parse.limits import Limits
from gateway.parse.read import read_job
from gateway.pricing.job import Job, Size
from gateway.pricing.tariff import Method
from tests.unit.parse.methods import ENLARGE, FLAT, FORM, JSON, METHODS, PICTURE, SDXL, TEXT, read
from tests.unit.parse.pictures import encoded
from tests.unit.parse.wire import STYLES, File

BROWSER = STYLES["browser"]
PNG = encoded("PNG", 40, 30)
JPEG = encoded("JPEG", 20, 10)


def part(name: str, content: bytes, rest: str = "") -> bytes:
    """A multipart body of one part."""
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{rest}\r\n\r\n'.encode() + content + b"\r\n--x--\r\n"


MULTIPART = "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b'{"steps":1,"steps":150}'),
        (JSON, b'{"steps":1,"steps":1}'),
        (JSON, rb'{"steps":1,"st\u0065ps":150}'),
        (JSON, b'{"steps":null,"steps":150}'),
        (JSON, b'{"steps":1,"Steps":150}'),
        (JSON, b'{"steps[]":[150]}'),
        (JSON, b'{"prompt":"x","%73teps":150}'),
        (FORM, b"steps=1&steps=150"),
        (FORM, b"steps=&steps=150"),
        (FORM, b"steps&steps=150"),
        (FORM, b"steps=1&%73teps=150"),
        (FORM, b"steps=1&STEPS=150"),
        (FORM, b"steps=1&steps%5B%5D=150"),
        (FORM, b"steps=1&+steps=150"),
        (FORM, b"steps=1&%2573teps=150"),
        (FORM, b"prompt=x;steps=150"),
        (FORM, b"steps=1&prompt=x;Steps=150"),
        (FORM, b"prompt=x&amp;steps=150"),
        (MULTIPART, part("steps", b"1")[:-7] + part("steps", b"150")),
        (MULTIPART, part("Steps", b"150")),
        (MULTIPART, part("steps[]", b"150")),
        (MULTIPART, part("steps%22", b"150")),
    ],
)
def test_a_priced_parameter_that_two_readers_could_see_differently_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(DuplicateParameter) as refusal:
        read(TEXT, content_type, body)
    assert refusal.value.parameter == "steps"


@pytest.mark.parametrize(
    "query",
    [
        "steps=150",
        "steps",
        "a=1&steps=150",
        "a=1;steps=150",
        "STEPS=1",
        "%73teps=1",
        "steps[]=1",
        "steps%00=1",
        "+steps=1",
    ],
)
def test_a_priced_parameter_in_the_query_is_refused(query: str) -> None:
    with pytest.raises(DuplicateParameter) as refusal:
        read(TEXT, JSON, b'{"steps":10}', query=query)
    assert refusal.value.parameter == "steps"
    assert "body" in refusal.value.detail


@pytest.mark.parametrize("query", ["", "a=1", "prompt=x&seed=1", "&&;", "%zz", "\udc80=1", "x" * 8192])
def test_any_other_query_passes(query: str) -> None:
    assert read(TEXT, JSON, b'{"steps":10}', query=query) == Job("text2image", steps=10)


def test_a_query_above_8_kib_is_refused() -> None:
    with pytest.raises(BadHttp):
        read(TEXT, JSON, b"{}", query="x" * 8193)


@pytest.mark.parametrize(
    ("content_type", "body", "query"),
    [
        (JSON, b'{"access_token":"x"}', ""),
        (JSON, b'{"X-Dezgo-Key":"x"}', ""),
        (FORM, b"api_key=x", ""),
        (FORM, b"a=1;token=x", ""),
        (MULTIPART, part("authorization", b"x"), ""),
        (JSON, b"{}", "access_token=x"),
    ],
)
def test_a_credential_in_the_body_or_query_is_refused(content_type: str, body: bytes, query: str) -> None:
    with pytest.raises(TokenInUrl):
        read(TEXT, content_type, body, query=query)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b'{"prompt":"a","prompt":"b","style":[1,{"steps":9}],"seed":-1,"x":{"width":1,"width":2},"n":1.5e3}'),
        (FORM, b"prompt=a&prompt=b&seed=-1&style=100%25&x=50% off&y=\xff"),
        (MULTIPART, part("prompt", b"\xff\x00")[:-7] + part("prompt", b"b", '; filename="x.bin"')),
    ],
)
def test_what_is_not_priced_passes_whatever_it_holds(content_type: str, body: bytes) -> None:
    assert read(TEXT, content_type, body) == Job("text2image")


def test_what_one_method_does_not_price_is_not_read() -> None:
    body = b'{"width":"wide","width":-1,"steps":[],"Steps":1,"upscale":9,"refiner":9}'
    assert read(FLAT, JSON, body) == Job("text2image_flux")
    assert read(SDXL, JSON, b'{"width":"wide","upscale":[],"steps":10}') == Job("text2image_sdxl", steps=10)


BODIES = {
    JSON: b'{"steps":10}',
    FORM: b"steps=10",
    MULTIPART: part("steps", b"10"),
}


@pytest.mark.parametrize("declared", BODIES)
@pytest.mark.parametrize("actual", BODIES)
def test_a_body_is_read_only_as_what_it_is_declared(declared: str, actual: str) -> None:
    if declared == actual:
        assert read(TEXT, declared, BODIES[actual]) == Job("text2image", steps=10)
        return
    with pytest.raises(BadBody):
        read(TEXT, declared, BODIES[actual])


@pytest.mark.parametrize("values", [(), (JSON, JSON), ("text/plain",), ("text/plain;charset=UTF-8",), ("",)])
@pytest.mark.parametrize("body", [b"", b"[object FormData]", *BODIES.values()])
def test_no_type_two_types_and_text_are_never_an_empty_set_of_parameters(values: tuple[str, ...], body: bytes) -> None:
    for method in METHODS:
        with pytest.raises(UnsupportedMediaType):
            read_job(method, content_type=values, query="", body=body, limits=Limits())


# --- images --------------------------------------------------------------------------------------------------


def in_json(text: object) -> bytes:
    """A JSON body with `image`."""
    return json.dumps({"image": text}).encode()


TEXT_PNG = base64.b64encode(PNG).decode()


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "data:image/webp;base64,"])
def test_a_base64_image_is_read_by_its_bytes_whatever_its_prefix_says(prefix: str) -> None:
    expected = Job("upscale", image=Size(40, 30))
    assert read(ENLARGE, JSON, in_json(prefix + TEXT_PNG)) == expected
    assert read(ENLARGE, FORM, urlencode({"image": prefix + TEXT_PNG}).encode()) == expected


@pytest.mark.parametrize(
    "rest",
    [
        '; filename="a.png"\r\nContent-Type: image/png',
        '; filename="a.txt"\r\nContent-Type: text/html',
        '; filename="image"',
        "",
        "; filename=a.png; filename*=utf-8''a.png",
    ],
)
def test_an_uploaded_image_is_known_by_its_field_and_its_bytes(rest: str) -> None:
    assert read(ENLARGE, MULTIPART, part("image", PNG, rest)) == Job("upscale", image=Size(40, 30))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b"{}"),
        (JSON, b'{"image":null}'),
        (FORM, b""),
        (MULTIPART, part("mode", b"x")),
        (JSON, b'{"init_image":1}'),
    ],
)
def test_a_priced_image_is_required(content_type: str, body: bytes) -> None:
    with pytest.raises(BadParameter) as refusal:
        read(ENLARGE, content_type, body)
    assert (refusal.value.parameter, refusal.value.detail) == ("image", "is required: the price depends on its size")


@pytest.mark.parametrize(
    ("content_type", "body", "reason"),
    [
        (JSON, in_json(""), "empty"),
        (JSON, in_json("data:image/png;base64,"), "empty"),
        (FORM, b"image=", "empty"),
        (MULTIPART, part("image", b"", '; filename=""'), "empty"),
        (MULTIPART, part("image", TEXT_PNG.encode()), "type"),
        (MULTIPART, part("image", b"undefined"), "type"),
        (MULTIPART, part("image", PNG[:50], '; filename="a"'), "truncated"),
        (JSON, in_json(TEXT_PNG[:-1]), "base64"),
        (JSON, in_json("https://example.org/a.png"), "base64"),
        (JSON, in_json("http://169.254.169.254/"), "base64"),
        (JSON, in_json("ＱＵＪＤ"), "base64"),
        (JSON, in_json("\ud800"), "base64"),
        (FORM, b"image=" + b"QUJ+", "base64"),
        (FORM, b"image=data:image/png;base64,QUJD", "base64"),
        (JSON, in_json("QUJD"), "type"),
    ],
)
def test_an_unreadable_image_is_refused_with_its_reason(content_type: str, body: bytes, reason: str) -> None:
    with pytest.raises(BadImage) as refusal:
        read(ENLARGE, content_type, body)
    assert (refusal.value.parameter, refusal.value.detail) == ("image", reason)


@pytest.mark.parametrize("value", [1, True, False, [], ["x"], {}, {"url": "x"}, 1.5])
def test_an_image_that_is_neither_file_nor_text_is_refused(value: object) -> None:
    with pytest.raises(BadParameter):
        read(ENLARGE, JSON, in_json(value))


@pytest.mark.parametrize("rest", ['; filename=""', "; filename*=utf-8''a.png"])
def test_a_file_that_some_readers_would_drop_is_refused(rest: str) -> None:
    with pytest.raises(BadParameter):
        read(ENLARGE, MULTIPART, part("image", PNG, rest))


def test_the_area_bound_is_the_callers() -> None:
    with pytest.raises(BadImage, match="bad_image"):
        read(ENLARGE, JSON, in_json(TEXT_PNG), limits=Limits(pixels_max=1199))
    assert read(ENLARGE, JSON, in_json(TEXT_PNG), limits=Limits(pixels_max=1200)).image == Size(40, 30)


def test_two_images_in_one_field_are_refused_and_an_unpriced_mask_is_not_looked_at() -> None:
    init = File("init_image", "a.png", "image/png", PNG)
    mask = File("mask_image", "b.gif", "image/gif", b"no image")
    params = {"width": "64", "steps": "20"}
    with pytest.raises(DuplicateParameter):
        read(PICTURE, BROWSER.content_type, BROWSER.body(params, init, init))
    expected = Job("image2image", width=64, steps=20, image=Size(40, 30))
    assert read(PICTURE, BROWSER.content_type, BROWSER.body(params, mask, init, mask)) == expected


def refusal_of(method: Method, body: bytes) -> GatewayError | None:
    """How `method` refuses a JSON `body`, if it does."""
    try:
        read(method, JSON, body)
    except GatewayError as error:
        return error
    return None


def test_no_refusal_repeats_what_the_client_sent() -> None:
    secret = "canary-5d1f3f9a"
    bodies = [f'{{"{key}":"{secret}"}}'.encode() for key in ("steps", "image", "upscale", f"steps[{secret}]")]
    for body in [*bodies, secret.encode()]:
        for method in METHODS:
            error = refusal_of(method, body)
            if error is not None:
                assert secret not in repr(error) + str(error)
                assert error.__cause__ is None
                assert error.__suppress_context__ or error.__context__ is None
