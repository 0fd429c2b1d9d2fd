"""Journal: reading what the scripts wrote, page by page, while they go on writing. Nothing here writes."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.ledger import keys
from gateway.ledger.store import Store
from gateway.units import Flag

_PAGE = 1_000

# Entry ids whose order is remembered: each is compared several times, mostly with those just before it.
_ORDERS_KEPT = 1_024

# What ends a hold, and what an operator does to an ended one: after either, `charged` is what is booked for the hold.
ENDS = frozenset({"settle", "expire", "correct", "recover"})
ADJUSTS = frozenset({"refund", "adjust"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its id in the stream, `ms-n` by the store's clock, and its fields as written."""

    entry_id: str
    fields: Mapping[str, str]

    @property
    def at_ms(self) -> int:
        """When it was written, ms since the epoch."""
        return int(self.entry_id.partition("-")[0])

    @property
    def hold_id(self) -> str | None:
        """The hold it speaks of, if it speaks of one."""
        op = self.fields.get("op")
        return self.fields.get("of") if op in ADJUSTS else self.fields.get("id") if op in (*ENDS, "hold") else None


async def pages(store: Store, tenant: str, *, first: str = "-", last: str = "+") -> AsyncGenerator[list[Entry], None]:
    """The entries from id `first` (`(id` for those after it) to id `last`, oldest first, page by page."""
    while True:
        found = await store.call("XRANGE", keys.journal(tenant), first, last, "COUNT", _PAGE)
        page = [Entry(entry_id, pairs(entry)) for entry_id, entry in found]
        if page:
            yield page
        if len(page) < _PAGE:
            return
        first = f"({page[-1].entry_id}"


@lru_cache(maxsize=_ORDERS_KEPT)
def order(entry_id: str) -> tuple[int, int]:
    """What entry ids are compared by."""
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number)


async def first_id(store: Store, tenant: str) -> str:
    """The id of the journal's oldest entry, empty for none. While it stays the same, nothing was trimmed."""
    found = await store.call("XRANGE", keys.journal(tenant), "-", "+", "COUNT", 1)
    return str(found[0][0]) if found else ""


async def last_of(store: Store, tenant: str, hold_id: str) -> Entry | None:
    """The newest entry about this hold, or None. Reads backwards, as far as it must."""
    end = "+"
    while found := await store.call("XREVRANGE", keys.journal(tenant), end, "-", "COUNT", _PAGE):
        for entry_id, fields in found:
            entry = Entry(entry_id, pairs(fields))
            if entry.hold_id == hold_id:
                return entry
        end = f"({found[-1][0]}"
    return None


async def ended(store: Store, tenant: str, *, flags: Collection[Flag], since_ms: int, most: int) -> list[Entry]:
    """The last entry of each hold that ended or was adjusted since an instant, oldest first, `most` of the newest.

    Only those that stand under one of `flags` now.
    """
    found: dict[str, Entry] = {}
    async for page in pages(store, tenant, first=str(since_ms)):
        for entry in page:
            if entry.hold_id is None or entry.fields["op"] == "hold":
                continue
            found.pop(entry.hold_id, None)
            if entry.fields.get("flag") in flags:
                found[entry.hold_id] = entry
                if len(found) > most:
                    del found[next(iter(found))]
    return list(found.values())


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """What a store answers as names and values in turn."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
