"""Passage: one request and its answer, with aiohttp's pool and parser but without its session.

A session does for every call what none of ours needs: cookies, redirects, second tries, URLs taken apart and built
again. Here the head is put together once, as bytes, and leaves in one write with a body that is small.

Rules of this file:

1. One call of `ask` writes at most one request. Nothing is ever sent again.
2. A connection goes back to the pool only when the answer is whole and the request has left to its last byte.
"""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import ClientConnectionError, ClientRequest, ClientTimeout, StreamReader
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import StreamWriter
from aiohttp.http_parser import RawResponseMessage
from yarl import URL

from gateway.messages import Stored
from gateway.proxy.voyage import POOL_WATCH, Connector

LINE_BYTES_MAX, FIELDS_MAX = 8190, 128

# Bodies up to this size leave with their head in one write; longer ones in pieces of it, as the upstream takes them.
PIECE_BYTES = 65_536

# Answers before the answer; 101 is none of them: nobody asked for another protocol.
_INTERIM = frozenset({100, *range(102, 200)})


class Answer:
    """One answer: its head, and its body as it comes in.

    Attributes:
        status: as received.
        fields: raw names and values, in order.
        headers: the same as text, by name.
        length: the announced length of the body in bytes; None when it is not announced.
        content: the body.
    """

    __slots__ = ("_connection", "_pouring", "content", "fields", "headers", "length", "status")

    def __init__(
        self,
        connection: Connection,
        pouring: "asyncio.Task[None] | None",
        message: RawResponseMessage,
        content: StreamReader,
    ) -> None:
        self.status = message.code
        self.headers = message.headers
        self.fields = message.raw_headers
        said = message.headers.get("content-length")
        self.length = int(said) if said is not None and said.isdecimal() else None
        self.content = content
        self._connection: Connection | None = connection
        self._pouring = pouring
        content.on_eof(self._whole)

    def close(self) -> None:
        """Give the connection up, unless it has gone back to the pool. Safe to call again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if self._pouring is not None:
                self._pouring.cancel()
            connection.close()
            if self.content.exception() is None:
                self.content.set_exception(ClientConnectionError())  # whoever reads on

    def _whole(self) -> None:
        """The body is in: rule 2."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        transport = connection.transport
        left = transport is not None and not transport.get_write_buffer_size()
        if self._pouring is not None and not self._pouring.done():
            self._pouring.cancel()
            left = False
        if left:
            connection.release()
        else:
            connection.close()


class Passage:
    """The pool of connections to one origin. Made inside a running loop; connects nowhere before the first `ask`."""

    def __init__(self, origin: URL, connector: Connector, *, connect_timeout_s: float) -> None:
        self._connector = connector
        self._timeout = ClientTimeout(total=None, connect=connect_timeout_s)
        # Says to the pool where to, for all calls; it is never sent.
        self._where = ClientRequest("GET", origin, loop=asyncio.get_running_loop())

    async def ask(self, head: bytes, body: bytes | Stored) -> Answer:
        """Send `head` and `body`, and return the head of the answer. Raises what aiohttp's parts raise."""
        if self._connector.closed:
            raise ClientConnectionError
        connection = await self._connector.connect(self._where, POOL_WATCH, self._timeout)
        protocol = connection.protocol
        pouring: asyncio.Task[None] | None = None
        if protocol is None or protocol.transport is None:
            connection.close()
            raise ClientConnectionError
        try:
            protocol.set_response_params(
                read_until_eof=True,
                auto_decompress=False,
                max_line_size=LINE_BYTES_MAX,
                max_field_size=LINE_BYTES_MAX,
                max_headers=FIELDS_MAX,
            )
            if isinstance(body, bytes) and len(body) <= PIECE_BYTES:
                protocol.transport.write(head + body)
            else:
                protocol.transport.write(head)
                pouring = asyncio.create_task(_pour(protocol, body))
            message, content = await protocol.read()
            while message.code in _INTERIM:
                message, content = await protocol.read()
        except BaseException:
            if pouring is not None:
                pouring.cancel()
            connection.close()
            raise
        return Answer(connection, pouring, message, content)

    async def close(self) -> None:
        """Close every connection."""
        await self._connector.close()


async def _pour(protocol: ResponseHandler, body: bytes | Stored) -> None:
    """Send a long body piece by piece. What goes wrong is found by whoever reads the answer."""
    writer = StreamWriter(protocol, asyncio.get_running_loop())
    try:
        async for piece in _cut(body) if isinstance(body, bytes) else body.pieces():
            await writer.write(piece, drain=False)
            await writer.drain()
    except ConnectionError:
        pass
    except OSError:
        # It cannot be read to its end: what was sent of it must not pass for all, nor wait for the rest.
        if protocol.transport is not None:
            protocol.transport.abort()


async def _cut(body: bytes) -> AsyncIterator[memoryview]:
    for at in range(0, len(body), PIECE_BYTES):
        yield memoryview(body)[at : at + PIECE_BYTES]
