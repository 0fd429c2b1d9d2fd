"""Leaving: how a server lets go of its connections, so that no client loses a call.

1. Told that it is leaving, it answers everything as before, and every answer says that its connection ends with it.
2. Shut down, it closes what waits for a next request, and leaves alone what is being answered, is still arriving, or
   has not been taken in to its last byte. aiohttp's own way would read nothing more of a body that is on its way.
3. What has not ended in time is cut.
"""

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

_LOOK_EVERY_S = 0.02

# For what is cut: to notice it, and then to end. Each takes at most so long.
_CUT_S = 0.5


class _Request(web.BaseRequest):
    """A request whose answer ends its connection once the server is leaving, also one that came before that."""

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays."""
        server = self._protocol._manager  # noqa: SLF001 - aiohttp has no public way from a request to its server
        leaving = isinstance(server, LeavingServer) and server.leaving
        return not leaving and not self._message.should_close


class LeavingServer(web.Server):
    """aiohttp's server, with another way down.

    Attributes:
        leaving: whether every answer ends its connection.
    """

    leaving = False

    def _make_request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return _Request(message, payload, protocol, writer, task, self._loop)

    def pre_shutdown(self) -> None:
        """Let no connection stay. A closed one would take in nothing more of its request."""
        self.leaving = True

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's own signature
        """Wait until all connections have ended, at most `timeout` seconds and one; then none is left."""
        until_s = self._loop.time() + (timeout or 0.0)
        while self._let_go() and self._loop.time() < until_s:  # noqa: ASYNC110 - they end in many ways, and seldom
            await asyncio.sleep(_LOOK_EVERY_S)
        await super().shutdown(_CUT_S)

    def _let_go(self) -> int:
        """Close what waits for a next request; how many connections there still are."""
        for connection in self.connections:
            if _waits(connection):
                connection.force_close()  # what is not sent yet still is
        return len(self._connections)


def _waits(connection: RequestHandler) -> bool:
    """Whether nothing is being answered, and nothing has come in that shall be."""
    waiter = connection._waiter  # noqa: SLF001 - the one sign of it
    return waiter is not None and not waiter.done() and not connection._messages  # noqa: SLF001
