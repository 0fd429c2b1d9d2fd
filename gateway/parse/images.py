"""Image sizes out of the header alone: nothing is decoded, so nothing can explode.

An image whose header can be read in two ways is refused. A header that merely lies about the pixels behind it is priced
as it says; the settled charge corrects that.
"""

from collections.abc import Callable

from gateway.parse.jpeg import jpeg_size
from gateway.parse.png import png_size
from gateway.parse.refusal import ImageRefused
from gateway.parse.webp import webp_size
from gateway.pricing.job import Size

TRAILING_BYTES_MAX = 65_536

_READERS: tuple[tuple[bytes, int, Callable[[memoryview], tuple[Size, int]]], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, png_size),
    (b"\xff\xd8\xff", 0, jpeg_size),
    (b"WEBP", 8, webp_size),
)

__all__ = ["ImageRefused", "image_size"]


def image_size(buffer: bytes | memoryview, *, pixels_max: int) -> Size:
    """The pixel size of the PNG, JPEG or WebP in `buffer`, told by its first bytes.

    Args:
        buffer: the whole file.
        pixels_max: largest area.

    Raises:
        ImageRefused: `empty`, `type` (none of the three), `trailing` (more than 64 KiB after the end), `area`, or one
            of the reasons of `png_size`, `jpeg_size` and `webp_size`. Nothing else, whatever the bytes.
    """
    view = memoryview(buffer)
    if not view:
        raise ImageRefused("empty")
    for magic, at, read in _READERS:
        if view[at : at + len(magic)] == magic:
            size, end = read(view)
            if len(view) - end > TRAILING_BYTES_MAX:
                raise ImageRefused("trailing")
            if size.pixels > pixels_max:
                raise ImageRefused("area")
            return size
    raise ImageRefused("type")
