"""The hall: one paid call from end to end. price -> hold -> take turns -> forward -> charge -> respond -> settle.

Walls: it opens no door itself (the doors come in as small protocols), imports no third-party package, and knows
of no status line but the upstream's. One direction: no step returns to an earlier one. A call is sent upstream at
most once per hold.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from gateway.account.guard import Draw, SharedAccount
from gateway.errors import (
    AboveCeiling,
    ClientGone,
    LedgerUnavailable,
    UpstreamUnanswered,
    UpstreamUnreachable,
)
from gateway.jobs import ANSWER_BYTES_MAX, JobBook, job_id_in
from gateway.ledger.budget import Balance, Path, tightest
from gateway.ledger.contract import Closer, HoldId, Ledger, OpenHold, open_hold
from gateway.messages import Account, Call, Reply
from gateway.once import FREE, IdempotencyEnded
from gateway.pricing.charge import Charge, Outcome, charge
from gateway.pricing.job import Job
from gateway.pricing.prices import Prices
from gateway.pricing.quote import Quote
from gateway.pricing.tariff import Method, Status, Tariff
from gateway.receipt import Receipt
from gateway.repeats import Memo, told_again
from gateway.replies import closes_account, joined, outcome_of, refuse_unfit
from gateway.turns.gate import OPEN, Leaving, Turn, Turns
from gateway.units import Credits
from gateway.values import value

# What a verdict names when the account shared by all callers refuses.
SHARED_ACCOUNT = "shared-account"


class Upstream(Protocol):
    """The back door."""

    async def forward(self, call: Call) -> Reply:
        """Send `call` once. Raises UpstreamUnreachable (nothing was sent) or UpstreamUnanswered."""
        ...


class Settling(Closer, Protocol):
    """Ends holds beside the request."""

    def admit(self) -> None:
        """Raises Busy when nothing new may be held."""
        ...


@value(frozen=True, slots=True)
class Standing:
    """What a client is told of its money.

    Attributes:
        charged: what this call is settled at; None for a free call.
        balance: its tightest budget, as it stood with this call's hold in it.
        remaining: what that budget has left after this call.
    """

    charged: Credits | None
    balance: Balance
    remaining: Credits


class Client(Leaving, Protocol):
    """The front door, as far as one answer is concerned."""

    async def answer(self, reply: Reply, standing: Standing | None) -> None:
        """Stream `reply` to the client. Raises ClientGone when it no longer takes it."""
        ...


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most a call may cost, and who says so: `header` or `grant`."""

    credits: Credits
    source: str


@value(frozen=True, slots=True)
class Order:
    """One call as it leaves the front door: read, priced by nobody yet.

    Attributes:
        call: what will be forwarded.
        method: the tariff's entry for it.
        job: what was asked.
        path: who pays.
        ceilings: refuse above any of these.
        receipt: filled in on the way.
        memo: filled in on the way: told to whoever repeats the call under its idempotency key.
    """

    call: Call
    method: Method
    job: Job
    path: Path
    ceilings: tuple[Ceiling, ...]
    receipt: Receipt
    memo: Memo = field(default_factory=Memo)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What would happen to an order: its quote, what each budget would answer, and what refuses it (or nothing)."""

    quote: Quote
    amount: Credits
    balances: tuple[Balance, ...]
    refused_by: str | None


class Exchange:
    """Takes orders.

    Args:
        tariff: what things cost.
        ledger: who may still spend.
        settling: ends holds.
        upstream: the back door.
        jobs: remembers who started an asynchronous job.
        account: the upstream's account, shared by all callers.
        turns: who may go upstream, and when.
        hold_ceiling: hold each line rounded up instead of the published, floored figure.
        clock_s: monotonic seconds, for durations only.
    """

    def __init__(
        self,
        *,
        tariff: Tariff,
        ledger: Ledger,
        settling: Settling,
        upstream: Upstream,
        jobs: JobBook,
        account: SharedAccount,
        turns: Turns = OPEN,
        hold_ceiling: bool = False,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prices = Prices(tariff)
        self._ledger = ledger
        self._settling = settling
        self._upstream = upstream
        self._jobs = jobs
        self._account = account
        self._turns = turns
        self._hold_ceiling = hold_ceiling
        self._clock_s = clock_s

    async def serve(self, order: Order, client: Client) -> None:
        """Tell one paid call from end to end.

        Raises:
            AboveCeiling, BudgetExhausted, TooManyCalls, LedgerUnavailable, Busy, Overloaded, and UpstreamExhausted
                without status: nothing was sent.
            Repeated: the order's idempotency key is taken; nothing was sent. An ended call whose answer was kept is
                answered once more instead.
            UpstreamError: see the error; what is due is booked. When the answer had begun, the client's connection is
                already given up.
        """
        priced = self._price(order)
        _refuse_above(order.ceilings, priced.total)
        self._settling.admit()
        amount, name = self._amount(priced), order.method.name
        # Before the hold: who finds no place, or an account that cannot bear it, leaves no trace in anybody's budget.
        try:
            with self._turns.enter(order.path.tenant, amount) as turn, self._account.admit(amount, name) as draw:
                await self._admitted(order, priced, turn, draw, client)
        except IdempotencyEnded as ended:
            order.receipt.replayed = True
            again = told_again(ended.first)
            if again is None:
                raise
            # Noted again: at the first time the store may have been away.
            await _tell_again(await self._noted(order, again), client, order.receipt)

    async def verdict(self, order: Order) -> Verdict:
        """Say what `serve` would do now, without doing it. Raises TenantUnknown, LedgerUnavailable."""
        priced = self._price(order)
        amount = self._amount(priced)
        balances = await self._ledger.balances(order.path)
        order.receipt.remaining = tightest(balances).remaining
        refusing = [balance for balance in balances if not balance.bears(amount)]
        refused_by = tightest(tuple(refusing)).budget.name if refusing else None
        if not self._account.bears(amount):
            refused_by = SHARED_ACCOUNT
        if any(priced.total > ceiling.credits for ceiling in order.ceilings):
            refused_by = "ceiling"
        return Verdict(priced, amount, balances, refused_by)

    async def pass_free(self, call: Call, client: Client, receipt: Receipt) -> None:
        """Forward a call that costs nothing (`/info`, job polls). Raises UpstreamError."""
        with self._account.free_call() as draw:
            reply = await self._forwarded(call, receipt)
            draw.answered(reply.account, outcome_of(reply))
        if reply.reported:
            # Nothing was held for it, and its job was booked when it was started: seen in the log, never booked twice.
            receipt.code = "charge_on_free_call"
        try:
            refuse_unfit(reply)
            await self._deliver(reply, client, None, receipt)
        finally:
            await reply.close()

    def _price(self, order: Order) -> Quote:
        price = self._prices.of(order.method, order.job)
        priced, receipt = price.quote, order.receipt
        receipt.items, receipt.size, receipt.saving = price.items, price.size, price.saving or None
        receipt.quoted, receipt.estimated = priced.total, priced.status is Status.ESTIMATED
        receipt.pixels, receipt.steps = priced.measure.pixels, priced.measure.steps
        receipt.upscaled, receipt.loras, receipt.model = order.job.upscaled, order.job.loras, order.job.model
        receipt.tariff_version = priced.tariff_version
        return priced

    def _amount(self, priced: Quote) -> Credits:
        return priced.ceiling if self._hold_ceiling else priced.total

    async def _admitted(self, order: Order, priced: Quote, turn: Turn, draw: Draw, client: Client) -> None:
        """Hold, then wait for the turn. Until `draw` knows an answer, the shared account counts the call as its own."""
        receipt, hold_id = order.receipt, HoldId(order.call.request_id)
        receipt.hold_began_s = began_s = self._clock_s()
        async with open_hold(
            self._ledger, self._settling, order.path, self._amount(priced), hold_id=hold_id, once=order.memo.once
        ) as opened:
            receipt.hold_s = self._clock_s() - began_s
            receipt.hold_id, receipt.held = hold_id, opened.hold.amount
            try:
                await turn.come(client)
                await self._held(order, priced, opened, draw, client)
                opened.facts = order.memo.ended()
            except BaseException as error:
                if opened.facts != FREE:  # it was sent
                    opened.facts = order.memo.ended_by(error, opened.charged)
                raise
            finally:
                receipt.queued_s = turn.waited_s
                receipt.charged, receipt.flag = opened.charged, opened.flag

    async def _held(self, order: Order, priced: Quote, opened: OpenHold, draw: Draw, client: Client) -> None:
        """Forward, charge, respond. From `sent` on, whatever is not said otherwise costs the quote."""
        opened.sent(priced.total)
        draw.sent()
        try:
            reply = await self._forwarded(order.call, order.receipt)
        except UpstreamUnreachable:
            _end(opened, charge(priced.total, Outcome.NEVER_SENT), final=True)
            draw.answered(Account(), Outcome.NEVER_SENT)
            raise
        outcome = outcome_of(reply)
        draw.answered(reply.account, outcome, reply.reported, exhausted=closes_account(reply))
        due = charge(priced.total, outcome, reply.reported)
        # A silent success may yet be cut short; every other answer's head has said all there is about money.
        _end(opened, due, final=outcome is not Outcome.SUCCEEDED)
        standing = _standing(opened, due.credits)
        order.receipt.remaining, order.receipt.binding = standing.remaining, standing.balance.budget.name
        try:
            refuse_unfit(reply)
            noted = order.memo.watch(await self._noted(order, reply))
            await self._deliver(noted, client, standing, order.receipt)
        except UpstreamUnanswered:
            if outcome is Outcome.SUCCEEDED:
                _end(opened, charge(priced.total, Outcome.UNANSWERED), final=True)
            raise
        finally:
            await reply.close()

    async def _forwarded(self, call: Call, receipt: Receipt) -> Reply:
        receipt.upstream_began_s = began_s = self._clock_s()
        try:
            reply = await self._upstream.forward(call)
        finally:
            receipt.upstream_head_s = self._clock_s() - began_s
        receipt.upstream_status = reply.status
        return reply

    async def _noted(self, order: Order, reply: Reply) -> Reply:
        """Remember who started an asynchronous job, before the client learns its id."""
        kind = (reply.field("content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/json" or not 200 <= reply.status < 300:  # noqa: PLR2004 - success
            return reply
        seen = bytearray()
        rest = aiter(reply.body)
        async for chunk in rest:
            seen += chunk
            if len(seen) > ANSWER_BYTES_MAX:
                return replace(reply, body=joined(bytes(seen), rest))
        job_id = job_id_in(bytes(seen))
        if job_id is not None:
            order.memo.job_id = order.receipt.job_id = job_id
            try:
                await self._jobs.started(order.path.tenant, job_id)
            except LedgerUnavailable:
                order.receipt.code = "job_not_noted"
        return replace(reply, body=joined(bytes(seen), rest))

    async def _deliver(self, reply: Reply, client: Client, standing: Standing | None, receipt: Receipt) -> None:
        """Stream the answer; a client that leaves does not stop the upstream's answer from being read to its end."""
        began_s = self._clock_s()
        try:
            await client.answer(reply, standing)
        except ClientGone:
            receipt.client_gone = True
            async for _ in reply.body:
                pass
        finally:
            receipt.upstream_s = (receipt.upstream_head_s or 0.0) + self._clock_s() - began_s


async def _tell_again(reply: Reply, client: Client, receipt: Receipt) -> None:
    try:
        await client.answer(reply, None)
    except ClientGone:
        receipt.client_gone = True


def _refuse_above(ceilings: tuple[Ceiling, ...], quoted: Credits) -> None:
    for ceiling in ceilings:
        if quoted > ceiling.credits:
            raise AboveCeiling(quoted=quoted, ceiling=ceiling.credits, source=ceiling.source)


def _end(opened: OpenHold, due: Charge, *, final: bool) -> None:
    opened.end(due.credits, due.flag, final=final)


def _standing(opened: OpenHold, charged: Credits) -> Standing:
    balance = tightest(opened.hold.balances)
    after = balance.room + opened.hold.amount.millicredits - charged.millicredits
    return Standing(charged, balance, Credits(max(0, after)))
