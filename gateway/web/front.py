"""Front: what is settled before anybody asks who calls: browsers' rules, the peer's address, the API's description."""

from aiohttp import web

from gateway.messages import Fields
from gateway.traces.tracing import Tracing
from gateway.web.cors import Cors
from gateway.web.peers import Peers
from gateway.web.routes import Routes


class Front:
    """The step in front of the door: nothing here costs anything or needs a token.

    Args:
        cors: which pages may call.
        peers: which proxies are believed.
        openapi: the description of the clients' listener, ready to be sent.
        tracing: gives requests their place in a trace.
    """

    def __init__(self, cors: Cors, peers: Peers, openapi: bytes, tracing: Tracing) -> None:
        self._cors = cors
        self._peers = peers
        self.openapi = openapi
        self.tracing = tracing

    def answer_fields(self, request: web.BaseRequest) -> tuple[tuple[str, str], ...]:
        """Fields of every answer to `request`."""
        return self._cors.answer_fields(request.headers.get("Origin"))

    def address(self, request: web.BaseRequest, fields: Fields) -> str | None:
        """Where `request` comes from."""
        return self._peers.address(request.remote, fields)

    def preflight(self, request: web.BaseRequest, fields: Fields, routes: Routes) -> web.StreamResponse | None:
        """The answer to a page's question whether it may call; None for everything else.

        Raises:
            BadRequest: for a path or verb that does not exist.
        """
        asked = self._cors.asked_verb(request.method, fields)
        if asked is None:
            return None
        route, _ = routes.match(asked, request.raw_path)
        return web.Response(status=204, headers=dict(self._cors.preflight_fields(route.verbs)))
