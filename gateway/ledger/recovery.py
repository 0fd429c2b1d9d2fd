"""Recovery: what a gateway does of its own accord when the store has forgotten entries it had confirmed.

A failover to a replica that was behind loses the newest entries. Most of what they said is still known here: the ends
of the last minute. So they are booked again, which changes nothing where they are known and recovers those that are
not. When that reaches back to where the journal broke off, nothing this gateway wrote is missing any more, and after a
grace, in which others do the same, it accepts the loss itself. Otherwise the tenant stays closed until an operator
accepts it. One task for each tenant in doubt, owned here.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from gateway.errors import LedgerPoisoned, LedgerUnavailable
from gateway.ledger.adjustment import OperationId, Warrant
from gateway.ledger.contract import End, HoldId, Settlement
from gateway.ledger.journal import order
from gateway.ledger.standing import Standing, Verdict

REMEMBERED_S = 60
ENDS_MAX = 10_000
GRACE_S = 3
_AGAIN_S = 1

# On whose word a gateway accepts a loss, in the journal.
ACTOR = "gateway"

_Done = TypeVar("_Done")


class Regressing(Protocol):
    """A ledger whose store may forget."""

    async def book(self, end: End) -> Settlement:
        """See `Ledger.book`."""
        ...

    async def standing(self, tenant: str) -> Standing:
        """Whether the tenant's journal can be built on. Raises LedgerUnavailable."""
        ...

    def began(self, tenant: str) -> str:
        """The first entry this process knows of the tenant."""
        ...

    async def accept(self, tenant: str, warrant: Warrant) -> None:
        """Go on with the journal as it is. Raises LedgerUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Regressed:
    """The store has forgotten entries of a tenant: those after `before`, as far as this process knows of them."""

    tenant: str
    before: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """The tenant's journal can be built on again.

    Attributes:
        tenant: whose.
        again: how many ends were booked again; those the store still knew included.
        by: `gateway`, `other` when somebody else accepted the loss, or `store` when the entries were there again.
    """

    tenant: str
    again: int
    by: str


@dataclass(frozen=True, slots=True)
class _Kept:
    at_s: float
    entry_id: str
    end: End


class Remembered:
    """The ends booked in the last minute, in the order they were booked. What is let go moves the tenant's horizon.

    The minute ends with the newest end: while the store is away nothing is booked, and nothing forgotten.
    """

    def __init__(self, *, remembered_s: float, ends_max: int, clock_s: Callable[[], float]) -> None:
        self._remembered_s = remembered_s
        self._ends_max = ends_max
        self._clock_s = clock_s
        self._kept: deque[_Kept] = deque()
        self._horizon: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, end: End, entry_id: str) -> None:
        """Remember an end by the entry that booked it."""
        self._kept.append(_Kept(self._clock_s(), entry_id, end))
        self._forget()

    def horizon(self, tenant: str) -> str:
        """Of this entry and all before it the ends may be forgotten; `0-0` when none is."""
        return self._horizon.get(tenant, "0-0")

    def after(self, tenant: str, entry_id: str) -> list[End]:
        """The tenant's remembered ends that were booked after this entry, oldest first."""
        since = order(entry_id)
        return [one.end for one in self._kept if one.end.tenant == tenant and order(one.entry_id) > since]

    def _forget(self) -> None:
        oldest_s = self._clock_s() - self._remembered_s
        while self._kept and (len(self._kept) > self._ends_max or self._kept[0].at_s < oldest_s):
            gone = self._kept.popleft()
            known = self._horizon.pop(gone.end.tenant, "0-0")
            self._horizon[gone.end.tenant] = max(known, gone.entry_id, key=order)
            while len(self._horizon) > self._ends_max:
                del self._horizon[next(iter(self._horizon))]


@dataclass(slots=True)
class _Loss:
    """What one tenant's store has forgotten after `before`. `whole`: all of it that was ours is remembered."""

    tenant: str
    before: str
    whole: bool
    ends: dict[HoldId, End] = field(default_factory=dict)
    done: set[HoldId] = field(default_factory=set)

    def note(self, remembered: Remembered) -> None:
        """Take over the ends that are still to be booked again, so that they are not forgotten meanwhile."""
        for end in remembered.after(self.tenant, self.before):
            if end.hold_id not in self.done:
                self.ends[end.hold_id] = end


class Recovery:
    """Books again what a store has forgotten, and opens its tenants again where nothing is missing any more.

    Args:
        ledger: whose store it is.
        found: told of every loss and of its end; must not raise.
        settled: told of every hold that ended; must not raise.
        remembered_s, ends_max: bounds on what is remembered.
        grace_s: from all ends being booked again to the acceptance.
        again_s: between two looks at a store that is away or a tenant that stays closed.
        clock_s: monotonic seconds.
    """

    def __init__(
        self,
        ledger: Regressing,
        *,
        found: Callable[[Regressed | Recovered], None] = lambda _: None,
        settled: Callable[[Settlement], None] = lambda _: None,
        remembered_s: float = REMEMBERED_S,
        ends_max: int = ENDS_MAX,
        grace_s: float = GRACE_S,
        again_s: float = _AGAIN_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._found = found
        self._settled = settled
        self._grace_s = grace_s
        self._again_s = again_s
        self._remembered = Remembered(remembered_s=remembered_s, ends_max=ends_max, clock_s=clock_s)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closed: set[str] = set()
        self._accepted: set[str] = set()

    @property
    def regressed(self) -> int:
        """How many tenants' journals have a loss that is not made good or accepted."""
        return len(self._closed)

    def booked(self, end: End, settlement: Settlement) -> None:
        """Remember an end that was booked just now."""
        if settlement.entry_id:
            self._remembered.add(end, settlement.entry_id)

    def doubted(self, tenant: str, verdict: Verdict | None) -> None:
        """See to a tenant whose journal lacks the mark; the verdict is None when nobody has looked closer yet."""
        if tenant in self._tasks:
            if verdict is Verdict.ACCEPTED:
                self._accepted.add(tenant)
        else:
            task = asyncio.create_task(self._recover(tenant, verdict))
            self._tasks[tenant] = task
            task.add_done_callback(lambda ended: self._ended(tenant, ended))

    async def close(self) -> None:
        """Stop; what is not made good is found again by the next process, by its marks."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, tenant: str, task: asyncio.Task[None]) -> None:
        del self._tasks[tenant]
        self._closed.discard(tenant)
        self._accepted.discard(tenant)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, LedgerPoisoned):
            # A fault of ours: shown like any exception nobody waits for. The next hold of the tenant begins anew.
            task.get_loop().call_exception_handler({"message": "a recovery failed", "exception": error, "task": task})

    async def _recover(self, tenant: str, verdict: Verdict | None) -> None:
        before = "0-0"
        if verdict is not Verdict.ACCEPTED:
            standing = await self._patiently(lambda: self._ledger.standing(tenant))
            verdict, before = standing.verdict, standing.before
        if verdict is Verdict.SOUND:
            return  # the mark was trimmed, or is there after all
        loss = _Loss(tenant, before, self._whole(tenant, before))
        loss.note(self._remembered)
        self._closed.add(tenant)
        self._found(Regressed(tenant, before))
        await self._patiently(lambda: self._book_again(loss))
        by = "other" if verdict is Verdict.ACCEPTED else await self._opened(loss)
        self._found(Recovered(tenant, len(loss.done), by))

    async def _book_again(self, loss: _Loss) -> None:
        """Book every end that may be lost, each once. Raises LedgerUnavailable: try again."""
        while loss.ends:
            hold_id, end = next(iter(loss.ends.items()))
            try:
                self._told(end, await self._ledger.book(end))
                loss.done.add(hold_id)
            except LedgerPoisoned:
                loss.whole = False  # an operator has to look at it before anybody accepts
            del loss.ends[hold_id]

    def _told(self, end: End, settlement: Settlement) -> None:
        if settlement.applied:
            self._settled(settlement)
            self.booked(end, settlement)

    async def _opened(self, loss: _Loss) -> str:
        """Wait until the loss is accepted: by this gateway, when it knows of nothing missing, or by somebody else."""
        tenant = loss.tenant
        while True:
            await asyncio.sleep(self._grace_s if loss.whole else self._again_s)
            standing = await self._patiently(lambda: self._ledger.standing(tenant))
            if standing.verdict is not Verdict.REGRESSED:
                # A call may have found the acceptance first, and put the mark in order.
                accepted = standing.verdict is Verdict.ACCEPTED or tenant in self._accepted
                return "other" if accepted else "store"
            # What was booked meanwhile, or before: an answer may be heard late.
            loss.note(self._remembered)
            await self._patiently(lambda: self._book_again(loss))
            if loss.whole:
                reason = f"booked again what came after {loss.before}"
                warrant = Warrant(OperationId(f"gateway-{standing.mark}"), ACTOR, reason)
                await self._patiently(partial(self._ledger.accept, tenant, warrant))
                return "gateway"

    def _whole(self, tenant: str, before: str) -> bool:
        """Whether everything this process wrote after `before` is remembered: it began, and forgot, no later."""
        known = max(self._ledger.began(tenant), self._remembered.horizon(tenant), key=order)
        return order(known) <= order(before)

    async def _patiently(self, work: Callable[[], Awaitable[_Done]]) -> _Done:
        while True:
            try:
                return await work()
            except LedgerPoisoned:
                raise
            except LedgerUnavailable:
                await asyncio.sleep(self._again_s)
