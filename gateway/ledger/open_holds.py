"""Open holds: how many a tenant has, and since when the oldest. For those who watch; nothing decides by it."""

import asyncio
from dataclasses import dataclass

from gateway.ledger import keys
from gateway.ledger.store import Store


@dataclass(frozen=True, slots=True)
class OpenHolds:
    """A tenant's holds that have not ended: how many, and since how many milliseconds the oldest; None without one."""

    count: int
    oldest_ms: int | None


async def read_open_holds(store: Store, tenant: str, *, hold_ttl_ms: int) -> OpenHolds:
    """Ask the store, by its own clock. A hold knows its deadline: it was made `hold_ttl_ms` before.

    Raises:
        LedgerUnavailable: the store does not answer.
    """
    key = keys.open_holds(tenant)
    count, first, (seconds, micros) = await asyncio.gather(
        store.call("ZCARD", key), store.call("ZRANGE", key, 0, 0, "WITHSCORES"), store.call("TIME")
    )
    if not first:
        return OpenHolds(int(count), None)
    made_ms, now_ms = int(float(first[-1])) - hold_ttl_ms, int(seconds) * 1_000 + int(micros) // 1_000
    return OpenHolds(int(count), max(0, now_ms - made_ms))
