"""JPEG: a walk from segment to segment. Thumbnails inside a segment are never looked at.

The walk goes on after the first scan, because readers take the last of two frame headers.

Phones write several pictures into one file: behind the first one a preview, or a map of its brightness. Such a file
says so in a segment of its own. Its size is the first picture's as long as no other one is larger: whichever a reader
takes, the price is enough.
"""

import re
import struct

from gateway.parse.refusal import ImageRefused
from gateway.pricing.job import Size

# After a segment: fill bytes, then the marker. Inside a scan: the next marker that is neither a stuffed zero nor a
# restart; of several 0xFF the last one counts, so fill bytes need no case of their own.
_NEXT = re.compile(rb"\xff+([^\xff])", re.DOTALL)
_NEXT_IN_SCAN = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)

_LENGTH = struct.Struct(">H")
_FRAME = struct.Struct(">HBHHB")
_COMPONENT_BYTES = 3

_EOI, _SOS, _APP2 = 0xD9, 0xDA, 0xE2
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Tables, restart interval, applications' own, comments. DNL (a height after the scan) is not among them.
_SKIPPED = frozenset({0xC4, 0xCC, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)})

_SEGMENTS_MAX = 4_096
_SEARCHED_BYTES = 262_144
_FURTHER_MAX = 8

_START = b"\xff\xd8"
_SEVERAL_PICTURES = b"MPF\x00"


def jpeg_size(view: memoryview) -> tuple[Size, int]:
    """The size of the JPEG in `view`, and where it ends. Orientation is not applied: it leaves the area as it is.

    Of a file that says it has several pictures, the size is the first one's, and the end that of the last one which
    follows at once.

    Raises:
        ImageRefused: `truncated` (also without an end marker), `header` (bytes between segments, a scan before its
            frame, a frame that contradicts itself), `dimensions`, `two_sof`, `marker` (one that no plain picture has),
            `type` (several pictures in one file: more than nine, or the first is not the largest), `segments` (too
            many). All of it counts for each further picture too.
    """
    size, end, several = _picture(view, 0)
    further = 0
    # Anything but a picture is data behind the end, for which `images` has a bound.
    while several and view[end : end + len(_START)] == _START:
        another, end, _ = _picture(view, end)
        further += 1
        if another.pixels > size.pixels or further > _FURTHER_MAX:
            raise ImageRefused("type")
    return size, end


def _picture(view: memoryview, start: int) -> tuple[Size, int, bool]:
    """Size and end of the picture that begins at `start`, and whether it says that others follow."""
    several = False
    size: Size | None = None
    pattern, at = _NEXT, start + len(_START)
    for _ in range(_SEGMENTS_MAX):
        marker, at = _next(view, at, pattern)
        if marker == _EOI and pattern is _NEXT_IN_SCAN and size is not None:
            return size, at, several
        end = _segment_end(view, at, marker)
        if marker in _FRAMES:
            if size is not None:
                raise ImageRefused("two_sof")
            size = _frame(view, at, end)
        elif marker == _SOS:
            if size is None:
                raise ImageRefused("header")
            pattern = _NEXT_IN_SCAN
        elif marker == _APP2:
            several = several or bytes(view[at + 2 : at + 6]) == _SEVERAL_PICTURES
        at = end
    raise ImageRefused("segments")


def _next(view: memoryview, at: int, pattern: re.Pattern[bytes]) -> tuple[int, int]:
    """The next marker from `at` on, and where it ends."""
    found = _NEXT.match(view, at) if pattern is _NEXT else _searched(view, at)
    if found is None:
        between = pattern is _NEXT and at < len(view) and view[at] != 0xFF  # noqa: PLR2004 - what every marker starts with
        raise ImageRefused("header" if between else "truncated")
    return view[found.end() - 1], found.end()


def _searched(view: memoryview, at: int) -> re.Match[bytes] | None:
    """The next marker inside a scan, looked for piece by piece: one long search would let no other thread run."""
    while at < len(view):
        found = _NEXT_IN_SCAN.search(view, at, at + _SEARCHED_BYTES)
        if found is not None:
            return found
        # A marker is two bytes; the next piece begins with the last byte of this one.
        at += _SEARCHED_BYTES - 1
    return None


def _segment_end(view: memoryview, at: int, marker: int) -> int:
    if marker not in _FRAMES and marker not in _SKIPPED and marker != _SOS:
        raise ImageRefused("marker")
    if len(view) - at < _LENGTH.size:
        raise ImageRefused("truncated")
    (length,) = _LENGTH.unpack_from(view, at)
    if length < _LENGTH.size:
        raise ImageRefused("header")
    if at + length > len(view):
        raise ImageRefused("truncated")
    return at + int(length)


def _frame(view: memoryview, at: int, end: int) -> Size:
    if end - at < _FRAME.size:
        raise ImageRefused("header")
    length, _, height, width, components = _FRAME.unpack_from(view, at)
    if length != _FRAME.size + _COMPONENT_BYTES * components or not components:
        raise ImageRefused("header")
    if not width or not height:
        raise ImageRefused("dimensions")
    return Size(width, height)
