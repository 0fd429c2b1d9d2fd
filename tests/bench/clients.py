"""Clients of a ledger, many at once: they hold, settle, void, ask twice, come too late, adjust and look."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gateway.errors import BudgetExhausted, Busy, HoldClosed, LedgerUnavailable
from gateway.ledger.adjustment import AdjustmentRefused, OperationId, Warrant
from gateway.ledger.budget import BudgetBook, Path, Rule, TeamBudgets, TenantBudgets
from gateway.ledger.contract import End, Hold, HoldId, Settlement, open_hold
from gateway.ledger.settler import Settler
from gateway.ledger.window import Every, Window
from gateway.units import Credits, Flag
from tests.history.ops import RecordedHand, RecordedLedger, Recorder

USERS = ("ann", "bob", "cid", "dot")
TEAMS = ("ads", "print")
AMOUNT_MAX = 2_000
ENDS_MAX = 64
SHORT_TTL_MS, LONG_TTL_MS = 60, 60_000

_REFUSALS = (BudgetExhausted, HoldClosed, LedgerUnavailable)


def budgets(tenants: Sequence[str], holds: int) -> BudgetBook:
    """Windows of every kind in several zones, up to six budgets on a path; room for most of so many holds."""
    return BudgetBook({tenant: _budgets(holds * AMOUNT_MAX * 3 // 10, n) for n, tenant in enumerate(tenants)})


def _budgets(room: int, number: int) -> TenantBudgets:
    def rule(part: float, every: Every, zone: str = "UTC") -> Rule:
        return Rule(Credits(int(room * part) + AMOUNT_MAX), Window(every, zone))

    zone = ("UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia")[number % 4]
    each = (rule(0.16, Every.HOUR, zone), rule(0.18, Every.TOTAL))
    ads = TeamBudgets((rule(0.45, Every.DAY, zone),), each[: number % 3])
    purse = (rule(0.8, Every.TOTAL), rule(0.75, Every.DAY), rule(0.7, Every.HOUR, zone))[: 1 + number % 3]
    return TenantBudgets(
        purse,
        each_user=(rule(0.3, Every.DAY),),
        teams={"ads": ads, "print": TeamBudgets((rule(0.5, Every.WEEK),))},
        users={"ann": (rule(0.15, Every.MONTH), rule(0.2, Every.TOTAL))},
    )


def paths(tenant: str) -> list[Path]:
    """Everybody who calls."""
    return [Path(tenant, team, user) for team in TEAMS for user in USERS]


def warrant(operation_id: str) -> Warrant:
    """On the bench's word."""
    return Warrant(OperationId(operation_id), "bench", "a bench")


@dataclass
class Party:
    """The clients of one process, in one round.

    Attributes:
        name: unique to process and round; every id has it.
        tenants: whose clients they are.
        long, short: the same books, with holds that live long and holds that soon expire.
        hand: an operator's.
        recorder: of everything that is asked.
        dice: what is asked.
    """

    name: str
    tenants: Sequence[str]
    long: RecordedLedger
    short: RecordedLedger
    hand: RecordedHand
    recorder: Recorder
    dice: random.Random
    ended: deque[tuple[str, HoldId]] = field(default_factory=lambda: deque(maxlen=200))
    grants: deque[tuple[str, OperationId]] = field(default_factory=lambda: deque(maxlen=20))
    late: set[asyncio.Task[None]] = field(default_factory=set)
    number: int = 0

    async def run(self, clients: int, operations: int) -> int:
        """Ask until so many questions were answered, and everything was ended; how many ends were given up."""
        settler = Settler(self.long, ends_max=4 * clients, settled=self._settled)
        until = self.recorder.count + operations
        sweeper = asyncio.create_task(self._sweep())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(clients):
                    group.create_task(self._client(settler, until))
            given_up = await settler.drain(60)
            await asyncio.gather(*self.late)
        finally:
            sweeper.cancel()
        await asyncio.gather(sweeper, return_exceptions=True)
        return given_up

    async def _client(self, settler: Settler, until: int) -> None:
        ways = {
            self._call: 70, self._ended_twice: 5, self._held_twice: 4, self._voided: 4, self._closed: 2,
            self._expired: 4, self._look: 8, self._adjust: 5, self._grant: 1, self._revoke: 0.5,
        }  # fmt: skip
        choices: list[Callable[[Settler], Awaitable[None]]] = list(ways)
        weights = list(ways.values())
        while self.recorder.count < until:
            for way in self.dice.choices(choices, weights, k=20):
                await way(settler)

    async def _sweep(self) -> None:
        while True:
            with suppress(LedgerUnavailable):
                await self.short.sweep()
            await asyncio.sleep(0.05)

    def _settled(self, ended: Settlement) -> None:
        if ended.applied:
            self.ended.append((ended.hold_id.partition("/")[0], ended.hold_id))

    def _asks(self) -> tuple[Path, Credits, HoldId]:
        """Who asks, for how much, under an id that begins with the tenant."""
        tenant = self.dice.choice(self.tenants)
        path = Path(tenant, self.dice.choice(TEAMS), self.dice.choice(USERS))
        amount = self.dice.randrange(1, AMOUNT_MAX)
        if self.dice.random() < 0.06:  # more than any budget has
            amount += 10**11
        return path, Credits(amount), HoldId(f"{tenant}/{self._id()}")

    def _id(self) -> str:
        self.number += 1
        return f"{self.name}.{self.number}"

    def _charge(self, amount: Credits) -> tuple[Credits, Flag]:
        """Mostly less than was held; now and then more."""
        most = amount.millicredits * 11 // 10
        return Credits(self.dice.randint(0, most)), self.dice.choice(tuple(Flag))

    async def _call(self, settler: Settler) -> None:
        """As the gateway does it: a hold for the length of a call, its end booked beside it."""
        while settler.under_way >= ENDS_MAX:  # noqa: ASYNC110 - the settler tells nobody
            await asyncio.sleep(0.002)
        path, amount, hold_id = self._asks()
        with suppress(*_REFUSALS, Busy):
            settler.admit()
            async with open_hold(self.long, settler, path, amount, hold_id=hold_id) as opened:
                opened.end(*self._charge(amount), final=True)

    async def _ended_twice(self, settler: Settler) -> None:
        """Two ends of the same hold at once, one of them written down before: one of them is booked."""
        path, amount, hold_id = self._asks()
        if (held := await self._held(path, amount, hold_id)) is not None:
            end, other = End.of(held, *self._charge(amount)), self._charge(amount)
            await asyncio.gather(
                _insisted(lambda: self.long.book(end)), _insisted(lambda: self.long.settle(held, *other))
            )

    async def _held(self, path: Path, amount: Credits, hold_id: HoldId) -> Hold | None:
        """The hold, if it is granted; asked for until that is known."""
        with suppress(HoldClosed):
            try:
                held: Hold = await _insisted(lambda: self.long.hold(path, amount, hold_id=hold_id))
            except BudgetExhausted as refused:
                if not refused.certain:  # an earlier question may still be on its way
                    await _insisted(lambda: self.long.void(path, hold_id, amount))
            else:
                return held
        return None

    async def _held_twice(self, settler: Settler) -> None:
        """The same id twice at once, for two amounts, and once more after its end."""
        path, amount, hold_id = self._asks()
        other = Credits(self.dice.randrange(1, AMOUNT_MAX))
        one, two = await asyncio.gather(self._held(path, amount, hold_id), self._held(path, other, hold_id))
        for held in (one, two):
            if held is not None:
                charge = self._charge(held.amount)
                await _insisted(partial(self.long.settle, held, *charge))
        await self._held(path, amount, hold_id) if one or two else None

    async def _voided(self, settler: Settler) -> None:
        path, amount, hold_id = self._asks()
        with suppress(*_REFUSALS):
            await self.long.hold(path, amount, hold_id=hold_id)
        await _insisted(lambda: self.long.void(path, hold_id, amount))

    async def _closed(self, settler: Settler) -> None:
        """Its void overtakes the hold."""
        path, amount, hold_id = self._asks()
        await _insisted(lambda: self.long.void(path, hold_id, amount))
        await self._held(path, amount, hold_id)

    async def _expired(self, settler: Settler) -> None:
        """Nobody ends it in time; half of them are ended too late."""
        path, amount, hold_id = self._asks()
        with suppress(*_REFUSALS):
            held = await self.short.hold(path, amount, hold_id=hold_id)
            if self.dice.random() < 0.5:
                task = asyncio.create_task(self._too_late(held, self._charge(amount)))
                self.late.add(task)
                task.add_done_callback(self.late.discard)

    async def _too_late(self, held: Hold, charge: tuple[Credits, Flag]) -> None:
        await asyncio.sleep(SHORT_TTL_MS * 2 / 1_000)
        await _insisted(lambda: self.long.settle(held, *charge))

    async def _look(self, settler: Settler) -> None:
        with suppress(LedgerUnavailable):
            await self.long.balances(self._asks()[0])

    async def _adjust(self, settler: Settler) -> None:
        if not self.ended:
            return
        tenant, hold_id = self.dice.choice(self.ended)
        amount, word = Credits(self.dice.randrange(1, AMOUNT_MAX)), warrant(self._id())
        way = self.dice.randrange(3)
        with suppress(AdjustmentRefused):
            if way == 0:
                await _insisted(lambda: self.hand.correct(tenant, hold_id, amount, word))
            else:
                back = None if way == 1 else amount
                await _insisted(lambda: self.hand.refund(tenant, hold_id, back, word))

    async def _grant(self, settler: Settler) -> None:
        tenant, word = self.dice.choice(self.tenants), warrant(self._id())
        name = self.dice.choice(("tenant/total", "team:ads/day", "team:print/week", "user:ann/total", "each:bob/day"))
        amount = Credits(self.dice.randrange(1, AMOUNT_MAX * 3))
        await _insisted(lambda: self.hand.grant(tenant, name, amount, None, word))
        self.grants.append((tenant, word.operation_id))

    async def _revoke(self, settler: Settler) -> None:
        if self.grants:
            tenant, granted = self.dice.choice(self.grants)
            with suppress(AdjustmentRefused):
                word = warrant(self._id())
                await _insisted(lambda: self.hand.revoke(tenant, granted, word))


# A client asks no longer than this for one answer.
_INSISTED_S = 60.0


async def _insisted(ask: Callable[[], Awaitable[Any]]) -> Any:
    """What is answered in the end: asked again, under the same id, until it is known."""
    async with asyncio.timeout(_INSISTED_S):
        while True:
            try:
                return await ask()
            except LedgerUnavailable as error:
                # What was not even sent is refused at once: the store has to come back first.
                await asyncio.sleep(0 if error.sent else 0.002)
