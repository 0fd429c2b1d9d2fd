"""The HTTP server under both listeners: aiohttp's, with its own error pages replaced by problem documents."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy, RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from gateway.errors import BadHttp, Busy, GatewayError, HeadTooLarge
from gateway.problems import problem_for
from gateway.receipt import Receipt
from gateway.web.answer import SERVER, document, new_request_id
from gateway.web.connections import Caps, Connections
from gateway.web.inplace import in_place
from gateway.web.leaving import LeavingServer
from gateway.web.wire import LINE_BYTES_MAX, Watch

# What no parser takes in a head nor between chunks.
_UNREADABLE = b"\0"

# Fields are counted by `Watch`, over the whole head.
_NO_BOUND = 1_000_000

# What a connection keeps of a body nobody takes yet is at most twice this, and what one read brings.
_READ_BYTES = 16_384

# What the system keeps of an answer that it has not sent yet: without a word it may be megabytes.
_UNSENT_BYTES = 131_072

# The answer to who was too slow: nothing is lost by not waiting for the rest.
_TOO_SLOW = 408

# Requests that wait behind the one being answered before nothing more is read, and with how many reading goes on.
_WAITING_MAX, _WAITING_FEW = 8, 4

_BACKLOG = 4_096


class UnfitParserError(RuntimeError):
    """This interpreter's aiohttp was built without its parser in C."""


def refuse_unfit_parser() -> None:
    """Raise UnfitParserError on aiohttp's pure-Python parser: it lets messages pass that are read in two ways."""
    if HttpRequestParser is HttpRequestParserPy:
        raise UnfitParserError("aiohttp runs without its C parser here; install a wheel of it for this platform")


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _Protocol(RequestHandler):
    """One connection. What the parser refuses gets the same shape of answer as everything else."""

    # The body of the newest request that has come in.
    _newest: StreamReader | None = None

    # Told when the client closes its side: whoever waits before anything was done for it, see `HttpClient.watch`.
    left: Callable[[], None] | None = None

    # What to write to and to abort, also once the framework has let go of it.
    _wire: asyncio.Transport | None = None

    # When the first byte of the newest request came, when that of the one being answered, and since when there is
    # something left to send of an answer that is over; 0 for not at all.
    _first_s = _began_s = _unsent_s = 0.0

    def __init__(self, server: "_Server", **kwargs: Any) -> None:
        super().__init__(server, **kwargs)
        self._max_msg_queue_size, self._msg_queue_resume_size = _WAITING_MAX, _WAITING_FEW
        self._watch = Watch()
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, where there is room; else say so and close."""
        self._wire = wire = cast("asyncio.Transport", transport)
        peer = wire.get_extra_info("peername")
        if self._server.connected.admit(self, peer[0] if isinstance(peer, tuple) else None):
            super().connection_made(transport)  # its task begins
            self._loop = self._server.in_place
            _keep_little(wire)
            return
        self._force_close, self._manager = True, None
        wire.write(self._server.no_room)
        wire.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End, however that came."""
        self._server.connected.left(self)
        super().connection_lost(exc)
        self._leave()

    @property
    def spare(self) -> bool:
        """Whether it waits for a request, and nothing is left to send."""
        waits = self._waiter is not None and not self._waiter.done()
        return waits and self._wire is not None and not self._wire.get_write_buffer_size()

    def begins(self) -> None:
        """A request is about to be answered."""
        self._began_s = self._first_s or self._loop.time()

    def overdue(self, now_s: float) -> bool:
        """Whether the request under way has had its time, or whoever reads the end of an answer."""
        if self._current_request is not None:
            return now_s - self._began_s > self._server.request_timeout_s
        if self._wire is None or not self._wire.get_write_buffer_size():
            self._unsent_s = 0.0
            return False
        self._unsent_s = self._unsent_s or now_s
        return now_s - self._unsent_s > self._server.write_timeout_s

    async def _drain_helper(self) -> None:
        """Wait for room to write. Who gave up waiting before leaves a mark behind that would end this wait at once."""
        if self._drain_waiter is not None and self._drain_waiter.cancelled():
            self._drain_waiter = None
        await super()._drain_helper()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - overrides
        """Go on reading, where it was stopped: the framework asks for that after each read of a body."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def finish_response(self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None) -> Any:
        """Send what is not sent yet, and read on only for who may yet see an answer to what it is sending."""
        if resp.status == _TOO_SLOW:
            self._lingering_time = 0.0
        return super().finish_response(request, resp, start_time)

    def give_way(self) -> None:
        """End it, for the sake of a new connection."""
        self.force_close()

    def abort(self) -> None:
        """End it now. Who waits for an upstream goes on, for nobody."""
        if self._wire is not None:
            self._wire.abort()

    def _leave(self) -> None:
        if self.left is not None:
            self.left()

    def data_received(self, data: bytes) -> None:
        """Take in what the client sends."""
        if self._watch.between:
            self._first_s = self._loop.time()
        if self._watch.fault is not None:
            return  # nothing behind a refused message is read
        passed = self._watch.passed(data)
        self._take(data[:passed] if passed < len(data) else data)
        if self._watch.fault is not None:
            self._take(_UNREADABLE)  # the refusal then keeps its place behind the answers before it

    def _take(self, data: bytes) -> None:
        arriving = self._newest
        super().data_received(data)
        if not self._messages:
            return
        message, self._newest = self._messages[-1]
        if not isinstance(message, RawRequestMessage) and arriving is not None and not arriving.is_eof():
            # The parser has given up: whoever reads this body would wait for the rest until the deadline.
            arriving.set_exception(self._watch.fault or BadHttpMessage("the body broke off"))

    def eof_received(self) -> bool:  # type: ignore[override]  # there None stands for False
        """Stay for a client that sends nothing more and waits for its answer: it may be charged for it."""
        self._leave()
        # While nobody waits for the next request, one is being answered. Only the newest can lack some of its body.
        unanswered = len(self._messages) + (self._waiter is None)
        broken_off = self._newest is None or not self._newest.is_eof()
        if unanswered <= broken_off:
            return False
        self.close()  # once the answer under way is out; what waits behind it is not begun
        return True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a message that could not be parsed, without echoing any of it, and close."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        error = self._watch.fault or _misread(exc)
        receipt = Receipt(request_id=new_request_id(), started_s=time.monotonic(), reason=error.reason)
        told = error if status < 500 else RuntimeError()  # noqa: PLR2004 - status classes
        problem = problem_for(told, request_id=receipt.request_id, speaks_rapidapi=False)
        receipt.status, receipt.bytes_out, receipt.total_s = problem.status, len(problem.body), 0.0
        if isinstance(self._manager, _Server):
            self._manager.refused(receipt)
        fields = (*problem.fields, ("X-Request-Id", receipt.request_id))
        response = document(problem.status, problem.body, fields, content_type="application/problem+json")
        response.force_close()
        return response


def _keep_little(wire: asyncio.Transport) -> None:
    """Let the system keep little of what a client does not take, where it can be told."""
    line = wire.get_extra_info("socket")
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if line is not None and option is not None:
        with contextlib.suppress(OSError):  # gone already
            line.setsockopt(socket.IPPROTO_TCP, option, _UNSENT_BYTES)


def _misread(exc: BaseException | None) -> GatewayError:
    """What the parser found wrong."""
    return HeadTooLarge() if isinstance(exc, LineTooLong) else BadHttp("the message is not well-formed HTTP")


def _no_room() -> bytes:
    """The whole answer to a connection that is one too many."""
    problem = problem_for(Busy(), request_id="", speaks_rapidapi=False)
    fields = (*problem.fields, ("Server", SERVER), ("Content-Length", str(len(problem.body))), ("Connection", "close"))
    lines = (f"HTTP/1.1 {problem.status} Service Unavailable", *(f"{name}: {value}" for name, value in fields))
    return "\r\n".join((*lines, "", "")).encode("ascii") + problem.body


class _Server(LeavingServer):
    def __init__(
        self,
        handler: Handler,
        *,
        refused: Callable[[Receipt], None],
        connections: Connections,
        request_timeout_s: float,
        write_timeout_s: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(handler, **kwargs)
        self.refused = refused
        self.connected = connections
        self.request_timeout_s = request_timeout_s
        self.write_timeout_s = write_timeout_s
        self.no_room = _no_room()
        self.in_place = in_place(self._loop)

    def __call__(self) -> RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)

    def _make_request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        protocol.begins()
        return super()._make_request(message, payload, protocol, writer, task)


class Listener:
    """A handler on a TCP port.

    Args:
        handler: answers every request.
        host, port: where; port 0 takes a free one.
        idle_timeout_s: for a connection to send its next request, and for the head of a request to arrive.
        drain_s: how long running requests may take once `stop` is called.
        caps: how many connections there may be; the others are answered `busy` and closed.
        request_timeout_s: from a request's first byte to its answer's last; then the connection ends. Whoever answers
            is not told but by that.
        write_timeout_s: for a client to take what is left of an answer that is over.
        refused: told of every message that was refused before it reached the handler.
        sockets: bound by somebody else, and listened on instead of `host` and `port`.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        host: str,
        port: int,
        idle_timeout_s: float,
        drain_s: float,
        caps: Caps,
        request_timeout_s: float,
        write_timeout_s: float,
        refused: Callable[[Receipt], None] = lambda _: None,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        self.connections = Connections(caps)
        self._watching: asyncio.Task[None] | None = None
        server = _Server(
            handler,
            refused=refused,
            connections=self.connections,
            request_timeout_s=request_timeout_s,
            write_timeout_s=write_timeout_s,
            access_log=None,
            keepalive_timeout=idle_timeout_s,
            auto_decompress=False,
            lingering_time=2.0,
            read_bufsize=_READ_BYTES,
            max_headers=_NO_BOUND,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=LINE_BYTES_MAX,
        )
        self._server = server
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=drain_s)
        self._host = host
        self._port = port
        self._sockets = tuple(sockets)

    async def start(self) -> None:
        """Begin to listen. Raises OSError when the port is taken."""
        await self._runner.setup()
        if not self._sockets:
            await web.TCPSite(self._runner, self._host, self._port, backlog=_BACKLOG).start()
        for bound in self._sockets:
            await web.SockSite(self._runner, bound, backlog=_BACKLOG).start()
        self._watching = asyncio.create_task(self.connections.watch())

    @property
    def port(self) -> int:
        """The port listened on."""
        return int(self._runner.addresses[0][1])

    def leave(self) -> None:
        """From now on let every connection end with its next answer. New ones are still taken."""
        self._server.leaving = True

    async def stop(self) -> None:
        """Stop listening and wait for running requests, at most `drain_s` and one second."""
        await self._runner.cleanup()
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
