"""WebP: hazards IM04, IM05, IM06."""

import io
from typing import Any

import pytest
from PIL import Image

from gateway.parse.images import ImageRefused, image_size
from gateway.pricing.job import Size
from tests.unit.parse.pictures import encoded, noisy, riff, vp8, vp8l, vp8x, webp_chunk

AREA = 4096 * 4096
ALPHA = webp_chunk(b"ALPH", b"\x00\x00\x00")


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\x00\x00II*\x00"}, {"icc_profile": b"x"}])
def test_lossy_lossless_and_extended_files_are_read_as_pillow_reads_them(mode: str, options: dict[str, Any]) -> None:
    file = encoded("WEBP", 321, 77, mode=mode, **options)
    size = image_size(file, pixels_max=AREA)
    assert (size.width, size.height) == Image.open(io.BytesIO(file)).size == (321, 77)


@pytest.mark.parametrize(
    "file",
    [
        riff(vp8(16, 9)),
        riff(vp8l(16, 9)),
        riff(vp8x(16, 9), ALPHA, vp8(16, 9)),
        riff(vp8x(16, 9), vp8l(16, 9), webp_chunk(b"XMP ", b"abc")),
        riff(vp8l(16, 9)) + b"x" * 65_536,
    ],
)
def test_a_still_whose_canvas_equals_its_frame_has_that_size(file: bytes) -> None:
    assert image_size(file, pixels_max=AREA) == Size(16, 9)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        pytest.param(riff(vp8x(64, 9), vp8(16, 9)), "canvas", id="canvas wider than the frame"),
        pytest.param(riff(vp8x(16, 8), vp8l(16, 9)), "canvas", id="canvas lower than the frame"),
        pytest.param(riff(vp8x(16, 9, flags=2), vp8(16, 9)), "animated", id="animation flag"),
        pytest.param(riff(vp8x(16, 9), webp_chunk(b"ANIM", b"\x00" * 6)), "animated", id="animation chunk"),
        pytest.param(riff(vp8x(16, 9), vp8(16, 9), webp_chunk(b"ANMF", b"")), "animated", id="a frame behind"),
        pytest.param(riff(vp8(16, 9), vp8(9, 9)), "two_frames", id="two frames"),
        pytest.param(riff(vp8(16, 9), vp8l(9, 9)), "two_frames", id="two kinds of frames"),
        pytest.param(riff(vp8(16, 9), vp8x(9, 9)), "header", id="canvas behind the frame"),
        pytest.param(riff(vp8x(16, 9), vp8x(9, 9), vp8(16, 9)), "header", id="two canvases"),
        pytest.param(riff(webp_chunk(b"ICCP", b"x"), vp8(16, 9)), "header", id="unknown chunk first"),
        pytest.param(riff(vp8x(16, 9)), "truncated", id="no frame"),
        pytest.param(riff(), "truncated", id="no chunks"),
        pytest.param(riff(vp8(0, 9)), "dimensions", id="no width"),
        pytest.param(riff(vp8(16, 0)), "dimensions", id="no height"),
        pytest.param(riff(vp8(16 | 0x4000, 9)), "header", id="scaled"),
        pytest.param(riff(vp8(16, 9, start=b"\x9d\x01\x2b")), "header", id="wrong start code"),
        pytest.param(riff(vp8(16, 9, tag=b"\x11\x00\x00")), "header", id="no key frame"),
        pytest.param(riff(vp8l(16, 9, magic=0x2E)), "header", id="wrong lossless start"),
        pytest.param(riff(vp8l(16, 9, version=1)), "header", id="unknown lossless version"),
        pytest.param(riff(webp_chunk(b"VP8L", b"\x2f\x00")), "truncated", id="lossless cut"),
        pytest.param(riff(webp_chunk(b"VP8 ", b"\x10\x00")), "truncated", id="lossy cut"),
        pytest.param(riff(webp_chunk(b"VP8X", b"\x00" * 9), vp8(16, 9)), "header", id="short canvas"),
        pytest.param(riff(vp8(16, 9), length=99), "truncated", id="size field too large"),
        pytest.param(riff(vp8(16, 9), length=20), "truncated", id="size field cuts the frame"),
        pytest.param(riff(vp8(16, 9), b"abc"), "truncated", id="half a chunk"),
        pytest.param(riff(vp8(16, 9), *[webp_chunk(b"JUNK", b"")] * 2000), "chunks", id="thousands of chunks"),
        pytest.param(riff(vp8l(16_384, 16_384)), "area", id="too large"),
        pytest.param(riff(vp8l(16, 9)) + b"x" * 65_537, "trailing", id="long tail"),
        pytest.param(b"RIFX" + riff(vp8l(16, 9))[4:], "type", id="another kind of RIFF"),
    ],
)
def test_a_webp_that_can_be_read_in_two_ways_is_refused(file: bytes, reason: str) -> None:
    with pytest.raises(ImageRefused) as refusal:
        image_size(file, pixels_max=AREA)
    assert refusal.value.reason == reason


def test_an_animated_file_of_a_real_encoder_is_refused() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    written = io.BytesIO()
    frames[0].save(written, "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageRefused, match="animated"):
        image_size(written.getvalue(), pixels_max=AREA)


def test_every_cut_of_a_webp_is_refused() -> None:
    file = noisy("WEBP", 12, 11)
    for length in range(len(file)):
        with pytest.raises(ImageRefused):
            image_size(file[:length], pixels_max=AREA)
