"""Wire: looks at a client's bytes before the parser does, for what the parser lets pass without a word. Pure.

1. It is never more lenient than the parser: what it does not understand it leaves to the parser's own refusal.
2. What it refuses it refuses for the whole connection: nothing behind it is read as a request.

The parser bounds each line but not the head, and it drops trailer fields in silence.
"""

import re
from typing import Literal

from gateway.errors import BadHttp, GatewayError, HeadTooLarge

HEAD_BYTES_MAX = 16_384
LINE_BYTES_MAX = 8_190
FIELDS_MAX = 64
# A chunk's size and its extensions, which nobody reads.
SIZE_BYTES_MAX = 256

_END, _LINE_END = b"\r\n\r\n", b"\r\n"
_FIRST_LINE = re.compile(rb"[^\n]* HTTP/1\.[01]\r\n")
_FRAMING = re.compile(rb"\r\n(transfer-encoding|content-length):([^\r\n]*)(?=\r\n)", re.IGNORECASE)
_BLANKS = b" \t"
_LENGTH = re.compile(rb"[0-9]{1,15}")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}(?=[ \t]*(?:;|\Z))")

State = Literal["head", "skip", "size", "last", "lost"]


class Watch:
    """One connection's bytes, in order.

    Attributes:
        fault: what ended the watch; None while all is well.
    """

    __slots__ = ("_after", "_kept", "_left", "_state", "fault")

    def __init__(self) -> None:
        self._state: State = "head"
        self._after: State = "head"
        self._kept = bytearray()
        self._left = 0
        self.fault: GatewayError | None = None

    @property
    def between(self) -> bool:
        """Whether the next byte is the first one of a request."""
        return self._state == "head" and not self._kept

    def passed(self, data: bytes) -> int:
        """How many bytes of `data` may go on to the parser: all, unless `fault` is set now."""
        at = 0
        while at < len(data) and self.fault is None and self._state != "lost":
            at = self._step(data, at)
        return at if self.fault is not None else len(data)

    def _step(self, data: bytes, at: int) -> int:
        """Take what belongs together, and say where the next thing begins."""
        match self._state:
            case "skip":
                taken = min(self._left, len(data) - at)
                self._left -= taken
                if not self._left:
                    self._state = self._after
                return at + taken
            case "head":
                return self._head(data, at)
            case "size":
                return self._size(data, at)
            case _:
                return self._last(data, at)

    def _head(self, data: bytes, at: int) -> int:
        if not self._kept:
            # Empty lines before a request are no part of it.
            while at < len(data) and data[at] in _LINE_END:
                at += 1
        line, end = self._until(_END, data, at, HEAD_BYTES_MAX)
        if line is None:
            if len(self._kept) <= HEAD_BYTES_MAX:
                return end
            self.fault = HeadTooLarge()
            return at
        if len(line) > HEAD_BYTES_MAX or line.count(_LINE_END) - 2 > FIELDS_MAX or _longest(line) > LINE_BYTES_MAX:
            self.fault = HeadTooLarge()
            return at
        if not _FIRST_LINE.match(line):
            # The parser takes three more versions, and a line feed in the place of one; each would be answered in kind.
            self.fault = BadHttp("only HTTP/1.0 and HTTP/1.1 are spoken here")
            return at
        self._frame(line)
        return end

    def _frame(self, head: bytes) -> None:
        """What follows this head: the rules of RFC 9112, 6.3, for the framings that are not refused anyway."""
        found = [(name.lower(), value.strip(_BLANKS)) for name, value in _FRAMING.findall(head)]
        match found:
            case []:
                self._state = "head"
            case [(b"content-length", length)] if _LENGTH.fullmatch(length):
                self._skip(int(length), "head")
            case [(b"transfer-encoding", coding)] if coding.lower() == b"chunked":
                self._state = "size"
            case _:
                self._state = "lost"

    def _size(self, data: bytes, at: int) -> int:
        line, end = self._until(_LINE_END, data, at, SIZE_BYTES_MAX)
        if (len(self._kept) if line is None else len(line)) > SIZE_BYTES_MAX:
            self.fault = BadHttp("the line of a chunk's size is too long")
            return at
        if line is None:
            return end
        size = _SIZE.match(line[:-2])
        if size is None:
            self._state = "lost"
        elif not int(size[0], 16):
            self._state = "last"
        else:
            self._skip(int(size[0], 16) + len(_LINE_END), "size")
        return end

    def _last(self, data: bytes, at: int) -> int:
        """After the last chunk: the empty line, or a trailer."""
        if data[at] == _LINE_END[len(self._kept)]:
            self._kept += data[at : at + 1]
            if self._kept == _LINE_END:
                self._kept.clear()
                self._state = "head"
            return at + 1
        self.fault = BadHttp("fields after the body are not taken")
        return at

    def _skip(self, count: int, after: State) -> None:
        self._left, self._after, self._state = count, after, "skip" if count else after

    def _until(self, mark: bytes, data: bytes, at: int, bytes_max: int) -> tuple[bytes | None, int]:
        """Everything up to and with `mark`, or None while it has not come; and where to go on."""
        if not self._kept:
            found = data.find(mark, at, at + bytes_max + 1)
            if found >= 0:  # all of it came at once: nothing needs to be put together
                return data[at : found + len(mark)], found + len(mark)
        known = len(self._kept)
        # One byte beyond the bound is enough to know that it is passed.
        self._kept += data[at : at + bytes_max + 1]
        found = self._kept.find(mark, max(0, known - len(mark) + 1))
        if found < 0:
            return None, len(data)
        end = found + len(mark)
        whole = bytes(self._kept[:end])
        self._kept.clear()
        return whole, at + end - known


def _longest(head: bytes) -> int:
    return max(map(len, head.split(_LINE_END))) if len(head) > LINE_BYTES_MAX else 0
