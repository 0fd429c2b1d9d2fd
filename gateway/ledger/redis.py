"""The real keeper: turns the promises into scripts and the scripts' answers into types and errors.

Wall 5: only `lua/` changes a balance. This file computes which keys a script needs and what its answer means.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from gateway.errors import BudgetExhausted, HoldClosed, LedgerPoisoned, LedgerUnavailable
from gateway.ledger import keys
from gateway.ledger.budget import Balance, Budget, BudgetBook, Path, binding
from gateway.ledger.contract import Audit, End, Hold, HoldId, Settlement, State
from gateway.ledger.grants import live, whole
from gateway.ledger.recount import recount
from gateway.ledger.store import Script, Store
from gateway.ledger.window import Span
from gateway.units import Credits, Flag

_HOUR_MS = 3_600_000

# How long the record of an ended hold is remembered: a late settle finds what it corrects, a repeated id its answer.
KEPT_MS = 7 * 24 * _HOUR_MS

# How long a balance is kept after its window ended, for reports and audits.
RETENTION_MS = 400 * 24 * _HOUR_MS

# A window may end between asking and answering, and the gateway's clock may be off; twice is certainty.
_WINDOW_TRIES = 3


class RedisLedger:
    """Keeps the ledger in Redis 6.2+ or Valkey. Promises: see `contract.py`.

    Args:
        store: where.
        book: which budgets a path must pass.
        hold_ttl_ms: after that an open hold expires.
        clock_ms: this machine's guess at the time, to name windows with; the store's clock decides.
    """

    def __init__(
        self,
        store: Store,
        book: BudgetBook,
        *,
        hold_ttl_ms: int,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._store = store
        self._book = book
        self._hold_ttl_ms = hold_ttl_ms
        self._clock_ms = clock_ms
        self._ahead_ms = 0
        self._hold = Script.load("hold")
        self._settle = Script.load("settle")
        self._expire = Script.load("expire")
        self._void = Script.load("void")
        self._snapshot = Script.load("snapshot")

    async def register(self) -> None:
        """Note every configured tenant, so that its holds are swept even when it leaves the configuration."""
        if self._book.tenants:
            await self._store.call("SADD", keys.TENANTS, *self._book.tenants)

    async def hold(self, path: Path, amount: Credits, *, hold_id: HoldId) -> Hold:
        """See `Ledger.hold`. An answer that does not come is asked for once more, under the same id."""
        try:
            return await self._held(path, amount, hold_id)
        except LedgerPoisoned:
            raise
        except LedgerUnavailable as error:
            if not error.sent or error.code not in ("timeout", "connection"):
                raise
        try:
            return await self._held(path, amount, hold_id)
        except BudgetExhausted as refused:
            # Refused now, but the first question may still be on its way, and be granted.
            refused.certain = False
            raise
        except LedgerUnavailable as error:
            error.sent = True
            raise

    async def _held(self, path: Path, amount: Credits, hold_id: HoldId) -> Hold:
        budgets = self._book.admitting(path)
        for _ in range(_WINDOW_TRIES):
            spans = self._spans(budgets)
            answer = await self._ask_hold(path, amount, hold_id, budgets, spans)
            verdict, now_ms = answer[0], int(answer[1])
            if verdict == "window":
                self._ahead_ms = now_ms - self._clock_ms()
                continue
            if verdict == "known":
                return await self._again(path, hold_id, answer)
            balances = _balances(budgets, spans, answer[3:] if verdict == "held" else answer[2:], now_ms)
            if verdict == "held":
                return Hold(hold_id, path, amount, balances, int(answer[2]))
            raise _exhausted(balances, amount)
        raise LedgerUnavailable("clock")

    def _spans(self, budgets: Sequence[Budget]) -> tuple[Span, ...]:
        now_ms = self._clock_ms() + self._ahead_ms
        return tuple(budget.window.span(now_ms) for budget in budgets)

    async def _ask_hold(
        self, path: Path, amount: Credits, hold_id: HoldId, budgets: Sequence[Budget], spans: Sequence[Span]
    ) -> list[Any]:
        places = [keys.Place.of(budget, span) for budget, span in zip(budgets, spans, strict=True)]
        limits: list[str] = []
        for budget, span in zip(budgets, spans, strict=True):
            ends = "" if span.end_ms is None else str(span.end_ms)
            limits += [str(budget.limit.millicredits), str(span.start_ms), ends]
        return await self._store.run(
            self._hold,
            self._keys(path.tenant, hold_id, places),
            [
                hold_id,
                str(amount.millicredits),
                str(self._hold_ttl_ms),
                str(path),
                keys.written(places),
                str(RETENTION_MS),
                *limits,
            ],
        )

    async def _again(self, path: Path, hold_id: HoldId, answer: list[Any]) -> Hold:
        """The hold as its record tells it: an open one is simply the answer that was lost."""
        _, _, state, amount, deadline, written = answer
        if state != State.OPEN:
            raise HoldClosed
        known = {budget.name: budget for budget in self._book.on_path(path)}
        places = _read(written)
        if any(place.name not in known for place in places):
            raise HoldClosed
        budgets, spans = [known[place.name] for place in places], [place.span for place in places]
        try:
            now_ms, numbers = await self._stored(path.tenant, places)
        except LedgerUnavailable as error:
            error.sent = True  # not this question, but the hold is there
            raise
        return Hold(hold_id, path, Credits(int(amount)), _balances(budgets, spans, numbers, now_ms), int(deadline))

    async def _stored(self, tenant: str, places: Sequence[keys.Place]) -> tuple[int, list[Any]]:
        """The store's clock, and spent, held and live grants of each place as they stand."""
        wanted = [keys.journal(tenant), *(place.key(tenant) for place in places)]
        answer = await self._store.run(self._snapshot, wanted, [])
        now_ms, numbers = int(answer[0]), answer[2:]
        try:
            numbers[2::3] = [live(written, now_ms) for written in numbers[2::3]]
        except ValueError:
            raise LedgerPoisoned("poisoned") from None
        return now_ms, numbers

    async def settle(self, hold: Hold, charged: Credits, flag: Flag) -> Settlement:
        """See `Ledger.settle`."""
        return await self._settled(hold.path.tenant, hold.hold_id, keys.places_of(hold.balances), charged, flag)

    async def book(self, end: End) -> Settlement:
        """See `Ledger.book`."""
        return await self._settled(end.tenant, end.hold_id, _read(end.places), end.charged, end.flag)

    async def _settled(
        self, tenant: str, hold_id: HoldId, places: Sequence[keys.Place], charged: Credits, flag: Flag
    ) -> Settlement:
        answer = await self._store.run(
            self._settle,
            self._keys(tenant, hold_id, places),
            [hold_id, str(charged.millicredits), flag, keys.written(places), str(KEPT_MS)],
        )
        if answer[0] == "settled":
            return Settlement(hold_id, State.SETTLED, charged, flag, applied=True)
        if answer[0] == "known" and answer[1] == State.SETTLED:
            booked = Credits(int(answer[2]))
            return Settlement(hold_id, State.SETTLED, booked, Flag(answer[3]), applied=False)
        # Closed before it could hold, or lost by the store: nothing is booked.
        state = State.UNKNOWN if answer[0] == "unknown" else State.SETTLED
        return Settlement(hold_id, state, Credits.ZERO, Flag.CONFIRMED, applied=False)

    async def void(self, path: Path, hold_id: HoldId, amount: Credits) -> None:
        """See `Ledger.void`."""
        answer = await self._store.run(self._void, [keys.record(path.tenant, hold_id)], [str(KEPT_MS)])
        if answer[0] == "known" and answer[1] in (State.OPEN, State.EXPIRED):
            await self._settled(path.tenant, hold_id, _read(answer[4]), Credits.ZERO, Flag.CONFIRMED)

    async def balances(self, path: Path) -> tuple[Balance, ...]:
        """See `Ledger.balances`."""
        budgets = self._book.on_path(path)
        for _ in range(_WINDOW_TRIES):
            spans = self._spans(budgets)
            places = [keys.Place.of(budget, span) for budget, span in zip(budgets, spans, strict=True)]
            now_ms, numbers = await self._stored(path.tenant, places)
            if all(span.holds(now_ms) for span in spans):
                return _balances(budgets, spans, numbers, now_ms)
            self._ahead_ms = now_ms - self._clock_ms()
        raise LedgerUnavailable("clock")

    async def sweep(self, *, most: int = 100) -> tuple[Settlement, ...]:
        """See `Ledger.sweep`. What is poisoned keeps nothing else from expiring; it is raised when no other is due."""
        ended: list[Settlement] = []
        poisoned: LedgerPoisoned | None = None
        seconds, micros = await self._store.call("TIME")
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        for tenant in sorted(await self._store.call("SMEMBERS", keys.TENANTS)):
            try:
                due = await self._due(tenant, now_ms, most - len(ended))
            except LedgerPoisoned as error:
                poisoned, due = error, []
            for hold_id in due:
                try:
                    ended += await self._expired(tenant, hold_id)
                except LedgerPoisoned as error:
                    poisoned = error
            if len(ended) >= most:
                break
        if poisoned is not None and not ended:
            raise poisoned
        return tuple(ended)

    async def _due(self, tenant: str, now_ms: int, most: int) -> list[HoldId]:
        found = await self._store.call("ZRANGEBYSCORE", keys.open_holds(tenant), "-inf", now_ms, "LIMIT", 0, most)
        return [HoldId(hold_id) for hold_id in found]

    async def _expired(self, tenant: str, hold_id: HoldId) -> tuple[Settlement, ...]:
        """The end of this hold, or nothing when it had ended already."""
        written = await self._store.call("HGET", keys.record(tenant, hold_id), "budgets") or ""
        answer = await self._store.run(
            self._expire, self._keys(tenant, hold_id, _read(written)), [hold_id, written, str(KEPT_MS)]
        )
        if answer[0] != "expired":
            return ()
        return (Settlement(hold_id, State.EXPIRED, Credits(int(answer[1])), Flag.UNCERTAIN, applied=True),)

    async def audit(self, tenant: str) -> Audit:
        """See `Ledger.audit`. Reads page by page; calls go on meanwhile."""
        return await recount(self._store, self._snapshot, tenant, retention_ms=RETENTION_MS)

    async def open_holds(self, tenant: str) -> int:
        """How many holds of the tenant are open."""
        return int(await self._store.call("ZCARD", keys.open_holds(tenant)))

    def _keys(self, tenant: str, hold_id: HoldId, places: Sequence[keys.Place]) -> list[str]:
        return [
            keys.record(tenant, hold_id),
            keys.open_holds(tenant),
            keys.journal(tenant),
            *(place.key(tenant) for place in places),
        ]


def _read(written: str) -> tuple[keys.Place, ...]:
    try:
        return keys.read(written)
    except ValueError:
        raise LedgerPoisoned("poisoned") from None


def _balances(
    budgets: Sequence[Budget], spans: Sequence[Span], numbers: Sequence[Any], now_ms: int
) -> tuple[Balance, ...]:
    try:
        amounts = [Credits(whole(number)) for number in numbers]
    except ValueError:
        raise LedgerPoisoned("poisoned") from None
    found = zip(amounts[::3], amounts[1::3], amounts[2::3], strict=True)
    return tuple(
        Balance(budget, span, spent, held, now_ms, granted)
        for budget, span, (spent, held, granted) in zip(budgets, spans, found, strict=True)
    )


def _exhausted(balances: tuple[Balance, ...], amount: Credits) -> BudgetExhausted:
    refusing = binding(balances, amount)
    return BudgetExhausted(
        quoted=amount,
        budget=refusing.budget.name,
        limit=refusing.limit,
        remaining=refusing.remaining,
        reset_s=refusing.reset_s,
        level=refusing.budget.level,
    )


async def sweep_forever(ledger: RedisLedger, *, every_s: float, failed: Callable[[LedgerUnavailable], None]) -> None:
    """Expire what is due, again and again, until cancelled. A store that is away is reported and tried again."""
    while True:
        try:
            while len(await ledger.sweep()) > 0:
                pass
        except LedgerUnavailable as error:
            failed(error)
        await asyncio.sleep(every_s)
