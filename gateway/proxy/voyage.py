"""Voyage: how far a call to the upstream has come, and what its failure therefore means.

Only what is done here makes "provably never sent" true: a call counts as sent as soon as it is given a connection, a
connection is given out only when nothing was said on it, and none is used for the same call twice.
"""

import asyncio
import socket
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.resolver import ThreadedResolver
from aiohttp.tracing import Trace

from gateway.addresses import is_private_literal
from gateway.errors import UpstreamError, UpstreamUnanswered, UpstreamUnreachable


class PrivateAddressError(aiohttp.ClientConnectionError):
    """The upstream's name leads to a loopback or private address, and nobody allowed that."""


# The first line that fits decides.
_NEVER_SENT: tuple[tuple[type[Exception], str], ...] = (
    (PrivateAddressError, "private"),
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientSSLError, "tls"),
    (TimeoutError, "timeout"),
    (Exception, "connect"),
)
_SENT: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "timeout"),
    (aiohttp.ServerDisconnectedError, "cut"),
    (aiohttp.ClientPayloadError, "cut"),
    (aiohttp.ClientConnectionError, "reset"),
    (OSError, "reset"),
    (Exception, "unreadable"),
)


@dataclass(slots=True, eq=False)
class Voyage:
    """How far one call has come.

    Attributes:
        stage: `pool` while it waits for a free connection, `sent` as soon as it has one.
        lost: done when its connection is gone; holds an exception if that was not clean.
    """

    stage: Literal["connect", "pool", "sent"] = "connect"
    lost: "asyncio.Future[None] | None" = None

    def failure(self, error: Exception) -> UpstreamError:
        """`error` in our words. Its frames are let go: they hold the body, and the library's own keep them alive."""
        error.__traceback__ = None
        table = _SENT if self.stage == "sent" else _NEVER_SENT
        code = next(code for kind, code in table if isinstance(error, kind))
        if self.stage == "sent":
            return UpstreamUnanswered(code)
        return UpstreamUnreachable("pool" if (code, self.stage) == ("timeout", "pool") else code)

    def sent(self, lost: "asyncio.Future[None] | None") -> None:
        """Take note of the connection: from now on nobody can say that nothing was sent."""
        self.stage, self.lost = "sent", lost
        if lost is not None:
            lost.remove_done_callback(_look)  # of the call before, on the same connection
            lost.add_done_callback(_look)

    def torn(self) -> bool:
        """Whether the connection ended in an error, not by a close."""
        lost = self.lost
        return lost is not None and lost.done() and not lost.cancelled() and lost.exception() is not None


VOYAGE: ContextVar[Voyage] = ContextVar("voyage")


_NOTHING_ELSE = aiohttp.TraceConfig()
_NOTHING_ELSE.freeze()


class _PoolWatch(Trace):
    """Notes who waits for a free connection: that wait has its own name when it ends badly."""

    def __init__(self) -> None:
        """Watch without a session, which the pool does not look at."""
        super().__init__(cast("aiohttp.ClientSession", None), _NOTHING_ELSE, SimpleNamespace())

    async def send_connection_queued_start(self) -> None:
        """The pool has no connection to give out."""
        VOYAGE.get().stage = "pool"

    async def send_connection_queued_end(self) -> None:
        """It has one now."""
        VOYAGE.get().stage = "connect"

    async def send_connection_reuseconn(self) -> None:
        """Every call's case: worth no signal."""


POOL_WATCH: list[Trace] = [_PoolWatch()]


class _Line(ResponseHandler):
    """One connection of the pool."""

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - overrides
        """Go on reading, where it was stopped: the library asks for that after each read of a body."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)


class Connector(aiohttp.TCPConnector):
    """Hands out connections nothing has been said on, and notes when one was handed out."""

    # Pooled connections tried before giving up: more than one in a row is already odd.
    TRIES = 3

    def __init__(self, **wishes: Any) -> None:
        super().__init__(**wishes)
        self._factory = cast("partial[ResponseHandler]", partial(_Line, loop=self._loop))

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - overrides
    ) -> Connection:
        """Get a connection without unread bytes: those would be taken for the answer to this call."""
        for _ in range(self.TRIES):
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is not None and not protocol.should_close:
                VOYAGE.get().sent(protocol.closed)
                return connection
            connection.close()
        raise aiohttp.ClientConnectionError


def _look(lost: "asyncio.Future[None]") -> None:
    """Look at how a connection ended: else the loop reports an exception nobody wanted."""
    if not lost.cancelled():
        lost.exception()


class PublicResolver(AbstractResolver):
    """Looks names up, and refuses one that leads anywhere private.

    What it answers is what is connected to: no second look-up can lead elsewhere than the one that was judged.
    """

    def __init__(self, inner: AbstractResolver | None = None) -> None:
        self._inner = inner if inner is not None else ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`. Raises PrivateAddressError when only one of them is private, OSError for none."""
        found = await self._inner.resolve(host, port, family)
        if any(is_private_literal(address["host"]) for address in found):
            raise PrivateAddressError
        return found

    async def close(self) -> None:
        """Close the resolver below."""
        await self._inner.close()
