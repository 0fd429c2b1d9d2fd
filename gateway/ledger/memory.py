"""The reference keeper: the promises of `contract.py` in the shortest form that can be believed.

One process, no durability. It is the model the real keeper is compared with, and what unit and story tests hold with.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.errors import BudgetExhausted, HoldClosed
from gateway.ledger import keys
from gateway.ledger.adjustment import Adjusted, AdjustmentRefused, Granted, OperationId, Warrant
from gateway.ledger.answers import limited
from gateway.ledger.budget import Balance, Budget, BudgetBook, Path, binding
from gateway.ledger.contract import KEPT_MS, Audit, Difference, End, Hold, HoldId, Settlement, State
from gateway.ledger.limits import paced
from gateway.ledger.recount import Recount
from gateway.ledger.window import Every, Window
from gateway.once import FREE, Facts, First, IdempotencyEnded, IdempotencyMismatch, IdempotencyOpen, Once
from gateway.units import Credits, Flag


@dataclass(slots=True)
class _Record:
    hold: Hold | None
    state: State | None  # None: closed before it could hold
    charged: Credits = Credits.ZERO
    flag: Flag = Flag.CONFIRMED


@dataclass(slots=True)
class _Key:
    """An idempotency key that was taken."""

    fingerprint: str
    hold_id: HoldId
    until_ms: int
    facts: str = ""


class MemoryLedger:
    """Keeps the ledger in dictionaries. `clock_ms` is the keeper's own clock."""

    def __init__(
        self,
        book: BudgetBook,
        *,
        hold_ttl_ms: int,
        once_kept_ms: int = 24 * 3_600_000,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._book = book
        self._hold_ttl_ms = hold_ttl_ms
        self._once_kept_ms = once_kept_ms
        self._clock_ms = clock_ms
        self._spent: dict[tuple[str, keys.Place], Credits] = defaultdict(lambda: Credits.ZERO)
        self._held: dict[tuple[str, keys.Place], Credits] = defaultdict(lambda: Credits.ZERO)
        self._granted: dict[tuple[str, keys.Place], list[Granted]] = defaultdict(list)
        self._records: dict[tuple[str, HoldId], _Record] = {}
        self._onces: dict[tuple[str, str], _Key] = {}
        self._even_us: dict[str, int] = defaultdict(int)
        self._operations: dict[tuple[str, OperationId], tuple[object, Any]] = {}
        self.journal: dict[str, list[dict[str, str]]] = defaultdict(list)

    async def hold(self, path: Path, amount: Credits, *, hold_id: HoldId, once: Once | None = None) -> Hold:
        """See `Ledger.hold`."""
        self._book.admitting(path)
        known = self._records.get((path.tenant, hold_id))
        if known is not None:
            if known.state is State.OPEN and known.hold is not None:
                return known.hold
            raise HoldClosed
        self._refuse_repeated(path.tenant, once)
        even_us = self._refuse_many(path.tenant)
        before = await self.balances(path)
        if not all(balance.bears(amount) for balance in before):
            refusing = binding(before, amount)
            raise BudgetExhausted(
                amount,
                refusing.budget.name,
                refusing.limit,
                refusing.remaining,
                refusing.reset_s,
                refusing.budget.level,
            )
        for place in keys.places_of(before):
            self._held[path.tenant, place] += amount
        hold = Hold(hold_id, path, amount, await self.balances(path), self._clock_ms() + self._hold_ttl_ms, once)
        self._records[path.tenant, hold_id] = _Record(hold, State.OPEN)
        if once is not None:
            self._onces[path.tenant, once.key] = _Key(once.fingerprint, hold_id, self._clock_ms() + self._once_kept_ms)
        self._even_us[path.tenant] = even_us
        self._write("hold", hold, None, None)
        return hold

    def _refuse_many(self, tenant: str) -> int:
        """When the tenant's calls are even once the hold is made. Raises TooManyCalls."""
        limits, even_us, now_ms = self._book.limits(tenant), self._even_us[tenant], self._clock_ms()
        if limits is None:
            return even_us
        ours = (record for (whose, _), record in self._records.items() if whose == tenant)
        opened = sum(
            record.state is State.OPEN and record.hold is not None and record.hold.deadline_ms > now_ms
            for record in ours
        )
        if limits.calls_in_flight is not None and opened >= limits.calls_in_flight:
            raise limited(limits, "calls_in_flight", 0)
        if limits.calls_per_second is None:
            return even_us
        even_us, wait_us = paced(limits, even_us, now_ms * 1_000)
        if wait_us:
            raise limited(limits, "calls_per_second", wait_us)
        return even_us

    def _refuse_repeated(self, tenant: str, once: Once | None) -> None:
        key = self._onces.get((tenant, once.key)) if once is not None else None
        if key is None or once is None or key.until_ms <= self._clock_ms():
            return
        if key.fingerprint != once.fingerprint:
            raise IdempotencyMismatch
        first = self._records[tenant, key.hold_id]
        if first.state is State.OPEN:
            raise IdempotencyOpen
        raise IdempotencyEnded(first=First(key.hold_id, first.charged, first.flag, Facts.read(key.facts)))

    async def settle(self, hold: Hold, charged: Credits, flag: Flag, facts: str = "") -> Settlement:
        """See `Ledger.settle`."""
        return await self.book(End.of(hold, charged, flag, facts))

    async def book(self, end: End) -> Settlement:
        """See `Ledger.book`."""
        record = self._records.get((end.tenant, end.hold_id))
        if record is None:
            return self._recover(end)
        if record.state is None:
            return Settlement(end.hold_id, State.SETTLED, Credits.ZERO, Flag.CONFIRMED, applied=False)
        if record.state is State.SETTLED:
            return Settlement(end.hold_id, State.SETTLED, record.charged, record.flag, applied=False)
        self._end(record, State.SETTLED, end.charged, end.flag)
        self._note(end.tenant, end.hold_id, end.once, end.facts)
        return Settlement(end.hold_id, State.SETTLED, end.charged, end.flag, applied=True)

    def _recover(self, end: End) -> Settlement:
        """Book the end of a hold that was lost."""
        if self._clock_ms() >= end.deadline_ms + KEPT_MS:
            return Settlement(end.hold_id, State.UNKNOWN, Credits.ZERO, Flag.CONFIRMED, applied=False)
        hold = Hold(end.hold_id, Path.read(end.path), end.amount, _fits(keys.read(end.places)), end.deadline_ms)
        for place in keys.places_of(hold.balances):
            self._spent[end.tenant, place] += end.charged
        self._records[end.tenant, end.hold_id] = _Record(hold, State.SETTLED, end.charged, end.flag)
        self._write("recover", hold, end.charged, end.flag)
        return Settlement(end.hold_id, State.SETTLED, end.charged, end.flag, applied=True, recovered=True)

    def _end(self, record: _Record, state: State, charged: Credits, flag: Flag) -> None:
        hold = record.hold
        if hold is None:
            raise HoldClosed
        for place in keys.places_of(hold.balances):
            if record.state is State.OPEN:
                self._held[hold.path.tenant, place] -= hold.amount
            self._spent[hold.path.tenant, place] += charged - record.charged
        kind = "correct" if record.state is State.EXPIRED else "expire" if state is State.EXPIRED else "settle"
        record.state, record.charged, record.flag = state, charged, flag
        self._write(kind, hold, charged, flag)

    def _note(self, tenant: str, hold_id: HoldId, once: str, facts: str) -> None:
        """Keep what is told of an ended hold with its key, if the key is still its own."""
        key = self._onces.get((tenant, once))
        if key is None or key.hold_id != hold_id or key.until_ms <= self._clock_ms():
            return
        if facts == FREE:
            del self._onces[tenant, once]
        else:
            key.facts = facts or key.facts

    async def void(self, path: Path, hold_id: HoldId, amount: Credits, once: str = "") -> None:
        """See `Ledger.void`."""
        record = self._records.setdefault((path.tenant, hold_id), _Record(None, None))
        if record.state in (State.OPEN, State.EXPIRED):
            self._end(record, State.SETTLED, Credits.ZERO, Flag.CONFIRMED)
            self._note(path.tenant, hold_id, once, FREE)

    async def balances(self, path: Path) -> tuple[Balance, ...]:
        """See `Ledger.balances`."""
        now_ms = self._clock_ms()
        found = []
        for budget in self._book.on_path(path):
            span = budget.window.span(now_ms)
            place = (path.tenant, keys.Place.of(budget, span))
            found.append(Balance(budget, span, self._spent[place], self._held[place], now_ms, self._live(place)))
        return tuple(found)

    async def sweep(self, *, most: int = 100) -> tuple[Settlement, ...]:
        """See `Ledger.sweep`."""
        due = [
            record
            for record in self._records.values()
            if record.state is State.OPEN and record.hold and record.hold.deadline_ms <= self._clock_ms()
        ][:most]
        ended = []
        for record in due:
            if record.hold is not None:
                self._end(record, State.EXPIRED, record.hold.amount, Flag.UNCERTAIN)
                ended.append(Settlement(record.hold.hold_id, State.EXPIRED, record.charged, record.flag, applied=True))
        return tuple(ended)

    async def refund(self, tenant: str, hold_id: HoldId, amount: Credits | None, warrant: Warrant) -> Adjusted:
        """See `Adjusting.refund`."""
        return self._adjusted(tenant, hold_id, ("refund", amount), warrant)

    async def correct(self, tenant: str, hold_id: HoldId, charged: Credits, warrant: Warrant) -> Adjusted:
        """See `Adjusting.correct`."""
        return self._adjusted(tenant, hold_id, ("adjust", charged), warrant)

    def _adjusted(self, tenant: str, hold_id: HoldId, what: tuple[str, Credits | None], warrant: Warrant) -> Adjusted:
        if (done := self._done(tenant, warrant, (hold_id, *what))) is not None:
            adjusted: Adjusted = replace(done, applied=False)
            return adjusted
        record = self._records.get((tenant, hold_id))
        if record is None or record.hold is None:
            raise AdjustmentRefused("unknown")
        if record.state is State.OPEN:
            raise AdjustmentRefused("open")
        op, before = what[0], record.charged
        amount = before if what[1] is None else what[1]
        if op == "refund" and (not amount or amount > before):
            raise AdjustmentRefused("too_much")
        after = before - amount if op == "refund" else amount
        for place in keys.places_of(record.hold.balances):
            self._spent[tenant, place] += after - before
        record.state, record.charged, record.flag = State.SETTLED, after, Flag.CONFIRMED
        moved = amount if op == "refund" else before
        said = {"id": warrant.operation_id, "of": hold_id, "actor": warrant.actor, "reason": warrant.reason}
        self._write(op, replace(record.hold, amount=moved), after, Flag.CONFIRMED, said)
        adjusted = Adjusted(warrant.operation_id, hold_id, before, after, applied=True)
        self._operations[tenant, warrant.operation_id] = ((hold_id, *what), adjusted)
        return adjusted

    def _done(self, tenant: str, warrant: Warrant, what: tuple[object, ...]) -> Any:
        """What was done under this id, if it was for this; None when nothing was."""
        known = self._operations.get((tenant, warrant.operation_id))
        if known is not None and known[0] != what:
            raise AdjustmentRefused("other")
        return None if known is None else known[1]

    async def grant(self, tenant: str, budget: str, amount: Credits, until_ms: int | None, warrant: Warrant) -> Granted:
        """See `Adjusting.grant`."""
        found, now_ms, what = self._book.named(tenant, budget), self._clock_ms(), (budget, amount, until_ms)
        if found is None:
            raise AdjustmentRefused("budget")
        if (done := self._done(tenant, warrant, what)) is not None:
            again: Granted = replace(done, applied=False)
            return again
        if not amount:
            raise AdjustmentRefused("nothing")
        span = found.window.span(now_ms)
        if until_ms is not None and (until_ms <= now_ms or (span.end_ms is not None and until_ms > span.end_ms)):
            raise AdjustmentRefused("until")
        lapses = span.end_ms if until_ms is None else until_ms
        granted = Granted(warrant.operation_id, budget, amount, lapses, applied=True)
        self._granted[tenant, keys.Place.of(found, span)].append(granted)
        self._operations[tenant, warrant.operation_id] = (what, granted)
        self._write_grant("grant", tenant, keys.Place.of(found, span), granted, warrant)
        return granted

    async def revoke(self, tenant: str, granted: OperationId, warrant: Warrant) -> Granted:
        """See `Adjusting.revoke`."""
        if (done := self._done(tenant, warrant, (granted,))) is not None:
            again: Granted = replace(done, applied=False)
            return again
        for (whose, place), grants in self._granted.items():
            for grant in grants:
                if whose == tenant and grant.operation_id == granted and self._is_live(grant):
                    grants.remove(grant)
                    taken = replace(grant, operation_id=warrant.operation_id)
                    self._operations[tenant, warrant.operation_id] = ((granted,), taken)
                    self._write_grant("revoke", tenant, place, taken, warrant, of=granted)
                    return taken
        raise AdjustmentRefused("lapsed")

    def _is_live(self, grant: Granted) -> bool:
        return grant.until_ms is None or self._clock_ms() < grant.until_ms

    def _live(self, place: tuple[str, keys.Place]) -> Credits:
        return Credits.sum(grant.amount for grant in self._granted[place] if self._is_live(grant))

    def _write_grant(
        self, kind: str, tenant: str, place: keys.Place, granted: Granted, warrant: Warrant, **said: str
    ) -> None:
        entry = {
            "op": kind,
            "id": warrant.operation_id,
            "amount": str(granted.amount.millicredits),
            "until": "" if granted.until_ms is None else str(granted.until_ms),
            "budgets": str(place),
            "actor": warrant.actor,
            "reason": warrant.reason,
        }
        self.journal[tenant].append(entry | said)

    async def audit(self, tenant: str) -> Audit:
        """See `Ledger.audit`."""
        counted = Recount()
        for entry in self.journal[tenant]:
            counted.count(entry)
        differences = [
            Difference(str(place), name, count, kept.millicredits)
            for place in counted.places
            for name, count, kept in (
                ("spent", counted.spent[place], self._spent[tenant, place]),
                ("held", counted.held[place], self._held[tenant, place]),
                ("granted", counted.granted(place, self._clock_ms()), self._live((tenant, place))),
            )
            if count != kept.millicredits
        ]
        spent = Credits(counted.spent_in_all)
        return Audit(tenant, counted.entries, len(counted.places), spent, tuple(differences))

    def _write(
        self, kind: str, hold: Hold, charged: Credits | None, flag: Flag | None, said: Mapping[str, str] | None = None
    ) -> None:
        entry = {
            "op": kind,
            "id": hold.hold_id,
            "amount": str(hold.amount.millicredits),
            "path": str(hold.path),
            "budgets": keys.written(keys.places_of(hold.balances)),
        }
        if charged is not None and flag is not None:
            entry |= {"charged": str(charged.millicredits), "flag": flag}
        self.journal[hold.path.tenant].append(entry | dict(said or {}))


def _fits(places: Sequence[keys.Place]) -> tuple[Balance, ...]:
    """Balances to tell these places by; of a hold that was lost nothing more is known."""
    unknown = Window(Every.TOTAL)
    return tuple(
        Balance(Budget(place.name, "", Credits.ZERO, unknown), place.span, Credits.ZERO, Credits.ZERO, 0)
        for place in places
    )
