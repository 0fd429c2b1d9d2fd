"""PNG: hazards IM01, IM05, IM07."""

import io
import struct

import pytest
from PIL import Image

from gateway.parse.images import ImageRefused, image_size
from gateway.pricing.job import Size
from tests.unit.parse.pictures import IDAT, IEND, PNG_MAGIC, chunk, encoded, ihdr, noisy, png

AREA = 4096 * 4096


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_colour_type_is_read_as_pillow_reads_it(mode: str) -> None:
    file = encoded("PNG", 321, 77, mode=mode)
    size = image_size(file, pixels_max=AREA)
    assert (size.width, size.height) == Image.open(io.BytesIO(file)).size == (321, 77)


def test_text_and_colour_profile_chunks_are_walked_over() -> None:
    file = noisy("PNG", 64, 48, icc_profile=b"x" * 3000, dpi=(72, 72))
    assert image_size(file, pixels_max=AREA) == Size(64, 48)


def test_an_interlaced_header_is_fine() -> None:
    assert image_size(png(ihdr(9, 8, b"\x08\x02\x00\x00\x01"), IDAT, IEND), pixels_max=AREA) == Size(9, 8)


def test_a_lie_that_only_decoding_shows_is_priced_by_the_header() -> None:
    assert image_size(png(ihdr(64, 64), *[IDAT] * 9, IEND), pixels_max=AREA) == Size(64, 64)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        pytest.param(png(ihdr(64, 64, crc=1), IDAT, IEND), "crc", id="bad checksum"),
        pytest.param(png(chunk(b"gAMA", b"abcd"), ihdr(6, 6), IDAT, IEND), "header", id="IHDR not first"),
        pytest.param(png(chunk(b"CgBI", b"abcd" * 4), ihdr(6, 6), IDAT, IEND), "header", id="CgBI first"),
        pytest.param(png(ihdr(6, 6), ihdr(9, 9), IDAT, IEND), "two_ihdr", id="two IHDR"),
        pytest.param(png(ihdr(6, 6), IDAT, ihdr(9, 9), IEND), "two_ihdr", id="second IHDR after the pixels"),
        pytest.param(png(ihdr(0, 6), IDAT, IEND), "dimensions", id="no width"),
        pytest.param(png(ihdr(6, 0), IDAT, IEND), "dimensions", id="no height"),
        pytest.param(png(ihdr(2**31, 6), IDAT, IEND), "dimensions", id="width above 31 bits"),
        pytest.param(png(ihdr(2**31 - 1, 2**31 - 1), IDAT, IEND), "area", id="largest legal sides"),
        pytest.param(png(ihdr(4096, 4097), IDAT, IEND), "area", id="one row too many"),
        pytest.param(png(ihdr(6, 6, b"\x03\x02\x00\x00\x00"), IDAT, IEND), "header", id="illegal depth"),
        pytest.param(png(ihdr(6, 6, b"\x08\x07\x00\x00\x00"), IDAT, IEND), "header", id="illegal colour"),
        pytest.param(png(ihdr(6, 6, b"\x08\x02\x01\x00\x00"), IDAT, IEND), "header", id="illegal compression"),
        pytest.param(png(ihdr(6, 6, b"\x08\x02\x00\x01\x00"), IDAT, IEND), "header", id="illegal filter"),
        pytest.param(png(ihdr(6, 6, b"\x08\x02\x00\x00\x02"), IDAT, IEND), "header", id="illegal interlace"),
        pytest.param(png(ihdr(6, 6, b"\x08\x02\x00\x00\x00\x00"), IDAT, IEND), "header", id="14 byte IHDR"),
        pytest.param(png(ihdr(6, 6), chunk(b"acTL", b"\x00" * 8), IDAT, IEND), "animated", id="animation"),
        pytest.param(png(ihdr(6, 6), IDAT, chunk(b"fdAT", b"x"), IEND), "animated", id="second frame"),
        pytest.param(png(ihdr(6, 6), IEND), "truncated", id="no pixels"),
        pytest.param(png(ihdr(6, 6), IDAT), "truncated", id="no end"),
        pytest.param(png(ihdr(6, 6), struct.pack(">I4s", 99, b"IDAT") + b"x"), "truncated", id="cut in a chunk"),
        pytest.param(png(ihdr(6, 6))[:30], "truncated", id="cut in IHDR"),
        pytest.param(PNG_MAGIC, "truncated", id="signature alone"),
        pytest.param(png(ihdr(6, 6), *[chunk(b"tEXt")] * 4200, IDAT, IEND), "chunks", id="thousands of chunks"),
        pytest.param(png(ihdr(6, 6), IDAT, IEND) + b"x" * 65_537, "trailing", id="long tail"),
    ],
)
def test_a_png_that_can_be_read_in_two_ways_is_refused(file: bytes, reason: str) -> None:
    with pytest.raises(ImageRefused) as refusal:
        image_size(file, pixels_max=AREA)
    assert refusal.value.reason == reason


def test_a_short_tail_and_the_very_largest_area_pass() -> None:
    assert image_size(png(ihdr(4096, 4096), IDAT, IEND) + b"x" * 65_536, pixels_max=AREA) == Size(4096, 4096)


def test_many_chunks_are_fine_in_a_file_long_enough_for_them() -> None:
    pixels = [chunk(b"IDAT", b"x" * 8192)] * 4_500
    assert image_size(png(ihdr(8, 9), *pixels, IEND), pixels_max=AREA) == Size(8, 9)


def test_every_cut_of_a_png_is_refused() -> None:
    file = noisy("PNG", 12, 11)
    for length in range(len(file)):
        with pytest.raises(ImageRefused):
            image_size(file[:length], pixels_max=AREA)
