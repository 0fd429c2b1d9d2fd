"""Promises of snapshots.py and totals.py: several processes' counts, told as if they were one's."""

import json
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway import __version__
from gateway.ledger.open_holds import OpenHolds
from gateway.metrics import account, counting
from gateway.metrics.counting import CATALOGUE, PREFIX, READ_COUNTERS, Metrics
from gateway.metrics.crew import CREW_SERIES, Crew
from gateway.metrics.snapshots import Snapshot, all_spreads, all_sums, together
from gateway.metrics.standings import STANDING_SERIES
from gateway.metrics.tallies import CHILDREN_MAX, OTHER
from gateway.metrics.totals import UNKNOWN, WAYS, Seen, Totals
from gateway.units import Credits
from tests.unit.metrics.test_counting import REFUSED, SERVED, Samples, balance, full, metrics, samples

COUNTERS = tuple(series.name for series in READ_COUNTERS)


def told(shown: Metrics, now_s: float = 0.0) -> Snapshot:
    """What a process tells another, which is bytes on the way."""
    return Snapshot.of_json(json.loads(json.dumps(shown.snapshot(now_s).as_json())))


def totals(*living: Snapshot, dead: Snapshot | None = None, crew: Crew | None = None) -> Totals:
    seen = Seen(crew or Crew(len(living), len(living)), living, dead or Snapshot())
    return Totals(lambda: seen, tenants=["acme", "best"])


def shown_by(found: Totals) -> Samples:
    families = text_string_to_metric_families(found.render()[0].decode())
    return {
        (sample.name.removeprefix(PREFIX), tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_one_process_told_by_another_is_what_it_tells_itself() -> None:
    alone = full()
    found = totals(told(alone))
    found.set_balances([("acme", balance())], {"acme": OpenHolds(1, 2_500)})
    expected = samples(alone)
    unknown = {series.name.removeprefix(PREFIX) for series in UNKNOWN}
    assert shown_by(found) == {key: value for key, value in expected.items() if key[0] not in unknown}


def test_counts_of_the_living_and_the_dead_are_added_to_the_millicredit() -> None:
    odd = Credits(19_001)
    workers = [metrics() for _ in range(3)]
    for number, worker in enumerate(workers):
        for _ in range(number + 1):
            worker.record(replace(SERVED, charged=odd, total_s=0.05 * (number + 1)))
        worker.record(REFUSED)
    dead = together([told(workers[0]), Snapshot()], COUNTERS)
    found = shown_by(totals(told(workers[1]), told(workers[2]), dead=dead))
    assert found["credits_charged_total", ("confirmed", "text2image", "acme")] == 6 * 19_001 / 1000
    assert found["requests_total", ("served", "text2image", "2xx")] == 6
    assert found["refusals_total", ("budget_exhausted", "acme")] == 3
    buckets = {key[1][0]: value for key, value in found.items() if key[0] == "request_duration_seconds_bucket"}
    assert buckets
    assert found["request_duration_seconds_count", ("text2image", "served")] == 6
    assert found["request_duration_seconds_sum", ("text2image", "served")] == pytest.approx(0.05 * (1 + 4 + 9))


def test_a_counter_never_goes_back_when_its_process_dies_and_what_is_kept_elsewhere_neither() -> None:
    one, other = full(), full()
    before = shown_by(totals(told(one), told(other)))
    after = shown_by(totals(told(other), dead=together([Snapshot(), told(one)], COUNTERS)))
    counters = {series.name.removeprefix(PREFIX) for series in CATALOGUE if series.kind == "counter"}
    assert {k: v for k, v in after.items() if k[0] in counters} == {k: v for k, v in before.items() if k[0] in counters}
    assert after["log_lines_dropped_total", ()] == 8
    assert after["settles_on_disk", ()] == 2, "what a dead process had under way is not under way"


def read_as(**values: tuple[float, float]) -> Snapshot:
    return Snapshot(readings={PREFIX + name: value for name, value in values.items()})


@pytest.mark.parametrize(
    ("name", "first", "second", "expected"),
    [
        ("settles_under_way", (3, 0), (4, 0), 7),
        ("settles_on_disk", (3, 0), (4, 0), 7),
        ("ledger_regressed_tenants", (3, 0), (2, 0), 3),
        ("identity_keys_age_seconds", (3, 0), (9, 0), 9),
        ("ledger_up", (1, 0), (0, 0), 0),
        ("upstream_account_remaining_credits", (900, 5.0), (100, 4.0), 900),
        ("upstream_account_remaining_credits", (900, 4.0), (100, 5.0), 100),
        ("upstream_account_limit_credits", (900, 4.0), (100, 5.0), 100),
        ("upstream_account_in_flight_credits", (19, 0), (23, 0), 42),
        ("upstream_account_exhausted", (0, 9.0), (1, 0), 1),
        ("tenants_promised_credits", (5, 0), (5, 0), 5),
        ("credit_price_usd", (0.0001, 0), (0.0001, 0), 0.0001),
    ],
)
def test_gauges_are_combined_as_they_can_be(name: str, first: Any, second: Any, expected: float) -> None:
    found = shown_by(totals(read_as(**{name: first}), read_as(**{name: second}), Snapshot()))
    assert found[name, ()] == expected
    assert (name, ()) not in shown_by(totals(Snapshot(), Snapshot()))


def test_every_gauge_that_a_process_reads_has_a_way_to_be_combined() -> None:
    gauges = {series for series in CATALOGUE if series.kind == "gauge"}
    assert gauges - {*STANDING_SERIES, *CREW_SERIES, counting.BUILD} == set(WAYS)


def test_money_gauges_are_the_ledgers_own_and_shown_once_for_the_configured_tenants() -> None:
    found = totals(told(metrics()), told(metrics()))
    found.set_balances([("acme", balance()), ("stranger", balance())], {"acme": OpenHolds(2, 1_000)})
    shown = shown_by(found)
    assert [key for key in shown if key[0] == "budget_spent_credits"] == [
        ("budget_spent_credits", (balance().budget.name, "acme"))
    ]
    assert shown["holds_open", ("acme",)] == 2
    assert shown["build_info", (__version__,)] == 1


def test_what_calls_of_one_another_cannot_be_told_from_strangers_is_not_shown() -> None:
    assert account.FOREIGN in UNKNOWN
    found = totals(told(full()), told(full()))
    assert "upstream_foreign_credits_total" not in {name for name, _ in shown_by(found)}
    assert account.FOREIGN.name.encode() in found.render()[0], "its family is there, without a sample"


def test_how_the_workers_stand_is_told() -> None:
    found = shown_by(totals(Snapshot(), crew=Crew(wanted=4, ready=3, restarts=7, silence_s=0.25)))
    assert (found["workers", ("wanted",)], found["workers", ("ready",)]) == (4, 3)
    assert (found["worker_restarts_total", ()], found["worker_silence_seconds", ()]) == (7, 0.25)


def test_generations_of_workers_that_each_name_other_labels_do_not_grow_without_bound() -> None:
    one = Snapshot({"x": {(f"a{number}",): 1 for number in range(CHILDREN_MAX)}})
    other = Snapshot({"x": {(f"b{number}",): 1 for number in range(CHILDREN_MAX)}})
    found = all_sums([one, other], "x")
    assert len(found) == CHILDREN_MAX + 1
    assert found[OTHER,] == CHILDREN_MAX
    assert sum(found.values()) == 2 * CHILDREN_MAX


def test_spreads_of_processes_that_saw_different_labels_are_added_bucket_by_bucket() -> None:
    one = Snapshot(spreads={"x": {("a",): ((1, 0, 2), 4.0)}})
    other = Snapshot(spreads={"x": {("a",): ((0, 5, 1), 6.0), ("b",): ((1, 1, 1), 3.0)}})
    assert all_spreads([one, other], "x") == {("a",): ((1, 5, 3), 10.0), ("b",): ((1, 1, 1), 3.0)}
