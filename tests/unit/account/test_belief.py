"""Which of two balances is the newer one; and, over any order of answers, that a belief is never too high."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.account.belief import Belief, belief, is_newer
from gateway.account.guard import Draw
from gateway.messages import Account, Flavour
from gateway.units import Credits
from tests.unit.account.upstreams import Bench, Keeper, answered

KNOWN = Belief(Credits.whole(100), index=7, ends_s=5_000.0, heard_at=10)


@pytest.mark.parametrize(
    ("told", "began", "newer"),
    [
        # Asked after the known one was heard: newer, whatever it says.
        (Belief(Credits.whole(900), index=3), 11, True),
        (Belief(Credits.whole(900)), 11, True),
        (Belief(Credits.whole(1), index=7), 11, True),
        # Under way at the same time: the index decides, not the amount.
        (Belief(Credits.whole(900), index=8), 10, True),
        (Belief(Credits.whole(1), index=6), 10, False),
        (Belief(Credits.whole(1), index=7), 10, False),
        # No index: the period decides, when it is surely another one.
        (Belief(Credits.whole(900), ends_s=5_061.0), 10, True),
        (Belief(Credits.whole(1), ends_s=4_939.0), 10, False),
        # The same period, or none known: the lower one.
        (Belief(Credits.whole(900), ends_s=5_059.0), 10, False),
        (Belief(Credits.whole(99), ends_s=4_941.0), 10, True),
        (Belief(Credits.whole(100)), 10, False),
        (Belief(Credits.whole(99)), 10, True),
    ],
)
def test_what_is_newer(told: Belief, began: int, newer: bool) -> None:
    assert is_newer(told, KNOWN, began=began) is newer


def test_anything_is_newer_than_nothing_and_no_balance_is_no_belief() -> None:
    assert is_newer(KNOWN, None, began=0)
    assert belief(Account(index=4, limit=Credits.whole(1), reset_s=3), heard_at=0, now_s=0.0) is None
    told = Account(Credits.whole(5), Credits.whole(9), 60, 4)
    assert belief(told, heard_at=2, now_s=100.0) == Belief(Credits.whole(5), Credits.whole(9), 4, 160.0, 2)


# Each step: begin a call, let the upstream charge the nth of those begun, hand out the nth answer of those charged.
STEPS = st.lists(st.tuples(st.sampled_from(["begin", "charge", "answer"]), st.integers(0, 50)), max_size=60)


@given(STEPS, st.sampled_from(Flavour), st.integers(0, 400))
def test_whatever_the_order_of_answers_the_newest_balance_is_believed_and_the_floor_never_drawn(
    steps: list[tuple[str, int]], flavour: Flavour, floor: int
) -> None:
    bench, keeper = Bench(floor=floor), Keeper(flavour, 500)
    bench.called(keeper, 0)
    begun: list[tuple[Draw, int]] = []
    charged: list[tuple[Draw, int, Account]] = []
    heard = [Credits.whole(500)]
    for what, number in steps:
        if what == "begin":
            if bench.guard.bears(Credits.whole(number)):
                begun.append((bench.sent(number), number))
        elif what == "charge" and begun:
            draw, credits = begun.pop(number % len(begun))
            charged.append((draw, credits, keeper.take(credits)))
            assert keeper.credits >= floor
        elif what == "answer" and charged:
            draw, credits, told = charged.pop(number % len(charged))
            answered(draw, told, credits)
            heard.append(told.remaining or Credits.ZERO)
        # A balance only falls here: the newest of those heard is the lowest.
        assert bench.guard.remaining == min(heard)
        open_credits = sum(credits for _, credits in begun) + sum(credits for _, credits, _ in charged)
        assert bench.guard.in_flight == Credits.whole(open_credits)
    assert not bench.foreign()
