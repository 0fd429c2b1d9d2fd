"""The simulator as an application: reads requests, hands them to the desk, answers.

Beside the upstream's own paths there are a few of its own under `/_simulator/`, without a key:
`GET book` (with `?newest=`), `GET received`, `POST faults`, and `GET files/{job}` for finished jobs.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.simulator import answers
from gateway.simulator.answers import Answer
from gateway.simulator.book import CHARGES_KEPT, Arrival, Book, Received
from gateway.simulator.deliver import deliver
from gateway.simulator.desk import BALANCE_PATH, JOB_PATH, MODEL_LIST_PATH, Ask, Desk
from gateway.simulator.endpoints import PAID
from gateway.simulator.faults import NO_FAULT, Fault, FaultError, Faults
from gateway.simulator.settings import BODY_BYTES_MAX, SimulatorSettings

FAULT_FIELD = "x-simulator-fault"
FILES_PATH = "/_simulator/files"
_STOP_S = 0.2
_FAULT_FIELD_MAX = 1_000
_DIGITS_MAX = 6

BOOK = web.AppKey("BOOK", Book)
FAULTS = web.AppKey("FAULTS", Faults)
RECEIVED = web.AppKey("RECEIVED", Received)


@dataclass(slots=True)
class Simulator:
    """A running simulator. `url` has no trailing slash; `stop` ends it and may be called again."""

    url: str
    book: Book
    faults: Faults
    received: Received
    _runner: web.AppRunner

    async def stop(self) -> None:
        """Close the listener and every connection."""
        await self._runner.cleanup()


async def start_simulator(settings: SimulatorSettings, host: str = "127.0.0.1", port: int = 0) -> Simulator:
    """Start a simulator on `host` and `port` (0: any free one). The caller owns it and stops it."""
    app = build_simulator(settings)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_STOP_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except BaseException:
        await runner.cleanup()
        raise
    bound = runner.addresses[0][1]
    name = "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound
    shown = f"[{name}]" if ":" in name else name
    return Simulator(f"http://{shown}:{bound}", app[BOOK], app[FAULTS], app[RECEIVED], runner)


def build_simulator(settings: SimulatorSettings) -> web.Application:
    """The application; its book, faults and arrivals are under `BOOK`, `FAULTS` and `RECEIVED`."""
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    book, faults, received = Book(settings), Faults(), Received()
    door = Door(settings, Desk(settings, book, faults), received)
    app[BOOK], app[FAULTS], app[RECEIVED] = book, faults, received
    app.router.add_get("/_simulator/book", _show_book)
    app.router.add_get("/_simulator/received", _show_received)
    app.router.add_post("/_simulator/faults", _set_faults)
    app.router.add_get(FILES_PATH + "/{job}", door.file)
    app.router.add_route("*", "/{path:.*}", door.handle)
    return app


class Door:
    """aiohttp requests in, answers out."""

    def __init__(self, settings: SimulatorSettings, desk: Desk, received: Received) -> None:
        self._settings = settings
        self._desk = desk
        self._received = received

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request to one of the upstream's paths, or to none."""
        path = request.path.removesuffix("/") or "/"
        arrival = _arrival(request)
        self._received.note(_counted(path), arrival)
        body = await self._body(request)
        if isinstance(body, Answer):
            return await deliver(request, body, NO_FAULT)
        arrival.read(body)
        try:
            own_fault = self._own_fault(request)
        except FaultError:
            return await deliver(request, answers.problem(400, "Not a fault"), NO_FAULT)
        fields = tuple((name.lower(), value) for name, value in arrival.fields)
        ask = Ask(request.method, path, fields, body, self._files_url(request))
        answer, fault = await self._desk.answer(ask, own_fault)
        return await deliver(request, answer, fault)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """The product of a finished job. Needs no key, as on the upstream's file host."""
        self._received.note(FILES_PATH, _arrival(request))
        made = await self._desk.file(request.match_info["job"])
        return await deliver(request, made or answers.problem(404, "No such file"), NO_FAULT)

    async def _body(self, request: web.Request) -> bytes | Answer:
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                return await request.read()
        except TimeoutError:
            return answers.problem(408, "The request body took too long")
        except web.HTTPRequestEntityTooLarge:
            return answers.problem(413, "The request body is too large")
        except (web.RequestPayloadError, ConnectionError):
            return answers.problem(400, "The request body cannot be read")

    def _files_url(self, request: web.Request) -> str:
        """Finished jobs lie on another host: by default the same listener under its other name."""
        return self._settings.files_url or _other_host(request)

    def _own_fault(self, request: web.Request) -> Fault | None:
        text = request.headers.get(FAULT_FIELD)
        if text is None or not self._settings.allow_header_faults:
            return None
        if len(text) > _FAULT_FIELD_MAX:
            raise FaultError("too long")
        return Fault.parse(text)


def _arrival(request: web.Request) -> Arrival:
    fields = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers)
    return Arrival(request.method, request.raw_path, fields)


def _counted(path: str) -> str:
    if path.startswith(JOB_PATH):
        return JOB_PATH
    return path if path in PAID or path in {MODEL_LIST_PATH, BALANCE_PATH} else "other"


def _other_host(request: web.Request) -> str:
    name, _, port = request.host.partition(":")
    other = "localhost" if name == "127.0.0.1" else "127.0.0.1"
    return f"http://{other}{':' if port else ''}{port}{FILES_PATH}"


async def _show_book(request: web.Request) -> web.Response:
    newest = request.query.get("newest", str(CHARGES_KEPT))
    if not (newest.isascii() and newest.isdigit() and len(newest) <= _DIGITS_MAX):
        raise web.HTTPBadRequest
    return web.json_response(request.app[BOOK].as_json(int(newest)))


async def _show_received(request: web.Request) -> web.Response:
    return web.json_response({"counts": dict(request.app[RECEIVED].counts)})


async def _set_faults(request: web.Request) -> web.Response:
    """`{"clear": true, "next": "…" or ["…"], "always": "…" or null, "path": "/…"}`; each member optional."""
    try:
        orders = json.loads(await request.read())
        _apply(request.app[FAULTS], orders)
    except (ValueError, RecursionError, TypeError, AttributeError):
        return web.json_response({"message": "not an order for faults"}, status=400)
    return web.Response(status=204)


def _apply(faults: Faults, orders: Mapping[str, Any]) -> None:
    path = orders.get("path")
    if path is not None and not isinstance(path, str):
        raise FaultError("a path is a text")
    following = orders.get("next", [])
    if orders.get("clear"):
        faults.clear()
    faults.next(*([following] if isinstance(following, str) else following), path=path)
    if "always" in orders:
        faults.always(orders["always"], path=path)
