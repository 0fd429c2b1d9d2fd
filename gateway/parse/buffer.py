"""Buffer: a large body for the decoders, looked at window by window, so that no second one is in memory with it.

It says of itself what `bytes` would say.
"""

WINDOW_BYTES = 262_144


class Buffer:
    """A read-only view of bytes with those methods of `bytes` that the decoders use."""

    __slots__ = ("view",)

    def __init__(self, view: memoryview) -> None:
        self.view = view

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, piece: slice) -> bytes:
        return bytes(self.view[piece])

    def startswith(self, start: bytes, at: int = 0) -> bool:
        """As `bytes.startswith`, for 0 <= `at`."""
        return at <= len(self.view) and self.view[at : at + len(start)] == start

    def find(self, wanted: bytes, start: int = 0, stop: int | None = None) -> int:
        """As `bytes.find`, for 0 <= `start` and `wanted` not empty."""
        stop = len(self.view) if stop is None else min(stop, len(self.view))
        while start + len(wanted) <= stop:
            # What begins in this window may end behind it.
            window = bytes(self.view[start : min(stop, start + WINDOW_BYTES + len(wanted) - 1)])
            found = window.find(wanted)
            if found >= 0:
                return start + found
            start += WINDOW_BYTES
        return -1

    def count(self, wanted: bytes) -> int:
        """As `bytes.count`, for one byte."""
        windows = range(0, len(self.view), WINDOW_BYTES)
        return sum(bytes(self.view[at : at + WINDOW_BYTES]).count(wanted) for at in windows)

    def decode(self) -> str:
        """As `bytes.decode`. Raises UnicodeDecodeError."""
        return str(self.view, "utf-8")


# What the decoders read from.
Source = bytes | Buffer


def view_of(body: Source) -> memoryview:
    """`body` as a view, nothing copied."""
    return body.view if isinstance(body, Buffer) else memoryview(body)
