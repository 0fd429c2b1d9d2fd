"""Promises of metrics.py and tallies.py: exact to the millicredit, bounded, well named, never in the way."""

import re
import sys
import threading
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from gateway import __version__, errors
from gateway.account.findings import Compared
from gateway.account.guard import SharedAccount
from gateway.ledger.budget import Balance, Budget
from gateway.ledger.contract import HoldId, Settlement, State
from gateway.ledger.open_holds import OpenHolds
from gateway.ledger.window import Every, Span, Window
from gateway.messages import Account
from gateway.metrics.counting import CATALOGUE, PREFIX, Metrics
from gateway.metrics.tallies import Closed, Spread, Tally
from gateway.pricing.charge import Outcome
from gateway.receipt import Receipt
from gateway.units import Credits, Flag

Samples = dict[tuple[str, tuple[str, ...]], float]

SERVED = Receipt(
    "4f2a",
    0.0,
    route="text2image",
    tenant="acme",
    method="text2image",
    quoted=Credits.whole(19),
    held=Credits.whole(19),
    charged=Credits.whole(19),
    flag="confirmed",
    outcome="served",
    status=200,
    upstream_status=200,
    hold_s=0.002,
    upstream_head_s=1.5,
    upstream_s=2.0,
    total_s=2.25,
)
REFUSED = Receipt("4f2b", 0.0, route="text2image", tenant="acme", reason="budget_exhausted", status=402, total_s=0.01)


def metrics(**rules: Any) -> Metrics:
    return Metrics(**{"methods": ["text2image", "upscale"], "routes": ["text2image", "info", "unmatched"], **rules})


def shared_account() -> SharedAccount:
    return SharedAccount(floor=Credits.ZERO, exhausted_s=30.0, found=lambda _: None, clock_s=lambda: 0.0)


def samples(shown: Metrics) -> Samples:
    """Every sample by its name without the prefix, and its label values in the order of the label names."""
    families = text_string_to_metric_families(shown.render()[0].decode())
    return {
        (sample.name.removeprefix(PREFIX), tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def recorded(*receipts: Receipt, **rules: Any) -> Samples:
    shown = metrics(**rules)
    for receipt in receipts:
        shown.record(receipt)
    found = samples(shown)
    assert found["metrics_errors_total", ()] == 0
    return found


def balance(name: str = "tenant/day", *, every: Every = Every.DAY, spent: int = 1_500) -> Balance:
    end_ms = None if every is Every.TOTAL else 10_000
    budget = Budget(name, "tenant", Credits.whole(100), Window(every))
    return Balance(budget, Span(0, end_ms), Credits(spent), Credits.whole(19), now_ms=4_500)


# --- what a receipt counts ----------------------------------------------------------------------------------


def test_a_served_call_is_counted_once_everywhere() -> None:
    found = recorded(SERVED)
    assert found["credits_charged_total", ("confirmed", "text2image", "acme")] == 19
    assert found["credits_quoted_total", ("text2image", "acme")] == 19
    assert found["requests_total", ("served", "text2image", "2xx")] == 1
    assert found["upstream_responses_total", ("200",)] == 1
    assert found["quote_comparisons_total", ("equal", "text2image")] == 1
    assert found["request_duration_seconds_sum", ("text2image", "served")] == 2.25
    assert found["upstream_duration_seconds_sum", ("text2image",)] == 2.0
    assert found["overhead_seconds_sum", ()] == 0.25
    assert found["hold_duration_seconds_sum", ()] == 0.002
    assert not [name for name, _ in found if name.startswith(("refusals", "credits_overrun", "quote_drift"))]


def test_the_wait_for_a_turn_is_counted_on_its_own_and_is_nothing_the_gateway_takes() -> None:
    found = recorded(replace(SERVED, queued_s=0.125))
    assert found["queue_wait_seconds_sum", ()] == 0.125
    assert found["overhead_seconds_sum", ()] == 0.125
    assert ("queue_wait_seconds_sum", ()) not in recorded(SERVED)
    assert samples(full())["calls_queued", ()] == 6


def test_a_refusal_moves_no_money_and_names_its_reason() -> None:
    found = recorded(REFUSED)
    assert found["refusals_total", ("budget_exhausted", "acme")] == 1
    assert found["requests_total", ("refused", "text2image", "4xx")] == 1
    assert not [name for name, _ in found if name.startswith("credits_")]


@pytest.mark.parametrize(
    ("charged", "direction", "amount"), [(20_500, "over", 1.5), (19_001, "over", 0.001), (18_999, "under", 0.001)]
)
def test_a_charge_beside_the_quote_is_drift_in_its_direction(charged: int, direction: str, amount: float) -> None:
    found = recorded(replace(SERVED, charged=Credits(charged)))
    assert found["quote_drift_credits_total", (direction, "text2image")] == amount
    assert found["quote_comparisons_total", (direction, "text2image")] == 1


def test_what_passes_the_hold_is_overrun() -> None:
    assert recorded(replace(SERVED, charged=Credits(20_500)))["credits_overrun_total", ("acme",)] == 1.5


def test_an_uncertain_charge_is_no_drift() -> None:
    found = recorded(replace(SERVED, flag="uncertain", charged=Credits.whole(25)))
    assert found["credits_charged_total", ("uncertain", "text2image", "acme")] == 25
    assert not [name for name, _ in found if name.startswith("quote_")]


def test_a_quote_without_a_hold_is_not_counted_as_quoted() -> None:
    assert not [name for name, _ in recorded(replace(SERVED, held=None, charged=None)) if name.startswith("credits_")]


def test_a_failed_ledger_and_a_client_that_left_are_counted() -> None:
    found = recorded(
        replace(REFUSED, reason="ledger_unavailable", code="timeout"),
        replace(REFUSED, reason="ledger_poisoned", code="no known word"),
        replace(SERVED, client_gone=True),
    )
    assert found["ledger_errors_total", ("timeout",)] == 1
    assert found["ledger_errors_total", ("other",)] == 1
    assert found["client_gone_total", ()] == 1


def test_what_happens_beside_requests_is_counted() -> None:
    shown = metrics()
    booked = Settlement(HoldId("4f2a"), State.SETTLED, Credits.whole(19), Flag.UNCERTAIN, applied=True)
    shown.settled(booked)
    shown.settled(replace(booked, applied=False))
    shown.settled(replace(booked, recovered=True))
    shown.settled(replace(booked, recovered=True, applied=False))
    shown.regressed()
    shown.stuck()
    shown.ledger_error("connection")
    found = samples(shown)
    assert found["settlements_total", ("uncertain", "settled")] == 1
    assert found["settlements_total", ("uncertain", "recovered")] == 1
    assert found["ledger_regressions_total", ()] == 1
    assert found["settles_given_up_total", ()] == 1
    assert found["ledger_errors_total", ("connection",)] == 1


def test_a_receipt_that_cannot_be_counted_raises_nothing_and_is_counted_as_such() -> None:
    shown = metrics()
    unreadable: Any = "long"
    shown.record(replace(SERVED, total_s=unreadable))
    assert samples(shown)["metrics_errors_total", ()] == 1


# --- exactness ----------------------------------------------------------------------------------------------


@given(st.lists(st.integers(min_value=0, max_value=10**12), max_size=50))
def test_sums_agree_with_whole_numbers_to_the_millicredit(amounts: list[int]) -> None:
    tally = Tally(0, per_unit=1000)
    for amount in amounts:
        tally.add((), amount)
    assert round(tally.shown()[0][1] * 1000) == sum(amounts)


def test_ten_thousand_odd_charges_agree_to_the_millicredit() -> None:
    shown = metrics()
    charge = replace(SERVED, charged=Credits(19_873), held=Credits(19_873), quoted=None)
    for _ in range(10_000):
        shown.record(charge)
    shown.record(replace(charge, charged=Credits(10**12 - 1)))
    found = samples(shown)["credits_charged_total", ("confirmed", "text2image", "acme")]
    assert round(found * 1000) == 10_000 * 19_873 + 10**12 - 1


def test_additions_from_many_threads_all_count() -> None:
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # else one thread is mostly done before the next one begins
    try:
        for _ in range(8):  # without its lock a tally loses some in every second round
            _add_from_four_threads()
    finally:
        sys.setswitchinterval(before_s)


def _add_from_four_threads() -> None:
    tally, spread, together = Tally(1), Spread(0, bounds=(1.0,)), threading.Barrier(4)

    def work() -> None:
        together.wait(30)
        for _ in range(20_000):
            tally.add(("a",))
            spread.observe((), 0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.shown() == [(("a",), 80_000)]
    assert spread.shown() == [((), [("1.0", 80_000), ("+Inf", 80_000)], 40_000.0)]


def test_a_value_on_a_bound_lies_below_it_and_buckets_add_up() -> None:
    spread = Spread(1, bounds=(1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        spread.observe(("a",), value)
    assert spread.shown() == [(("a",), [("1.0", 2), ("2.0", 3), ("+Inf", 4)], 12.0)]


# --- bounds -------------------------------------------------------------------------------------------------


def test_unknown_label_values_are_other() -> None:
    odd = replace(SERVED, method="x" * 99, route="/../", flag="maybe", outcome="?", reason="?", upstream_status=999)
    found = recorded(replace(odd, status=700), tenants=["acme"])
    assert ("credits_charged_total", ("other", "other", "acme")) in found
    assert ("requests_total", ("other", "other", "other")) in found
    assert ("refusals_total", ("other", "acme")) in found
    assert ("upstream_responses_total", ("other",)) in found


def test_every_reason_an_error_can_give_is_a_label() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    reasons = {kind.reason for kind in kinds if issubclass(kind, errors.GatewayError)} | {"cancelled", "internal"}
    found = recorded(*(replace(REFUSED, reason=reason) for reason in reasons))
    assert {labels[0] for name, labels in found if name == "refusals_total"} == reasons


def test_tenants_beyond_the_cap_are_other_and_nothing_is_lost() -> None:
    found = recorded(*(replace(SERVED, tenant=f"t{number}") for number in range(50)), tenants=["t49"], tenants_max=3)
    charged = {labels[2]: value for (name, labels), value in found.items() if name == "credits_charged_total"}
    assert charged == {"t49": 19, "t0": 19, "t1": 19, "other": 47 * 19}


def test_a_tenant_nobody_configured_takes_no_room() -> None:
    unknown = replace(REFUSED, reason="tenant_unknown", tenant="stranger")
    found = recorded(unknown, replace(SERVED, tenant="late"), tenants_max=1)
    assert ("refusals_total", ("tenant_unknown", "other")) in found
    assert ("credits_charged_total", ("confirmed", "text2image", "late")) in found


def test_label_combinations_are_bounded_and_the_rest_is_still_summed() -> None:
    tally, spread = Tally(2, children_max=2), Spread(2, bounds=(), children_max=2)
    for number in range(5):
        tally.add((str(number), "a"))
        spread.observe((str(number), "a"), 1.0)
    others = ("other", "other")
    assert dict(tally.shown()) == {("0", "a"): 1, ("1", "a"): 1, others: 3}
    assert {labels: total for labels, _, total in spread.shown()} == {("0", "a"): 1, ("1", "a"): 1, others: 3}


def test_a_closed_set_lets_in_only_what_it_has_room_for() -> None:
    closed = Closed(("a", "b", "c"), room_for=2)
    assert [closed(value) for value in ("a", "b", "c", "d", None)] == ["a", "b", "other", "other", "none"]
    assert closed(None, absent="-") == "-"


class Remembered:
    """A cache of tokens."""

    cache_hits, cache_misses, cached = 7, 2, 1


# --- the exposition -----------------------------------------------------------------------------------------


def full() -> Metrics:
    """Metrics with at least one sample of every series."""
    shown = metrics()
    shown.record(replace(SERVED, charged=Credits.whole(25), saving=Credits.whole(3)))
    shown.watch_tokens(Remembered())
    shown.account(Compared("upscale", Credits(5_000), news=False))
    (account := shared_account()).free_call().answered(
        Account(Credits.whole(1), Credits.whole(2), 60), Outcome.SUCCEEDED
    )
    shown.watch_account(account, promised=Credits.whole(3), usd_per_credit=0.0001)
    shown.record(replace(REFUSED, reason="ledger_unavailable", code="oom", queued_s=0.2))
    shown.settled(Settlement(HoldId("4f2a"), State.EXPIRED, Credits.whole(19), Flag.UNCERTAIN, applied=True))
    shown.set_balances([("acme", balance())], {"acme": OpenHolds(1, 2_500)})
    shown.watch_store(up=lambda: True)
    shown.watch_keys(age_s=lambda: 12.0)
    shown.watch_bounds(**dict.fromkeys(("connections", "refused", "ended", "in_memory", "on_disk"), lambda: 5))
    shown.watch_loop(lag_s=lambda: 0.25)
    shown.watch_queue(waiting=lambda: 6)
    shown.watch(settles_under_way=lambda: 3, settles_on_disk=lambda: 2, log_lines_dropped=lambda: 4)
    return shown


def test_the_exposition_shows_exactly_what_the_catalogue_lists() -> None:
    families = {f.name: f for f in text_string_to_metric_families(full().render()[0].decode())}
    listed = {series.name.removesuffix("_total") if series.kind == "counter" else series.name for series in CATALOGUE}
    assert set(families) == listed
    for series in CATALOGUE:
        family = families[series.name.removesuffix("_total") if series.kind == "counter" else series.name]
        assert family.type == series.kind
        assert family.documentation == series.says
        assert all(set(sample.labels) - {"le"} == set(series.labels) for sample in family.samples)
        assert family.samples


@pytest.mark.parametrize("series", CATALOGUE, ids=lambda series: series.name)
def test_names_follow_the_conventions(series: Any) -> None:
    assert re.fullmatch(r"dezgo_gateway_[a-z]+(_[a-z]+)*", series.name)
    assert series.name.endswith("_total") == (series.kind == "counter")
    assert series.name.endswith("_seconds") or series.kind != "histogram"
    assert not re.search(r"_(count|sum|bucket|created|milli\w*|ms)$", series.name)
    assert series.says.endswith(".")
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", label) and label not in ("le", "job") for label in series.labels)
    assert list(series.bounds_s) == sorted(set(series.bounds_s))


def test_readings_are_taken_at_the_scrape_and_one_that_fails_costs_nothing_else() -> None:
    shown = full()
    assert samples(shown)["settles_under_way", ()] == 3
    assert samples(shown)["log_lines_dropped_total", ()] == 4
    assert samples(shown)["settles_on_disk", ()] == 2
    shown.watch(settles_under_way=lambda: 1 // 0, log_lines_dropped=lambda: 5)
    found = samples(shown)
    assert ("settles_under_way", ()) not in found
    assert found["log_lines_dropped_total", ()] == 5


def test_the_build_is_named_and_nothing_stands_in_the_global_registry() -> None:
    shown = full()
    assert samples(shown)["build_info", (__version__,)] == 1
    assert shown.render()[1].startswith("text/plain")
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith(PREFIX)]
