"""Canonical: Receipt -> the one line of a request. Pure. `docs/log-line.md` says what every field means.

Values are plain text, numbers and booleans, so that a line is written the short way (see `plain`).
"""

from typing import Any

from gateway.receipt import Receipt
from gateway.units import Credits


def canonical(receipt: Receipt) -> dict[str, Any]:
    """The one line of a request: credits as numbers, durations in ms; what is not known is left out."""
    facts = {**_asked(receipt), **_money(receipt), **_end(receipt)}
    return {name: value for name, value in facts.items() if value is not None}


def _asked(receipt: Receipt) -> dict[str, Any]:
    """Who asked for what."""
    return {
        "event": "request",
        "request_id": receipt.request_id,
        "trace_id": receipt.trace_id,
        "span_id": receipt.span_id,
        "tenant": receipt.tenant,
        "team": receipt.team,
        "user": receipt.user,
        "token_id": receipt.token_id,
        "route": receipt.route,
        "verb": receipt.verb,
        "client": receipt.client,
        "method": receipt.method,
        "model": receipt.model,
        "size": receipt.size,
        "pixels": receipt.pixels,
        "steps": receipt.steps,
        "upscaled": receipt.upscaled,
        "loras": receipt.loras,
    }


def _money(receipt: Receipt) -> dict[str, Any]:
    """What it costs, and whose budget bears it."""
    return {
        "quoted": _number(receipt.quoted),
        "items": receipt.items,
        "estimated": receipt.estimated if receipt.quoted is not None else None,
        "saving": _number(receipt.saving),
        "tariff_version": receipt.tariff_version,
        "hold_id": receipt.hold_id,
        "held": _number(receipt.held),
        "charged": _number(receipt.charged),
        "flag": None if receipt.flag is None else str(receipt.flag),  # of any kind of text, the plain one
        "overrun": _number(receipt.overrun) if receipt.held is not None else None,
        "drift": _number(receipt.drift),
        "once": receipt.once,
        "replayed": receipt.replayed or None,
        "binding": receipt.binding,
        "remaining": _number(receipt.remaining),
    }


def _end(receipt: Receipt) -> dict[str, Any]:
    """How it ended, and what took how long."""
    return {
        "outcome": receipt.outcome,
        "reason": receipt.reason,
        "code": receipt.code,
        "parameter": receipt.parameter,
        "ceiling": _number(receipt.ceiling),
        "reset_s": receipt.reset_s,
        "status": receipt.status,
        "upstream_status": receipt.upstream_status,
        "job_id": receipt.job_id,
        "seed": receipt.seed,
        "client_gone": receipt.client_gone,
        "bytes_in": receipt.bytes_in,
        "bytes_out": receipt.bytes_out,
        "hold_ms": _ms(receipt.hold_s),
        "queued_ms": _ms(receipt.queued_s),
        "upstream_head_ms": _ms(receipt.upstream_head_s),
        "upstream_ms": _ms(receipt.upstream_s),
        "total_ms": _ms(receipt.total_s),
    }


def _number(amount: Credits | None) -> int | float | None:
    return None if amount is None else amount.as_number()


def _ms(duration_s: float | None) -> float | None:
    return None if duration_s is None else round(duration_s * 1e6) / 1e3
