"""Trimming: the journal's oldest entries give way to one that says what they amount to, while calls go on.

Only what was exported is dropped, or what is older than a retention somebody stated. Entries are summed up here,
outside the store: they never change, and the script makes sure that they are still the journal's oldest.
"""

from contextlib import aclosing

from gateway.errors import LedgerUnavailable
from gateway.ledger import keys
from gateway.ledger.adjustment import AdjustmentRefused
from gateway.ledger.journal import Entry, order, pages
from gateway.ledger.recount import OPENING, Recount
from gateway.ledger.redis import RETENTION_MS
from gateway.ledger.store import Script, Store

# Another trim may come first; then the sums are made anew.
_TRIES = 5


async def mark_exported(store: Store, tenant: str, entry_id: str) -> None:
    """Note that everything up to this entry was exported. Safe to repeat, in any order."""
    await store.run(Script.load("exported"), [keys.exported(tenant)], [entry_id])


async def trim(store: Store, tenant: str, *, last: str, retention_ms: int | None) -> int:
    """Drop all entries up to id `last`; returns how many were dropped. Openings among them are summed up as well.

    Args:
        store: where the journal is.
        tenant: whose.
        last: an entry's id, or an instant in ms: everything up to the end of that millisecond.
        retention_ms: what is older may go unexported; None: nothing may.

    Raises:
        AdjustmentRefused: not all of it was exported or is old enough; nothing was dropped.
        LedgerUnavailable: a part may have been dropped; safe to send again.
    """
    script, dropped, tries = Script.load("trim"), 0, _TRIES
    await _refuse_unexported(store, tenant, last, retention_ms)
    while tries:
        page = await _oldest(store, tenant, last)
        if not page or (len(page) == 1 and page[0].fields.get("op") == OPENING):
            return dropped
        verdict = await _step(store, script, tenant, page, retention_ms)
        if verdict == "kept":
            raise AdjustmentRefused("kept")
        tries, dropped = (tries - 1, dropped) if verdict == "moved" else (_TRIES, dropped + len(page))
    raise LedgerUnavailable("busy")


async def _refuse_unexported(store: Store, tenant: str, last: str, retention_ms: int | None) -> None:
    """All or nothing: said before the first step, though every step makes sure for itself."""
    newest = await store.call("XREVRANGE", keys.journal(tenant), last, "-", "COUNT", 1)
    if not newest:
        return
    exported = await store.call("GET", keys.exported(tenant))
    old_ms = await store_ms(store) - retention_ms if retention_ms is not None else 0
    if not (exported and order(newest[0][0]) <= order(exported)) and order(newest[0][0]) > (old_ms, 0):
        raise AdjustmentRefused("kept")


async def store_ms(store: Store) -> int:
    """The store's clock, ms since the epoch."""
    seconds, micros = await store.call("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


async def _oldest(store: Store, tenant: str, last: str) -> list[Entry]:
    async with aclosing(pages(store, tenant, last=last)) as found:
        return await anext(found, [])


async def _step(store: Store, script: Script, tenant: str, page: list[Entry], retention_ms: int | None) -> str:
    counted, now_ms = Recount(), await store_ms(store)
    for entry in page:
        counted.count(entry.fields)
    through = page[-1].entry_id
    ms, number = order(through)
    answer = await store.run(
        script,
        [keys.journal(tenant), keys.exported(tenant), keys.trimmed(tenant)],
        [
            *(page[0].entry_id, through, f"{ms}-{number + 1}"),
            *("" if retention_ms is None else str(retention_ms), str(len(page))),
            *counted.opening(now_ms, kept_from_ms=now_ms - RETENTION_MS),
        ],
    )
    return str(answer[0])
