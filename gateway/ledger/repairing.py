"""Repairing: balances set to what the journal says, on an operator's word and on live data.

Wall 5: only `lua/` changes a balance. The journal is counted here; the script sees that it is still the one counted.
"""

from dataclasses import dataclass

from gateway.errors import LedgerUnavailable
from gateway.ledger import keys
from gateway.ledger.adjustment import AdjustmentRefused, Warrant
from gateway.ledger.contract import Difference
from gateway.ledger.recount import Following, Read, Recount, differing
from gateway.ledger.redis import RETENTION_MS
from gateway.ledger.store import Script, Store

# A busy tenant's journal goes on; the next count has only what came since to read, but all balances.
_TRIES = 50

# So much of what was changed stands in the journal entry; all of it is printed.
_CHANGED_CHARACTERS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Repaired:
    """What differed, and whether it was set right by this call."""

    differences: tuple[Difference, ...]
    applied: bool


async def repair(store: Store, tenant: str, warrant: Warrant | None) -> Repaired:
    """Set every balance that differs from the recount, or is gone; without a warrant only say which.

    Raises:
        AdjustmentRefused: the operation id was used for something else.
        LedgerPoisoned: the journal itself cannot be counted.
        LedgerUnavailable: it may have been done; safe to send again.
    """
    following, script = Following(store, Script.load("snapshot"), tenant), Script.load("repair")
    for _ in range(_TRIES):
        read = await following.read()
        counted = following.counted
        found = differing(counted, read, kept_from_ms=read.now_ms - RETENTION_MS)
        if warrant is None or not found:
            return Repaired(found, applied=False)
        answer = await store.run(script, *_said(tenant, counted, read, found, warrant))
        if answer[0] == "known" and answer[1] != "repair":
            raise AdjustmentRefused("other")
        if answer[0] != "moved":
            return Repaired(found, applied=answer[0] == "done")
    raise LedgerUnavailable("busy")


def _wanted(
    counted: Recount, read: Read, found: tuple[Difference, ...], kept_from_ms: int
) -> list[tuple[str, list[str]]]:
    """The key's end of each balance to be set, and what to set it to; nothing for one the journal does not tell of."""
    names = {one.balance for one in found}
    rows: list[tuple[str, list[str]]] = []
    kept = counted.kept_places(kept_from_ms)
    for place in kept:
        if str(place) in names:
            numbers = [str(counted.spent[place]), str(counted.held[place]), counted.written_grants(place, read.now_ms)]
            rows.append((place.short, [*numbers, _kept(place)]))
    strangers = (read.named or frozenset()) - {place.short for place in kept}
    return rows + [(name, ["", "", "", "inf"]) for name in sorted(strangers)]


def _said(
    tenant: str, counted: Recount, read: Read, found: tuple[Difference, ...], warrant: Warrant
) -> tuple[list[str], list[str]]:
    """The script's keys and arguments."""
    kept_from_ms = read.now_ms - RETENTION_MS
    wanted = _wanted(counted, read, found, kept_from_ms)
    named = " ".join(f"{place.short}|{_kept(place)}" for place in counted.kept_places(kept_from_ms))
    changed = "; ".join(f"{one.balance} {one.field} {one.stored} -> {one.counted}" for one in found)
    return (
        [
            keys.operation(tenant, warrant.operation_id),
            keys.journal(tenant),
            keys.register(tenant),
            *(keys.balance(tenant, short) for short, _ in wanted),
        ],
        [
            *(warrant.operation_id, read.last, named, str(RETENTION_MS), changed[:_CHANGED_CHARACTERS_MAX]),
            *(warrant.actor, warrant.reason),
            *(word for _, words in wanted for word in words),
        ],
    )


def _kept(place: keys.Place) -> str:
    return "inf" if place.span.end_ms is None else str(place.span.end_ms + RETENTION_MS)
