"""A large body in windows says of itself what `bytes` says, and the decoders find the same in it."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.parse import buffer
from gateway.parse.base64image import decode_image
from gateway.parse.buffer import Buffer
from gateway.parse.images import ImageRefused
from gateway.parse.limits import Limits
from gateway.parse.read import read_job
from gateway.pricing.job import Job
from gateway.pricing.tariff import Method
from tests.unit.parse.methods import FORM, JSON, METHODS, PICTURE
from tests.unit.parse.pictures import encoded
from tests.unit.parse.wire import STYLES, File

FEW = st.sampled_from([b"a", b"b", b"ab", b"-", b"\r\n"])
TEXT = st.lists(FEW, max_size=40).map(b"".join)
PLACE = st.integers(0, 60)


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer, "WINDOW_BYTES", 4)


def whole(body: bytes) -> Buffer:
    return Buffer(memoryview(body))


@settings(max_examples=400)
@given(TEXT, st.lists(FEW, min_size=1, max_size=4).map(b"".join), PLACE, st.none() | PLACE)
def test_it_is_searched_as_bytes_are(body: bytes, wanted: bytes, start: int, stop: int | None) -> None:
    assert whole(body).find(wanted, start, stop) == body.find(wanted, start, stop)
    assert whole(body).startswith(wanted, start) == body.startswith(wanted, start)
    assert whole(body).count(wanted[:1]) == body.count(wanted[:1])
    assert whole(body)[start : start + 3] == body[start : start + 3]
    assert len(whole(body)) == len(body)


@given(st.binary(max_size=30))
def test_it_is_text_where_bytes_are(body: bytes) -> None:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        with pytest.raises(UnicodeDecodeError):
            whole(body).decode()
    else:
        assert whole(body).decode() == text


PNG = encoded("PNG", 8, 8)
BROWSER = STYLES["browser"]
UPLOAD = BROWSER.body({"steps": "30", "width": "512"}, File("init_image", "a.png", "image/png", PNG))
POSTED = b'{"steps":30,"prompt":"\xc3\xa4,{[","init_image":"' + base64.b64encode(PNG) + b'"}'
FORMED = b"steps=30&prompt=a+fox&upscale=2"
BODIES = [(BROWSER.content_type, UPLOAD), (JSON, POSTED), (FORM, FORMED)]


def outcome(method: Method, kind: str, body: bytes | Buffer) -> object:
    try:
        return read_job(method, content_type=[kind], query="", body=body, limits=Limits())
    except GatewayError as error:
        return type(error), vars(error)


@pytest.mark.parametrize(("kind", "body"), BODIES[:2], ids=["multipart", "json"])
def test_a_priced_image_is_found_in_it(kind: str, body: bytes) -> None:
    found = outcome(PICTURE, kind, whole(body))
    assert isinstance(found, Job)
    assert found.image is not None
    assert (found.image.width, found.image.height, found.steps) == (8, 8, 30)


@settings(max_examples=300)
@given(st.sampled_from(METHODS), st.sampled_from(BODIES), st.data())
def test_a_damaged_body_is_read_or_refused_as_it_is_as_bytes(
    method: Method, sound: tuple[str, bytes], data: st.DataObject
) -> None:
    kind, body = sound
    at, removed = data.draw(st.integers(0, len(body))), data.draw(st.integers(0, 6))
    damaged = body[:at] + data.draw(st.binary(max_size=4)) + body[at + removed :]
    assert outcome(method, kind, whole(damaged)) == outcome(method, kind, damaged)


@pytest.mark.parametrize("cut", range(1, 9))
def test_base64_is_as_strict_in_windows_as_at_once(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [base64.b64encode(bytes(range(cut))), b"AA==" * cut, b"AAA=AAAA"[:cut], b"A" * cut, b"AB=" + b"C" * cut]
    for text in texts:
        at_once = _decoded(text)
        monkeypatch.setattr("gateway.parse.base64image._WINDOW_CHARS", 4)
        assert _decoded(text) == at_once
        monkeypatch.undo()


def _decoded(text: bytes) -> bytes | None:
    try:
        return decode_image(text)
    except ImageRefused:
        return None
