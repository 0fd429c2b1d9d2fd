"""The operators' listener: metrics and health. Loopback by default; no tenant token works here, none is needed."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.errors import UnknownPath, VerbNotAllowed
from gateway.problems import problem_for
from gateway.web.answer import document

# What keeps the gateway from being ready, in its own words; empty when it is ready.
Readiness = Callable[[], Awaitable[list[str]]]

_GET = ("GET",)


class Ops:
    """Handles every request of the operators' listener.

    Args:
        render: the metrics in exposition format and their content type; runs in a thread.
        refresh: reads the money gauges from the ledger before a scrape; must not raise.
        readiness: what keeps the gateway from being ready.
    """

    def __init__(
        self,
        *,
        render: Callable[[], tuple[bytes, str]],
        refresh: Callable[[], Awaitable[None]],
        readiness: Readiness,
    ) -> None:
        self._render = render
        self._refresh = refresh
        self._readiness = readiness

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        ways = {"/metrics": self._metrics, "/healthz": self._healthz, "/readyz": self._readyz}
        way = ways.get(request.raw_path.partition("?")[0])
        if way is None or request.method not in _GET:
            error = UnknownPath() if way is None else VerbNotAllowed(_GET)
            problem = problem_for(error, request_id="-", speaks_rapidapi=False)
            return document(problem.status, problem.body, problem.fields, content_type="application/problem+json")
        return await way()

    async def _metrics(self) -> web.StreamResponse:
        await self._refresh()
        body, content_type = await asyncio.to_thread(self._render)
        return document(200, body, (), content_type=content_type)

    async def _healthz(self) -> web.StreamResponse:
        return document(200, b'{"status":"alive"}\n', ())

    async def _readyz(self) -> web.StreamResponse:
        missing = await self._readiness()
        body = b'{"status":"ready"}\n'
        if missing:
            body = ('{"status":"not ready","missing":["' + '","'.join(missing) + '"]}\n').encode("ascii")
        return document(503 if missing else 200, body, ())
