"""What is admitted, what is refused, and how a refusal ends by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.account.guard import UNSURE_S
from gateway.errors import UpstreamExhausted
from gateway.messages import Account, Flavour
from gateway.pricing.charge import Outcome
from gateway.units import Credits
from tests.unit.account.upstreams import METHOD, Bench, Keeper

DIRECT, RAPIDAPI = Flavour.DIRECT, Flavour.RAPIDAPI


def known(credits: int, *, floor: int = 0, flavour: Flavour = DIRECT) -> tuple[Bench, Keeper]:
    """A guard that has heard of an account of `credits`."""
    bench, keeper = Bench(floor=floor), Keeper(flavour, credits)
    bench.called(keeper, 0)
    return bench, keeper


def refuses(bench: Bench, credits: int = 19) -> bool:
    try:
        draw = bench.guard.admit(Credits.whole(credits), METHOD)
    except UpstreamExhausted as refused:
        return refused.status is None
    draw.answered(Account(), Outcome.NEVER_SENT)
    return False


def test_what_is_not_known_admits() -> None:
    bench = Bench(floor=1_000)
    assert not refuses(bench, 10**6)
    assert bench.guard.remaining is None


@pytest.mark.parametrize(
    ("left", "floor", "in_flight", "amount", "borne"),
    [
        (19, 0, 0, 19, True),
        (18, 0, 0, 19, False),
        (59, 40, 0, 19, True),
        (58, 40, 0, 19, False),
        (38, 0, 19, 19, True),
        (37, 0, 19, 19, False),
        (78, 40, 19, 19, True),
        (77, 40, 19, 19, False),
        (40, 40, 0, 0, True),
        (39, 40, 0, 0, False),
    ],
)
@pytest.mark.parametrize("flavour", Flavour)
def test_a_call_is_admitted_when_the_account_bears_it_beside_its_floor_and_all_that_is_in_flight(
    flavour: Flavour, left: int, floor: int, in_flight: int, amount: int, borne: bool
) -> None:
    bench, _ = known(left, floor=floor, flavour=flavour)
    if in_flight:
        bench.sent(in_flight)
    assert bench.guard.bears(Credits.whole(amount)) is borne
    assert refuses(bench, amount) is not borne
    assert bench.guard.in_flight == Credits.whole(in_flight)


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.NOT_REACHED, Outcome.NEVER_SENT])
def test_a_call_that_is_provably_free_is_in_flight_no_longer(outcome: Outcome) -> None:
    bench, _ = known(30)
    bench.sent(19).answered(Account(), outcome)
    assert bench.guard.in_flight == Credits.ZERO


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.FAILED, Outcome.MALFORMED, Outcome.UNANSWERED])
def test_a_call_that_may_have_been_charged_stays_in_flight_until_later_calls_tell_a_balance(outcome: Outcome) -> None:
    bench, keeper = known(100)
    bench.sent(19).answered(Account(), outcome)
    assert bench.guard.in_flight == Credits.whole(19)
    for _ in range(2):
        bench.called(keeper, 1)
    assert bench.guard.in_flight == Credits.ZERO


def test_a_call_that_may_have_been_charged_is_forgotten_in_time() -> None:
    bench, _ = known(20)
    with bench.sent(19):
        pass
    assert not bench.guard.bears(Credits.whole(19))
    for _ in range(2):
        bench.now_s += UNSURE_S
        bench.guard.bears(Credits.ZERO)
    assert bench.guard.bears(Credits.whole(19))


def test_answers_that_were_under_way_already_say_nothing_of_a_doubtful_call() -> None:
    bench, keeper = known(100)
    early = [bench.sent(1) for _ in range(4)]
    bench.sent(19).answered(Account(), Outcome.UNANSWERED)
    for draw in early:
        draw.answered(keeper.take(1), Outcome.REPORTED, Credits.whole(1))
    assert bench.guard.in_flight == Credits.whole(19)


def test_a_charge_named_without_a_balance_counts_as_gone_at_its_own_amount() -> None:
    bench, _ = known(100)
    bench.sent(19).answered(Account(), Outcome.REPORTED, Credits.whole(25))
    assert bench.guard.in_flight == Credits.whole(25)


def test_a_call_left_without_a_word_is_free_if_it_was_not_sent() -> None:
    bench, _ = known(100)
    with bench.guard.admit(Credits.whole(19), METHOD):
        assert bench.guard.in_flight == Credits.whole(19)
    assert bench.guard.in_flight == Credits.ZERO
    with bench.guard.admit(Credits.whole(19), METHOD) as draw:
        draw.sent()
    assert bench.guard.in_flight == Credits.whole(19)


ENDS = st.sampled_from(list(Outcome))


@given(st.lists(st.tuples(st.integers(0, 30), ENDS, st.booleans(), st.booleans(), st.integers(0, 700)), max_size=40))
def test_what_is_in_flight_is_never_negative_and_ends_with_its_calls(
    calls: list[tuple[int, Outcome, bool, bool, int]],
) -> None:
    bench, keeper = known(10_000)
    waiting = []
    for credits, outcome, exhausted, tells, wait_s in calls:
        bench.now_s += wait_s
        if bench.guard.bears(Credits.whole(credits)):
            waiting.append((bench.sent(credits), outcome, exhausted, tells, credits))
        if len(waiting) > 3:
            draw, how, shut, telling, amount = waiting.pop(wait_s % 3)
            told = keeper.take(amount) if telling else Account()
            draw.answered(told, how, Credits.whole(amount) if how is Outcome.REPORTED else None, exhausted=shut)
            draw.answered(told, how)  # said twice is said once
        assert bench.guard.in_flight >= Credits.whole(sum(amount for *_, amount in waiting))
    for draw, *_ in waiting:
        draw.answered(Account(), Outcome.NEVER_SENT)
    for _ in range(3):
        bench.now_s += UNSURE_S
        bench.guard.bears(Credits.ZERO)
    assert bench.guard.in_flight == Credits.ZERO


# --- the upstream refuses --------------------------------------------------------------------------------------


def test_after_the_upstream_refused_everything_is_refused_but_one_call_per_cool_down() -> None:
    bench, keeper = known(10_000)
    bench.refused()
    assert bench.guard.exhausted
    assert refuses(bench, 1)
    bench.now_s += 29.9
    assert refuses(bench, 1)
    for _ in range(3):
        bench.now_s += 30.0
        probe = bench.sent()
        assert [refuses(bench) for _ in range(5)] == [True] * 5
        probe.answered(Account(), Outcome.REFUSED, exhausted=True)
        assert refuses(bench)
    bench.now_s += 30.0
    bench.called(keeper)
    assert not bench.guard.exhausted
    assert not refuses(bench)
    assert bench.changes() == ["exhausted", "recovered"]


def test_while_one_call_finds_out_no_second_one_does_however_long_it_takes() -> None:
    bench, _ = known(10_000)
    bench.refused()
    bench.now_s += 30.0
    bench.sent()
    bench.now_s += 300.0
    assert refuses(bench)


def test_many_refusals_at_once_are_one_change_and_a_late_success_reopens_nothing() -> None:
    bench, keeper = known(10_000)
    draws = [bench.sent() for _ in range(9)]
    for draw in draws[:8]:
        draw.answered(Account(), Outcome.REFUSED, exhausted=True)
    draws[8].answered(keeper.take(19), Outcome.REPORTED, Credits.whole(19))
    assert refuses(bench)
    assert bench.changes() == ["exhausted"]


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNANSWERED, Outcome.NEVER_SENT, Outcome.NOT_REACHED])
def test_an_attempt_that_tells_nothing_waits_for_the_next_cool_down(outcome: Outcome) -> None:
    bench, _ = known(10_000)
    bench.refused()
    bench.now_s += 30.0
    bench.sent().answered(Account(), outcome)
    assert refuses(bench)
    bench.now_s += 30.0
    assert not refuses(bench)


def test_an_attempt_that_was_never_made_or_was_the_callers_own_fault_leaves_its_turn_to_the_next() -> None:
    bench, keeper = known(10_000)
    bench.refused()
    bench.now_s += 30.0
    assert not refuses(bench)  # admitted, and then nothing was sent
    bench.sent().answered(Account(), Outcome.REFUSED)
    bench.called(keeper)
    assert not bench.guard.exhausted


def test_a_free_call_is_never_refused_and_reopens_nothing() -> None:
    bench, _ = known(10_000)
    bench.refused()
    bench.now_s += 30.0
    with bench.guard.free_call() as draw:
        draw.answered(Account(), Outcome.SUCCEEDED)
    assert bench.guard.exhausted
    assert bench.guard.in_flight == Credits.ZERO


# --- the balance refuses ---------------------------------------------------------------------------------------


def test_smaller_calls_go_on_while_larger_ones_are_refused() -> None:
    bench, keeper = known(100)
    assert refuses(bench, 181)
    bench.called(keeper, 19)
    assert refuses(bench, 181)
    assert bench.guard.exhausted
    assert bench.changes() == ["exhausted"]


def test_a_call_the_upstream_would_refuse_itself_may_find_out_once_per_cool_down_and_stops_nobody_else() -> None:
    bench, keeper = known(100)
    assert refuses(bench, 181)
    bench.now_s += 30.0
    bench.refused(181)
    assert not refuses(bench, 19)
    assert refuses(bench, 181)
    keeper.credits += 1_000
    bench.now_s += 30.0
    bench.called(keeper, 181)
    assert not refuses(bench, 181)
    assert bench.changes() == ["exhausted", "recovered"]


def test_no_attempt_is_ever_made_inside_the_floor() -> None:
    bench, _ = known(58, floor=40)
    for _ in range(50):
        assert refuses(bench)
        bench.now_s += 30.0


def test_an_asked_balance_ends_the_refusal_and_counts_only_when_nothing_was_under_way() -> None:
    bench, keeper = known(58, floor=40)
    assert bench.guard.look() is None
    assert refuses(bench)
    ticket = bench.guard.look()
    assert ticket is not None
    open_call = bench.sent(1)
    bench.guard.looked(ticket, Credits.whole(1_000))
    assert bench.guard.look() is None
    open_call.answered(keeper.take(1), Outcome.REPORTED, Credits.whole(1))
    bench.guard.looked(ticket, Credits.whole(1_000))
    assert bench.guard.remaining == Credits.whole(57)
    again = bench.guard.look()
    assert again is not None
    bench.guard.looked(again, Credits.whole(1_000))
    assert bench.guard.remaining == Credits.whole(1_000)
    assert not refuses(bench)
    assert bench.changes() == ["exhausted", "recovered"]


def test_an_asked_balance_holds_what_doubtful_calls_were_charged() -> None:
    bench, _ = known(100)
    bench.sent(19).answered(Account(), Outcome.UNANSWERED)
    assert refuses(bench, 90)
    ticket = bench.guard.look()
    assert ticket is not None
    bench.guard.looked(ticket, Credits.whole(81))
    assert bench.guard.in_flight == Credits.ZERO
    assert bench.guard.bears(Credits.whole(81))


def test_a_balance_is_forgotten_when_its_period_is_over() -> None:
    bench = Bench(floor=10)
    bench.sent(19).answered(Account(Credits.whole(25), Credits.whole(100), 60), Outcome.REPORTED, Credits.whole(19))
    assert bench.guard.limit == Credits.whole(100)
    assert refuses(bench)
    bench.now_s += 60.0
    assert refuses(bench)
    bench.now_s += 1.0
    assert bench.guard.bears(Credits.whole(1))
    assert (bench.guard.remaining, bench.guard.exhausted) == (None, False)
    assert bench.changes() == ["exhausted", "recovered"]
