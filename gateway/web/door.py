"""The front door: one handler, one except clause. It reads a request, asks who calls, and orders from the hall."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache, partial

from aiohttp import web

from gateway.errors import (
    AboveCeiling,
    BadParameter,
    BudgetExhausted,
    Busy,
    ClientGone,
    GatewayError,
    MethodNotGranted,
    NotYourJob,
    Unauthenticated,
)
from gateway.exchange import SHARED_ACCOUNT, Exchange, Order
from gateway.headers import forwardable
from gateway.identity.credentials import find_token
from gateway.identity.principal import Principal
from gateway.identity.verify import Verifier
from gateway.jobs import JobBook
from gateway.ledger.budget import Path
from gateway.ledger.contract import Ledger
from gateway.messages import Call, Fields, Flavour
from gateway.parse.read import read_job
from gateway.pricing.advice import Advice, cheaper
from gateway.pricing.job import Job
from gateway.pricing.tariff import Method, Tariff
from gateway.problems import problem_for
from gateway.receipt import Receipt
from gateway.repeats import Memo
from gateway.traces.tracing import Trace
from gateway.units import Credits
from gateway.web.account import account_document, budget_document, quote_document
from gateway.web.answer import HttpClient, document, new_request_id
from gateway.web.body import Bounds, expects_word, read_body, refuse_expectation, refuse_unclear
from gateway.web.disk import Spooled
from gateway.web.early import refuse_exhausted
from gateway.web.front import Front
from gateway.web.in_flight import InFlight
from gateway.web.reading import Asked
from gateway.web.routes import Kind, Route, Routes, known_verb
from gateway.web.wishes import ceilings_of, idempotency_key, once_of, wants_dry_run

# Bodies up to this size are read in at most a few milliseconds, whatever they hold.
READ_ON_LOOP_BYTES_MAX = 16_384

# Upstream calls under way for callers without a token: they share the connections that others pay for.
STRANGERS_MAX = 8

_PAYERS_KEPT = 10_000

# Hex digits of an idempotency key's hash that are logged.
ONCE_SHOWN = 12


@dataclass(slots=True)
class Visit:
    """One request on its way through the door."""

    request: web.BaseRequest
    receipt: Receipt
    client: HttpClient
    fields: Fields = ()
    speaks_rapidapi: bool = False
    order: Order | None = None
    trace: Trace | None = None


class Door:
    """Handles every request of the clients' listener. Parts come in ready made; `finished` is told of every receipt."""

    def __init__(
        self,
        *,
        routes: Routes,
        tariff: Tariff,
        verifier: Verifier,
        exchange: Exchange,
        ledger: Ledger,
        jobs: JobBook,
        flavour: Flavour,
        bounds: Bounds,
        in_flight: InFlight,
        front: Front,
        finished: Callable[[Receipt], None],
        broken: Callable[[Receipt, BaseException], None],
    ) -> None:
        self._routes = routes
        self._tariff = tariff
        self._verifier = verifier
        self._exchange = exchange
        self._ledger = ledger
        self._jobs = jobs
        self._flavour = flavour
        self._bounds = bounds
        self._in_flight = in_flight
        self._front = front
        self._finished = finished
        self._broken = broken
        self._strangers = 0
        self._ways: dict[Kind, Callable[[Visit, Route, str], Awaitable[web.StreamResponse]]] = {
            Kind.PAID: self._paid,
            Kind.QUOTE: self._paid,
            Kind.INFO: self._info,
            Kind.JOB: self._job,
            Kind.ACCOUNT: self._account,
            Kind.BUDGET: self._account,
            Kind.OPENAPI: self._openapi,
        }

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever it is."""
        receipt = Receipt(request_id=new_request_id(), started_s=time.monotonic(), verb=known_verb(request.method))
        extra = (("X-Request-Id", receipt.request_id), *self._front.answer_fields(request))
        client = HttpClient(
            request,
            receipt,
            flavour=self._flavour,
            write_timeout_s=self._bounds.write_timeout_s,
            bytes_per_s_min=self._bounds.write_bytes_per_s_min,
            in_flight=self._in_flight,
            extra=extra,
        )
        visit = Visit(request, receipt, client)
        try:
            try:
                response = await self._visited(visit)
            except Exception as error:  # noqa: BLE001 - the one place where anything at all becomes an answer
                response = self._refused(visit, error)
                error.__traceback__ = None  # its frames hold the body, and some of them the error: a cycle
            return await client.send(response)
        except asyncio.CancelledError:
            receipt.outcome, receipt.reason = "failed", "cancelled"
            raise
        finally:
            receipt.total_s = time.monotonic() - receipt.started_s
            self._finished(receipt)
            if visit.trace is not None:
                visit.trace.ended(receipt)

    async def close(self) -> None:
        """Let go of what requests have left behind, once none is under way."""
        await self._front.tracing.close()

    async def _visited(self, visit: Visit) -> web.StreamResponse:
        request = visit.request
        refuse_unclear(request)
        visit.fields = tuple([(name.lower(), value) for name, value in request.headers.items()])
        self._place(visit)
        visit.receipt.client = self._front.address(request, visit.fields)
        preflight = self._front.preflight(request, visit.fields, self._routes)
        if preflight is not None:
            visit.receipt.route, visit.receipt.outcome, visit.receipt.status = "preflight", "served", 204
            return preflight
        route, query = self._routes.match(request.method, request.raw_path)
        visit.receipt.route = route.name
        refuse_expectation(request)
        return await self._ways[route.kind](visit, route, query)

    def _place(self, visit: Visit) -> None:
        """Find the request's place in its caller's trace, or begin one where spans are told."""
        trace = visit.trace = self._front.tracing.begin(visit.fields)
        if trace is not None:
            visit.receipt.trace_id, visit.receipt.span_id = trace.trace_id, trace.span_id

    async def _paid(self, visit: Visit, route: Route, query: str) -> web.StreamResponse:
        """A paid call, its dry run, or its quote: all three read the real body in the same way."""
        method = route.method
        if method is None:
            raise LookupError(route.name)
        principal = await self._who(visit, query)
        visit.receipt.method = method.name
        if principal.grants.methods is not None and method.name not in principal.grants.methods:
            raise MethodNotGranted(method.name)
        payer, ceilings = _path(principal), ceilings_of(visit.fields, principal)
        dry = wants_dry_run(visit.fields) or route.kind is Kind.QUOTE
        key = None if dry else idempotency_key(visit.fields)
        if not dry and key is None and expects_word(visit.request):
            await refuse_exhausted(self._ledger, payer, self._tariff, method)
        with self._in_flight.share() as share:
            body = await read_body(visit.request, share, self._bounds)
            visit.receipt.bytes_in = len(body)
            call = self._call(visit, route.path, query, body)
            job = await self._job_in(visit, method, call, body)
            memo = await self._memo(visit, key, payer, call)
            visit.order = Order(call, method, job, payer, ceilings, visit.receipt, memo)
            if dry:
                return await self._verdict(visit, visit.order)
            await self._exchange.serve(visit.order, visit.client)
        return _sent(visit)

    async def _memo(self, visit: Visit, key: str | None, payer: Path, call: Call) -> Memo:
        once = await once_of(key, payer, call) if key is not None else None
        visit.receipt.once = once.key[:ONCE_SHOWN] if once is not None else None
        return Memo(once)

    async def _job_in(self, visit: Visit, method: Method, call: Call, body: bytes | Spooled) -> Job:
        # Of what will be forwarded: a type that the client keeps for this hop says nothing to the upstream.
        types = [value for name, value in call.fields if name == "content-type"]
        limits = self._bounds.limits
        if isinstance(body, bytes):
            read = partial(read_job, method, content_type=types, query=call.query, limits=limits)
            # A large body takes long enough to keep everybody else waiting.
            small = len(body) <= READ_ON_LOOP_BYTES_MAX
            return read(body=body) if small else await asyncio.to_thread(read, body=body)
        job = await body.job(Asked(method, tuple(types), call.query, limits))
        if visit.request.transport is None:
            raise ClientGone  # while it waited for its turn: nothing was held for it yet
        return job

    def _call(self, visit: Visit, path: str, query: str, body: bytes | Spooled) -> Call:
        fields = forwardable(visit.fields)
        if visit.trace is not None:
            fields += visit.trace.fields
        return Call(visit.receipt.request_id, visit.request.method, path, query, fields, body)

    async def _verdict(self, visit: Visit, order: Order) -> web.StreamResponse:
        verdict = await self._exchange.verdict(order)
        visit.receipt.outcome, visit.receipt.status = "dry_run", 200
        tight = min(balance.remaining for balance in verdict.balances)
        # No setting of the caller's fills the shared account.
        advice = self._advice(order, tight) if verdict.refused_by not in (None, SHARED_ACCOUNT) else None
        return self._document(visit, quote_document(verdict, advice))

    def _advice(self, order: Order, remaining: Credits) -> Advice | None:
        return cheaper(self._tariff, order.method, order.job, remaining)

    async def _info(self, visit: Visit, route: Route, query: str) -> web.StreamResponse:
        """The model list: free, and open where no token is shown, as it is at the direct upstream."""
        stranger = False
        try:
            await self._who(visit, query)
        except Unauthenticated as error:
            # The marketplace wants a key even here.
            if error.code != "missing" or self._flavour is Flavour.RAPIDAPI:
                raise
            stranger = True
        if stranger and self._strangers >= STRANGERS_MAX:
            raise Busy
        self._strangers += stranger
        try:
            await self._exchange.pass_free(self._call(visit, route.path, query, b""), visit.client, visit.receipt)
        finally:
            self._strangers -= stranger
        return _sent(visit)

    async def _job(self, visit: Visit, route: Route, query: str) -> web.StreamResponse:
        """A poll: free, and only for the tenant that started the job."""
        principal = await self._who(visit, query)
        if route.job_id is None or not await self._jobs.owns(principal.tenant, route.job_id):
            raise NotYourJob
        await self._exchange.pass_free(self._call(visit, route.path, query, b""), visit.client, visit.receipt)
        return _sent(visit)

    async def _account(self, visit: Visit, route: Route, query: str) -> web.StreamResponse:
        """The caller's own balances, from the ledger."""
        path = _path(await self._who(visit, query))
        balances = await self._ledger.balances(path)
        visit.receipt.outcome, visit.receipt.status = "served", 200
        body = account_document(balances) if route.kind is Kind.ACCOUNT else budget_document(path, balances)
        return self._document(visit, body)

    async def _openapi(self, visit: Visit, _: Route, __: str) -> web.StreamResponse:
        visit.receipt.outcome, visit.receipt.status = "served", 200
        return self._document(visit, self._front.openapi)

    async def _who(self, visit: Visit, query: str) -> Principal:
        presented = find_token(visit.fields, query)
        visit.speaks_rapidapi = presented.speaks_rapidapi
        principal = self._verifier.verify_cached(presented.token) or await self._verifier.verify(presented.token)
        receipt = visit.receipt
        receipt.tenant, receipt.team, receipt.user = principal.tenant, principal.team, principal.user
        receipt.token_id = principal.token_id
        return principal

    def _document(self, visit: Visit, body: bytes) -> web.StreamResponse:
        visit.receipt.bytes_out = len(body)
        return document(200, body, (("Cache-Control", "no-store"),))

    def _refused(self, visit: Visit, error: Exception) -> web.StreamResponse:
        """Turn what went wrong into the answer; where the answer had begun, into its end."""
        receipt = visit.receipt
        _blame(receipt, error)
        if not isinstance(error, GatewayError):
            self._broken(receipt, error)
        begun = visit.client.response
        if begun is not None and begun.prepared:
            if visit.request.transport is not None:
                visit.request.transport.abort()
            return begun
        advice = None
        if isinstance(error, BudgetExhausted) and visit.order is not None:
            receipt.binding, receipt.remaining, receipt.reset_s = error.budget, error.remaining, error.reset_s
            advice = self._advice(visit.order, error.remaining)
        problem = problem_for(
            error,
            request_id=receipt.request_id,
            speaks_rapidapi=visit.speaks_rapidapi,
            advice=advice,
            charged=receipt.charged,
        )
        receipt.status, receipt.bytes_out = problem.status, len(problem.body)
        response = document(problem.status, problem.body, problem.fields, content_type="application/problem+json")
        if problem.close or not visit.request.content.at_eof():
            # What is left of the body must never be read as the next request.
            response.force_close()
        return response


def _path(principal: Principal) -> Path:
    return _payer(principal.tenant, principal.team, principal.user)


# The same path each time: what is known of it is then found without a second look.
_payer = lru_cache(_PAYERS_KEPT)(Path)


def _sent(visit: Visit) -> web.StreamResponse:
    visit.receipt.outcome = "replayed" if visit.receipt.replayed else "served"
    if visit.client.response is None:
        raise LookupError("nothing was answered")
    return visit.client.response


def _blame(receipt: Receipt, error: Exception) -> None:
    """Write what went wrong into the receipt: who was refused before anything was sent, what failed after."""
    receipt.reason = error.reason if isinstance(error, GatewayError) else "internal"
    receipt.client_gone = receipt.client_gone or isinstance(error, ClientGone)
    code = getattr(error, "code", None)
    receipt.code = code if isinstance(code, str) else receipt.code
    if isinstance(error, BadParameter):
        receipt.parameter = error.parameter
    elif isinstance(error, AboveCeiling):
        receipt.ceiling, receipt.code = error.ceiling, error.source
    receipt.outcome = "failed" if receipt.upstream_head_s is not None or receipt.reason == "internal" else "refused"
