"""Shelf: memory shared by processes that are forked from one. A slot has one writer at a time and many readers.

A slot holds one piece of bytes, in one of two halves: the next piece is put into the other half before it takes the
place of the former. A writer that is killed at any step leaves the former piece whole.
"""

import mmap
import struct
import zlib
from typing import Final

# Of one piece. Memory that was never written takes no room.
PIECE_BYTES_MAX: Final = 4 * 1024 * 1024

# Length and checksum, before the piece.
_HEAD: Final = struct.Struct("<II")

# A reader may meet a half that is being written a second time: then it looks again.
_LOOKS: Final = 5


class Shelf:
    """So many slots, all empty. Made before the fork.

    Args:
        slots: how many.
        piece_bytes_max: of one piece.
    """

    def __init__(self, slots: int, *, piece_bytes_max: int = PIECE_BYTES_MAX) -> None:
        self._half = _HEAD.size + piece_bytes_max
        self._slots = slots
        # First which half of each slot counts, then the halves.
        self._memory = mmap.mmap(-1, slots + slots * 2 * self._half)

    def put(self, slot: int, piece: bytes) -> bool:
        """Put `piece` into its slot; false, and the former stays, when it is too long."""
        if len(piece) > self._half - _HEAD.size:
            return False
        which = 1 - self._memory[slot]
        start = self._start(slot, which)
        head = _HEAD.pack(len(piece), zlib.crc32(piece))
        self._memory[start : start + _HEAD.size + len(piece)] = head + piece
        self._memory[slot] = which
        return True

    def get(self, slot: int) -> bytes:
        """The piece in this slot; empty when there is none."""
        for _ in range(_LOOKS):
            start = self._start(slot, self._memory[slot])
            length, checksum = _HEAD.unpack_from(self._memory, start)
            piece = self._memory[start + _HEAD.size : start + _HEAD.size + min(length, self._half - _HEAD.size)]
            if zlib.crc32(piece) == checksum:
                return piece
        return b""

    def _start(self, slot: int, which: int) -> int:
        return self._slots + (2 * slot + which) * self._half
