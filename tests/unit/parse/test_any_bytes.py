"""Any bytes under any type for any method: a Job, or an error of the house. Nothing else."""

from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

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
from gateway.pricing.job import Job
from gateway.pricing.tariff import Method
from tests.unit.parse.methods import FORM, JSON, METHODS, PICTURE
from tests.unit.parse.pictures import encoded
from tests.unit.parse.wire import STYLES, File

PROMISED = BadBody | BadHttp | BadImage | BadParameter | DuplicateParameter | TokenInUrl | UnsupportedMediaType

TYPES = st.lists(
    st.sampled_from([JSON, FORM, "multipart/form-data; boundary=x", "multipart/form-data", "text/plain"])
    | st.text(max_size=40),
    min_size=1,
    max_size=2,
).map(lambda values: values[:1] if values[0] in {JSON, FORM} else values)

WORDS = [
    *[b"steps", b"width", b"init_image", b"image", b"upscale", b"lora1", b"refiner", b"prompt", b"\xff", b"\x00"],
    *[b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"30", b"1e400", b"NaN", b"null", b"true", b"iVBORw0KGgo="],
    *[b"&", b"=", b";", b"%", b"%00", b"+", b"--x", b"--", b"\r\n", b"\n", b"Content-Disposition: form-data; name="],
    *[b"; filename=", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"WEBP"],
]
BODIES = st.binary(max_size=120) | st.lists(st.sampled_from(WORDS), max_size=20).map(b"".join)


def _outcome(method: Method, types: list[str], query: str, body: bytes) -> Job | GatewayError:
    try:
        return read_job(method, content_type=types, query=query, body=body, limits=Limits())
    except GatewayError as error:
        return error


@settings(max_examples=500)
@given(st.sampled_from(METHODS), TYPES, st.text(max_size=30), BODIES)
def test_every_input_is_a_job_or_one_of_the_promised_errors(
    method: Method, types: list[str], query: str, body: bytes
) -> None:
    outcome = _outcome(method, types, query, body)
    assert type(outcome) in (Job, *get_args(PROMISED))


BROWSER = STYLES["browser"]
WHOLE = BROWSER.body({"steps": "30", "width": "512"}, File("init_image", "a.png", "image/png", encoded("PNG", 8, 8)))


@given(st.integers(0, len(WHOLE)), st.integers(0, 8), st.binary(max_size=8))
def test_a_damaged_upload_is_a_job_or_one_of_the_promised_errors(at: int, removed: int, added: bytes) -> None:
    body = WHOLE[:at] + added + WHOLE[at + removed :]
    assert type(_outcome(PICTURE, [BROWSER.content_type], "", body)) in (Job, *get_args(PROMISED))


def test_every_cut_of_an_upload_but_the_last_line_end_is_refused() -> None:
    for length in range(len(WHOLE) - 2):
        assert isinstance(_outcome(PICTURE, [BROWSER.content_type], "", WHOLE[:length]), BadBody)


def test_every_cut_of_a_json_body_is_refused() -> None:
    body = b'{"steps":30,"prompt":"a [b] {c}","x":[1,{"y":null}]}'
    for length in range(len(body)):
        assert isinstance(_outcome(METHODS[0], [JSON], "", body[:length]), BadBody)
