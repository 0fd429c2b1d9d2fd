"""No sequence of calls, adjustments and trims unsettles the books."""

import asyncio
import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.ledger import keys
from gateway.ledger.adjustment import AdjustmentRefused
from gateway.ledger.contract import HoldId
from gateway.ledger.journal import first_id, pairs
from gateway.ledger.redis import RedisLedger
from gateway.units import Credits, Flag
from tests.contract.keepers import StoreKeeper, assert_clean, book, swept, warrant
from tests.contract.test_trimming import export, ids, path, seen, trimmed

STEPS = st.lists(
    st.tuples(st.sampled_from(["hold", "settle", "expire", "refund", "correct", "grant", "revoke", "trim"]),
              st.integers(0, 4), st.integers(0, 12)),
    max_size=25,
)  # fmt: skip


@pytest.mark.timeout(110)
def test_no_sequence_of_steps_and_trims_unsettles_the_books(store_url: str) -> None:
    @settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
    @given(STEPS)
    def run(steps: list[tuple[str, int, int]]) -> None:
        asyncio.run(_played(StoreKeeper(store_url), steps))

    run()


async def _played(keeper: StoreKeeper, steps: list[tuple[str, int, int]]) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    for number, step in enumerate(steps):
        with contextlib.suppress(AdjustmentRefused):
            await _step(keeper, ledger, number, *step)
        await assert_clean(ledger, keeper.tenant)
    before = await seen(ledger, keeper)
    if await first_id(keeper.store, keeper.tenant):
        await trimmed(keeper, await export(keeper))
        assert len(await ids(keeper)) == 1
    assert await seen(ledger, keeper) == before
    await keeper.close()


async def _step(keeper: StoreKeeper, ledger: RedisLedger, number: int, kind: str, which: int, amount: int) -> None:
    hand, name, given = await keeper.adjusting(), HoldId(f"h{which}"), Credits(amount)
    found = pairs(await keeper.store.call("HGETALL", keys.record(keeper.tenant, name)))
    if kind == "hold" and not found:
        await ledger.hold(path(keeper), given, hold_id=name)
    elif kind == "settle" and found:
        await ledger._settled(keeper.tenant, name, keys.read(found["budgets"]), given, Flag.UNCERTAIN)
    elif kind == "expire" and not found:
        hasty = await keeper.ledger(book(keeper.tenant), hold_ttl_ms=1)
        held = await hasty.hold(path(keeper), given, hold_id=name)
        await keeper.past(held.deadline_ms)
        await swept(hasty, {name})
    elif kind == "refund":
        await hand.refund(keeper.tenant, name, None if amount > 9 else given, warrant(f"o{number}"))
    elif kind == "correct":
        await hand.correct(keeper.tenant, name, given, warrant(f"o{number}"))
    elif kind == "grant":
        await hand.grant(keeper.tenant, "tenant/total", given, None, warrant(f"g{which}"))
    elif kind == "revoke":
        await hand.revoke(keeper.tenant, warrant(f"g{which}").operation_id, warrant(f"o{number}"))
    elif kind == "trim" and (there := await ids(keeper)):
        await trimmed(keeper, await export(keeper, there[min(amount, len(there) - 1)]))
