"""Reading a request's body: bounded in bytes, in time, and in all bodies together."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import ClientError, HttpVersion10, HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.errors import (
    BadHttp,
    BodyTooLarge,
    BodyTooSlow,
    Busy,
    ClientGone,
    ExpectationFailed,
    UnsupportedMediaType,
)
from gateway.parse.limits import Limits


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one request may take: bytes, seconds, pixels.

    Attributes:
        body_bytes_max: of one body.
        body_timeout_s: for a body to arrive.
        write_timeout_s: for a client to take the next bytes of its answer.
        limits: of parsed values and images.
    """

    body_bytes_max: int
    body_timeout_s: float
    write_timeout_s: float
    limits: Limits


class InFlight:
    """Counts the body bytes held in memory by all requests together; more than `bytes_max` is Busy."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self.bytes = 0

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """A request's share of the bound, given back when the block is left."""
        share = Share(self)
        try:
            yield share
        finally:
            self.bytes -= share.bytes

    def take(self, count: int) -> None:
        """Add `count` bytes. Raises Busy when that passes the bound; then nothing was added."""
        if self.bytes + count > self._bytes_max:
            raise Busy
        self.bytes += count


class Share:
    """What one request holds of `InFlight`."""

    __slots__ = ("_all", "bytes")

    def __init__(self, all_bodies: InFlight) -> None:
        self._all = all_bodies
        self.bytes = 0

    def grow_to(self, count: int) -> None:
        """Hold at least `count` bytes; errors as `InFlight.take`."""
        if count > self.bytes:
            self._all.take(count - self.bytes)
            self.bytes = count


# A registered name or an address, and a port. Nothing is done with it; another reader might do something.
_HOST = re.compile(r"(?:[A-Za-z0-9._~-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)


def refuse_unclear(request: web.BaseRequest) -> None:
    """Raise BadHttp for what the parser lets pass and another reader may take otherwise."""
    headers = request.headers
    if request.version not in (HttpVersion10, HttpVersion11):
        raise BadHttp("only HTTP/1.0 and HTTP/1.1 are spoken here")
    codings = headers.getall("Transfer-Encoding", [])
    if codings and (request.version == HttpVersion10 or [coding.lower() for coding in codings] != ["chunked"]):
        raise BadHttp("the only transfer coding is chunked, and HTTP/1.0 has none")
    if not "".join(headers.values()).isascii():
        raise BadHttp("a header field has other characters than ASCII ones")
    if not all(map(_HOST.fullmatch, headers.getall("Host", []))):
        raise BadHttp("Host is no name and port")
    if "Upgrade" in headers and "websocket" in headers["Upgrade"].lower():
        raise BadHttp("no WebSocket is spoken here")


def refuse_expectation(request: web.BaseRequest) -> None:
    """Raise ExpectationFailed for any expectation but `100-continue`."""
    if any(expectation.lower() != "100-continue" for expectation in request.headers.getall("Expect", [])):
        raise ExpectationFailed


async def read_body(request: web.BaseRequest, share: Share, *, bytes_max: int, timeout_s: float) -> bytes:
    """The whole body, as sent. A client that expects `100 Continue` gets it once nothing in the head speaks against it.

    Raises:
        BodyTooLarge: announced or found to be more than `bytes_max`.
        BodyTooSlow: not complete within `timeout_s`.
        UnsupportedMediaType: it is content-coded; nothing is ever inflated.
        BadHttp: its framing is broken.
        Busy: all bodies together pass their bound.
        ClientGone: the client left before it was complete.
    """
    if any(coding.lower() != "identity" for coding in request.headers.getall("Content-Encoding", [])):
        raise UnsupportedMediaType("compressed request bodies are not accepted")
    announced = request.content_length or 0
    if announced > bytes_max:
        raise BodyTooLarge(bytes_max)
    share.grow_to(announced)
    _let_it_come(request)
    try:
        if request.content.is_eof():  # all of it is here: nothing to wait for
            return _whole(request, share, bytes_max)
        async with asyncio.timeout(timeout_s):
            return await _collect(request, share, bytes_max)
    except TimeoutError:
        raise BodyTooSlow(timeout_s) from None
    except ConnectionError:
        raise ClientGone from None
    except (HttpProcessingError, ClientError, web.RequestPayloadError, ValueError):
        raise BadHttp("the body's framing is broken") from None


def expects_word(request: web.BaseRequest) -> bool:
    """Whether the client waits for `100 Continue` before it sends the body. HTTP/1.0 has no such answer."""
    return "Expect" in request.headers and request.version >= HttpVersion11


def _let_it_come(request: web.BaseRequest) -> None:
    """Answer `Expect: 100-continue`."""
    if expects_word(request) and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _whole(request: web.BaseRequest, share: Share, bytes_max: int) -> bytes:
    body = request.content.read_nowait()
    if len(body) > bytes_max:
        raise BodyTooLarge(bytes_max)
    share.grow_to(len(body))
    return body


async def _collect(request: web.BaseRequest, share: Share, bytes_max: int) -> bytes:
    chunks: list[bytes] = []
    count = 0
    async for chunk in request.content.iter_any():
        count += len(chunk)
        if count > bytes_max:
            raise BodyTooLarge(bytes_max)
        share.grow_to(count)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
