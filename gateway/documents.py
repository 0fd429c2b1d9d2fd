"""Documents: what several of our JSON documents and answers say in the same words. Pure."""

from decimal import Decimal
from typing import Any

from gateway.errors import AboveCeiling, BudgetExhausted
from gateway.once import IdempotencyEnded
from gateway.pricing.advice import Advice
from gateway.units import Credits

Facts = dict[str, Any]
Pairs = tuple[tuple[str, str], ...]

_DETAIL_CHARACTERS_MAX = 512

_OF_THE_FIRST = ("status", "reason", "content_type", "bytes", "sha256", "seed", "job_id")


def money(**amounts: Credits) -> Facts:
    """Each amount as a number of credits, and in USD beside it."""
    facts: Facts = {}
    for name, amount in amounts.items():
        facts[name], facts[f"{name}_usd"] = amount.as_number(), amount.usd()
    return facts


def ceiling_facts(error: AboveCeiling) -> Facts:
    """What was asked for, and the ceiling above it."""
    return {**money(quoted=error.quoted, ceiling=error.ceiling), "source": error.source}


def budget_facts(error: BudgetExhausted) -> Facts:
    """The budget that refused, and what it has left."""
    amounts = money(quoted=error.quoted, remaining=error.remaining, limit=error.limit)
    return {**amounts, "budget": error.budget, "resets_in_s": error.reset_s}


def budget_detail(error: BudgetExhausted) -> str:
    """The same in a sentence."""
    said = f"This call needs {error.quoted} credits; budget {error.budget} has {error.remaining} of {error.limit} left."
    return said if error.reset_s is None else f"{said} It begins anew in {error.reset_s} seconds."


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


def printable(text: str) -> str:
    """`text` on one line, without control characters, and no longer than a person reads."""
    return "".join(character if character.isprintable() else " " for character in text)[:_DETAIL_CHARACTERS_MAX]
