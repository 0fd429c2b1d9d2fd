"""Images written as base64 text, as JSON bodies carry them."""

import binascii
import re

from gateway.parse.images import ImageRefused

_PREFIX = re.compile(rb"data:image/(?:png|jpeg|jpg|webp);base64,")


def decode_image(text: bytes) -> bytes:
    """The bytes behind canonical standard base64, optionally after one `data:image/…;base64,`; empty for empty.

    Raises:
        ImageRefused: `base64` for any other alphabet, whitespace, wrong padding, trailing bits, or a URL.
    """
    prefix = _PREFIX.match(text)
    encoded = memoryview(text)[prefix.end() :] if prefix else memoryview(text)
    try:
        image = binascii.a2b_base64(encoded, strict_mode=True)
    except binascii.Error:
        raise ImageRefused("base64") from None
    last = len(encoded) - 4
    # Two texts must not mean the same bytes: the bits that padding leaves over are zero.
    if len(encoded) % 4 or (encoded and binascii.b2a_base64(image[last // 4 * 3 :], newline=False) != encoded[last:]):
        raise ImageRefused("base64")
    return image
