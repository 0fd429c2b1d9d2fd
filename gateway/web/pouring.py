"""Pouring: an answer of known length on a connection that stays open, written without the framework's response.

Its head is put together once, as bytes, and leaves with the body's first bytes in one write. Every other answer goes
the framework's own way.
"""

import asyncio
import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from aiohttp import ClientConnectionResetError, HttpVersion11, web

from gateway.headers import holds_control

_BODILESS = frozenset({204, 205, 304})


class _Sent(web.StreamResponse):
    """What the framework is told of an answer that has been poured out: nothing is left to be sent."""

    _eof_sent = True
    _keep_alive = True


# Holds nothing of any one answer.
POURED: web.StreamResponse = _Sent()


def can_pour(request: web.BaseRequest, status: int, length: int | None) -> bool:
    """Whether this answer has a body of known length, and the connection stays open after it."""
    return (
        length is not None
        and status >= 200  # noqa: PLR2004 - status classes
        and status not in _BODILESS
        and request.version == HttpVersion11
        and request.keep_alive
        and request.method != "HEAD"
    )


def head_of(status: int, fields: Mapping[str, str], length: int) -> bytes:
    """Status line and fields, with the empty line. Raises ValueError for a field that would not stay one."""
    if length and "content-type" not in fields:
        fields = {**fields, "content-type": "application/octet-stream"}
    now = f"Content-Length: {length}\r\nDate: {_date(int(time.time()))}\r\n\r\n"
    lines = [f"{name}: {value}" for name, value in fields.items()]
    if holds_control("".join(lines)):
        raise ValueError("a control character in a field")
    return "\r\n".join([_status_line(status), *lines, now]).encode()


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


@lru_cache(maxsize=512)
def _status_line(status: int) -> str:
    known = HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else ""
    return f"HTTP/1.1 {status} {known}"


class Pouring:
    """One answer on its way out.

    Args:
        request: what is answered.
        head: as `head_of`.
        length: of the body, in bytes; no more than that leaves.
    """

    __slots__ = ("_head", "_request", "left")

    def __init__(self, request: web.BaseRequest, head: bytes, length: int) -> None:
        self._request = request
        self._head = head
        self.left = length

    def begin(self) -> None:
        """Let the head leave at the loop's next turn, unless a piece takes it along: a slow body still shows it."""
        asyncio.get_running_loop().call_soon(self.send_head)

    async def write(self, chunk: bytes | memoryview, *, drain: bool) -> None:
        """Write `chunk`, behind the head; `drain` is the caller's. Raises ConnectionError when the client is gone."""
        self._put(chunk)

    def _put(self, chunk: bytes | memoryview) -> None:
        if len(chunk) > self.left:
            chunk = chunk[: self.left]
        self.left -= len(chunk)
        head, self._head = self._head, b""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ClientConnectionResetError("the client is gone")
        transport.write(head + chunk if head else chunk)
        self._request.writer.output_size += len(head) + len(chunk)

    def send_head(self) -> None:
        """Send the head, unless it has left with the body's first bytes, or there is nobody left to take it."""
        transport = self._request.transport
        if self._head and transport is not None and not transport.is_closing():
            self._put(b"")
