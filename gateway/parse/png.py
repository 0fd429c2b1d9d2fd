"""PNG: the size in IHDR, and a walk over the chunk headers for whatever would contradict it."""

import struct
import zlib

from gateway.parse.refusal import ImageRefused
from gateway.pricing.job import Size

_HEADER = struct.Struct(">I4sIIBBBBBI")
_CHUNK = struct.Struct(">I4s")
_HEADER_AT = 8
_HEADER_BYTES = 13
_CHUNK_FRAME_BYTES = 12
_SIDE_MAX = 2**31 - 1

# Bit depths by colour type, from the PNG specification.
_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})

# Chunks a file may have: some in any case, more the longer it is (writers put 8 KiB and more into one).
_CHUNKS_MIN = 4_096
_BYTES_PER_CHUNK = 4_096


def png_size(view: memoryview) -> tuple[Size, int]:
    """The size of the PNG in `view`, and where the file ends.

    Raises:
        ImageRefused: `truncated` (also without IDAT or IEND), `header` (IHDR is not first, or not legal), `crc`,
            `dimensions`, `two_ihdr`, `animated`, `chunks` (too many).
    """
    size = _size(view)
    at = _HEADER_AT + _CHUNK_FRAME_BYTES + _HEADER_BYTES
    pixels_seen = False
    for _ in range(_CHUNKS_MIN + len(view) // _BYTES_PER_CHUNK):
        if len(view) - at < _CHUNK_FRAME_BYTES:
            raise ImageRefused("truncated")
        length, kind = _CHUNK.unpack_from(view, at)
        at += _CHUNK_FRAME_BYTES + length
        if at > len(view) or (kind == b"IEND" and not pixels_seen):
            raise ImageRefused("truncated")
        if kind == b"IEND":
            return size, at
        if kind == b"IHDR":
            raise ImageRefused("two_ihdr")
        if kind in _ANIMATION:
            raise ImageRefused("animated")
        pixels_seen = pixels_seen or kind == b"IDAT"
    raise ImageRefused("chunks")


def _size(view: memoryview) -> Size:
    if len(view) < _HEADER_AT + _HEADER.size:
        raise ImageRefused("truncated")
    fields: tuple[int, bytes, int, int, int, int, int, int, int, int] = _HEADER.unpack_from(view, _HEADER_AT)
    length, kind, width, height, depth, colour, compression, filtering, interlace, crc = fields
    if kind != b"IHDR" or length != _HEADER_BYTES:
        raise ImageRefused("header")
    if zlib.crc32(view[_HEADER_AT + 4 : _HEADER_AT + 8 + _HEADER_BYTES]) != crc:
        raise ImageRefused("crc")
    if not 1 <= width <= _SIDE_MAX or not 1 <= height <= _SIDE_MAX:
        raise ImageRefused("dimensions")
    if depth not in _DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise ImageRefused("header")
    return Size(width, height)
