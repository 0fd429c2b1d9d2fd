"""The real keeper: turns the promises into scripts and the scripts' answers into types and errors.

Wall 5: only `lua/` changes a balance. This file computes which keys a script needs and what its answer means.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from gateway.errors import (
    BudgetExhausted,
    HoldClosed,
    LedgerMissing,
    LedgerPoisoned,
    LedgerRegressed,
    LedgerUnavailable,
    TooManyCalls,
)
from gateway.ledger import keys
from gateway.ledger.adjustment import Warrant
from gateway.ledger.answers import balances, exhausted, hold_keys, limited, read_places, settlement, stored
from gateway.ledger.budget import Balance, Budget, BudgetBook, Path
from gateway.ledger.contract import KEPT_MS, Audit, End, Hold, HoldId, Settlement, State
from gateway.ledger.layout import Layout, Layouts
from gateway.ledger.limits import written
from gateway.ledger.marks import Marks
from gateway.ledger.open_holds import OpenHolds, read_open_holds
from gateway.ledger.recount import recount
from gateway.ledger.repeating import Repeating
from gateway.ledger.standing import Standing, Verdict, accept, standing_of
from gateway.ledger.store import Script, Store
from gateway.once import FREE, IdempotencyMismatch, Once, Repeated
from gateway.units import Credits, Flag

_HOUR_MS = 3_600_000

# How long an idempotency key is remembered.
ONCE_KEPT_MS = 24 * _HOUR_MS

# How long a balance is kept after its window ended, for reports and audits.
RETENTION_MS = 400 * 24 * _HOUR_MS

# A window may end between asking and answering, the gateway's clock may be off, a mark may be trimmed or void; each is
# certain at the second look.
_TRIES = 5


class RedisLedger:
    """Keeps the ledger in Redis 6.2+ or Valkey. Promises: see `contract.py`.

    Args:
        store: where.
        book: which budgets a path must pass.
        hold_ttl_ms: after that an open hold expires.
        once_kept_ms: how long an idempotency key is remembered; longer than a hold lasts, shorter than `KEPT_MS`.
        marks: the newest entries seen, by which a store that has forgotten is found out; in memory alone unless given.
        clock_ms: this machine's guess at the time, to name windows with; the store's clock decides.
    """

    def __init__(
        self,
        store: Store,
        book: BudgetBook,
        *,
        hold_ttl_ms: int,
        once_kept_ms: int = ONCE_KEPT_MS,
        marks: Marks | None = None,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._store = store
        self._book = book
        self._hold_ttl_ms = hold_ttl_ms
        self._once_kept_ms = once_kept_ms
        self._clock_ms = clock_ms
        self._ahead_ms = 0
        self._layouts = Layouts()
        self._marks = marks or Marks()
        self._doubted: Callable[[str, Verdict | None], None] = lambda _, __: None
        self._hold = Script.load("hold")
        self._settle = Script.load("settle")
        self._expire = Script.load("expire")
        self._void = Script.load("void")
        self._snapshot = Script.load("snapshot")
        self._repeating = Repeating(store)
        self._look = Script.load("standing")

    def watch(self, doubted: Callable[[str, Verdict | None], None]) -> None:
        """Tell `doubted` of every tenant whose journal lacks its mark; the verdict is None where nobody looked yet."""
        self._doubted = doubted

    async def register(self) -> None:
        """Note every configured tenant, so that its holds are swept even when it leaves the configuration."""
        if self._book.tenants:
            await self._store.call("SADD", keys.TENANTS, *self._book.tenants)

    async def hold(self, path: Path, amount: Credits, *, hold_id: HoldId, once: Once | None = None) -> Hold:
        """See `Ledger.hold`. An answer that does not come is asked for once more, under the same id."""
        try:
            return await self._held(path, amount, hold_id, once)
        except LedgerPoisoned:
            raise
        except LedgerUnavailable as error:
            if not error.sent or error.code not in ("timeout", "connection"):
                raise
        try:
            return await self._held(path, amount, hold_id, once)
        except (BudgetExhausted, Repeated, TooManyCalls) as refused:
            # Refused now, but the first question may still be on its way, and be granted.
            refused.certain = False
            raise
        except LedgerUnavailable as error:
            error.sent = True
            raise

    async def _held(self, path: Path, amount: Credits, hold_id: HoldId, once: Once | None) -> Hold:
        budgets = self._book.admitting(path)
        for _ in range(_TRIES):
            layout = self._layout(path, budgets)
            answer = await self._ask_hold(path, amount, hold_id, layout, once=once)
            verdict, entry_id, now_ms = answer[0], answer[1], int(answer[2])
            if verdict == "window":
                self._ahead_ms = now_ms - self._clock_ms()
            elif verdict == "regressed":
                await self._confirm(path.tenant)
            elif verdict == "held":
                self._marks.saw(path.tenant, entry_id)
                found = balances(budgets, layout.spans, answer[4:], now_ms)
                return Hold(hold_id, path, amount, found, int(answer[3]), once, layout.places)
            elif verdict == "exhausted":
                raise exhausted(balances(budgets, layout.spans, answer[3:], now_ms), amount)
            else:
                return await self._known(path, hold_id, once, answer)
        raise LedgerUnavailable("clock")

    async def _known(self, path: Path, hold_id: HoldId, once: Once | None, answer: list[Any]) -> Hold:
        """What an answer says that neither held nor found a budget wanting: what was before, is too much or gone."""
        verdict = answer[0]
        if verdict == "known":
            return await self._again(path, hold_id, once, answer)
        if verdict == "other":
            raise IdempotencyMismatch
        limits = self._book.limits(path.tenant)
        if verdict == "limited" and limits is not None:
            raise limited(limits, answer[3], int(answer[4]))
        if verdict == "taken" and once is not None:
            raise await self._repeating.refusal(path.tenant, answer[3], once)
        raise LedgerMissing("missing", sent=False)

    async def _confirm(self, tenant: str) -> None:
        """Raises LedgerRegressed unless the mark was only trimmed, or its loss accepted."""
        if (await self.standing(tenant)).verdict is Verdict.REGRESSED:
            raise LedgerRegressed("regressed", sent=False)

    async def standing(self, tenant: str) -> Standing:
        """Look whether the tenant's journal can be built on; a mark that was trimmed or is void is put in order.

        Raises:
            LedgerUnavailable: nobody knows.
        """
        mark = self._marks.newest(tenant)
        found = await standing_of(self._store, self._look, tenant, mark)
        self._marks.move(tenant, mark, found.mark, anew=found.verdict is Verdict.ACCEPTED)
        if found.verdict is not Verdict.SOUND:
            self._doubted(tenant, found.verdict)
        return found

    def began(self, tenant: str) -> str:
        """The first entry this process knows of the tenant; `0-0` for none."""
        return self._marks.began(tenant)

    async def accept(self, tenant: str, warrant: Warrant) -> None:
        """Go on with the tenant's journal as it is. Raises LedgerUnavailable: it may have been done."""
        mark = self._marks.newest(tenant)
        done = await accept(self._store, tenant, mark, warrant)
        self._marks.move(tenant, mark, done.entry_id, anew=True)

    def _layout(self, path: Path, budgets: tuple[Budget, ...]) -> Layout:
        return self._layouts.of(path, budgets, self._clock_ms() + self._ahead_ms)

    async def _ask_hold(
        self, path: Path, amount: Credits, hold_id: HoldId, layout: Layout, *, once: Once | None
    ) -> list[Any]:
        limits = self._book.limits(path.tenant)
        pace = [keys.pace(path.tenant)] if limits is not None and limits.calls_per_second is not None else []
        return await self._store.run(
            self._hold,
            hold_keys(path.tenant, hold_id, layout.places, once.key if once else "", *pace),
            [
                hold_id,
                str(amount.millicredits),
                str(self._hold_ttl_ms),
                str(path),
                layout.places,
                str(RETENTION_MS),
                self._marks.newest(path.tenant),
                once.fingerprint if once else "",
                str(self._once_kept_ms),
                written(limits),
                *layout.limits,
            ],
        )

    async def _again(self, path: Path, hold_id: HoldId, once: Once | None, answer: list[Any]) -> Hold:
        """The hold as its record tells it: an open one is simply the answer that was lost."""
        _, _, _, state, amount, deadline, written = answer
        if state != State.OPEN:
            raise HoldClosed
        known = {budget.name: budget for budget in self._book.on_path(path)}
        places = read_places(written)
        if any(place.name not in known for place in places):
            raise HoldClosed
        budgets, spans = [known[place.name] for place in places], [place.span for place in places]
        try:
            now_ms, numbers = await self._stored(path.tenant, places)
        except LedgerUnavailable as error:
            error.sent = True  # not this question, but the hold is there
            raise
        found = balances(budgets, spans, numbers, now_ms)
        return Hold(hold_id, path, Credits(int(amount)), found, int(deadline), once)

    async def _stored(self, tenant: str, places: Sequence[keys.Place]) -> tuple[int, list[Any]]:
        """The store's clock, and spent, held and live grants of each place as they stand."""
        wanted = [keys.journal(tenant), keys.register(tenant), *(place.key(tenant) for place in places)]
        answer = await self._store.run(self._snapshot, wanted, [keys.written(places), "0"])
        now_ms = int(answer[0])
        return now_ms, stored(answer[3:], now_ms)

    async def settle(self, hold: Hold, charged: Credits, flag: Flag, facts: str = "") -> Settlement:
        """See `Ledger.settle`."""
        return await self._settled(End.of(hold, charged, flag, facts))

    async def book(self, end: End) -> Settlement:
        """See `Ledger.book`."""
        return await self._settled(end)

    async def _settled(self, end: End) -> Settlement:
        return self._ended(end, await self._store.run(self._settle, *self._settling(end)))

    def ask(self, end: End) -> "asyncio.Future[Any] | None":
        """See `Straight.ask`."""
        return self._store.begin(self._settle, *self._settling(end))

    def understood(self, end: End, answer: Any) -> Settlement | None:
        """See `Straight.understood`."""
        try:
            return self._ended(end, answer) if self._store.is_answer(answer) else None
        except LedgerMissing:
            return None

    def _settling(self, end: End) -> tuple[list[str], list[str]]:
        """Keys and arguments of settle.lua."""
        facts = end.facts if end.once else ""
        return hold_keys(end.tenant, end.hold_id, end.places, end.once if facts else ""), [
            *(end.hold_id, str(end.charged.millicredits), end.flag, end.places, str(KEPT_MS)),
            *(str(end.amount.millicredits), str(end.deadline_ms), end.path, str(RETENTION_MS)),
            *(self._marks.newest(end.tenant), facts),
        ]

    def _ended(self, end: End, answer: list[Any]) -> Settlement:
        ended = settlement(end.hold_id, end.charged, end.flag, answer)
        if ended.applied and answer[2] == 1:
            self._marks.saw(end.tenant, ended.entry_id)
        elif ended.applied:
            self._doubted(end.tenant, None)
        return ended

    async def void(self, path: Path, hold_id: HoldId, amount: Credits, once: str = "") -> None:
        """See `Ledger.void`."""
        answer = await self._store.run(self._void, [keys.record(path.tenant, hold_id)], [str(KEPT_MS)])
        if answer[0] == "known" and answer[1] in (State.OPEN, State.EXPIRED):
            end = End(hold_id, path.tenant, answer[4], Credits.ZERO, Flag.CONFIRMED, once, FREE)
            await self._settled(end)

    async def balances(self, path: Path) -> tuple[Balance, ...]:
        """See `Ledger.balances`."""
        budgets = self._book.on_path(path)
        for _ in range(_TRIES):
            layout = self._layout(path, budgets)
            now_ms, numbers = await self._stored(path.tenant, read_places(layout.places))
            if layout.common.holds(now_ms):
                return balances(budgets, layout.spans, numbers, now_ms)
            self._ahead_ms = now_ms - self._clock_ms()
        raise LedgerUnavailable("clock")

    async def sweep(self, *, most: int = 100) -> tuple[Settlement, ...]:
        """See `Ledger.sweep`. What is poisoned or gone keeps no other from expiring; raised when no other is due."""
        ended: list[Settlement] = []
        poisoned: LedgerUnavailable | None = None
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
                except (LedgerPoisoned, LedgerMissing) as error:
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
            self._expire, hold_keys(tenant, hold_id, written), [hold_id, written, str(KEPT_MS)]
        )
        if answer[0] == "missing":
            raise LedgerMissing("missing")
        if answer[0] != "expired":
            return ()
        amount = Credits(int(answer[2]))
        return (Settlement(hold_id, State.EXPIRED, amount, Flag.UNCERTAIN, applied=True, entry_id=answer[1]),)

    async def audit(self, tenant: str) -> Audit:
        """See `Ledger.audit`. Reads page by page; calls go on meanwhile."""
        return await recount(self._store, self._snapshot, tenant, retention_ms=RETENTION_MS)

    async def open_holds(self, tenant: str) -> int:
        """How many holds of the tenant are open."""
        return int(await self._store.call("ZCARD", keys.open_holds(tenant)))

    async def holds_now(self, tenant: str) -> OpenHolds:
        """How many holds of the tenant are open, and since when the oldest; raises as `balances`."""
        return await read_open_holds(self._store, tenant, hold_ttl_ms=self._hold_ttl_ms)


async def sweep_forever(ledger: RedisLedger, *, every_s: float, failed: Callable[[LedgerUnavailable], None]) -> None:
    """Expire what is due, again and again, until cancelled. A store that is away is reported and tried again."""
    while True:
        try:
            while len(await ledger.sweep()) > 0:
                pass
        except LedgerUnavailable as error:
            failed(error)
        await asyncio.sleep(every_s)
