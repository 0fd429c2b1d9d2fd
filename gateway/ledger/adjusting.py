"""Adjusting: an operator's word turned into scripts, on live data. Whoever serves calls has no use for this file.

Wall 5: only `lua/` changes a balance.
"""

from collections.abc import Sequence

from gateway.errors import LedgerMissing, LedgerPoisoned
from gateway.ledger import keys
from gateway.ledger.adjustment import Adjusted, AdjustmentRefused, Warrant
from gateway.ledger.contract import KEPT_MS, HoldId
from gateway.ledger.journal import last_of
from gateway.ledger.redis import RETENTION_MS
from gateway.ledger.store import Script, Store
from gateway.units import Credits


class RedisAdjusting:
    """Adjusts the books kept in `store`. Promises: see `adjustment.py`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._adjust = Script.load("adjust")

    async def refund(self, tenant: str, hold_id: HoldId, amount: Credits | None, warrant: Warrant) -> Adjusted:
        """See `Adjusting.refund`."""
        asked = "" if amount is None else str(amount.millicredits)
        return await self._adjusted(tenant, hold_id, ("refund", asked), warrant)

    async def correct(self, tenant: str, hold_id: HoldId, charged: Credits, warrant: Warrant) -> Adjusted:
        """See `Adjusting.correct`."""
        return await self._adjusted(tenant, hold_id, ("adjust", str(charged.millicredits)), warrant)

    async def _adjusted(self, tenant: str, hold_id: HoldId, what: tuple[str, str], warrant: Warrant) -> Adjusted:
        written = await self._store.call("HGET", keys.record(tenant, hold_id), "budgets") or ""
        answer = await self._ask(tenant, hold_id, what, warrant, (written, ""))
        if answer[0] == "unknown" and (found := await last_of(self._store, tenant, hold_id)) is not None:
            # Its record is forgotten, the journal is not. The script reads that entry itself, and remembers the hold
            # again: of two that come here at once, the second finds the record of the first.
            told = (found.fields.get("budgets", ""), found.entry_id)
            answer = await self._ask(tenant, hold_id, what, warrant, told)
        if answer[0] == "missing":
            raise LedgerMissing("missing")
        if answer[0] == "known":
            if tuple(answer[1:4]) != (what[0], hold_id, what[1]):
                raise AdjustmentRefused("other")
        elif answer[0] != "done":
            raise AdjustmentRefused(answer[0])
        before, after = (Credits(int(number)) for number in answer[-2:])
        return Adjusted(warrant.operation_id, hold_id, before, after, applied=answer[0] == "done")

    async def _ask(
        self, tenant: str, hold_id: HoldId, what: tuple[str, str], warrant: Warrant, told: tuple[str, str]
    ) -> list[str]:
        written, entry_id = told
        places = _read(written)
        return await self._store.run(
            self._adjust,
            [
                keys.record(tenant, hold_id),
                keys.operation(tenant, warrant.operation_id),
                keys.journal(tenant),
                keys.register(tenant),
                *(place.key(tenant) for place in places),
            ],
            [
                *(hold_id, warrant.operation_id, *what, written, entry_id, str(KEPT_MS), str(RETENTION_MS)),
                *(warrant.actor, warrant.reason),
                *_forgotten(places),
            ],
        )


def _forgotten(places: Sequence[keys.Place]) -> list[str]:
    """From when on the store may have forgotten each balance."""
    return ["" if place.span.end_ms is None else str(place.span.end_ms + RETENTION_MS) for place in places]


def _read(written: str) -> tuple[keys.Place, ...]:
    try:
        return keys.read(written)
    except ValueError:
        raise LedgerPoisoned("poisoned") from None
