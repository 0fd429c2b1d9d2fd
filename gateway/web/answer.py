"""Answering a client: one upstream answer streamed, or one document sent. Bounded by a write deadline."""

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol, cast

from aiohttp import HttpVersion11, web
from aiohttp.http import StreamWriter

from gateway.documents import replay_fields
from gateway.errors import Busy, ClientGone, GatewayError
from gateway.exchange import Standing
from gateway.headers import Pairs, passed_back, standing_fields
from gateway.jobs import JOB_ID
from gateway.messages import Flavour, Reply
from gateway.receipt import Receipt
from gateway.web.disk import ANSWER_BYTES
from gateway.web.in_flight import InFlight, Share
from gateway.web.pouring import POURED, Pouring, can_pour, head_of

# Sent in place of the web framework's own name and version.
SERVER = "dezgo-gateway"

# A client that lets its answer wait for longer is slow: the upstream's connection is not kept waiting with it.
SLOW_S = 0.25

# What is written before a client must have taken some of it.
_WRITTEN_BYTES = 65_536

_SEED = re.compile(r"[0-9]{1,20}", re.ASCII)

_ID_BYTES, _FETCHED_BYTES = 16, 4_096


class _Random:
    """The system's random bytes, fetched some hundred ids at a time; none is given out twice."""

    def __init__(self) -> None:
        self._bytes = b""
        self._at = 0

    def taken(self, count: int) -> bytes:
        """The next `count` bytes."""
        if self._at + count > len(self._bytes):
            self._bytes, self._at = secrets.token_bytes(_FETCHED_BYTES), 0
        self._at += count
        return self._bytes[self._at - count : self._at]


_RANDOM = _Random()


def new_request_id() -> str:
    """A fresh id: 128 random bits, never the client's own, since it also names the hold."""
    return _RANDOM.taken(_ID_BYTES).hex()


class _Streamed(web.StreamResponse):
    """An answer whose head waits for whoever sends it."""

    _send_headers_immediately = False


class Way(Protocol):
    """The way out to a client: the framework's, or the short one."""

    async def write(self, chunk: bytes | memoryview, *, drain: bool) -> None:
        """Write `chunk`. Raises ConnectionError."""
        ...


class HttpClient:
    """The client of one request, as the hall sees it.

    Args:
        request: what it asked.
        receipt: told of status and bytes.
        flavour: how the upstream is sold: which money fields a client of it expects.
        write_timeout_s: a client that takes no byte for so long is gone.
        bytes_per_s_min: so is one that falls behind this by as much.
        in_flight: where the rest of an answer waits for a slow one.
        extra: fields of every answer to this client.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        receipt: Receipt,
        *,
        flavour: Flavour,
        write_timeout_s: float,
        bytes_per_s_min: int,
        in_flight: InFlight,
        extra: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._request = request
        self._receipt = receipt
        self._flavour = flavour
        self._write_timeout_s = write_timeout_s
        self._bytes_per_s_min = bytes_per_s_min
        self._in_flight = in_flight
        self._waited_s = 0.0
        self._extra = tuple(extra)
        self.response: web.StreamResponse | None = None

    async def answer(self, reply: Reply, standing: Standing | None) -> None:
        """Stream `reply`. Raises ClientGone; what the reply's body raises gives the connection up and goes on."""
        fields, length = self._head(reply, standing), reply.body_bytes
        try:
            if length is not None and can_pour(self._request, reply.status, length):
                self.response = POURED
                await self._pour(Pouring(self._request, head_of(reply.status, fields, length), length), reply)
            else:
                self.response = response = self._response(reply, fields)
                await self._stream(response, reply)
        except OSError:  # gone, too slow, or what waited for it on disk cannot be read
            self._give_up()
            raise ClientGone from None
        except GatewayError:
            # The status line is long gone; the one honest way to say that the rest will not come is to cut.
            self._give_up()
            raise

    def watch(self, left: Callable[[], None] | None) -> None:
        """Call `left` once the client closes its side of the connection, from now on; None: no longer."""
        cast("Any", self._request.protocol).left = left
        if left is not None and self._request.transport is None:
            left()

    async def _pour(self, pouring: Pouring, reply: Reply) -> None:
        if not getattr(reply.body, "there", False):  # it may be some time
            pouring.begin()
        try:
            await self._pass_on(pouring, reply.body)
        except GatewayError:
            pouring.send_head()  # an answer that breaks off was one
            raise
        pouring.send_head()
        if pouring.left:
            self._give_up()  # what is said next on this connection would be taken for the rest

    async def _stream(self, response: web.StreamResponse, reply: Reply) -> None:
        writer = await self._begun(response)
        try:
            await self._pass_on(writer, reply.body)
        except GatewayError:
            _send_head(writer)  # an answer that breaks off was one
            raise
        writer.set_eof()
        if self._request.protocol.writing_paused:
            await self._taken()
        await response.write_eof()

    async def _pass_on(self, way: Way, body: AsyncIterator[bytes]) -> None:
        async for chunk in body:
            left = await self._passed_on(way, chunk, SLOW_S)
            if left is not None:
                held = [left]
                del chunk, left  # what goes to disk stays nowhere else
                await self._by_disk(way, held, body)

    async def _passed_on(self, way: Way, chunk: bytes, soon_s: float | None = None) -> bytes | None:
        """Write `chunk`. What is left of it, if the client does not take the rest soon. Raises TimeoutError."""
        whole = chunk if len(chunk) <= _WRITTEN_BYTES else memoryview(chunk)
        for at in range(0, len(chunk), _WRITTEN_BYTES):
            piece = whole[at : at + _WRITTEN_BYTES]
            self._receipt.bytes_out += len(piece)
            await way.write(piece, drain=False)
            if self._request.protocol.writing_paused and not await self._taken(soon_s):
                return chunk[at + _WRITTEN_BYTES :]
        return None

    async def _taken(self, soon_s: float | None = None) -> bool:
        """Wait until the client has taken most of what was written. False: it has not within `soon_s`."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        owed_s = self._write_timeout_s + self._receipt.bytes_out / self._bytes_per_s_min - self._waited_s
        left_s = min(self._write_timeout_s, owed_s)
        try:
            async with asyncio.timeout(left_s if soon_s is None else min(soon_s, left_s)):
                await self._request.writer.drain()
        except TimeoutError:
            if soon_s is None or left_s <= soon_s:
                raise
            return False
        finally:
            self._waited_s += loop.time() - began_s
        return True

    async def _by_disk(self, way: Way, held: list[bytes], rest: AsyncIterator[bytes]) -> None:
        """Take `held` and `rest` in as fast as they come, as far as there is room; pass on as the client takes it."""
        with self._in_flight.share() as share:
            over = await _set_aside(held, rest, share)
            await self._taken()
            if share.file is not None:
                async for piece in share.file.pieces():
                    await self._passed_on(way, piece)
            if over:
                await self._passed_on(way, over)

    async def _begun(self, response: web.StreamResponse) -> StreamWriter:
        """Let the head go with the body's first bytes when these are there already, else at the loop's next turn."""
        writer = cast("StreamWriter", await response.prepare(self._request))
        asyncio.get_running_loop().call_soon(_send_head, writer)
        return writer

    def _head(self, reply: Reply, standing: Standing | None) -> dict[str, str]:
        fields = passed_back(reply)
        _note(self._receipt, fields)
        if standing is not None:
            fields += standing_fields(standing.charged, standing.balance, standing.remaining, self._flavour)
        if reply.replayed:
            fields += replay_fields(reply.reported)
            if reply.reported is not None and self._flavour is Flavour.DIRECT:
                fields.append(("x-dezgo-job-amount-usd", reply.reported.usd()))
        self._receipt.status = reply.status
        return dict((*fields, *self._extra, ("Server", SERVER)))

    def _response(self, reply: Reply, fields: Mapping[str, str]) -> web.StreamResponse:
        response = _Streamed(status=reply.status, headers=fields)
        if reply.body_bytes is not None:
            response.content_length = reply.body_bytes
        elif self._request.version < HttpVersion11:
            response.force_close()  # no chunks in HTTP/1.0: only the connection's end says that the answer is whole
        return response

    async def send(self, response: web.StreamResponse) -> web.StreamResponse:
        """Send what is not sent yet; a client that does not take it in time is given up."""
        try:
            if not response.prepared:
                for name, value in (*self._extra, ("Server", SERVER)):
                    response.headers[name] = value
                await self._in_time(response.prepare(self._request))
            if response is not self.response:  # else `answer` has sent it to its end
                await self._in_time(response.write_eof())
        except (ConnectionError, TimeoutError):
            self._give_up()
        return response

    async def _in_time(self, step: Awaitable[Any]) -> None:
        async with asyncio.timeout(self._write_timeout_s):
            await step

    def _give_up(self) -> None:
        transport = self._request.transport
        if transport is not None:
            transport.abort()


async def _set_aside(held: list[bytes], rest: AsyncIterator[bytes], share: Share) -> bytes:
    """Put `held` and `rest` on disk, to the end or to the first piece that finds no room, which is returned."""
    chunk = held.pop()
    try:
        file = share.to_disk(0, memory=ANSWER_BYTES)
        share.grow_to(len(chunk))
        await file.write(chunk)
        async for chunk in rest:
            share.grow_to(len(file) + len(chunk))
            await file.write(chunk)
    except Busy:
        return chunk
    return b""


def _note(receipt: Receipt, shown: Pairs) -> None:
    """What the receipt keeps of an answer's fields: seed and job, where they are what they say."""
    for name, value in shown:
        if name == "x-input-seed" and _SEED.fullmatch(value):
            receipt.seed = value
        elif name == "x-dezgo-job-id" and JOB_ID.fullmatch(value):
            receipt.job_id = value


def _send_head(writer: StreamWriter) -> None:
    """Send the head, unless it has left with the body's first bytes."""
    with contextlib.suppress(ConnectionError):  # found again by whoever writes the body
        writer.send_headers()


def document(
    status: int, body: bytes, fields: Iterable[tuple[str, str]], *, content_type: str = "application/json"
) -> web.Response:
    """One whole answer of our own."""
    response = web.Response(status=status, body=body)
    response.headers["Content-Type"] = content_type
    response.headers["Server"] = SERVER
    for name, value in fields:
        response.headers[name] = value
    return response
