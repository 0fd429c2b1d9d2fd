"""No answer is not a no: whichever answer or question is lost, each effect happens once and nothing stays held."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.errors import BudgetExhausted, HoldClosed, LedgerUnavailable
from gateway.ledger.budget import Path
from gateway.ledger.contract import HoldId, open_hold
from gateway.ledger.redis import RedisLedger
from gateway.ledger.settler import Settler
from gateway.ledger.store import Script, Store
from gateway.units import Credits, Flag
from tests.contract.keepers import StoreKeeper, assert_clean, book, swept

ONE = HoldId("one")


class LossyStore(Store):
    """Loses what it is told to lose of the next scripts: the question, the answer, or nothing."""

    losses: tuple[str, ...] = ()
    code = "timeout"
    runs = 0

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str]) -> list[Any]:
        """As `Store.run`, less what is lost."""
        self.runs += 1
        loss, self.losses = (self.losses or ("nothing",))[0], self.losses[1:]
        answer = await super().run(script, keys, args) if loss != "question" else []
        if loss != "nothing":
            raise LedgerUnavailable(self.code)
        return answer


@pytest.fixture
def lossy(on_store: StoreKeeper) -> LossyStore:
    store = LossyStore(on_store.url, deadline_s=20.0)
    on_store.opened.append(store)
    return store


@pytest.fixture
async def ledger(on_store: StoreKeeper, lossy: LossyStore) -> RedisLedger:
    made = RedisLedger(lossy, book(on_store.tenant, tenant=100), hold_ttl_ms=60_000)
    await made.register()
    return made


async def stands(ledger: RedisLedger, tenant: str) -> set[tuple[int, int]]:
    found = await ledger.balances(Path(tenant, "ads", "ann"))
    return {(balance.spent.millicredits, balance.held.millicredits) for balance in found}


@pytest.mark.parametrize("code", ["timeout", "connection"])
@pytest.mark.parametrize("loss", ["question", "answer"])
async def test_a_hold_without_an_answer_is_asked_for_once_more_and_held_once(
    on_store: StoreKeeper, lossy: LossyStore, ledger: RedisLedger, loss: str, code: str
) -> None:
    lossy.losses, lossy.code = (loss,), code
    held = await ledger.hold(Path(on_store.tenant, "ads", "ann"), Credits(7), hold_id=ONE)
    assert (lossy.runs, held.amount) == (2 if loss == "question" else 3, Credits(7))
    assert await stands(ledger, on_store.tenant) == {(0, 7)}
    assert (await ledger.settle(held, Credits(5), Flag.CONFIRMED)).applied
    assert (await assert_clean(ledger, on_store.tenant)).entries == 2


async def test_a_hold_whose_answer_was_lost_shows_the_balances_as_they_stand(
    on_store: StoreKeeper, lossy: LossyStore, ledger: RedisLedger
) -> None:
    """The caller is shown what it has left: what others spent must not vanish from it."""
    path = Path(on_store.tenant, "ads", "ann")
    await ledger.settle(await ledger.hold(path, Credits(60), hold_id=HoldId("first")), Credits(60), Flag.CONFIRMED)
    lossy.losses = ("answer",)
    held = await ledger.hold(path, Credits(7), hold_id=ONE)
    assert {(balance.spent, balance.held) for balance in held.balances} == {(Credits(60), Credits(7))}
    assert held.balances[0].remaining == Credits(33)


async def test_an_id_that_is_held_by_somebody_else_is_closed_to_the_caller(
    on_store: StoreKeeper, ledger: RedisLedger
) -> None:
    """Its record names budgets that are not on the caller's path: settling it would move another's balances."""
    await ledger.hold(Path(on_store.tenant, "ads", "ann"), Credits(7), hold_id=ONE)
    before = await on_store.written()
    for stranger in (Path(on_store.tenant, "ads", "bob"), Path(on_store.tenant)):
        with pytest.raises(HoldClosed):
            await ledger.hold(stranger, Credits(7), hold_id=ONE)
    assert await on_store.written() == before


@pytest.mark.parametrize("losses", [("answer", "answer"), ("question", "answer"), ("answer", "question")])
async def test_a_hold_that_is_never_answered_is_asked_for_twice_and_then_voided(
    on_store: StoreKeeper, lossy: LossyStore, ledger: RedisLedger, losses: tuple[str, ...]
) -> None:
    settler, path = Settler(ledger), Path(on_store.tenant, "ads", "ann")
    lossy.losses = losses
    with pytest.raises(LedgerUnavailable):
        async with open_hold(ledger, settler, path, Credits(7), hold_id=ONE):
            raise AssertionError("the call must not be forwarded")
    assert lossy.runs == 2
    assert await settler.drain(20) == 0
    assert await stands(ledger, on_store.tenant) == {(0, 0)}
    with pytest.raises(HoldClosed):
        await ledger.hold(path, Credits(7), hold_id=ONE)
    await assert_clean(ledger, on_store.tenant)


@pytest.mark.parametrize("code", ["loading", "readonly", "oom", "auth", "error", "poisoned"])
async def test_a_hold_that_was_answered_with_an_error_is_not_asked_for_again(
    on_store: StoreKeeper, lossy: LossyStore, ledger: RedisLedger, code: str
) -> None:
    lossy.losses, lossy.code = ("question",), code
    with pytest.raises(LedgerUnavailable) as refused:
        await ledger.hold(Path(on_store.tenant, "ads", "ann"), Credits(7), hold_id=ONE)
    assert (lossy.runs, refused.value.code) == (1, code)


@pytest.mark.parametrize("loss", ["question", "answer"])
async def test_a_refusal_that_was_lost_is_a_refusal_still(
    on_store: StoreKeeper, lossy: LossyStore, ledger: RedisLedger, loss: str
) -> None:
    lossy.losses = (loss,)
    with pytest.raises(BudgetExhausted):
        await ledger.hold(Path(on_store.tenant, "ads", "ann"), Credits(101), hold_id=ONE)
    assert await stands(ledger, on_store.tenant) == {(0, 0)}


@pytest.mark.parametrize("losses", [("answer",), ("question", "answer", "answer")])
async def test_a_settle_whose_answer_is_lost_is_booked_once(
    on_store: StoreKeeper, lossy: LossyStore, ledger: RedisLedger, losses: tuple[str, ...]
) -> None:
    settler = Settler(ledger)
    held = await ledger.hold(Path(on_store.tenant, "ads", "ann"), Credits(7), hold_id=ONE)
    lossy.losses = losses
    settler.close(held, Credits(5), Flag.CONFIRMED)
    assert await settler.drain(20) == 0
    assert await stands(ledger, on_store.tenant) == {(5, 0)}
    assert (await assert_clean(ledger, on_store.tenant)).entries == 2


@pytest.mark.parametrize("losses", [("answer",), ("nothing", "answer"), ("nothing", "question", "answer")])
async def test_a_void_whose_answers_are_lost_is_booked_once(
    on_store: StoreKeeper, lossy: LossyStore, ledger: RedisLedger, losses: tuple[str, ...]
) -> None:
    settler, path = Settler(ledger), Path(on_store.tenant, "ads", "ann")
    await ledger.hold(path, Credits(7), hold_id=ONE)
    lossy.losses = losses
    settler.void(path, ONE, Credits(7))
    assert await settler.drain(20) == 0
    assert await stands(ledger, on_store.tenant) == {(0, 0)}
    assert (await assert_clean(ledger, on_store.tenant)).entries == 2


@pytest.mark.parametrize("loss", ["question", "answer"])
async def test_an_expiry_whose_answer_is_lost_is_booked_once(
    on_store: StoreKeeper, lossy: LossyStore, loss: str
) -> None:
    hasty = RedisLedger(lossy, book(on_store.tenant), hold_ttl_ms=1)
    await hasty.register()
    held = await hasty.hold(Path(on_store.tenant, "ads", "ann"), Credits(7), hold_id=ONE)
    await on_store.past(held.deadline_ms)
    lossy.losses = (loss,)
    with pytest.raises(LedgerUnavailable):
        await hasty.sweep()
    assert len(await swept(hasty, {ONE})) == (1 if loss == "question" else 0)
    assert await stands(hasty, on_store.tenant) == {(7, 0)}
    assert (await assert_clean(hasty, on_store.tenant)).entries == 2


async def test_a_hundred_calls_over_a_lossy_store_leave_exact_books(
    on_store: StoreKeeper, lossy: LossyStore, ledger: RedisLedger
) -> None:
    settler, path = Settler(ledger), Path(on_store.tenant, "ads", "ann")
    lossy.losses = ("nothing", "answer", "question", "nothing", "answer") * 60

    async def call(number: int) -> int:
        try:
            async with open_hold(ledger, settler, path, Credits(3), hold_id=HoldId(f"h{number}")) as opened:
                opened.end(Credits(1), Flag.CONFIRMED, final=True)
                return 1
        except (LedgerUnavailable, BudgetExhausted):
            return 0

    spent = sum(await asyncio.gather(*(call(number) for number in range(100))))
    assert await settler.drain(60) == 0
    lossy.losses = ()
    assert await stands(ledger, on_store.tenant) == {(spent, 0)}
    assert (await assert_clean(ledger, on_store.tenant)).spent == Credits(spent)
