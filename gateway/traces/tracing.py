"""Tracing: what becomes of a caller's trace here: passed on, with a span of the gateway's own in between."""

import secrets
from typing import Protocol

from gateway.messages import Fields
from gateway.receipt import Receipt
from gateway.traces.context import read_context


class Trace:
    """One request's place in its trace.

    Attributes:
        trace_id, span_id: 32 and 16 hex digits; the span is the gateway's own.
        fields: what the upstream is told of it.
    """

    __slots__ = ("fields", "span_id", "trace_id")

    def __init__(self, trace_id: str, span_id: str, fields: Fields) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.fields = fields

    def ended(self, receipt: Receipt) -> None:
        """The request has ended. Never raises."""


class Tracing(Protocol):
    """Whoever gives requests their place."""

    def begin(self, fields: Fields) -> Trace | None:
        """The place of a request with these `fields` (names in lower case); None for none. Never raises."""
        ...

    async def close(self) -> None:
        """Send what is not sent yet, within a few seconds."""
        ...


class PassedOn:
    """Passes a caller's trace on. It begins none, and nobody is told of the span: only the log line has its id.

    Args:
        forward: tell the upstream.
    """

    def __init__(self, *, forward: bool) -> None:
        self._forward = forward

    def begin(self, fields: Fields) -> Trace | None:
        """See `Tracing.begin`."""
        caller = read_context(fields)
        if caller is None:
            return None
        span_id = fresh_span_id()
        onward = type(caller)(caller.trace_id, span_id, caller.flags, caller.state)
        return Trace(caller.trace_id, span_id, onward.fields() if self._forward else ())

    async def close(self) -> None:
        """See `Tracing.close`."""


def fresh_span_id() -> str:
    """16 hex digits, not all zero."""
    return f"{secrets.randbelow(2**64 - 1) + 1:016x}"
