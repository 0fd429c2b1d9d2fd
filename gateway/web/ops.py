"""The operators' listener: metrics and health. Loopback by default; no tenant's token works here.

Health is open: whoever may connect may know that the gateway lives. What it earns is shown to bearers of the operators'
own token, where one is configured. That token opens nothing on the clients' listener.
"""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.errors import GatewayError, Unauthenticated, UnknownPath, VerbNotAllowed
from gateway.problems import problem_for
from gateway.web.answer import document, new_request_id
from gateway.web.body import refuse_unclear

# What keeps the gateway from being ready, in its own words; empty when it is ready.
Readiness = Callable[[], Awaitable[list[str]]]

_GET = ("GET",)

OPEN_PATHS = ("/healthz", "/readyz")
GUARDED_PATHS = ("/metrics", "/openapi.json")


class Ops:
    """Handles every request of the operators' listener.

    Args:
        render: the metrics in exposition format and their content type; runs in a thread.
        refresh: reads the money gauges from the ledger before a scrape; must not raise.
        readiness: what keeps the gateway from being ready.
        openapi: the description of this listener, ready to be sent.
        opens: says of a bearer token whether it is the operators'; None asks for none.
        workers: how many processes there shall be and how many are ready; None for a gateway that is one process.
    """

    def __init__(
        self,
        *,
        render: Callable[[], tuple[bytes, str]],
        refresh: Callable[[], Awaitable[None]],
        readiness: Readiness,
        openapi: bytes,
        opens: Callable[[str], bool] | None = None,
        workers: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        self._render = render
        self._refresh = refresh
        self._readiness = readiness
        self._openapi = openapi
        self._opens = opens
        self._workers = workers

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            return await self._answered(request)
        except GatewayError as error:
            request_id = new_request_id()
            problem = problem_for(error, request_id=request_id, speaks_rapidapi=False)
            fields = (*problem.fields, ("X-Request-Id", request_id))
            response = document(problem.status, problem.body, fields, content_type="application/problem+json")
            if problem.close or not request.content.at_eof():
                response.force_close()
            return response

    async def _answered(self, request: web.BaseRequest) -> web.StreamResponse:
        refuse_unclear(request)
        ways = {
            "/metrics": self._metrics,
            "/openapi.json": self._description,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
        }
        path = request.raw_path.partition("?")[0]
        if path not in ways:
            raise UnknownPath
        if request.method not in _GET:
            raise VerbNotAllowed(_GET)
        if path in GUARDED_PATHS:
            self._refuse_strangers(request)
        return await ways[path]()

    def _refuse_strangers(self, request: web.BaseRequest) -> None:
        """Raise Unauthenticated unless the request bears the operators' token, once and in its one place."""
        if self._opens is None:
            return
        said = request.headers.getall("Authorization", [])
        scheme, _, token = said[0].partition(" ") if len(said) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not self._opens(token):
            raise Unauthenticated("form" if said else "missing")

    async def _metrics(self) -> web.StreamResponse:
        await self._refresh()
        body, content_type = await asyncio.to_thread(self._render)
        return document(200, body, (), content_type=content_type)

    async def _description(self) -> web.StreamResponse:
        return document(200, self._openapi, ())

    async def _healthz(self) -> web.StreamResponse:
        return document(200, b'{"status":"alive"}\n', ())

    async def _readyz(self) -> web.StreamResponse:
        missing = await self._readiness()
        facts: dict[str, object] = {"status": "not ready", "missing": missing} if missing else {"status": "ready"}
        if self._workers is not None:
            facts["workers"] = dict(zip(("wanted", "ready"), self._workers(), strict=True))
        return document(503 if missing else 200, json.dumps(facts, separators=(",", ":")).encode() + b"\n", ())


def opened_by(token: str) -> Callable[[str], bool]:
    """Says of what somebody sends whether it is `token`, in a time that tells nothing of where it differs."""
    known = token.encode()
    return lambda said: hmac.compare_digest(said.encode("utf-8", "replace"), known)
