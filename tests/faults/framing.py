"""Framing: where one message of the store's protocol ends and the next begins. Pure; bytes in, offsets out."""

MESSAGE_BYTES_MAX = 64 * 2**20

_BULKS = frozenset(b"$=!")
_LISTS = frozenset(b"*~>")
_MAPS = frozenset(b"%|")
_LINES = frozenset(b"+-:_,#(")


class Framer:
    """Cuts one direction of one connection into whole messages.

    Raises ValueError for what is not the protocol, or for a message longer than `MESSAGE_BYTES_MAX`.
    """

    __slots__ = ("_at", "_buffer", "_left")

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0  # all before it was read
        self._left: list[int] = []  # how many elements each open list still lacks

    @property
    def partial(self) -> bytes:
        """What came of a message that is not whole yet."""
        return self._buffer

    def feed(self, chunk: bytes) -> list[bytes]:
        """The messages that `chunk` completes, in order."""
        self._buffer += chunk
        found: list[bytes] = []
        begin = 0
        while (end := self._next()) is not None:
            found.append(self._buffer[begin:end])
            begin = end
        if begin:
            self._buffer = self._buffer[begin:]
            self._at -= begin
        if len(self._buffer) > MESSAGE_BYTES_MAX:
            raise ValueError("the message is too long")
        return found

    def _next(self) -> int | None:
        """Where the message under way ends; None when it is not all here."""
        buffer, left = self._buffer, self._left
        while True:
            line = buffer.find(b"\r\n", self._at)
            if line < 0:
                return None
            kind, after = buffer[self._at], line + 2
            if kind in _BULKS:
                size = int(buffer[self._at + 1 : line])
                after += size + 2 if size >= 0 else 0
                if after > len(buffer):
                    return None
            elif kind in _LISTS or kind in _MAPS:
                count = int(buffer[self._at + 1 : line]) * (2 if kind in _MAPS else 1)
                if count > 0:
                    left.append(count)
                    self._at = after
                    continue
            elif kind not in _LINES:
                raise ValueError("not the protocol")
            self._at = after
            while left:
                left[-1] -= 1
                if left[-1]:
                    break
                left.pop()
            else:
                return after
