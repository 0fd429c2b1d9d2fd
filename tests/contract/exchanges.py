"""One exchange of every script, to be harmed in any way: what comes before it, what is asked, and what it must come to.

Every time another amount is asked for, so that an answer to another question would show.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway.errors import LedgerUnavailable
from gateway.ledger import keys
from gateway.ledger.adjustment import OperationId
from gateway.ledger.budget import Balance, BudgetBook, Path
from gateway.ledger.contract import Hold, HoldId
from gateway.ledger.granting import RedisGranting
from gateway.ledger.journal import pairs
from gateway.ledger.redis import RedisLedger
from gateway.ledger.store import Store
from gateway.ledger.trimming import mark_exported, trim
from gateway.units import Credits, Flag
from tests.contract.keepers import book, new_tenant, warrant

_T = TypeVar("_T")

ONE = HoldId("one")
INSISTED_S = 15.0


@dataclass
class Scene:
    """A tenant of its own, seen through two connections: a sound one, and one that is harmed.

    Attributes:
        sound: to prepare with, and to look at the books with.
        harmed: what is asked goes through here.
        amount: of everything that is asked; nobody else's.
        hold: the hold that was prepared, if one was.
    """

    sound: Store
    harmed: Store
    amount: int
    tenant: str = field(default_factory=new_tenant)
    hold: Hold | None = None

    @property
    def book(self) -> BudgetBook:
        """Four budgets, each with room for everything."""
        return book(self.tenant)

    @property
    def path(self) -> Path:
        """Through all four."""
        return Path(self.tenant, "ads", "ann")

    def ledger(self, store: Store, ttl_ms: int = 60_000) -> RedisLedger:
        """The keeper, through one of the two."""
        return RedisLedger(store, self.book, hold_ttl_ms=ttl_ms)

    def hand(self) -> RedisGranting:
        """An operator's hand, through the harmed connection."""
        return RedisGranting(self.harmed, self.book)

    async def held(self, ttl_ms: int = 60_000) -> Hold:
        """Prepare: one open hold."""
        self.hold = await self.ledger(self.sound, ttl_ms).hold(self.path, Credits(self.amount), hold_id=ONE)
        return self.hold

    async def ended(self) -> None:
        """Prepare: one hold that ended in doubt."""
        await self.ledger(self.sound).settle(await self.held(), Credits(self.amount), Flag.UNCERTAIN)

    async def books(self) -> tuple[Any, ...]:
        """All that the exchange may have changed, without its amount, its tenant and its time."""
        ledger = self.ledger(self.sound)
        audit = await ledger.audit(self.tenant)
        assert audit.differences == ()
        entries = await self.sound.call("XRANGE", keys.journal(self.tenant), "-", "+")
        journal = [tuple(sorted((k, self._plain(k, v)) for k, v in pairs(fields).items())) for _, fields in entries]
        mark = await self.sound.call("GET", keys.exported(self.tenant))
        record = await self.sound.call("HGET", keys.record(self.tenant, ONE), "state")
        found = self.shown(await ledger.balances(self.path))
        return tuple(journal), found, mark is None, record, await ledger.open_holds(self.tenant)

    def shown(self, balances: tuple[Balance, ...]) -> tuple[Any, ...]:
        """Balances in multiples of the amount."""
        rows = ((b.budget.name, b.spent, b.held, b.granted) for b in balances)
        return tuple((name, *(n.millicredits / self.amount for n in numbers)) for name, *numbers in rows)

    def _plain(self, name: str, value: str) -> str:
        if name in {"amount", "charged", "spent", "held", "granted"}:
            words = value.replace(";", " ").replace("|", " ").split()
            return " ".join(str(int(word) / self.amount) for word in words)
        # An opening's id is the entry it goes up to.
        return "" if name == "id" and "-" in value else value.replace(self.tenant, "T")


async def insisted(ask: Callable[[], Awaitable[_T]]) -> _T:
    """What is answered in the end, however often no answer came."""
    async with asyncio.timeout(INSISTED_S):
        while True:
            try:
                return await ask()
            except LedgerUnavailable as error:
                # What was not even sent is refused at once; what is asked meanwhile shows that the store is back.
                await asyncio.sleep(0 if error.sent else 0.01)


@dataclass(frozen=True)
class Exchange:
    """One question.

    Attributes:
        prepare: through the sound connection.
        ask: through the harmed one; returns the facts of the answer that do not depend on how often it was asked.
        before: how many exchanges of scripts come first within the same question.
    """

    prepare: Callable[[Scene], Awaitable[object]]
    ask: Callable[[Scene], Awaitable[object]]
    before: int = 0


async def _nothing(scene: Scene) -> None:
    pass


async def _hold(scene: Scene) -> object:
    held = await scene.ledger(scene.harmed).hold(scene.path, Credits(scene.amount), hold_id=ONE)
    return held.hold_id, held.amount == Credits(scene.amount), scene.shown(held.balances)


async def _settle(scene: Scene) -> object:
    assert scene.hold is not None
    ended = await scene.ledger(scene.harmed).settle(scene.hold, Credits(scene.amount * 2), Flag.CONFIRMED)
    return ended.hold_id, ended.state, ended.charged == Credits(scene.amount * 2), ended.flag


async def _void(scene: Scene) -> None:
    await scene.ledger(scene.harmed).void(scene.path, ONE, Credits(scene.amount))


async def _due(scene: Scene) -> None:
    """One hold past its deadline, and no other tenant to sweep."""
    await scene.sound.call("DEL", keys.TENANTS)
    await scene.ledger(scene.sound).register()
    held = await scene.held(ttl_ms=1)
    while held.deadline_ms > (await scene.ledger(scene.sound).balances(scene.path))[0].now_ms:
        pass


async def _sweep(scene: Scene) -> object:
    """Whose answer was lost is not told again what it ended."""
    ended = await scene.ledger(scene.harmed).sweep()
    assert all((one.hold_id, one.charged) == (ONE, Credits(scene.amount)) for one in ended)
    return len(ended) <= 1


async def _balances(scene: Scene) -> object:
    return scene.shown(await scene.ledger(scene.harmed).balances(scene.path))


async def _refund(scene: Scene) -> object:
    done = await scene.hand().refund(scene.tenant, ONE, Credits(scene.amount), warrant("back"))
    return done.operation_id, done.hold_id, done.before == Credits(scene.amount), done.after


async def _correct(scene: Scene) -> object:
    done = await scene.hand().correct(scene.tenant, ONE, Credits(scene.amount * 3), warrant("right"))
    return done.operation_id, done.before == Credits(scene.amount), done.after == Credits(scene.amount * 3)


async def _grant(scene: Scene) -> object:
    done = await scene.hand().grant(scene.tenant, "tenant/total", Credits(scene.amount), None, warrant("more"))
    return done.operation_id, done.budget, done.amount == Credits(scene.amount), done.until_ms


async def _granted(scene: Scene) -> None:
    hand = RedisGranting(scene.sound, scene.book)
    await hand.grant(scene.tenant, "tenant/total", Credits(scene.amount), None, warrant("more"))


async def _revoke(scene: Scene) -> object:
    done = await scene.hand().revoke(scene.tenant, OperationId("more"), warrant("less"))
    return done.operation_id, done.budget, done.amount == Credits(scene.amount)


async def _last(scene: Scene) -> str:
    return str((await scene.sound.call("XREVRANGE", keys.journal(scene.tenant), "+", "-", "COUNT", 1))[0][0])


async def _export(scene: Scene) -> object:
    await mark_exported(scene.harmed, scene.tenant, last := await _last(scene))
    return await scene.sound.call("GET", keys.exported(scene.tenant)) == last


async def _to_trim(scene: Scene) -> None:
    await scene.ended()
    await mark_exported(scene.sound, scene.tenant, await _last(scene))


async def _trim(scene: Scene) -> None:
    """How many were dropped is not known where the answer was lost."""
    entry = (await scene.sound.call("XRANGE", keys.journal(scene.tenant), "-", "+", "COUNT", 2))[-1]
    if pairs(entry[1])["op"] != "opening":
        await trim(scene.harmed, scene.tenant, last=entry[0], retention_ms=None)


EXCHANGES = {
    "hold": Exchange(_nothing, _hold),
    "settle": Exchange(Scene.held, _settle),
    "void of nothing": Exchange(_nothing, _void),
    "void of a hold": Exchange(Scene.held, _void),
    "void of a hold, its end": Exchange(Scene.held, _void, before=1),
    "expire": Exchange(_due, _sweep),
    "snapshot": Exchange(Scene.ended, _balances),
    "refund": Exchange(Scene.ended, _refund),
    "adjust": Exchange(Scene.ended, _correct),
    "grant": Exchange(Scene.held, _grant),
    "revoke": Exchange(_granted, _revoke),
    "exported": Exchange(Scene.held, _export),
    "trim": Exchange(_to_trim, _trim),
}
