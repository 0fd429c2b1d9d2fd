"""Recount: balances counted anew from the journal, and compared with those that are kept.

The journal alone must give every balance; a difference is a fault of the ledger, never corrected here.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

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
    "recover": ((0, 1), (0, 0)),
    "accept": ((0, 0), (0, 0)),
    "repair": ((0, 0), (0, 0)),
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
        kept = self.kept_places(kept_from_ms)
        granted = [self.written_grants(place, now_ms) for place in kept]
        sums = (" ".join(str(column[place]) for place in kept) for column in (self.spent, self.held))
        return [str(self.spent_in_all), keys.written(kept), *sums, ";".join(granted)]

    def kept_places(self, kept_from_ms: int) -> list[keys.Place]:
        """Every balance the store still keeps: those whose window ended by `kept_from_ms` are forgotten."""
        return [place for place in self.places if not _forgotten(place, kept_from_ms)]

    def written_grants(self, place: keys.Place, now_ms: int) -> str:
        """The grants of this balance that have not lapsed, as they stand in it."""
        return " ".join(
            f"{amount}|{'' if until_ms is None else until_ms}"
            for until_ms, amount in self._granted.get(place, {}).items()
            if amount and (until_ms is None or now_ms < until_ms)
        )

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
    following = Following(store, snapshot, tenant)
    read = await following.read()
    counted, kept_from_ms = following.counted, read.now_ms - retention_ms
    differences = differing(counted, read, kept_from_ms=kept_from_ms)
    kept = len(counted.kept_places(kept_from_ms))
    return Audit(tenant, counted.entries, kept, Credits(counted.spent_in_all), differences)


@dataclass(frozen=True, slots=True)
class Read:
    """What the store keeps at one instant.

    Attributes:
        now_ms: when, by its own clock.
        last: id of the journal's last entry, `0-0` for none: up to there it was counted.
        named: the balances its register names, as `Place.short`; None when it is no register.
        numbers: spent, held and granted of each counted place, as stored text.
    """

    now_ms: int
    last: str
    named: frozenset[str] | None
    numbers: Mapping[keys.Place, tuple[str, str, str]]


class Following:
    """A count of a tenant's journal that goes on where it ended; all of it is counted anew after a trim."""

    def __init__(self, store: Store, snapshot: Script, tenant: str) -> None:
        self.counted = Recount()
        self._store = store
        self._snapshot = snapshot
        self._tenant = tenant
        self._first, self._seen = "", "-"

    async def read(self) -> Read:
        """Count what has come since, and read all balances the journal speaks of as they stand right then.

        Raises:
            LedgerPoisoned: an entry is none of ours.
            LedgerUnavailable: no answer, or trim upon trim.
        """
        for _ in range(_TRIES):
            first = await first_id(self._store, self._tenant)
            if first != self._first:
                self.counted, self._first, self._seen = Recount(), first, "-"
            found = await self._read()
            if await first_id(self._store, self._tenant) == first:
                return found
        raise LedgerUnavailable("busy")

    async def _read(self) -> Read:
        counted, tenant = self.counted, self._tenant
        while True:
            places = counted.places
            wanted = [keys.journal(tenant), keys.register(tenant), *(place.key(tenant) for place in places)]
            answer = await self._store.run(self._snapshot, wanted, [keys.written(places), "1"])
            self._seen = await _count(self._store, counted, tenant, self._seen, answer[1])
            if counted.places == places:
                rows = zip(answer[3::3], answer[4::3], answer[5::3], strict=True)
                named = None if answer[2] == "wrong" else frozenset(filter(_is_place, answer[2].split()))
                return Read(int(answer[0]), answer[1], named, dict(zip(places, rows, strict=True)))


def _is_place(name: str) -> bool:
    """Whether it names a balance: an acceptance leaves another word in the register, so that it is never empty."""
    return "|" in name


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


def differing(counted: Recount, read: Read, *, kept_from_ms: int) -> tuple[Difference, ...]:
    """Where what is stored is not what the journal gives; a number that cannot be read, or is gone, counts as -1."""
    found: list[Difference] = []
    kept = counted.kept_places(kept_from_ms)
    for place in kept:
        spent, held, granted = read.numbers[place]
        for name, count, stored in (
            ("spent", counted.spent[place], _or_less(partial(whole, spent))),
            ("held", counted.held[place], _or_less(partial(whole, held))),
            ("granted", counted.granted(place, read.now_ms), _or_less(partial(live, granted, read.now_ms))),
        ):
            if count != stored:
                found.append(Difference(str(place), name, count, stored))
    return (*found, *_misnamed({place.short for place in kept}, read.named))


def _misnamed(kept: set[str], named: frozenset[str] | None) -> list[Difference]:
    """Balances that only one of journal (counted) and register (stored) speaks of, 1 for yes and 0 for no."""
    if named is None:
        return [Difference("register", "named", len(kept), -1)]
    only = ((kept - named, 1, 0), (named - kept, 0, 1))
    return [Difference(name, "named", told, there) for names, told, there in only for name in sorted(names)]
