"""Uploaded pictures of the kinds that clients really send."""

import base64

from tests.unit.parse.pictures import encoded, noisy
from tests.unit.parse.wire import File

PNG = noisy("PNG", 512, 512)
SMALL_PNG = encoded("PNG", 512, 512)
MASK = encoded("PNG", 512, 512, mode="RGBA")
# Progressive and with an EXIF block, as cameras and the official example have it.
JPEG = noisy("JPEG", 512, 512, progressive=True, exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00")
LARGE_JPEG = noisy("JPEG", 1024, 1024, quality=80)
# Some three megabytes of base64.
ROOM = noisy("JPEG", 1536, 1024, quality=98, subsampling=0)
WEBP = encoded("WEBP", 640, 480)


def png(field: str, filename: str, kind: str = "image/png") -> File:
    """A PNG of 512 × 512."""
    return File(field, filename, kind, SMALL_PNG)


def jpeg(field: str, filename: str) -> File:
    """A JPEG of 512 × 512."""
    return File(field, filename, "image/jpeg", JPEG)


def as_base64(picture: bytes) -> str:
    """The picture as text."""
    return base64.b64encode(picture).decode("ascii")
