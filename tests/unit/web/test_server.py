"""The server's own refusals."""

import asyncio
import subprocess
import sys

from aiohttp import web

from gateway.web.connections import Caps, Connections
from gateway.web.server import _Protocol, _Server


def test_the_pure_python_parser_is_refused_at_start() -> None:
    script = "from gateway.web.server import refuse_unfit_parser; refuse_unfit_parser()"
    for environment, fit in (({}, True), ({"AIOHTTP_NO_EXTENSIONS": "1"}, False)):
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=30, check=False
        )
        assert (done.returncode == 0) is fit
        assert fit or "C parser" in done.stderr


class Wire(asyncio.Transport):
    """A connection whose other end takes nothing any more."""

    left = 0
    gone = False

    def get_write_buffer_size(self) -> int:
        return self.left

    def abort(self) -> None:
        self.gone = True


async def test_who_leaves_the_end_of_an_answer_where_it_is_has_had_its_time() -> None:
    async def handler(_: web.BaseRequest) -> web.StreamResponse:
        raise NotImplementedError

    connections = Connections(Caps(1))
    served = _Server(
        handler, refused=lambda _: None, connections=connections, request_timeout_s=60.0, write_timeout_s=5.0
    )
    protocol, wire = served(), Wire()
    assert isinstance(protocol, _Protocol)
    protocol._wire = wire
    assert not protocol.overdue(100.0)
    wire.left = 10
    assert not protocol.overdue(101.0)
    assert not protocol.overdue(106.0)
    assert protocol.overdue(106.5)
    wire.left = 0
    assert not protocol.overdue(107.0)
    wire.left = 10
    assert not protocol.overdue(108.0)
    protocol.abort()
    assert wire.gone
