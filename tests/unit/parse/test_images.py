"""Image kinds: hazards IM05, IM06, IM09."""

import io
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gateway.parse.images import ImageRefused, image_size
from gateway.pricing.job import Size
from tests.unit.parse.pictures import (
    IDAT,
    IEND,
    SOS,
    chunk,
    encoded,
    ihdr,
    jpeg,
    noisy,
    png,
    riff,
    sof,
    vp8,
    vp8x,
)

AREA = 4096 * 4096
VALID = [
    encoded("PNG", 16, 9),
    noisy("JPEG", 16, 9),
    noisy("JPEG", 16, 9, progressive=True),
    encoded("WEBP", 16, 9),
    encoded("WEBP", 16, 9, lossless=True),
    png(ihdr(16, 9), IDAT, IEND),
    jpeg(sof(16, 9), SOS),
    riff(vp8x(16, 9), vp8(16, 9)),
]


@pytest.mark.parametrize(
    "file",
    [
        *[encoded(kind, 8, 8) for kind in ("GIF", "BMP", "TIFF", "ICO", "PPM", "PDF", "TGA", "JPEG2000")],
        b"<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'/>",
        b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00avifmif1",
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
        b"8BPS\x00\x01" + b"\x00" * 24,
        b"PK\x03\x04" + b"\x00" * 40,
        b"RIFF\x24\x00\x00\x00WAVEfmt ",
        b"\x8aMNG\r\n\x1a\n",
        b"[object File]",
        b"\x00",
    ],
)
def test_whatever_is_no_png_jpeg_or_webp_is_refused_by_its_first_bytes(file: bytes) -> None:
    with pytest.raises(ImageRefused) as refusal:
        image_size(file, pixels_max=AREA)
    assert refusal.value.reason == "type"


def test_nothing_is_no_image() -> None:
    with pytest.raises(ImageRefused, match="empty"):
        image_size(b"", pixels_max=AREA)


@pytest.mark.parametrize("file", VALID)
def test_a_view_into_a_larger_body_reads_like_the_file_itself(file: bytes) -> None:
    view = memoryview(b"before" + file + b"after")[6 : 6 + len(file)]
    assert image_size(view, pixels_max=AREA) == Size(16, 9)


def _outcome(file: bytes) -> Size | str:
    try:
        return image_size(file, pixels_max=AREA)
    except ImageRefused as refusal:
        return refusal.reason


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x20\x00\x00\x00WEBP"])
)
def test_any_bytes_have_a_size_or_a_reason(tail: bytes, magic: bytes) -> None:
    assert isinstance(_outcome(magic + tail), Size | str)


@given(st.sampled_from(VALID), st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=6)), max_size=4))
def test_a_mutated_image_has_a_size_within_bounds_or_a_reason(file: bytes, changes: list[tuple[int, bytes]]) -> None:
    mutated = bytearray(file)
    for at, piece in changes:
        mutated[at : at + len(piece)] = piece
    outcome = _outcome(bytes(mutated))
    if isinstance(outcome, Size):
        assert outcome.width >= 1
        assert outcome.height >= 1
        assert outcome.pixels <= AREA


@given(st.sampled_from(["PNG", "JPEG", "WEBP"]), st.integers(1, 300), st.integers(1, 300))
def test_any_size_pillow_writes_is_read_back(kind: str, width: int, height: int) -> None:
    assert image_size(encoded(kind, width, height), pixels_max=AREA) == Size(width, height)


def test_a_bomb_is_refused_by_its_header_without_unpacking() -> None:
    pixels = chunk(b"IDAT", zlib.compress(b"\x00" * 20_000_000, 9))
    bomb = png(ihdr(65_500, 65_500, b"\x01\x00\x00\x00\x00"), chunk(b"zTXt", b"a\x00\x00" + pixels), pixels, IEND)
    tracemalloc.start()
    try:
        assert _outcome(bomb) == "area"
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1_000_000


@pytest.mark.parametrize(("further", "outcome"), [((8, 8), Size(8, 8)), ((4, 2), Size(8, 8)), ((9, 8), "type")])
def test_a_multi_picture_file_of_a_real_encoder_has_the_size_of_its_first_and_largest(
    further: tuple[int, int], outcome: Size | str
) -> None:
    frames = [Image.new("RGB", sides, "red") for sides in ((8, 8), further)]
    written = io.BytesIO()
    frames[0].save(written, "MPO", save_all=True, append_images=frames[1:])
    assert _outcome(written.getvalue()) == outcome
    assert Image.open(written).size == (8, 8)
