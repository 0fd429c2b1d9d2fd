"""What a caller asks about itself: quote, verdict, budgets, balance. Documents only; numbers in credits."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.documents import advice_facts
from gateway.exchange import Verdict
from gateway.ledger.budget import Balance, Path, tightest
from gateway.pricing.advice import Advice


def quote_document(verdict: Verdict, advice: Advice | None) -> bytes:
    """The itemised price of a real body, and what each budget on the caller's path would answer."""
    quote = verdict.quote
    document: dict[str, Any] = {
        "method": quote.method,
        "credits": quote.total.as_number(),
        "usd": quote.total.usd(),
        "status": quote.status,
        "tariff": quote.tariff_version,
        "counted": {"pixels": quote.measure.pixels, "steps": quote.measure.steps},
        "lines": [
            {
                "name": line.name,
                "credits": line.credits.as_number(),
                "at_most": line.ceiling.as_number(),
                "status": line.status,
            }
            for line in quote.lines
        ],
        "held": verdict.amount.as_number(),
        "verdict": "refused" if verdict.refused_by else "granted",
        "refused_by": verdict.refused_by,
        "budgets": [{**_balance(balance), "bears_it": balance.bears(verdict.amount)} for balance in verdict.balances],
        "cheaper": advice_facts(advice) if advice is not None else None,
    }
    return _json(document)


def budget_document(path: Path, balances: Sequence[Balance]) -> bytes:
    """All budgets a caller's calls must pass."""
    return _json(
        {
            "tenant": path.tenant,
            "team": path.team,
            "user": path.user,
            "remaining": tightest(tuple(balances)).remaining.as_number(),
            "budgets": [_balance(balance) for balance in balances],
        }
    )


def account_document(balances: Sequence[Balance]) -> bytes:
    """The caller's own balance in the shape of the upstream's `/account/tx/last`: `balance` in USD, a number."""
    return _json({"balance": float(tightest(tuple(balances)).remaining.usd())})


def _balance(balance: Balance) -> dict[str, Any]:
    span = balance.span
    return {
        "budget": balance.budget.name,
        "every": balance.budget.window.every,
        "zone": balance.budget.window.zone,
        "limit": balance.limit.as_number(),
        "granted": balance.granted.as_number(),
        "spent": balance.spent.as_number(),
        "held": balance.held.as_number(),
        "remaining": balance.remaining.as_number(),
        "began": _instant(span.start_ms) if span.end_ms is not None else None,
        "resets": _instant(span.end_ms) if span.end_ms is not None else None,
        "resets_in_s": balance.reset_s,
    }


def _instant(instant_ms: int) -> str:
    return datetime.fromtimestamp(instant_ms / 1000, UTC).isoformat().replace("+00:00", "Z")


def _json(document: dict[str, Any] | Iterable[Any]) -> bytes:
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"
