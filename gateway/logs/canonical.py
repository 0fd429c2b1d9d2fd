"""Canonical: Receipt -> the one line of a request. Pure. `docs/log-line.md` says what every field means.

Values are plain text, numbers and booleans, so that a line is mostly written as it is: see `LineWriter.short`.
"""

from functools import lru_cache
from typing import Any

from pydantic_core import SchemaSerializer, core_schema

from gateway.receipt import Receipt
from gateway.units import Credits

_NUMBERS_KEPT = 4_096


def canonical(receipt: Receipt, left_out: int | None = None) -> dict[str, Any]:
    """The fields of a request's line in their order: credits as numbers, durations in ms, None for what is not known.

    Args:
        receipt: what happened.
        left_out: how many lines like this one were not written before it.
    """
    return {
        # Set by whoever writes the line.
        "ts": None,
        "level": None,
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
        **_money(receipt),
        **_end(receipt),
        "left_out": left_out,
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
        "flag": receipt.flag,
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
    return None if amount is None else _shown(amount.millicredits)


@lru_cache(maxsize=_NUMBERS_KEPT)
def _shown(millicredits: int) -> int | float:
    return Credits(millicredits).as_number()


def _ms(duration_s: float | None) -> float | None:
    return None if duration_s is None else round(duration_s * 1e6) / 1e3


_LINE = SchemaSerializer(
    core_schema.typed_dict_schema(
        {name: core_schema.typed_dict_field(core_schema.any_schema()) for name in canonical(Receipt("", 0.0))}
    )
)


def spelt(facts: dict[str, Any]) -> bytes:
    """What `canonical` returned, as one JSON object in UTF-8, without what is None; `null` stands for NaN alone."""
    return _LINE.to_json(facts, exclude_none=True)
