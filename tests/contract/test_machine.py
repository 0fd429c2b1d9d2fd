"""The real keeper does what the reference does, step by step, whatever the steps are."""

import asyncio
import copy
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from gateway.errors import GatewayError
from gateway.ledger import keys
from gateway.ledger.adjustment import Adjusting, AdjustmentRefused, OperationId
from gateway.ledger.budget import BudgetBook, Path, Rule, TeamBudgets, TenantBudgets
from gateway.ledger.contract import Hold, HoldId, Ledger, Settlement, State
from gateway.ledger.journal import order
from gateway.ledger.limits import Limits
from gateway.ledger.memory import MemoryLedger
from gateway.ledger.redis import RedisLedger
from gateway.ledger.standing import accept
from gateway.ledger.window import Every, Window
from gateway.units import Credits, Flag
from tests.contract.keepers import StoreKeeper, new_tenant, real_ms, swept, warrant

_T = TypeVar("_T")

SHORT_MS, LONG_MS = 1, 3_600_000
WHO = ((None, None), (None, "ann"), ("ads", "ann"), ("ads", "bob"), ("print", "ann"))

NUMBERS = st.integers(0, 11)
PHOTOGRAPHS = st.sampled_from(["one", "two"])
KEPT_IN_MEMORY = ("_spent", "_held", "_granted", "_records", "_operations", "_even_us", "journal")
AMOUNTS = st.one_of(st.integers(0, 40), st.sampled_from([0, 1, 60, 61, 100, 101]))
LIMITS = st.sampled_from([0, 30, 60, 100])
# A pace no run is long enough to see: so only the number of calls counts, not the time they take.
CALLS = st.none() | st.builds(
    Limits, st.none() | st.integers(1, 4), st.none() | st.just(Decimal("0.001")), burst=st.integers(1, 5)
)
BUDGETS = st.sampled_from(["tenant/total", "tenant/month", "team:ads/total", "each:ann/total", "user:ann/total", "no"])


def limits(tenant: str, purse: int, team: int, user: int, calls: Limits | None = None) -> BudgetBook:
    """A tree with budgets at every kind of point; a total and a month, so that one call moves several windows."""
    purses = tuple(Rule(Credits(purse), Window(every)) for every in (Every.TOTAL, Every.MONTH))
    each = (Rule(Credits(user), Window(Every.TOTAL)),)
    teams = {"ads": TeamBudgets((Rule(Credits(team), Window(Every.TOTAL)),), each), "print": TeamBudgets()}
    return BudgetBook({tenant: TenantBudgets(purses, each_user=each, teams=teams, users={"ann": each}, limits=calls)})


def balances_of(hold: Hold) -> list[tuple[str, Credits, Credits, Credits]]:
    return [(b.budget.name, b.spent, b.held, b.remaining) for b in hold.balances]


class TwoKeepers(RuleBasedStateMachine):
    """Both ledgers take the same steps; after each, everything one can see of them is equal, and sound."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.tenant = new_tenant()
        self.keeper = StoreKeeper(self.url, self.tenant)
        self.now_ms = self.began_ms = real_ms()
        self.refit(100, 100, 100)
        self.holds: dict[HoldId, Hold] = {}
        self.endings: Counter[HoldId] = Counter()
        self.photographs: dict[str, tuple[dict[str, Any], Counter[HoldId]]] = {}
        self.accepted = 0

    def refit(self, purse: int, team: int, user: int, calls: Limits | None = None) -> None:
        """Set the limits; what was spent and held stays."""
        self.book = limits(self.tenant, purse, team, user, calls)
        memory = MemoryLedger(self.book, hold_ttl_ms=LONG_MS, clock_ms=lambda: self.now_ms)
        self.memory = getattr(self, "memory", memory)
        self.memory._book = self.book
        self.real = {ttl: self.run(self.keeper.ledger(self.book, hold_ttl_ms=ttl)) for ttl in (SHORT_MS, LONG_MS)}

    def run(self, work: Awaitable[_T]) -> _T:
        async def awaited() -> _T:
            return await work

        return self.runner.run(awaited())

    def both(self, work: Callable[[Ledger], Awaitable[object]], ttl_ms: int = LONG_MS) -> tuple[object, object]:
        """What each keeper answers, or the facts of what it raises."""
        self.memory._hold_ttl_ms = ttl_ms
        return self.answer(work(self.memory)), self.answer(work(self.real[ttl_ms]))

    def adjusted(self, work: Callable[[Adjusting], Awaitable[object]]) -> None:
        """Both are adjusted alike: the same answer, or the same refusal."""
        expected = self.answer(work(self.memory))
        assert expected == self.answer(work(self.run(self.keeper.adjusting(self.book))))

    def answer(self, work: Awaitable[object]) -> object:
        try:
            return self.run(work)
        except (GatewayError, AdjustmentRefused) as error:
            return type(error).__name__, vars(error)

    def who(self, number: int) -> Path:
        """An id always belongs to the same caller."""
        return Path(self.tenant, *WHO[number % len(WHO)])

    @rule(number=NUMBERS, amount=AMOUNTS, ttl_ms=st.sampled_from([SHORT_MS, LONG_MS]))
    def hold(self, number: int, amount: int, ttl_ms: int) -> None:
        hold_id, fresh = HoldId(f"h{number}"), HoldId(f"h{number}") not in self.holds
        expected, got = self.both(
            lambda ledger: ledger.hold(self.who(number), Credits(amount), hold_id=hold_id), ttl_ms
        )
        if ttl_ms == SHORT_MS:
            self.pass_by()  # past its deadline it is in flight no more
        if not isinstance(expected, Hold) or not isinstance(got, Hold):
            assert self.without_seconds(expected) == self.without_seconds(got)
            return
        assert (expected.hold_id, expected.path, expected.amount) == (got.hold_id, got.path, got.amount)
        if fresh:
            assert balances_of(expected) == balances_of(got)
            assert all(b.spent + b.held <= b.budget.limit + b.granted for b in got.balances)
            self.holds[hold_id] = got

    def without_seconds(self, answer: object) -> object:
        """The keepers' clocks differ by a little, and a month's end is told in seconds."""
        assert isinstance(answer, tuple)
        name, facts = answer
        return name, {key: value for key, value in facts.items() if key not in ("reset_s", "retry_after_s")}

    @rule(number=NUMBERS, charged=AMOUNTS, flag=st.sampled_from(Flag))
    def settle(self, number: int, charged: int, flag: Flag) -> None:
        hold_id = HoldId(f"h{number}")
        hold = self.holds.get(hold_id) or Hold(hold_id, self.who(number), Credits(1), (), 0)
        expected, got = self.both(lambda ledger: ledger.settle(hold, Credits(charged), flag))
        assert expected == got
        self.note(got)

    @rule(number=NUMBERS)
    def void(self, number: int) -> None:
        hold_id = HoldId(f"h{number}")
        assert self.both(lambda ledger: ledger.void(self.who(number), hold_id, Credits(1))) == (None, None)

    @rule(number=NUMBERS, amount=st.none() | AMOUNTS, operation=NUMBERS)
    def refund(self, number: int, amount: int | None, operation: int) -> None:
        given, back = HoldId(f"h{number}"), None if amount is None else Credits(amount)
        self.adjusted(lambda hand: hand.refund(self.tenant, given, back, warrant(f"o{operation}")))

    @rule(number=NUMBERS, charged=AMOUNTS, operation=NUMBERS)
    def correct(self, number: int, charged: int, operation: int) -> None:
        given = HoldId(f"h{number}")
        self.adjusted(lambda hand: hand.correct(self.tenant, given, Credits(charged), warrant(f"o{operation}")))

    @rule(budget=BUDGETS, amount=AMOUNTS, lapses=st.booleans(), operation=NUMBERS)
    def grant(self, budget: str, amount: int, lapses: bool, operation: int) -> None:
        until_ms = self.began_ms + LONG_MS if lapses else None
        self.adjusted(lambda hand: hand.grant(self.tenant, budget, Credits(amount), until_ms, warrant(f"o{operation}")))

    @rule(granted=NUMBERS, operation=NUMBERS)
    def revoke(self, granted: int, operation: int) -> None:
        given = OperationId(f"o{granted}")
        self.adjusted(lambda hand: hand.revoke(self.tenant, given, warrant(f"o{operation}")))

    def pass_by(self) -> None:
        """Let the shortest deadlines pass, by both clocks."""
        self.run(self.keeper.past(self.run(self.keeper.now_ms()) + SHORT_MS + 1))
        self.now_ms += SHORT_MS + 1

    @precondition(lambda self: self.holds)
    @rule()
    def sweep(self) -> None:
        self.pass_by()
        ids: set[str] = set(self.holds)
        expected, got = (self.run(swept(ledger, ids)) for ledger in (self.memory, self.real[LONG_MS]))
        assert sorted(expected, key=lambda s: s.hold_id) == sorted(got, key=lambda s: s.hold_id)
        for settlement in got:
            self.note(settlement)

    @rule(name=PHOTOGRAPHS)
    def photograph(self, name: str) -> None:
        """Remember how everything stands now."""
        self.run(self.keeper.photograph(name))
        kept = {field: copy.deepcopy(getattr(self.memory, field)) for field in KEPT_IN_MEMORY}
        self.photographs[name] = kept, self.endings.copy()

    @precondition(lambda self: self.photographs)
    @rule(name=PHOTOGRAPHS)
    def fall_back(self, name: str) -> None:
        """The store loses its newest entries, and is not believed until that is accepted."""
        if name not in self.photographs:
            return
        self.run(self.keeper.fall_back(name))
        kept, self.endings = copy.deepcopy(self.photographs[name][0]), self.photographs[name][1].copy()
        for field, value in kept.items():
            setattr(self.memory, field, value)
        there = self.run(self.keeper.ids())
        covers = self.run(self.keeper.store.call("HGET", keys.accepted(self.tenant), "covers")) or "0-0"
        for ledger in self.real.values():
            mark = ledger._marks.newest(self.tenant) or "0-0"
            if mark not in there and order(mark) > order(covers):
                refused = self.answer(ledger.hold(self.who(1), Credits(0), hold_id=HoldId("anything")))
                assert refused == ("LedgerRegressed", {"code": "regressed", "sent": False})
        assert self.run(self.keeper.ids()) == there
        self.accepted += 1
        word = warrant(f"a{self.accepted}")
        assert self.run(accept(self.keeper.store, self.tenant, "", word)).applied
        said = {"op": "accept", "id": word.operation_id, "amount": "0", "budgets": ""}
        self.memory.journal[self.tenant].append(said | {"actor": word.actor, "reason": word.reason})

    @rule(purse=LIMITS, team=LIMITS, user=LIMITS, calls=CALLS)
    def change_limits(self, purse: int, team: int, user: int, calls: Limits | None) -> None:
        self.refit(purse, team, user, calls)

    def note(self, settlement: object) -> None:
        """I2: a hold ends once, and once more only where it had expired."""
        assert isinstance(settlement, Settlement)
        if settlement.applied:
            assert self.endings[settlement.hold_id] == 0 or settlement.state is State.SETTLED
            self.endings[settlement.hold_id] += 1
            assert self.endings[settlement.hold_id] <= 2

    @invariant()
    def the_balances_are_equal(self) -> None:
        for number in range(len(WHO)):
            expected, got = (self.run(ledger.balances(self.who(number))) for ledger in self.keepers)
            assert [(b.budget, b.spent, b.held, b.granted) for b in expected] == [
                (b.budget, b.spent, b.held, b.granted) for b in got
            ]
            assert all(b.spent.millicredits >= 0 and b.held.millicredits >= 0 for b in got)

    @invariant()
    def the_books_are_clean_and_equal(self) -> None:
        expected, got = (self.run(ledger.audit(self.tenant)) for ledger in self.keepers)
        assert got.differences == ()
        assert expected == got

    @invariant()
    def the_journals_are_equal(self) -> None:
        """Save for the order of holds that expire in one sweep."""
        expected, got = self.memory.journal[self.tenant], self.run(self.keeper.journal())
        assert sorted(expected, key=_op_and_id) == sorted(got, key=_op_and_id)

    @property
    def keepers(self) -> tuple[MemoryLedger, RedisLedger]:
        return self.memory, self.real[LONG_MS]

    def teardown(self) -> None:
        self.run(self.keeper.close())
        self.runner.close()


def _op_and_id(entry: dict[str, str]) -> tuple[str, str]:
    return entry["op"], entry["id"]


@pytest.mark.timeout(110)
def test_the_real_keeper_does_what_the_reference_does(store_url: str) -> None:
    run_state_machine_as_test(
        type("OnThisStore", (TwoKeepers,), {"url": store_url}),
        settings=settings(
            deadline=None,
            max_examples=30,
            stateful_step_count=30,
            suppress_health_check=list(HealthCheck),
        ),
    )
