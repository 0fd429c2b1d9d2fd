"""Parts for stories about the hall: an upstream and a client that do as they are told, and a ledger in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.account.findings import Finding
from gateway.account.guard import SharedAccount
from gateway.errors import Busy, ClientGone, GatewayError
from gateway.exchange import Ceiling, Exchange, Order, Standing
from gateway.ledger.budget import BudgetBook, Path, Rule, TenantBudgets
from gateway.ledger.contract import Hold, HoldId
from gateway.ledger.memory import MemoryLedger
from gateway.ledger.window import Every, Window
from gateway.messages import Call, Reply
from gateway.once import Once
from gateway.pricing.job import Job
from gateway.receipt import Receipt
from gateway.repeats import Memo
from gateway.turns.gate import OPEN, Turns
from gateway.units import Credits, Flag
from tests.unit.pricing.rates import TARIFF, TEXT2IMAGE

PATH = Path("studio", None, "ann")
MONTH = Window(Every.TOTAL)


async def chunks(*parts: bytes, error: GatewayError | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(0)
        yield part
    if error is not None:
        raise error


def reply(status: int = 200, *parts: bytes, error: GatewayError | None = None, **said: Any) -> Reply:
    """An image as an answer; `said` are further fields of the Reply."""
    made = Reply(status, (("content-type", "image/png"),), chunks(*(parts or (b"image",)), error=error))
    return replace(made, **said)


@dataclass
class FakeUpstream:
    """Answers with what it is given; remembers what it was sent."""

    answers: list[Reply | GatewayError] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    pause: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0)

    async def forward(self, call: Call) -> Reply:
        self.calls.append(call)
        await self.pause()
        answer = self.answers.pop(0)
        if isinstance(answer, GatewayError):
            raise answer
        return answer


@dataclass
class FakeClient:
    """Takes `takes` pieces of its answer and then is gone; None takes all."""

    takes: int | None = None
    got: list[bytes] = field(default_factory=list)
    standing: Standing | None = None
    status: int | None = None
    replayed: bool = False
    left: Callable[[], None] | None = None

    def watch(self, left: Callable[[], None] | None) -> None:
        self.left = left

    async def answer(self, reply: Reply, standing: Standing | None) -> None:
        self.standing, self.status, self.replayed = standing, reply.status, reply.replayed
        async for chunk in reply.body:
            if self.takes is not None and len(self.got) >= self.takes:
                raise ClientGone
            self.got.append(chunk)


@dataclass
class FakeSettler:
    """Books ends at once, and remembers in which order."""

    ledger: MemoryLedger
    full: bool = False
    ends: list[tuple[str, Credits, Flag]] = field(default_factory=list)
    voids: list[str] = field(default_factory=list)
    tasks: list[asyncio.Task[object]] = field(default_factory=list)

    def admit(self) -> None:
        if self.full:
            raise Busy

    def close(self, hold: Hold, charged: Credits, flag: Flag, facts: str = "") -> None:
        self.ends.append((hold.hold_id, charged, flag))
        self.tasks.append(asyncio.ensure_future(self.ledger.settle(hold, charged, flag, facts)))

    def void(self, path: Path, hold_id: HoldId, amount: Credits, once: str = "") -> None:
        self.voids.append(hold_id)
        self.tasks.append(asyncio.ensure_future(self.ledger.void(path, hold_id, amount, once)))

    async def done(self) -> None:
        await asyncio.gather(*self.tasks)


@dataclass
class FakeJobs:
    """Remembers who started what."""

    noted: set[tuple[str, str]] = field(default_factory=set)
    error: GatewayError | None = None

    async def started(self, tenant: str, job_id: str) -> None:
        if self.error is not None:
            raise self.error
        self.noted.add((tenant, job_id))

    async def owns(self, tenant: str, job_id: str) -> bool:
        return (tenant, job_id) in self.noted


class Stage:
    """A hall with fake doors: one tenant with `limit` credits, all wired together."""

    def __init__(
        self,
        *answers: Reply | GatewayError,
        limit: int = 100,
        hold_ceiling: bool = False,
        floor: int = 0,
        turns: Turns = OPEN,
    ) -> None:
        book = BudgetBook({"studio": TenantBudgets((Rule(Credits.whole(limit), MONTH),))})
        self.ledger = MemoryLedger(book, hold_ttl_ms=60_000)
        self.settler = FakeSettler(self.ledger)
        self.upstream = FakeUpstream(list(answers))
        self.jobs = FakeJobs()
        self.client = FakeClient()
        self.now_s = 0.0
        self.found: list[Finding] = []
        self.account = SharedAccount(
            floor=Credits.whole(floor), exhausted_s=30.0, found=self.found.append, clock_s=lambda: self.now_s
        )
        self.exchange = Exchange(
            tariff=TARIFF,
            ledger=self.ledger,
            settling=self.settler,
            upstream=self.upstream,
            jobs=self.jobs,
            account=self.account,
            turns=turns,
            hold_ceiling=hold_ceiling,
        )
        self.receipt = Receipt("r1", 0.0)

    def order(
        self,
        job: Job | None = None,
        ceilings: Sequence[Ceiling] = (),
        request_id: str = "r1",
        once: Once | None = None,
    ) -> Order:
        call = Call(request_id, "POST", "/text2image", "", (), b"{}")
        return Order(call, TEXT2IMAGE, job or Job("text2image"), PATH, tuple(ceilings), self.receipt, Memo(once))

    async def serve(self, **said: Any) -> None:
        try:
            await self.exchange.serve(self.order(**said), self.client)
        finally:
            await self.settler.done()

    async def money(self) -> tuple[Credits, Credits]:
        """Spent and held, once every end is booked."""
        await self.settler.done()
        (balance,) = await self.ledger.balances(PATH)
        return balance.spent, balance.held
