"""WebP: a walk over the RIFF chunks. Canvas and frame must agree, and there is one frame."""

import struct
from collections.abc import Callable, Iterator

from gateway.parse.refusal import ImageRefused
from gateway.pricing.job import Size

_CHUNK = struct.Struct("<4sI")
_LOSSY = struct.Struct("<3s3sHH")
_RIFF_HEADER_BYTES = 12
_CHUNKS_MAX = 1_024

_LOSSY_START = b"\x9d\x01\x2a"
_LOSSLESS_START = 0x2F
_SIDE_BITS = 14
_SIDE_MASK = (1 << _SIDE_BITS) - 1
_ANIMATED = 0x02
_ANIMATION = frozenset({b"ANIM", b"ANMF"})
_CANVAS_BYTES = 10


def webp_size(view: memoryview) -> tuple[Size, int]:
    """The size of the WebP in `view`, and where the file ends by its own account.

    Raises:
        ImageRefused: `truncated`, `header`, `dimensions`, `canvas` (canvas and frame differ), `two_frames`, `animated`,
            `type` (another kind of RIFF file), `chunks` (too many).
    """
    end = _riff_end(view)
    canvas: Size | None = None
    frame: Size | None = None
    for kind, chunk in _chunks(view, end):
        if kind in _FRAMES:
            if frame is not None:
                raise ImageRefused("two_frames")
            frame = _FRAMES[kind](chunk)
        elif kind in _ANIMATION:
            raise ImageRefused("animated")
        elif kind == b"VP8X" and canvas is None and frame is None:
            canvas = _canvas(chunk)
        elif kind == b"VP8X" or (canvas is None and frame is None):
            raise ImageRefused("header")
    if frame is None:
        raise ImageRefused("truncated")
    if canvas is not None and canvas != frame:
        raise ImageRefused("canvas")
    return frame, end


def _riff_end(view: memoryview) -> int:
    magic, length = _CHUNK.unpack_from(view)
    if magic != b"RIFF":
        raise ImageRefused("type")
    end = _CHUNK.size + int(length)
    if end > len(view):
        raise ImageRefused("truncated")
    return end


def _chunks(view: memoryview, end: int) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and content of each chunk up to `end`."""
    at = _RIFF_HEADER_BYTES
    for _ in range(_CHUNKS_MAX):
        if at >= end:
            return
        if end - at < _CHUNK.size:
            raise ImageRefused("truncated")
        kind, length = _CHUNK.unpack_from(view, at)
        at += _CHUNK.size
        if at + length > end:
            raise ImageRefused("truncated")
        yield kind, view[at : at + length]
        at += length + length % 2
    raise ImageRefused("chunks")


def _canvas(chunk: memoryview) -> Size:
    if len(chunk) != _CANVAS_BYTES:
        raise ImageRefused("header")
    if chunk[0] & _ANIMATED:
        raise ImageRefused("animated")
    return Size(int.from_bytes(chunk[4:7], "little") + 1, int.from_bytes(chunk[7:10], "little") + 1)


def _lossy(chunk: memoryview) -> Size:
    if len(chunk) < _LOSSY.size:
        raise ImageRefused("truncated")
    tag, start, width, height = _LOSSY.unpack_from(chunk)
    # A set lowest bit is no key frame. The two highest bits of a side ask to scale, which readers do or do not.
    if tag[0] & 1 or start != _LOSSY_START or (width | height) > _SIDE_MASK:
        raise ImageRefused("header")
    if not width or not height:
        raise ImageRefused("dimensions")
    return Size(width, height)


def _lossless(chunk: memoryview) -> Size:
    if len(chunk) < 5:  # noqa: PLR2004 - a start byte and 32 bits
        raise ImageRefused("truncated")
    bits = int.from_bytes(chunk[1:5], "little")
    if chunk[0] != _LOSSLESS_START or bits >> 29:
        raise ImageRefused("header")
    return Size((bits & _SIDE_MASK) + 1, (bits >> _SIDE_BITS & _SIDE_MASK) + 1)


_FRAMES: dict[bytes, Callable[[memoryview], Size]] = {b"VP8 ": _lossy, b"VP8L": _lossless}
