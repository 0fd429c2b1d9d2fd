"""What OpenTelemetry is told of a request: one span and its steps, nothing of a person, at no request's cost."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.receipt import Receipt
from gateway.traces.context import read_context
from gateway.traces.tracing import PassedOn, Trace
from gateway.units import Credits
from tests.tools import need_package
from tests.unit.traces.test_context import GOOD, SPAN, TRACE

PARENT = (("traceparent", GOOD), ("tracestate", "rojo=1"))

RECEIPT = Receipt(
    "4f2a",
    100.0,
    route="text2image",
    verb="POST",
    tenant="acme",
    team="ads",
    user="ann@example.com",
    token_id="9c1f9c1f9c1f",
    client="192.0.2.1",
    method="text2image",
    model="dreamshaper_8",
    quoted=Credits.whole(19),
    items="image:19",
    held=Credits.whole(19),
    charged=Credits(19_500),
    flag="confirmed",
    outcome="served",
    status=200,
    upstream_status=200,
    hold_began_s=100.25,
    hold_s=0.25,
    upstream_began_s=100.5,
    upstream_head_s=1.0,
    upstream_s=1.25,
    total_s=2.0,
)


class Told:
    """Spans that end up in memory."""

    def __init__(self, *, forward: bool = True, **rules: Any) -> None:
        need_package("opentelemetry")
        need_package("opentelemetry.sdk")
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        from gateway.traces.spans import Spans

        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False, **rules)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.spans = Spans(provider, forward=forward)

    def begun(self, *fields: tuple[str, str]) -> Trace:
        """The place of a request with these fields."""
        trace = self.spans.begin(fields)
        assert trace is not None
        return trace

    @property
    def finished(self) -> dict[str, Any]:
        """Ended spans by name."""
        found: Sequence[Any] = self._exporter.get_finished_spans()
        return {span.name: span for span in found}


@pytest.fixture
def told() -> Told:
    return Told()


def seconds(span: Any) -> float:
    return round(float(span.end_time - span.start_time) / 1e9, 3)


def test_a_call_is_one_span_in_its_callers_trace_with_hold_and_upstream_below(told: Told) -> None:
    trace = told.begun(*PARENT)
    trace.ended(RECEIPT)
    request, hold, upstream = (told.finished[name] for name in ("POST text2image", "hold", "upstream"))
    assert f"{request.context.trace_id:032x}" == trace.trace_id == TRACE
    assert f"{request.parent.span_id:016x}" == SPAN
    assert f"{request.context.span_id:016x}" == trace.span_id
    assert request.kind.name == "SERVER"
    assert {span.parent.span_id for span in (hold, upstream)} == {request.context.span_id}
    assert (seconds(hold), seconds(upstream)) == (0.25, 1.25)
    assert round((upstream.start_time - hold.start_time) / 1e9, 3) == 0.25
    assert [event.name for event in request.events] == ["priced", "settled"]
    assert dict(request.events[1].attributes) == {"dezgo.held": 19, "dezgo.charged": 19.5, "dezgo.flag": "confirmed"}


def test_a_span_says_what_the_line_says_and_nothing_of_a_person(told: Told) -> None:
    told.begun().ended(RECEIPT)
    said = dict(told.finished["POST text2image"].attributes)
    assert said["http.request.method"] == "POST"
    assert said["http.route"] == "text2image"
    assert said["http.response.status_code"] == 200
    assert (said["dezgo.tenant"], said["dezgo.model"], said["dezgo.items"]) == ("acme", "dreamshaper_8", "image:19")
    assert (said["dezgo.charged"], said["dezgo.overrun"], said["dezgo.outcome"]) == (19.5, 0.5, "served")
    everything = " ".join(map(str, said.items()))
    assert not [word for word in ("ann@example.com", "9c1f", "192.0.2.1") if word in everything]


def test_without_a_caller_in_a_trace_one_is_begun(told: Told) -> None:
    first, second = told.begun(), told.begun(("traceparent", "malformed"), ("tracestate", "rojo=1"))
    assert first.trace_id != second.trace_id
    onward = read_context(second.fields)
    assert onward is not None
    assert (onward.trace_id, onward.span_id, onward.state) == (second.trace_id, second.span_id, ())
    assert onward.flags & 1
    first.ended(RECEIPT)
    assert told.finished["POST text2image"].parent is None


def test_the_upstream_is_told_of_the_gateways_own_span_or_of_nothing() -> None:
    onward = read_context(Told().begun(*PARENT).fields)
    assert onward is not None
    assert (onward.trace_id, onward.state) == (TRACE, ("rojo=1",))
    assert onward.span_id != SPAN
    assert Told(forward=False).begun(*PARENT).fields == ()


def test_a_caller_that_is_not_sampled_is_not_told_of_and_the_upstream_hears_so(told: Told) -> None:
    trace = told.begun(("traceparent", GOOD[:-1] + "0"))
    trace.ended(RECEIPT)
    assert not told.finished
    assert trace.fields == (("traceparent", f"00-{TRACE}-{trace.span_id}-00"),)


@pytest.mark.parametrize(
    ("outcome", "status", "bad"), [("failed", 502, True), ("refused", 503, True), ("refused", 402, False)]
)
def test_what_is_not_the_callers_fault_is_an_error(told: Told, outcome: str, status: int, *, bad: bool) -> None:
    receipt = Receipt("4f2a", 0.0, outcome=outcome, status=status, reason="budget_exhausted", total_s=0.1)
    told.begun().ended(receipt)
    assert (told.finished["OTHER unmatched"].status.status_code.name == "ERROR") == bad


def test_nothing_that_goes_wrong_reaches_a_request(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    unreadable: Any = "long"
    told.begun().ended(Receipt("4f2a", 0.0, total_s=unreadable))

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(told.spans._tracer, "start_span", broken)
    assert told.spans.begin(()) is None


async def test_a_collector_that_never_answers_holds_nobody_up(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.traces import spans

    never = threading.Event()
    monkeypatch.setattr(spans, "CLOSE_WITHIN_S", 0.05)
    monkeypatch.setattr(told.spans._provider, "shutdown", never.wait)
    async with asyncio.timeout(10):
        await told.spans.close()
    never.set()


def test_without_spans_a_callers_trace_is_passed_on_and_none_is_begun() -> None:
    passed = PassedOn(forward=True)
    assert passed.begin((("accept", "image/png"),)) is None
    assert passed.begin((("traceparent", "malformed"),)) is None
    trace = passed.begin(PARENT)
    assert trace is not None
    assert trace.fields == (("traceparent", f"00-{TRACE}-{trace.span_id}-01"), ("tracestate", "rojo=1"))
    assert trace.span_id != SPAN
    trace.ended(RECEIPT)
    assert PassedOn(forward=False).begin(PARENT).fields == ()  # type: ignore[union-attr]  # a trace, as above
