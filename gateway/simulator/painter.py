"""The painter: real pictures on demand, made in worker threads and remembered.

Pillow is optional, so the file that draws is imported only when a picture is wanted or measured.
The same (prompt, seed, size, format) always gives the same bytes.
"""

import asyncio
from collections import OrderedDict

from gateway.simulator.picture import Picture, Size

CONTENT_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
CACHED_BYTES_MAX = 32 * 1024 * 1024

# A file a player recognises by its `ftyp` box, with an empty `mdat` after it.
VIDEO = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42" + b"\x00\x00\x02\x00mdat" + bytes(504)


def size_of(image: bytes) -> Size | None:
    """Pixel size of an encoded image, read from its header; None when it is none."""
    from gateway.simulator import images  # noqa: PLC0415 - Pillow is an optional dependency

    return images.size_of(image)


class Painter:
    """Makes pictures in worker threads, `hands` at a time, and remembers the newest.

    With `drawn` off, prompt and seed are left out of every picture, so one per size is reused.
    """

    def __init__(self, *, hands: int, drawn: bool) -> None:
        self._hands = asyncio.Semaphore(hands)
        self._drawn = drawn
        self._known: OrderedDict[Picture, bytes] = OrderedDict()
        self._known_bytes = 0

    async def paint(self, picture: Picture) -> bytes:
        """The encoded picture."""
        wanted = picture if self._drawn else _plain(picture)
        known = self._known.get(wanted)
        if known is not None:
            self._known.move_to_end(wanted)
            return known
        async with self._hands:
            made = await asyncio.to_thread(encode, wanted)
        self._remember(wanted, made)
        return made

    def _remember(self, picture: Picture, made: bytes) -> None:
        self._known_bytes += len(made) - len(self._known.pop(picture, b""))
        self._known[picture] = made
        while self._known_bytes > CACHED_BYTES_MAX:
            self._known_bytes -= len(self._known.popitem(last=False)[1])


def _plain(picture: Picture) -> Picture:
    return Picture("", 0, picture.size, picture.format, picture.transparent)


def encode(picture: Picture) -> bytes:
    """Draw and encode `picture`. Takes its time: call it from a worker thread."""
    from gateway.simulator import images  # noqa: PLC0415 - Pillow is an optional dependency

    return images.encode(picture)
