"""Documents: what several of our JSON documents and answers say in the same words. Pure."""

from decimal import Decimal
from typing import Any

from gateway.once import IdempotencyEnded
from gateway.pricing.advice import Advice
from gateway.units import Credits

Facts = dict[str, Any]
Pairs = tuple[tuple[str, str], ...]

_OF_THE_FIRST = ("status", "reason", "content_type", "bytes", "sha256", "seed", "job_id")


def money(**amounts: Credits) -> Facts:
    """Each amount as a number of credits, and in USD beside it."""
    facts: Facts = {}
    for name, amount in amounts.items():
        facts[name], facts[f"{name}_usd"] = amount.as_number(), amount.usd()
    return facts


def plain_number(value: Decimal) -> int | float:
    """As JSON spells it: whole where it is whole."""
    return int(value) if value == int(value) else float(value)


def advice_facts(advice: Advice) -> Facts:
    """The setting that fits, as the parameters to send."""
    return {
        "width": advice.width,
        "height": advice.height,
        "steps": advice.steps,
        "upscale": 2 if advice.upscaled else 1,
        "credits": advice.credits.as_number(),
    }


def first_facts(error: IdempotencyEnded) -> Facts:
    """What the first call under a key came to; null for what is not known."""
    first = error.first
    charged = {"charged": None} if first.charged is None else money(charged=first.charged)
    known = {name: getattr(first.facts, name) for name in _OF_THE_FIRST}
    return {"first": {"request_id": first.request_id, **charged, "flag": first.flag, **known}}


def replay_fields(charged: Credits | None) -> Pairs:
    """Fields of an answer that is about an earlier call: that it is, and what that call is charged."""
    said: Pairs = (("Idempotency-Replayed", "true"),)
    return said if charged is None else (*said, ("x-credits-cost", str(charged)))
