"""Images written as base64 text, as JSON bodies carry them."""

import binascii
import re
from collections.abc import Iterator

from gateway.parse.images import ImageRefused

# Decoded in one step of the interpreter, in which nothing else runs; whole groups of four.
_WINDOW_CHARS = 262_144

_PREFIX = re.compile(rb"data:image/(?:png|jpeg|jpg|webp);base64,")


def decode_image(text: bytes) -> bytes:
    """The bytes behind canonical standard base64, optionally after one `data:image/…;base64,`; empty for empty.

    Raises:
        ImageRefused: `base64` for any other alphabet, whitespace, wrong padding, trailing bits, or a URL.
    """
    prefix = _PREFIX.match(text)
    encoded = memoryview(text)[prefix.end() :] if prefix else memoryview(text)
    try:
        image = b"".join(_decoded(encoded)) if len(encoded) > _WINDOW_CHARS else _strict(encoded)
    except binascii.Error:
        raise ImageRefused("base64") from None
    last = len(encoded) - 4
    # Two texts must not mean the same bytes: the bits that padding leaves over are zero.
    if len(encoded) % 4 or (encoded and binascii.b2a_base64(image[last // 4 * 3 :], newline=False) != encoded[last:]):
        raise ImageRefused("base64")
    return image


def _strict(encoded: memoryview) -> bytes:
    return binascii.a2b_base64(encoded, strict_mode=True)


def _decoded(encoded: memoryview) -> Iterator[bytes]:
    """The same, window by window. Raises binascii.Error where decoding the whole would, and for padding in between."""
    for at in range(0, len(encoded), _WINDOW_CHARS):
        window = encoded[at : at + _WINDOW_CHARS]
        piece = _strict(window)
        if at + len(window) < len(encoded) and len(piece) * 4 != len(window) * 3:
            raise binascii.Error
        yield piece
