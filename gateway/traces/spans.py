"""Spans: what OpenTelemetry is told of a request. The only file that knows it, imported only when it is wanted.

1. Nothing here fails or delays a request: spans wait in a bounded queue, one thread sends them, what finds no room is
   lost.
2. A span says what the log line says, less the person: no user, token id or address, as no prompt, token or key.
3. A span is told from the receipt, when the request has ended. Nothing is measured twice.
"""

import asyncio
import contextlib
import threading
import time

from opentelemetry.context import Context as Parent
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags, Tracer, TraceState
from opentelemetry.trace import set_span_in_context as under
from opentelemetry.trace.status import Status, StatusCode
from opentelemetry.util.types import AttributeValue

from gateway import __version__
from gateway.messages import Fields
from gateway.receipt import Receipt
from gateway.traces.context import FLAGS_KNOWN, Context, read_context
from gateway.traces.tracing import Trace
from gateway.units import Credits

NAME = "dezgo-gateway"

# How long the end of a gateway waits for the last spans to be sent.
CLOSE_WITHIN_S = 3.0

_NS_PER_S = 1_000_000_000
_SERVER_ERROR = 500

# Facts of the receipt, shown as `dezgo.<name>` when they are known.
_SHOWN = (
    *("request_id", "tenant", "team", "method", "model", "size", "pixels", "steps", "upscaled", "loras"),
    *("quoted", "items", "estimated", "saving", "tariff_version", "held", "charged", "flag", "overrun", "drift"),
    *("replayed", "binding", "remaining", "outcome", "reason", "code", "parameter", "ceiling"),
    *("upstream_status", "job_id", "client_gone", "bytes_in", "bytes_out"),
)


def from_environment() -> TracerProvider:
    """A provider that sends OTLP over HTTP; where to, how often and how many, the variables `OTEL_*` say.

    Raises:
        ValueError: one of these variables makes no sense.
    """
    resource = Resource.create({SERVICE_VERSION: __version__})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: NAME}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class Spans:
    """Gives every request a span, in the caller's trace or one of its own.

    Args:
        provider: makes and sends spans; closed with this.
        forward: tell the upstream.
    """

    def __init__(self, provider: TracerProvider, *, forward: bool) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(NAME, __version__)
        self._forward = forward

    def begin(self, fields: Fields) -> Trace | None:
        """See `Tracing.begin`."""
        with contextlib.suppress(Exception):  # rule 1
            caller = read_context(fields)
            parent = Parent() if caller is None else under(NonRecordingSpan(_span_context(caller)), Parent())
            span = self._tracer.start_span("request", parent, SpanKind.SERVER)
            return _Spanned(self._tracer, span, caller, forward=self._forward)
        return None

    async def close(self) -> None:
        """See `Tracing.close`."""
        # Not one of the loop's own threads: the end of the process would wait for it, however long it takes.
        sending = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, CLOSE_WITHIN_S)


def _span_context(caller: Context) -> SpanContext:
    state = TraceState([(key, value) for key, _, value in (member.partition("=") for member in caller.state)])
    return SpanContext(
        int(caller.trace_id, 16), int(caller.span_id, 16), is_remote=True, trace_flags=TraceFlags(caller.flags),
        trace_state=state,
    )  # fmt: skip


class _Spanned(Trace):
    """A request's place, and its span under way."""

    __slots__ = ("_span", "_tracer")

    def __init__(self, tracer: Tracer, span: Span, caller: Context | None, *, forward: bool) -> None:
        own = span.get_span_context()
        trace_id, span_id = f"{own.trace_id:032x}", f"{own.span_id:016x}"
        onward = Context(trace_id, span_id, own.trace_flags & FLAGS_KNOWN, () if caller is None else caller.state)
        super().__init__(trace_id, span_id, onward.fields() if forward else ())
        self._tracer = tracer
        self._span = span

    def ended(self, receipt: Receipt) -> None:
        """Tell the span, and below it the hold and the upstream call."""
        with contextlib.suppress(Exception):  # rule 1
            if self._span.is_recording():
                _tell(self._tracer, self._span, receipt, ended_ns=time.time_ns())
            self._span.end()


def _tell(tracer: Tracer, span: Span, receipt: Receipt, *, ended_ns: int) -> None:
    ended_s = receipt.started_s + (receipt.total_s or 0.0)

    def at(monotonic_s: float) -> int:
        return ended_ns - int((ended_s - monotonic_s) * _NS_PER_S)

    span.update_name(f"{receipt.verb} {receipt.route}")
    span.set_attributes(_attributes(receipt))
    if receipt.outcome == "failed" or (receipt.status or 0) >= _SERVER_ERROR:
        span.set_status(Status(StatusCode.ERROR, receipt.reason))
    below = under(span, Parent())
    if receipt.hold_began_s is not None:
        span.add_event("priced", _known(receipt, "quoted", "items"), timestamp=at(receipt.hold_began_s))
        hold = tracer.start_span("hold", below, start_time=at(receipt.hold_began_s))
        hold.end(at(receipt.hold_began_s + (receipt.hold_s or 0.0)))
    if receipt.upstream_began_s is not None:
        took_s = receipt.upstream_head_s if receipt.upstream_s is None else receipt.upstream_s
        upstream = tracer.start_span("upstream", below, SpanKind.CLIENT, start_time=at(receipt.upstream_began_s))
        upstream.end(at(receipt.upstream_began_s + (took_s or 0.0)))
    if receipt.held is not None:
        span.add_event("settled", _known(receipt, "held", "charged", "flag"), timestamp=ended_ns)


def _attributes(receipt: Receipt) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {"http.request.method": receipt.verb, "http.route": receipt.route}
    if receipt.status is not None:
        found["http.response.status_code"] = receipt.status
    return found | _known(receipt, *_SHOWN)


def _known(receipt: Receipt, *names: str) -> dict[str, AttributeValue]:
    facts = {f"dezgo.{name}": getattr(receipt, name) for name in names}
    return {
        name: fact.as_number() if isinstance(fact, Credits) else str(fact) if isinstance(fact, str) else fact
        for name, fact in facts.items()
        if fact is not None
    }
