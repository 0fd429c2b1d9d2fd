"""The HTTP server under both listeners: aiohttp's, with its own error pages replaced by problem documents."""

import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy, RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from gateway.errors import BadHttp, GatewayError, HeadTooLarge
from gateway.problems import problem_for
from gateway.receipt import Receipt
from gateway.web.answer import document, new_request_id
from gateway.web.wire import LINE_BYTES_MAX, Watch

# What no parser takes in a head nor between chunks.
_UNREADABLE = b"\0"

# Connections that wait to be taken.
BACKLOG = 1024

# Fields are counted by `Watch`, over the whole head.
_NO_BOUND = 1_000_000


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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._watch = Watch()

    def data_received(self, data: bytes) -> None:
        """Take in what the client sends."""
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


def _misread(exc: BaseException | None) -> GatewayError:
    """What the parser found wrong."""
    return HeadTooLarge() if isinstance(exc, LineTooLong) else BadHttp("the message is not well-formed HTTP")


class _Server(web.Server):
    def __init__(self, handler: Handler, *, refused: Callable[[Receipt], None], **kwargs: Any) -> None:
        super().__init__(handler, **kwargs)
        self.refused = refused

    def __call__(self) -> RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class Listener:
    """A handler on a TCP port.

    Args:
        handler: answers every request.
        host, port: where; port 0 takes a free one.
        idle_timeout_s: for a connection to send its next request, and for the head of a request to arrive.
        drain_s: how long running requests may take once `stop` is called.
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
        refused: Callable[[Receipt], None] = lambda _: None,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        server = _Server(
            handler,
            refused=refused,
            access_log=None,
            keepalive_timeout=idle_timeout_s,
            auto_decompress=False,
            lingering_time=2.0,
            max_headers=_NO_BOUND,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=LINE_BYTES_MAX,
        )
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=drain_s)
        self._host = host
        self._port = port
        self._sockets = tuple(sockets)

    async def start(self) -> None:
        """Begin to listen. Raises OSError when the port is taken."""
        await self._runner.setup()
        if not self._sockets:
            await web.TCPSite(self._runner, self._host, self._port, backlog=BACKLOG).start()
        for bound in self._sockets:
            await web.SockSite(self._runner, bound, backlog=BACKLOG).start()

    @property
    def port(self) -> int:
        """The port listened on."""
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and wait for running requests, at most `drain_s` twice over."""
        await self._runner.cleanup()
