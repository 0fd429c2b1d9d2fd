"""Recount: balances counted anew from the journal, and compared with those that are kept.

The journal alone must give every balance; a difference is a fault of the ledger, never corrected here.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from gateway.errors import LedgerPoisoned, LedgerUnavailable
from gateway.ledger import keys
from gateway.ledger.contract import Audit, Difference
from gateway.ledger.grants import live, whole
from gateway.ledger.journal import first_id, pages
from gateway.ledger.store import Script, Store
from gateway.units import Credits

# A trim may come in between.
_TRIES = 5

# What trimmed entries amount to, balance by balance.
OPENING = "opening"

# How often each kind adds its amount to the grants of its one budget; all others never do.
GRANTS: Mapping[str, int] = {"grant": 1, "revoke": -1}

# What each kind of entry moves, in multiples of (amount, charged), on (spent, held).
MOVES: Mapping[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "hold": ((0, 0), (1, 0)),
    "settle": ((0, 1), (-1, 0)),
    "expire": ((0, 1), (-1, 0)),
    "correct": ((-1, 1), (0, 0)),
    "refund": ((-1, 0), (0, 0)),
    "adjust": ((-1, 1), (0, 0)),
    "grant": ((0, 0), (0, 0)),
    "revoke": ((0, 0), (0, 0)),
}


class Recount:
    """Counts journal entries, one after the other."""

    def __init__(self) -> None:
        self.spent: dict[keys.Place, int] = defaultdict(int)
        self.held: dict[keys.Place, int] = defaultdict(int)
        self._granted: dict[keys.Place, dict[int | None, int]] = defaultdict(lambda: defaultdict(int))
        self.entries = 0
        self.spent_in_all = 0

    def count(self, entry: Mapping[str, str]) -> int:
        """Add one entry; returns by how much it moved `spent` in each of its balances (an opening: in all).

        Raises:
            LedgerPoisoned: not an entry this ledger writes.
        """
        try:
            moved = self._open(entry) if entry["op"] == OPENING else self._move(entry)
        except (KeyError, ValueError):
            raise LedgerPoisoned("poisoned") from None
        self.entries += 1
        self.spent_in_all += moved
        return moved

    def _move(self, entry: Mapping[str, str]) -> int:
        (spent_amount, spent_charged), (held_amount, _) = MOVES[entry["op"]]
        amount, charged = int(entry["amount"]), int(entry.get("charged", "0"))
        places = keys.read(entry["budgets"])
        granted = amount * GRANTS.get(entry["op"], 0)
        until_ms = _until(entry["until"]) if granted else None
        moved = spent_amount * amount + spent_charged * charged
        for place in places:
            self.spent[place] += moved
            self.held[place] += held_amount * amount
            if granted:
                self._granted[place][until_ms] += granted
        return moved

    def _open(self, entry: Mapping[str, str]) -> int:
        places = keys.read(entry["budgets"])
        columns = (entry["spent"].split(), entry["held"].split(), entry["granted"].split(";") if places else ())
        rows = [
            (place, int(spent), int(held), [_grant(part) for part in granted.split()])
            for place, spent, held, granted in zip(places, *columns, strict=True)
        ]
        for place, spent, held, grants in rows:
            self.spent[place] += spent
            self.held[place] += held
            for amount, until_ms in grants:
                self._granted[place][until_ms] += amount
        return int(entry["amount"])

    def opening(self, now_ms: int, *, kept_from_ms: int) -> list[str]:
        """All that was counted, as an opening writes it: amount, budgets, spent, held, granted.

        Balances whose window ended by `kept_from_ms` are forgotten by the store, and here; lapsed grants likewise.
        """
        kept = [place for place in self.places if not _forgotten(place, kept_from_ms)]
        granted = [
            " ".join(
                f"{amount}|{'' if until_ms is None else until_ms}"
                for until_ms, amount in self._granted.get(place, {}).items()
                if amount and (until_ms is None or now_ms < until_ms)
            )
            for place in kept
        ]
        sums = (" ".join(str(column[place]) for place in kept) for column in (self.spent, self.held))
        return [str(self.spent_in_all), keys.written(kept), *sums, ";".join(granted)]

    def granted(self, place: keys.Place, now_ms: int) -> int:
        """The grants of this balance that have not lapsed at `now_ms`."""
        found = self._granted.get(place, {})
        return sum(amount for until_ms, amount in found.items() if until_ms is None or now_ms < until_ms)

    @property
    def places(self) -> list[keys.Place]:
        """Every balance the journal speaks of."""
        return sorted(self.spent, key=str)


async def recount(store: Store, snapshot: Script, tenant: str, *, retention_ms: int) -> Audit:
    """Recount `tenant` on live data.

    Balances whose window ended `retention_ms` ago are forgotten by the store, not by the journal: they are not
    compared.

    A trim meanwhile moves entries into an opening; then all is counted anew.

    The balances are read together with the journal's last id, and the journal is counted up to exactly that id; when it
    names balances that were not read, they are read again.
    """
    for _ in range(_TRIES):
        first = await first_id(store, tenant)
        audit = await _recounted(store, snapshot, tenant, retention_ms)
        if await first_id(store, tenant) == first:
            return audit
    raise LedgerUnavailable("busy")


async def _recounted(store: Store, snapshot: Script, tenant: str, retention_ms: int) -> Audit:
    counted, seen = Recount(), "-"
    while True:
        places = counted.places
        wanted = [keys.journal(tenant), *(place.key(tenant) for place in places)]
        answer = await store.run(snapshot, wanted, [])
        now_ms, last, stored = int(answer[0]), answer[1], answer[2:]
        seen = await _count(store, counted, tenant, seen, last)
        if counted.places == places:
            return _compared(tenant, counted, stored, now_ms, now_ms - retention_ms)


async def _count(store: Store, counted: Recount, tenant: str, seen: str, last: str) -> str:
    """Count all entries after `seen` up to `last`; returns the id of the last one counted."""
    if last not in {seen, "0-0"}:
        async for page in pages(store, tenant, first=seen if seen == "-" else f"({seen}", last=last):
            for entry in page:
                counted.count(entry.fields)
                seen = entry.entry_id
    return seen


def _until(written: str) -> int | None:
    return int(written) if written else None


def _grant(written: str) -> tuple[int, int | None]:
    amount, until = written.split("|")
    return int(amount), _until(until)


def _forgotten(place: keys.Place, kept_from_ms: int) -> bool:
    return place.span.end_ms is not None and place.span.end_ms <= kept_from_ms


def _or_less(read: Callable[[], int]) -> int:
    """The amount, or -1, which no count gives, for what is none."""
    try:
        return read()
    except ValueError:
        return -1


def _compared(tenant: str, counted: Recount, stored: Sequence[Any], now_ms: int, kept_from_ms: int) -> Audit:
    differences: list[Difference] = []
    compared = 0
    for place, spent, held, granted in zip(counted.places, stored[::3], stored[1::3], stored[2::3], strict=True):
        if _forgotten(place, kept_from_ms):
            continue
        compared += 1
        for name, count, kept in (
            ("spent", counted.spent[place], _or_less(partial(whole, spent))),
            ("held", counted.held[place], _or_less(partial(whole, held))),
            ("granted", counted.granted(place, now_ms), _or_less(partial(live, granted, now_ms))),
        ):
            if count != kept:
                differences.append(Difference(str(place), name, count, kept))
    return Audit(tenant, counted.entries, compared, Credits(counted.spent_in_all), tuple(differences))
