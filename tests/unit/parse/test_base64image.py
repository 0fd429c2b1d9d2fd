"""Base64 images: hazard PM13."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.parse.base64image import decode_image
from gateway.parse.images import ImageRefused


@given(st.binary(max_size=300), st.sampled_from(["", "png", "jpeg", "jpg", "webp"]))
def test_canonical_base64_is_read_with_and_without_its_prefix(image: bytes, kind: str) -> None:
    prefix = f"data:image/{kind};base64,".encode() if kind else b""
    assert decode_image(prefix + base64.b64encode(image)) == image


@pytest.mark.parametrize(
    "text",
    [
        b"QUI",
        b"QUI=QUI=",
        b"QUJDR",
        b"Q===",
        b"====",
        b"QUJD=",
        b"QUJD====",
        b"=QUJ",
        b"QR==",
        b"QUJ=",
        b"QUJD\n",
        b" QUJD",
        b"QU JD",
        b"QU\r\nJD",
        b"QUJD\x00",
        b"-_-_",
        b"QU?D",
        b"data:image/png;base64",
        b"data:image/gif;base64,QUJD",
        b"data:image/svg+xml;base64,QUJD",
        b"data:image/PNG;base64,QUJD",
        b"data:;base64,QUJD",
        b"data:image/png,QUJD",
        b"data:image/png;charset=utf-8;base64,QUJD",
        b"data:image/png;base64,data:image/png;base64,QUJD",
        b"data:image/png;base64, QUJD",
        b"http://127.0.0.1/a.png",
        b"https://example.org/a.png",
        b"file:///etc/passwd",
        b"//169.254.169.254/latest",
        b"[object File]",
    ],
)
def test_every_other_spelling_is_refused(text: bytes) -> None:
    with pytest.raises(ImageRefused, match="base64"):
        decode_image(text)


@given(st.binary(max_size=60))
def test_any_bytes_are_the_one_spelling_of_what_they_mean_or_refused(text: bytes) -> None:
    try:
        image = decode_image(text)
    except ImageRefused:
        return
    assert base64.b64encode(image) == text
