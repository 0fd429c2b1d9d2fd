"""JPEG: hazards IM02, IM03, IM05, IM07."""

import io
from typing import Any

import pytest
from PIL import Image

from gateway.parse.images import ImageRefused, image_size
from gateway.pricing.job import Size
from tests.unit.parse.pictures import EOI, SOI, SOS, encoded, jpeg, noisy, segment, sof

AREA = 4096 * 4096

# What phones write: a first picture that says that others follow.
SEVERAL = jpeg(segment(0xE2, b"MPF\x00II*\x00"), sof(9, 9), SOS)
LARGE_PREVIEW = jpeg(sof(9, 9), SOS, b"\x55" * 100_000)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"optimize": True, "quality": 1},
        {"quality": 100, "subsampling": 0},
        {"restart_marker_blocks": 1},
        {"progressive": True, "restart_marker_rows": 1},
        {"comment": b"\xff\xc0 not a frame"},
    ],
)
def test_baseline_and_progressive_are_read_as_pillow_reads_them(options: dict[str, Any]) -> None:
    file = noisy("JPEG", 323, 177, **options)
    size = image_size(file, pixels_max=AREA)
    assert (size.width, size.height) == Image.open(io.BytesIO(file)).size == (323, 177)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_four_colour_pictures_are_fine(mode: str) -> None:
    assert image_size(encoded("JPEG", 33, 44, mode=mode), pixels_max=AREA) == Size(33, 44)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_leaves_the_sides_as_they_are_stored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert image_size(encoded("JPEG", 40, 20, exif=exif), pixels_max=AREA) == Size(40, 20)


def test_a_thumbnail_inside_a_segment_is_not_looked_at() -> None:
    thumbnail = segment(0xE1, b"Exif\x00\x00" + jpeg(sof(9999, 9999), SOS))
    assert image_size(jpeg(thumbnail, sof(64, 32), SOS), pixels_max=AREA) == Size(64, 32)


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA])
def test_every_kind_of_frame_has_its_size_read(marker: int) -> None:
    assert image_size(jpeg(sof(64, 32, marker=marker), SOS), pixels_max=AREA) == Size(64, 32)


def test_fill_bytes_before_a_marker_are_legal() -> None:
    assert image_size(jpeg(b"\xff\xff", sof(64, 32), b"\xff", SOS, b"\xff"), pixels_max=AREA) == Size(64, 32)


def test_several_scans_with_tables_between_them_are_one_picture() -> None:
    table = segment(0xC4, b"\x00" * 17)
    assert image_size(jpeg(sof(64, 32, marker=0xC2), SOS, table, SOS, table, SOS), pixels_max=AREA) == Size(64, 32)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        pytest.param(jpeg(sof(64, 64), sof(9, 9), SOS), "two_sof", id="two frames"),
        pytest.param(jpeg(sof(64, 64), SOS, sof(9, 9)), "two_sof", id="a frame after the scan"),
        pytest.param(jpeg(sof(64, 64), SOS, SOS, sof(9, 9, marker=0xC2), SOS), "two_sof", id="between scans"),
        pytest.param(jpeg(sof(64, 64), SOS, b"\xff\xff\xff", sof(9, 9)), "two_sof", id="behind fill bytes"),
        pytest.param(jpeg(sof(64, 0), SOS), "dimensions", id="height left to DNL"),
        pytest.param(jpeg(sof(64, 0), SOS, segment(0xDC, b"\x00\x40")), "dimensions", id="height 0 and DNL"),
        pytest.param(jpeg(sof(64, 9), SOS, segment(0xDC, b"\x00\x40")), "marker", id="height and DNL"),
        pytest.param(jpeg(sof(0, 64), SOS), "dimensions", id="no width"),
        pytest.param(jpeg(SOS, sof(9, 9)), "header", id="scan before frame"),
        pytest.param(jpeg(b"\x00", sof(9, 9), SOS), "type", id="junk after the start"),
        pytest.param(jpeg(segment(0xE0, b"JFIF"), b"junk", sof(9, 9), SOS), "header", id="junk between segments"),
        pytest.param(b"\x00" + jpeg(sof(9, 9), SOS), "type", id="leading junk"),
        pytest.param(jpeg(SOI, sof(9, 9), SOS), "marker", id="two starts"),
        pytest.param(jpeg(sof(9, 9), SOS, SOI, sof(9, 9), SOS), "marker", id="a picture in the scan"),
        pytest.param(jpeg(segment(0xDE, b"\x00" * 9), sof(9, 9), SOS), "marker", id="hierarchical"),
        pytest.param(jpeg(segment(0xF7, b"\x08\x00\x09\x00\x09\x01\x01\x11\x00"), SOS), "marker", id="JPEG-LS"),
        pytest.param(jpeg(segment(0xC0, b"\x08\x00\x09\x00\x09\x03"), SOS), "header", id="frame too short"),
        pytest.param(jpeg(segment(0xC0, b"\x08\x00"), SOS), "header", id="frame of two bytes"),
        pytest.param(jpeg(segment(0xC0, b"\x08\x00\x09\x00\x09\x00"), SOS), "header", id="no components"),
        pytest.param(SOI + b"\xff\xe0\x00\x01", "header", id="length 1"),
        pytest.param(SOI + b"\xff\xe0\x00", "truncated", id="cut in a length"),
        pytest.param(SOI + b"\xff\xe0\x40\x00abc", "truncated", id="cut in a segment"),
        pytest.param(SOI + sof(9, 9) + SOS, "truncated", id="no end marker"),
        pytest.param(jpeg(sof(9, 9)), "marker", id="no scan"),
        pytest.param(jpeg(sof(65_500, 65_500), SOS), "area", id="too large"),
        pytest.param(SEVERAL + jpeg(sof(9, 10), SOS), "type", id="a larger second picture"),
        pytest.param(SEVERAL + jpeg(sof(9, 9), SOS) * 9, "type", id="ten pictures"),
        pytest.param(SEVERAL + jpeg(sof(9, 9), SOS)[:-2], "truncated", id="a second picture without end"),
        pytest.param(SEVERAL + jpeg(sof(9, 9), sof(8, 8), SOS), "two_sof", id="a second picture of two frames"),
        pytest.param(SEVERAL + jpeg(sof(9, 9), SOS) + b"x" * 65_537, "trailing", id="a film behind two pictures"),
        pytest.param(jpeg(sof(9, 9), SOS) + LARGE_PREVIEW, "trailing", id="a second picture nobody announced"),
        pytest.param(jpeg(*[segment(0xE5, b"")] * 5000, sof(9, 9), SOS), "segments", id="thousands of segments"),
        pytest.param(jpeg(sof(9, 9), SOS) + b"x" * 65_537, "trailing", id="long tail"),
        pytest.param(SOI + b"\xff" * 100, "truncated", id="only fill bytes"),
    ],
)
def test_a_jpeg_that_can_be_read_in_two_ways_is_refused(file: bytes, reason: str) -> None:
    with pytest.raises(ImageRefused) as refusal:
        image_size(file, pixels_max=AREA)
    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(jpeg(sof(3, 3), SOS), id="a preview"),
        pytest.param(LARGE_PREVIEW * 2, id="two of 100 KB"),
        pytest.param(jpeg(sof(9, 9), SOS) * 8, id="eight"),
        pytest.param(jpeg(sof(3, 3), SOS) + b"x" * 65_536, id="a preview, and a trailer of the phone's maker"),
        pytest.param(b"x" * 65_536, id="only a trailer"),
    ],
)
def test_a_photo_of_a_phone_has_the_size_of_its_first_picture(behind: bytes) -> None:
    assert image_size(SEVERAL + behind, pixels_max=AREA) == Size(9, 9)


@pytest.mark.parametrize("before_end", range(-3, 4))
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_marker_across_two_pieces_of_a_long_scan_is_found(
    monkeypatch: pytest.MonkeyPatch, before_end: int, pieces: int
) -> None:
    monkeypatch.setattr("gateway.parse.jpeg._SEARCHED_BYTES", 1_000)
    scan = b"\x55" * (1_000 * pieces - 13 + before_end)
    assert image_size(jpeg(sof(9, 9), SOS, scan), pixels_max=AREA) == Size(9, 9)
    with pytest.raises(ImageRefused, match="two_sof"):
        image_size(jpeg(sof(9, 9), SOS, scan, sof(9, 9)), pixels_max=AREA)


def test_what_follows_the_end_marker_does_not_count() -> None:
    file = jpeg(sof(64, 32), SOS) + sof(9999, 9999) + EOI
    assert image_size(file, pixels_max=AREA) == Size(64, 32)


def test_every_cut_of_a_jpeg_is_refused() -> None:
    file = noisy("JPEG", 20, 20, progressive=True)
    for length in range(len(file)):
        with pytest.raises(ImageRefused):
            image_size(file[:length], pixels_max=AREA)
