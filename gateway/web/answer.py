"""Answering a client: one upstream answer streamed, or one document sent. Bounded by a write deadline."""

import asyncio
import contextlib
import re
import secrets
from collections.abc import Awaitable, Iterable
from typing import Any, cast

from aiohttp import HttpVersion11, web
from aiohttp.http import StreamWriter

from gateway.documents import replay_fields
from gateway.errors import ClientGone, GatewayError
from gateway.exchange import Standing
from gateway.headers import Pairs, passed_back, standing_fields
from gateway.jobs import JOB_ID
from gateway.messages import Flavour, Reply
from gateway.receipt import Receipt

# Sent in place of the web framework's own name and version.
SERVER = "dezgo-gateway"

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


class HttpClient:
    """The client of one request, as the hall sees it.

    Args:
        request: what it asked.
        receipt: told of status and bytes.
        flavour: how the upstream is sold: which money fields a client of it expects.
        write_timeout_s: a client that takes no byte for so long is gone.
        extra: fields of every answer to this client.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        receipt: Receipt,
        *,
        flavour: Flavour,
        write_timeout_s: float,
        extra: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._request = request
        self._receipt = receipt
        self._flavour = flavour
        self._write_timeout_s = write_timeout_s
        self._extra = tuple(extra)
        self.response: web.StreamResponse | None = None

    async def answer(self, reply: Reply, standing: Standing | None) -> None:
        """Stream `reply`. Raises ClientGone; what the reply's body raises gives the connection up and goes on."""
        self.response = response = self._head(reply, standing)
        try:
            await self._stream(response, reply)
        except (ConnectionError, TimeoutError):
            self._give_up()
            raise ClientGone from None
        except GatewayError:
            # The status line is long gone; the one honest way to say that the rest will not come is to cut.
            self._give_up()
            raise

    async def _stream(self, response: web.StreamResponse, reply: Reply) -> None:
        writer = await self._begun(response)
        try:
            async for chunk in reply.body:
                self._receipt.bytes_out += len(chunk)
                await writer.write(chunk, drain=False)
                await self._taken(writer)
        except GatewayError:
            _send_head(writer)  # an answer that breaks off was one
            raise
        writer.set_eof()
        await self._taken(writer)
        await response.write_eof()

    async def _taken(self, writer: StreamWriter) -> None:
        """Wait until the client has taken most of what was written; at once where it is little."""
        if self._request.protocol.writing_paused:
            await self._in_time(writer.drain())

    async def _begun(self, response: web.StreamResponse) -> StreamWriter:
        """Let the head go with the body's first bytes when these are there already, else at the loop's next turn."""
        writer = cast("StreamWriter", await response.prepare(self._request))
        asyncio.get_running_loop().call_soon(_send_head, writer)
        return writer

    def _head(self, reply: Reply, standing: Standing | None) -> web.StreamResponse:
        fields = list(passed_back(reply))
        _note(self._receipt, fields)
        if standing is not None:
            fields += standing_fields(standing.charged, standing.balance, standing.remaining, self._flavour)
        if reply.replayed:
            fields += replay_fields(reply.reported)
            if reply.reported is not None and self._flavour is Flavour.DIRECT:
                fields.append(("x-dezgo-job-amount-usd", reply.reported.usd()))
        response = _Streamed(status=reply.status, headers=dict((*fields, *self._extra, ("Server", SERVER))))
        if reply.body_bytes is not None:
            response.content_length = reply.body_bytes
        elif self._request.version < HttpVersion11:
            response.force_close()  # no chunks in HTTP/1.0: only the connection's end says that the answer is whole
        self._receipt.status = reply.status
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
