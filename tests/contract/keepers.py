"""Keepers under test: the one in memory and the real one on a real store, with a hand on their clock and books."""

import asyncio
import itertools
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.ledger import keys
from gateway.ledger.adjustment import Adjusting, Granted, OperationId, Warrant
from gateway.ledger.budget import Budget, BudgetBook, Path, Rule, TeamBudgets, TenantBudgets
from gateway.ledger.contract import Audit, Hold, HoldId, Ledger, Settlement
from gateway.ledger.granting import RedisGranting
from gateway.ledger.journal import pairs
from gateway.ledger.limits import Limits
from gateway.ledger.memory import MemoryLedger
from gateway.ledger.redis import ONCE_KEPT_MS, RedisLedger
from gateway.ledger.store import Store
from gateway.ledger.window import Every, Window
from gateway.units import Credits, Flag

HOUR_MS = 3_600_000
LEVELS = ("tenant", "team", "each_user", "user")

_KEPT_UNTIL = "local now = redis.call('TIME') return {now[1], now[2], redis.call('PTTL', KEYS[1])}"

_tenants = itertools.count()


def real_ms() -> int:
    return time.time_ns() // 1_000_000


def new_tenant() -> str:
    """A name nobody has used: every test has books of its own in a store that all tests share."""
    return f"t{os.getpid()}-{next(_tenants)}"


def warrant(operation_id: str = "op") -> Warrant:
    """An operator's word, under this id."""
    return Warrant(OperationId(operation_id), "kim", "ticket 7")


def book(
    tenant: str,
    /,
    limits: Mapping[str, int] | None = None,
    *,
    window: Window | None = None,
    frozen: bool = False,
    call_limits: Limits | None = None,
    **more: int,
) -> BudgetBook:
    """Four budgets on `tenant/ads/ann`, from the tenant down: limits in millicredits, a million unless given."""
    given = {**(limits or {}), **more}
    rules = {level: (Rule(Credits(given.get(level, 1_000_000)), window or Window(Every.TOTAL)),) for level in LEVELS}
    team = TeamBudgets(rules["team"], rules["each_user"])
    configured = TenantBudgets(
        rules["tenant"], teams={"ads": team}, users={"ann": rules["user"]}, frozen=frozen, limits=call_limits
    )
    return BudgetBook({tenant: configured})


def _usual(tenant: str) -> BudgetBook:
    return book(tenant)


class Keeper(Protocol):
    """One ledger's books. Every ledger made here keeps the same ones."""

    tenant: str

    async def ledger(self, book: BudgetBook, *, hold_ttl_ms: int = 60_000, once_kept_ms: int = ONCE_KEPT_MS) -> Ledger:
        """A keeper of these books that goes by `book`."""
        ...

    async def adjusting(self, book: BudgetBook | None = None) -> Adjusting:
        """An operator's hand on these books. `book` says which budgets there are to grant, the usual four unless given.

        The keeper in memory goes by the ledger made last.
        """
        ...

    async def past(self, instant_ms: int) -> None:
        """Return once the keeper's clock shows `instant_ms` or later."""
        ...

    async def tamper(self, budget: Budget, field: str, millicredits: int) -> None:
        """Change a balance behind the ledger's back."""
        ...

    async def written(self) -> object:
        """All that is kept for the tenant, to be compared."""
        ...

    async def journal(self) -> list[dict[str, str]]:
        """The tenant's journal, entry by entry."""
        ...


@dataclass
class MemoryKeeper:
    """The reference keeper, with a clock that is set."""

    tenant: str = field(default_factory=new_tenant)
    now_ms: int = field(default_factory=real_ms)
    made: MemoryLedger | None = None

    async def ledger(self, book: BudgetBook, *, hold_ttl_ms: int = 60_000, once_kept_ms: int = ONCE_KEPT_MS) -> Ledger:
        if self.made is None:
            self.made = MemoryLedger(book, hold_ttl_ms=hold_ttl_ms, clock_ms=lambda: self.now_ms)
        self.made._book, self.made._hold_ttl_ms, self.made._once_kept_ms = book, hold_ttl_ms, once_kept_ms
        return self.made

    async def adjusting(self, book: BudgetBook | None = None) -> MemoryLedger:
        assert self.made is not None
        return self.made

    async def past(self, instant_ms: int) -> None:
        self.now_ms = max(self.now_ms, instant_ms)

    async def tamper(self, budget: Budget, field: str, millicredits: int) -> None:
        assert self.made is not None
        if field == "granted":
            given = Granted(OperationId("tampered"), budget.name, Credits(millicredits), None, applied=True)
            self.made._granted[self.tenant, keys.Place.of(budget, budget.window.span(self.now_ms))] = [given]
            return
        kept = self.made._spent if field == "spent" else self.made._held
        kept[self.tenant, keys.Place.of(budget, budget.window.span(self.now_ms))] = Credits(millicredits)

    async def written(self) -> object:
        assert self.made is not None
        kept: tuple[Mapping[Any, Any], ...] = (self.made._spent, self.made._held, self.made._granted)
        balances = [{str(key): str(n) for key, n in one.items() if n} for one in kept]
        records = {key: (record.state, record.charged) for key, record in self.made._records.items()}
        return balances, records, await self.journal()

    async def journal(self) -> list[dict[str, str]]:
        assert self.made is not None
        return [dict(entry) for entry in self.made.journal[self.tenant]]


@dataclass
class StoreKeeper:
    """The real keeper on a real store. `ahead_ms`: how far the gateway's own clock is off."""

    url: str
    tenant: str = field(default_factory=new_tenant)
    ahead_ms: int = 0
    opened: list[Store] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return self.opened[0] if self.opened else self.open()

    def open(self) -> Store:
        """One more way to the store."""
        self.opened.append(Store(self.url, deadline_s=20.0))
        return self.opened[-1]

    async def ledger(
        self, book: BudgetBook, *, hold_ttl_ms: int = 60_000, once_kept_ms: int = ONCE_KEPT_MS
    ) -> RedisLedger:
        made = RedisLedger(
            self.open(),
            book,
            hold_ttl_ms=hold_ttl_ms,
            once_kept_ms=once_kept_ms,
            clock_ms=lambda: real_ms() + self.ahead_ms,
        )
        await made.register()
        return made

    async def adjusting(self, book: BudgetBook | None = None) -> RedisGranting:
        limits = book or _usual(self.tenant)
        return RedisGranting(self.store, limits, clock_ms=lambda: real_ms() + self.ahead_ms)

    async def past(self, instant_ms: int) -> None:
        while await self.now_ms() < instant_ms:  # noqa: ASYNC110 - the store's clock is asked, it tells nobody
            await asyncio.sleep(0.005)

    async def now_ms(self) -> int:
        seconds, micros = await self.store.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def kept_until_ms(self, key: str) -> int:
        """When the store forgets a key, to a tenth of a second: asked as stores before 7.0 can be, with two clocks."""
        seconds, micros, left_ms = await self.store.call("EVAL", _KEPT_UNTIL, 1, key)
        return round((int(seconds) * 1000 + int(micros) // 1000 + int(left_ms)) / 100) * 100

    async def tamper(self, budget: Budget, field: str, millicredits: int) -> None:
        stored = f"{millicredits}|" if field == "granted" else millicredits
        await self.store.call("HSET", await self.key(budget), field, stored)

    async def key(self, budget: Budget) -> str:
        """The key of a budget's balance in the window of now."""
        return keys.Place.of(budget, budget.window.span(await self.now_ms())).key(self.tenant)

    async def written(self) -> object:
        found: dict[str, object] = {}
        for key in await self._all():
            kind = await self.store.call("TYPE", key)
            words = {
                "hash": ("HGETALL", key),
                "zset": ("ZRANGE", key, 0, -1, "WITHSCORES"),
                "stream": ("XRANGE", key, "-", "+"),
                "list": ("LRANGE", key, 0, -1),
            }.get(kind, ("GET", key))
            said = await self.store.call(*words)
            found[key] = pairs(said) if kind == "hash" else said
        return found

    async def photograph(self, name: str = "") -> None:
        """Remember all that is kept for the tenant, under a name."""
        for copy in await self.store.call("KEYS", f"{name}:was:dgw:{{{self.tenant}}}:*"):
            await self.store.call("DEL", copy)
        for key in await self._all():
            await self.store.call("COPY", key, f"{name}:was:{key}", "REPLACE")

    async def fall_back(self, name: str = "") -> None:
        """Lose everything since the photograph, as a store does that comes back behind its own answers.

        Not within the millisecond of its last answer, which no store manages: ids of what it lost would come again.
        """
        await asyncio.sleep(0.002)
        for key in await self._all():
            await self.store.call("DEL", key)
        for copy in await self.store.call("KEYS", f"{name}:was:dgw:{{{self.tenant}}}:*"):
            await self.store.call("COPY", copy, copy.removeprefix(f"{name}:was:"))

    async def _all(self) -> list[str]:
        found: list[str] = await self.store.call("KEYS", f"dgw:{{{self.tenant}}}:*")
        return found

    async def ids(self) -> list[str]:
        """The ids of the tenant's journal entries."""
        found = await self.store.call("XRANGE", keys.journal(self.tenant), "-", "+")
        return [entry_id for entry_id, _ in found]

    async def journal(self) -> list[dict[str, str]]:
        found = await self.store.call("XRANGE", keys.journal(self.tenant), "-", "+")
        return [pairs(entry) for _, entry in found]

    async def close(self) -> None:
        """Close every pool, and leave no hold to be swept by later tests: tests run one after the other."""
        await self.store.call("DEL", keys.TENANTS)
        for store in self.opened:
            await store.close()


@dataclass
class Ends:
    """A closer that books at once when asked to, and remembers what it was told."""

    ledger: Ledger
    waiting: list[Callable[[], Awaitable[object]]] = field(default_factory=list)

    def close(self, hold: Hold, charged: Credits, flag: Flag, facts: str = "") -> None:
        self.waiting.append(lambda: self.ledger.settle(hold, charged, flag, facts))

    def void(self, path: Path, hold_id: HoldId, amount: Credits, once: str = "") -> None:
        self.waiting.append(lambda: self.ledger.void(path, hold_id, amount, once))


async def swept(ledger: Ledger, hold_ids: set[str]) -> list[Settlement]:
    """Sweep until nothing is due; what was expired of these holds."""
    found: list[Settlement] = []
    while ended := await ledger.sweep():
        found += [settlement for settlement in ended if settlement.hold_id in hold_ids]
    return found


async def assert_clean(ledger: Ledger, tenant: str) -> Audit:
    """The recount of the journal gives every balance."""
    audit = await ledger.audit(tenant)
    assert audit.differences == ()
    return audit
