"""Granting: an operator's grants turned into scripts, on live data.

Wall 5: only `lua/` changes a balance.
"""

import time
from collections.abc import Callable
from typing import Any

from gateway.errors import LedgerMissing, LedgerPoisoned, LedgerUnavailable
from gateway.ledger import keys
from gateway.ledger.adjusting import RedisAdjusting
from gateway.ledger.adjustment import AdjustmentRefused, Granted, OperationId, Warrant
from gateway.ledger.budget import Budget, BudgetBook
from gateway.ledger.redis import RETENTION_MS
from gateway.ledger.store import Script, Store
from gateway.units import Credits

# Grants of one balance that lapse together are one; this many may lapse at instants of their own.
_ENDS_MAX = 50

_WINDOW_TRIES = 3


class RedisGranting(RedisAdjusting):
    """Adjusts the books kept in `store`, and grants by the budgets of `book`. Promises: see `adjustment.py`.

    Args:
        store: where.
        book: every configured budget.
        clock_ms: this machine's guess at the time, to name windows with; the store's clock decides.
    """

    def __init__(
        self, store: Store, book: BudgetBook, *, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        super().__init__(store)
        self._book = book
        self._clock_ms = clock_ms
        self._grant = Script.load("grant")
        self._revoke = Script.load("revoke")

    async def grant(self, tenant: str, budget: str, amount: Credits, until_ms: int | None, warrant: Warrant) -> Granted:
        """See `Adjusting.grant`."""
        found = self._book.named(tenant, budget)
        if found is None:
            raise AdjustmentRefused("budget")
        now_ms, until = self._clock_ms(), "" if until_ms is None else str(until_ms)
        for _ in range(_WINDOW_TRIES):
            answer = await self._ask_grant(tenant, found, now_ms, (str(amount.millicredits), until), warrant)
            if answer[0] != "window":
                return _granted(answer, warrant, budget, amount, until)
            now_ms = int(answer[1])
        raise LedgerUnavailable("clock")

    async def _ask_grant(
        self, tenant: str, budget: Budget, now_ms: int, said: tuple[str, str], warrant: Warrant
    ) -> list[Any]:
        span = budget.window.span(now_ms)
        place = keys.Place.of(budget, span)
        ends = "" if span.end_ms is None else str(span.end_ms)
        return await self._store.run(
            self._grant,
            [
                keys.operation(tenant, warrant.operation_id),
                keys.journal(tenant),
                keys.register(tenant),
                place.key(tenant),
            ],
            [
                *(warrant.operation_id, *said, str(place), budget.name, str(span.start_ms), ends),
                *(str(RETENTION_MS), str(RETENTION_MS), str(_ENDS_MAX), warrant.actor, warrant.reason),
            ],
        )

    async def revoke(self, tenant: str, granted: OperationId, warrant: Warrant) -> Granted:
        """See `Adjusting.revoke`."""
        operation = keys.operation(tenant, granted)
        written = await self._store.call("HGET", operation, "budget") or ""
        try:
            balance = keys.Place.read(written).key(tenant) if written else operation
        except ValueError:
            raise LedgerPoisoned("poisoned") from None
        answer = await self._store.run(
            self._revoke,
            [
                keys.operation(tenant, warrant.operation_id),
                operation,
                keys.journal(tenant),
                keys.register(tenant),
                balance,
            ],
            [warrant.operation_id, granted, written, str(RETENTION_MS), warrant.actor, warrant.reason],
        )
        if answer[0] == "missing":
            raise LedgerMissing("missing")
        if answer[0] == "lapsed":
            raise AdjustmentRefused("lapsed")
        if answer[0] == "known" and tuple(answer[1:3]) != ("revoke", granted):
            raise AdjustmentRefused("other")
        amount, until, name = answer[-3:]
        return Granted(warrant.operation_id, name, Credits(int(amount)), _ms(until), answer[0] == "done")


def _granted(answer: list[Any], warrant: Warrant, budget: str, amount: Credits, until: str) -> Granted:
    if answer[0] == "missing":
        raise LedgerMissing("missing")
    if answer[0] == "known":
        if tuple(answer[1:4]) != ("grant", budget, f"{amount.millicredits}|{until}"):
            raise AdjustmentRefused("other")
    elif answer[0] != "done":
        raise AdjustmentRefused(answer[0])
    return Granted(warrant.operation_id, budget, amount, _ms(answer[-1]), answer[0] == "done")


def _ms(written: str) -> int | None:
    return int(written) if written else None
