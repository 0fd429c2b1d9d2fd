"""Reading a request's body: bounded in bytes, in time, and in all bodies together."""

import asyncio
import itertools
import re
from dataclasses import dataclass

from aiohttp import ClientError, HttpVersion10, HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.errors import (
    BadHttp,
    BodyTooLarge,
    BodyTooSlow,
    ClientGone,
    ExpectationFailed,
    UnsupportedMediaType,
)
from gateway.parse.limits import Limits
from gateway.web.disk import Spooled
from gateway.web.in_flight import Share


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one request may take: bytes, seconds, pixels.

    Attributes:
        body_bytes_max: of one body.
        memory_bytes_max: of one body in memory; a larger one goes to disk.
        body_timeout_s: for a body to arrive.
        body_bytes_per_s_min: what a body must arrive at, on the whole.
        body_stall_s: how far a body may fall behind that.
        write_timeout_s: for a client to take the next bytes of its answer.
        write_bytes_per_s_min: what a client must take its answer at, on the whole.
        limits: of parsed values and images.
    """

    body_bytes_max: int
    memory_bytes_max: int
    body_timeout_s: float
    body_bytes_per_s_min: int
    body_stall_s: float
    write_timeout_s: float
    write_bytes_per_s_min: int
    limits: Limits


# Bodies that begin together get deadlines that lie apart: many refusals at once would keep everybody else waiting.
_APART_S = itertools.cycle([number * 0.004 for number in range(64)])

# What is gathered of a body that comes in small pieces before it is written.
_WRITTEN_BYTES = 65_536

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


async def read_body(request: web.BaseRequest, share: Share, bounds: Bounds) -> bytes | Spooled:
    """The whole body, as sent. A client that expects `100 Continue` gets it once nothing in the head speaks against it.

    Raises:
        BodyTooLarge: announced or found to be more than `body_bytes_max`.
        BodyTooSlow: not complete within `body_timeout_s`, or too far behind `body_bytes_per_s_min` meanwhile.
        UnsupportedMediaType: it is content-coded; nothing is ever inflated.
        BadHttp: its framing is broken.
        Busy: all bodies together pass their bound, or the disk does not take a large one.
        ClientGone: the client left before it was complete.
    """
    if any(coding.lower() != "identity" for coding in request.headers.getall("Content-Encoding", [])):
        raise UnsupportedMediaType("compressed request bodies are not accepted")
    announced = request.content_length or 0
    if announced > bounds.body_bytes_max:
        raise BodyTooLarge(bounds.body_bytes_max)
    if announced <= bounds.memory_bytes_max:
        share.grow_to(announced)
    else:
        share.to_disk(announced)
    _let_it_come(request)
    try:
        if share.file is None and request.content.is_eof():  # all of it is here: nothing to wait for
            return _whole(request, share, bounds)
        async with asyncio.timeout(None) as timer:
            return await _collect(request, share, bounds, _Pace(timer, bounds))
    except TimeoutError:
        raise BodyTooSlow(bounds.body_timeout_s, bounds.body_bytes_per_s_min) from None
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


def _whole(request: web.BaseRequest, share: Share, bounds: Bounds) -> bytes:
    body = request.content.read_nowait()
    if len(body) > bounds.body_bytes_max:
        raise BodyTooLarge(bounds.body_bytes_max)
    share.grow_to(len(body))
    return body


class _Pace:
    """Moves the deadline of one body: it is due as a whole, and so is what its rate owes.

    A body may fall behind by `body_stall_s`, never more; what came early does not count for long.
    """

    __slots__ = ("_bounds", "_due_s", "_ends_s", "_loop", "_timer")

    def __init__(self, timer: asyncio.Timeout, bounds: Bounds) -> None:
        self._timer = timer
        self._bounds = bounds
        self._loop = asyncio.get_running_loop()
        now_s = self._loop.time() + next(_APART_S)
        self._ends_s = now_s + bounds.body_timeout_s
        self._due_s = now_s + bounds.body_stall_s
        self._set()

    def arrived(self, count: int) -> None:
        """Move on by `count` bytes."""
        earned_s = self._due_s + count / self._bounds.body_bytes_per_s_min
        self._due_s = min(earned_s, self._loop.time() + self._bounds.body_stall_s)
        self._set()

    def _set(self) -> None:
        self._timer.reschedule(min(self._due_s, self._ends_s))


async def _collect(request: web.BaseRequest, share: Share, bounds: Bounds, pace: _Pace) -> bytes | Spooled:
    # Not a list: of a body that comes two bytes at a time, its entries would be most of what is held.
    held = bytearray()
    count = 0
    async for chunk in request.content.iter_any():
        count += len(chunk)
        if count > bounds.body_bytes_max:
            raise BodyTooLarge(bounds.body_bytes_max)
        pace.arrived(len(chunk))
        if share.file is None and count > bounds.memory_bytes_max:
            share.to_disk(count)
        share.grow_to(count)
        if share.file is None or len(held) + len(chunk) < _WRITTEN_BYTES:
            held += chunk
        else:
            await share.file.write(held + chunk if held else chunk)
            held.clear()
    if share.file is None:
        return bytes(held)
    if held:
        await share.file.write(held)
    share.is_on_disk()
    return share.file
