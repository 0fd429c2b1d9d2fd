"""Balances against reports: what is compared, what is called foreign, and what never is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.account import watch as watch_module
from gateway.account.findings import Foreign
from gateway.account.guard import Draw
from gateway.account.watch import DOUBT_S, QUIET_S
from gateway.messages import Account, Flavour
from gateway.pricing.charge import Outcome
from gateway.units import Credits
from tests.unit.account.upstreams import Bench, Keeper, answered

BOTH = pytest.mark.parametrize("flavour", Flavour)


def begun(flavour: Flavour) -> tuple[Bench, Keeper]:
    bench, keeper = Bench(), Keeper(flavour, 100_000)
    bench.called(keeper)
    return bench, keeper


@BOTH
def test_calls_that_explain_the_balance_are_nobody_elses(flavour: Flavour) -> None:
    bench, keeper = begun(flavour)
    for credits in (19, 181, 0, 5):
        bench.called(keeper, credits)
    assert not bench.foreign()
    assert bench.compared() == ([Credits.ZERO] * 4 if flavour is Flavour.DIRECT else [])


@BOTH
def test_what_somebody_else_took_between_two_calls_is_foreign_once(flavour: Flavour) -> None:
    bench, keeper = begun(flavour)
    keeper.take(30)
    keeper.take(7)
    bench.called(keeper)
    bench.called(keeper)
    assert bench.foreign() == [Credits.whole(37)]


@BOTH
def test_what_somebody_else_took_during_calls_is_foreign_when_all_of_them_are_answered(flavour: Flavour) -> None:
    bench, keeper = begun(flavour)
    first, second = bench.sent(), bench.sent()
    told_first = keeper.take(19)
    keeper.take(30)
    told_second = keeper.take(19)
    answered(second, told_second, 19)
    assert not bench.foreign()
    answered(first, told_first, 19)
    assert bench.foreign() == [Credits.whole(30)]


@pytest.mark.parametrize("outcome", [Outcome.UNANSWERED, Outcome.FAILED, Outcome.SUCCEEDED])
@BOTH
def test_a_call_that_may_have_been_charged_without_telling_is_not_foreign(flavour: Flavour, outcome: Outcome) -> None:
    bench, keeper = begun(flavour)
    lost = bench.sent()
    keeper.take(19)
    lost.answered(Account(), outcome)
    bench.called(keeper)
    assert not bench.foreign()
    keeper.take(30)
    bench.called(keeper)
    assert bench.foreign() == [Credits.whole(30)]


def test_a_call_charged_more_than_it_was_quoted_and_never_told_is_still_ours() -> None:
    bench, keeper = begun(Flavour.DIRECT)
    keeper.take(500)
    bench.sent(19).answered(Account(), Outcome.UNANSWERED)
    bench.called(keeper)
    assert not bench.foreign()


@BOTH
def test_an_unanswered_call_excuses_nobody_for_ever(flavour: Flavour) -> None:
    bench, keeper = begun(flavour)
    bench.sent().answered(Account(), Outcome.UNANSWERED)
    bench.now_s += DOUBT_S + 1
    keeper.take(30)
    bench.called(keeper)
    assert bench.foreign() == [Credits.whole(30)]


@BOTH
def test_a_balance_that_rises_is_topped_up_and_neither_foreign_nor_a_mismatch(flavour: Flavour) -> None:
    bench, keeper = begun(flavour)
    keeper.credits += 50_000
    bench.called(keeper)
    bench.called(keeper)
    assert not bench.foreign()
    assert bench.compared() == ([Credits.ZERO] if flavour is Flavour.DIRECT else [])


@pytest.mark.parametrize(
    ("fell", "reported", "difference"),
    [(19, 19, 0), (20, 19, 0), (18, 19, 0), (21, 19, 2), (17, 19, -2), (25, 0, 25), (0, 19, -19)],
)
def test_a_charge_that_is_not_what_the_balance_fell_by_is_a_mismatch_beyond_rounding(
    fell: int, reported: int, difference: int
) -> None:
    bench, keeper = begun(Flavour.DIRECT)
    answered(bench.sent(19), keeper.take(fell), reported)
    assert bench.compared() == [Credits.whole(difference)]
    assert not bench.foreign()


def test_a_charge_that_cannot_be_read_is_compared_with_nothing() -> None:
    bench, keeper = begun(Flavour.DIRECT)
    bench.sent(19).answered(keeper.take(25), Outcome.MALFORMED)
    bench.called(keeper)
    assert bench.compared() == [Credits.ZERO]


def test_it_is_news_once_and_again_after_a_quiet_time() -> None:
    bench, keeper = begun(Flavour.DIRECT)
    for wait_s in (0.0, 1.0, QUIET_S - 1, QUIET_S, QUIET_S + 1):
        bench.now_s += wait_s
        keeper.take(30)
        bench.called(keeper)
    news = [finding.news for finding in bench.found if isinstance(finding, Foreign)]
    assert news == [True, False, False, True, True]


def test_what_went_while_an_exhausted_account_was_asked_is_foreign() -> None:
    bench, keeper = begun(Flavour.DIRECT)
    bench.refused()
    ticket = bench.guard.look()
    assert ticket is not None
    keeper.take(30)
    bench.guard.looked(ticket, Credits.whole(keeper.credits))
    assert bench.foreign() == [Credits.whole(30)]
    bench.now_s += 30.0
    bench.called(keeper)
    assert bench.foreign() == [Credits.whole(30)]


def test_too_many_answers_after_a_gap_are_let_go_and_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "TOLD_MAX", 5)
    bench, keeper = begun(Flavour.DIRECT)
    late = bench.sent()
    told_late = keeper.take(19)
    keeper.take(30)
    for _ in range(6):
        bench.called(keeper)
    answered(late, told_late, 19)
    bench.called(keeper)
    assert not bench.foreign()
    keeper.take(30)
    bench.called(keeper)
    assert bench.foreign() == [Credits.whole(30)]


def test_under_constant_load_a_thief_is_found_while_calls_are_under_way() -> None:
    bench, keeper = begun(Flavour.DIRECT)
    draw = bench.sent()
    keeper.take(30)
    for _ in range(3):
        following = bench.sent()
        answered(draw, keeper.take(19), 19)
        draw = following
    assert bench.foreign() == [Credits.whole(30)]


def test_an_index_that_is_missing_at_times_makes_no_thief() -> None:
    bench, keeper = begun(Flavour.DIRECT)
    for names_index in (False, True, True, False, True):
        told = keeper.take(19)
        answered(bench.sent(), told if names_index else Account(told.remaining), 19)
    bench.called(keeper)
    assert not bench.foreign()


STEPS = st.lists(st.tuples(st.sampled_from(["begin", "charge", "answer", "lose", "steal"]), st.integers(0, 9)))


@given(STEPS, st.sampled_from(Flavour))
def test_in_any_order_no_credit_is_called_foreign_that_was_not_and_none_is_missed_when_all_told(
    steps: list[tuple[str, int]], flavour: Flavour
) -> None:
    bench, keeper = begun(flavour)
    sent: list[tuple[Draw, int]] = []
    charged: list[tuple[Draw, int, Account]] = []
    stolen, lost = 0, False
    for what, number in steps:
        if what == "begin":
            sent.append((bench.sent(10 + number), 10 + number))
        elif what == "charge" and sent:
            draw, credits = sent.pop(number % len(sent))
            charged.append((draw, credits, keeper.take(credits)))
        elif what == "answer" and charged:
            draw, credits, told = charged.pop(number % len(charged))
            answered(draw, told, credits)
        elif what == "lose" and charged:
            charged.pop(number % len(charged))[0].answered(Account(), Outcome.UNANSWERED)
            lost = True
        elif what == "steal":
            keeper.take(100 + number)
            stolen += 100 + number
        assert Credits.sum(bench.foreign()) <= Credits.whole(stolen)
    for draw, credits in sent:
        charged.append((draw, credits, keeper.take(credits)))
    for draw, credits, told in reversed(charged):
        answered(draw, told, credits)
    bench.called(keeper)
    assert Credits.sum(bench.foreign()) <= Credits.whole(stolen)
    assert lost or Credits.sum(bench.foreign()) == Credits.whole(stolen)
    assert not any(bench.compared())
