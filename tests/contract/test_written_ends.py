"""An end that was written down ends its hold as the hold itself would, also long after whoever held it is gone."""

import pytest

from gateway.ledger.budget import Path
from gateway.ledger.contract import End, HoldId, Settlement, State
from gateway.units import Credits, Flag
from tests.contract.keepers import Keeper, assert_clean, book, swept

ONE = HoldId("one")


@pytest.mark.parametrize("charged", [0, 3, 7, 12])
@pytest.mark.parametrize("expired", [False, True])
async def test_a_written_end_is_booked_once_open_or_expired(keeper: Keeper, charged: int, *, expired: bool) -> None:
    ledger = await keeper.ledger(book(keeper.tenant), hold_ttl_ms=20 if expired else 60_000)
    path = Path(keeper.tenant, "ads", "ann")
    held = await ledger.hold(path, Credits(7), hold_id=ONE)
    if expired:
        await keeper.past(held.deadline_ms)
        await swept(ledger, {ONE})
    end = End.of(held, Credits(charged), Flag.UNCONFIRMED)
    booked = Settlement(ONE, State.SETTLED, Credits(charged), Flag.UNCONFIRMED, applied=True)
    assert await ledger.book(end) == booked
    again = await ledger.book(End.of(held, Credits(99), Flag.UNCERTAIN))
    assert (again.applied, again.charged, again.flag) == (False, Credits(charged), Flag.UNCONFIRMED)
    assert {(b.spent, b.held) for b in await ledger.balances(path)} == {(Credits(charged), Credits.ZERO)}
    audit = await assert_clean(ledger, keeper.tenant)
    assert audit.entries == (3 if expired else 2)


async def test_a_written_end_of_a_hold_nobody_knows_books_nothing(keeper: Keeper) -> None:
    ledger = await keeper.ledger(book(keeper.tenant))
    end = End(HoldId("never"), keeper.tenant, "tenant/total|0|", Credits(5), Flag.CONFIRMED)
    assert await ledger.book(end) == Settlement(
        HoldId("never"), State.UNKNOWN, Credits.ZERO, Flag.CONFIRMED, applied=False
    )
    assert (await assert_clean(ledger, keeper.tenant)).entries == 0
