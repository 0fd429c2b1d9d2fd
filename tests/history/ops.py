"""Ops: everything that was asked of a ledger, when, and what was answered; and a ledger that writes it down."""

import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

from gateway.errors import BudgetExhausted, GatewayError, HoldClosed, LedgerUnavailable
from gateway.ledger.adjustment import Adjusted, Adjusting, AdjustmentRefused, Granted, OperationId, Warrant
from gateway.ledger.budget import Balance, Path
from gateway.ledger.contract import Audit, End, Hold, HoldId, Ledger, Settlement
from gateway.ledger.store import Script, Store
from gateway.ledger.store.trouble import UnknownScriptError
from gateway.once import Once
from gateway.units import Credits, Flag

# Of a balance: budget's name, window's start in ms, spent, held and granted in millicredits.
Row = tuple[str, int, int, int, int]


class Op(NamedTuple):
    """One question and its answer.

    Attributes:
        kind: hold, settle, void, balances, sweep, refund, adjust, grant, revoke.
        id: of the hold, or of the operation; empty where there is none.
        asked: the facts of the question, as each kind has them.
        invoked_ns, answered_ns: by one clock for all clients of a history.
        verdict: held, exhausted, closed, ended, done, read, swept, adjusted, granted, refused or unknown.
        answer: the facts of the answer, as each verdict has them.
        lost: how many times the store gave no answer meanwhile.
    """

    kind: str
    id: str
    asked: tuple[Any, ...]
    invoked_ns: int
    answered_ns: int
    verdict: str
    answer: tuple[Any, ...]
    lost: int = 0


_lost: ContextVar[list[int] | None] = ContextVar("lost", default=None)


class CountingStore(Store):
    """Counts how often a script got no answer, in all and within one question."""

    unanswered = 0

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str]) -> list[Any]:
        """See `Store.run`."""
        try:
            return await super().run(script, keys, args)
        except LedgerUnavailable:
            self.unanswered += 1
            self._asked_again()
            raise

    async def _ask(self, key: str | None, send: Any) -> Any:
        try:
            return await super()._ask(key, send)
        except UnknownScriptError:
            # The script is sent again with its text. Where answers get lost, this one may have been another call's:
            # an error bears no name, so the first question may have run after all.
            self._asked_again()
            raise

    def _asked_again(self) -> None:
        if (lost := _lost.get()) is not None:
            lost[0] += 1


class Recorder:
    """Ops by tenant, in the order in which they were answered."""

    def __init__(self) -> None:
        self.ops: dict[str, list[Op]] = defaultdict(list)
        self.verdicts: Counter[tuple[str, str]] = Counter()

    @property
    def count(self) -> int:
        """How many questions were answered, or given up."""
        return self.verdicts.total()

    def add(self, tenant: str, op: Op) -> None:
        """Write one down."""
        self.ops[tenant].append(op)
        self.verdicts[op.kind, op.verdict] += 1


class Question:
    """One question under way: begun when made, written down when answered."""

    __slots__ = ("asked", "id", "invoked_ns", "kind", "lost", "recorder", "tenant")

    def __init__(self, recorder: Recorder, kind: str, tenant: str, of: str, *asked: Any) -> None:
        self.recorder, self.kind, self.tenant, self.id, self.asked = recorder, kind, tenant, of, asked
        self.lost = [0]
        _lost.set(self.lost)
        self.invoked_ns = time.monotonic_ns()

    def answered(self, verdict: str, *answer: Any) -> None:
        """Write it down."""
        now_ns = time.monotonic_ns()
        op = Op(self.kind, self.id, self.asked, self.invoked_ns, now_ns, verdict, answer, self.lost[0])
        self.recorder.add(self.tenant, op)

    def failed(self, error: BaseException) -> None:
        """Write down what an error says; an error that says nothing certain is an answer unknown."""
        match error:
            case BudgetExhausted():
                limit, left = error.limit.millicredits, error.remaining.millicredits
                self.answered("exhausted", error.budget, limit, left, error.certain)
            case HoldClosed():
                self.answered("closed")
            case AdjustmentRefused():
                self.answered("refused", error.code)
            case LedgerUnavailable():
                self.answered("unknown", error.code)
            case _:
                self.answered("unknown", type(error).__name__)


def rows(balances: Sequence[Balance]) -> tuple[Row, ...]:
    """Balances as an op has them."""
    return tuple(
        (b.budget.name, b.span.start_ms, b.spent.millicredits, b.held.millicredits, b.granted.millicredits)
        for b in balances
    )


_FAILS = (GatewayError, AdjustmentRefused)


class RecordedLedger:
    """Passes every question on, and writes it down with its answer."""

    def __init__(self, ledger: Ledger, recorder: Recorder) -> None:
        self._ledger = ledger
        self._recorder = recorder

    async def hold(self, path: Path, amount: Credits, *, hold_id: HoldId, once: Once | None = None) -> Hold:
        """See `Ledger.hold`."""
        question = Question(self._recorder, "hold", path.tenant, hold_id, path, amount.millicredits)
        try:
            held = await self._ledger.hold(path, amount, hold_id=hold_id, once=once)
        except BaseException as error:
            question.failed(error)
            raise
        question.answered("held", held.hold_id, held.amount.millicredits, held.deadline_ms, rows(held.balances))
        return held

    async def settle(self, hold: Hold, charged: Credits, flag: Flag, facts: str = "") -> Settlement:
        """See `Ledger.settle`."""
        work = self._ledger.settle(hold, charged, flag, facts)
        return await self._ended(hold.path.tenant, hold.hold_id, (charged, flag), work)

    async def book(self, end: End) -> Settlement:
        """See `Ledger.book`."""
        return await self._ended(end.tenant, end.hold_id, (end.charged, end.flag), self._ledger.book(end))

    async def _ended(
        self, tenant: str, hold_id: HoldId, asked: tuple[Credits, Flag], work: Awaitable[Settlement]
    ) -> Settlement:
        question = Question(self._recorder, "settle", tenant, hold_id, asked[0].millicredits, str(asked[1]))
        try:
            ended = await work
        except BaseException as error:
            question.failed(error)
            raise
        facts = ended.hold_id, str(ended.state), ended.charged.millicredits, str(ended.flag), ended.applied
        question.answered("ended", *facts)
        return ended

    async def void(self, path: Path, hold_id: HoldId, amount: Credits, once: str = "") -> None:
        """See `Ledger.void`."""
        question = Question(self._recorder, "void", path.tenant, hold_id)
        try:
            await self._ledger.void(path, hold_id, amount, once)
        except BaseException as error:
            question.failed(error)
            raise
        question.answered("done")

    async def balances(self, path: Path) -> tuple[Balance, ...]:
        """See `Ledger.balances`."""
        question = Question(self._recorder, "balances", path.tenant, "", path)
        try:
            found = await self._ledger.balances(path)
        except BaseException as error:
            question.failed(error)
            raise
        question.answered("read", rows(found))
        return found

    async def sweep(self, *, most: int = 100) -> tuple[Settlement, ...]:
        """See `Ledger.sweep`. It is no one tenant's: hold ids begin with their tenant and a slash."""
        question = Question(self._recorder, "sweep", "", "")
        try:
            ended = await self._ledger.sweep(most=most)
        except BaseException as error:
            question.failed(error)
            raise
        question.answered("swept", *((one.hold_id, one.charged.millicredits) for one in ended))
        return ended

    async def audit(self, tenant: str) -> Audit:
        """See `Ledger.audit`. Not written down."""
        return await self._ledger.audit(tenant)


class RecordedHand:
    """An operator's hand, as `RecordedLedger`."""

    def __init__(self, hand: Adjusting, recorder: Recorder) -> None:
        self._hand = hand
        self._recorder = recorder

    async def refund(self, tenant: str, hold_id: HoldId, amount: Credits | None, warrant: Warrant) -> Adjusted:
        """See `Adjusting.refund`."""
        asked = hold_id, None if amount is None else amount.millicredits
        question = Question(self._recorder, "refund", tenant, warrant.operation_id, *asked)
        try:
            return self._told(question, await self._hand.refund(tenant, hold_id, amount, warrant))
        except _FAILS as error:
            question.failed(error)
            raise

    async def correct(self, tenant: str, hold_id: HoldId, charged: Credits, warrant: Warrant) -> Adjusted:
        """See `Adjusting.correct`."""
        question = Question(self._recorder, "adjust", tenant, warrant.operation_id, hold_id, charged.millicredits)
        try:
            return self._told(question, await self._hand.correct(tenant, hold_id, charged, warrant))
        except _FAILS as error:
            question.failed(error)
            raise

    @staticmethod
    def _told(question: Question, done: Adjusted) -> Adjusted:
        amounts = done.before.millicredits, done.after.millicredits
        question.answered("adjusted", done.operation_id, done.hold_id, *amounts, done.applied)
        return done

    async def grant(self, tenant: str, budget: str, amount: Credits, until_ms: int | None, warrant: Warrant) -> Granted:
        """See `Adjusting.grant`."""
        asked = budget, amount.millicredits, until_ms
        question = Question(self._recorder, "grant", tenant, warrant.operation_id, *asked)
        try:
            return self._given(question, await self._hand.grant(tenant, budget, amount, until_ms, warrant))
        except _FAILS as error:
            question.failed(error)
            raise

    async def revoke(self, tenant: str, granted: OperationId, warrant: Warrant) -> Granted:
        """See `Adjusting.revoke`."""
        question = Question(self._recorder, "revoke", tenant, warrant.operation_id, granted)
        try:
            return self._given(question, await self._hand.revoke(tenant, granted, warrant))
        except _FAILS as error:
            question.failed(error)
            raise

    @staticmethod
    def _given(question: Question, done: Granted) -> Granted:
        question.answered("granted", done.operation_id, done.budget, done.amount.millicredits, done.applied)
        return done
