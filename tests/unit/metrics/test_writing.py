"""The exposition is what Prometheus' own library would write, and nobody has to wait for all of it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import writing
from gateway.metrics.exposing import Shown
from gateway.metrics.writing import LINES_AT_ONCE, Writer
from tests.bench.scraping import full as at_the_caps
from tests.unit.metrics.test_counting import full


def test_it_is_what_the_library_writes() -> None:
    shown = full()
    ours, theirs = shown.render()[0].decode().splitlines(), generate_latest(shown._registry).decode().splitlines()
    assert ours == theirs


LABELS = st.text(st.characters(codec="utf-8"), max_size=20)


@given(st.dictionaries(st.tuples(LABELS, LABELS), st.floats(allow_nan=False), max_size=5))
def test_any_label_and_any_number_is_read_as_it_was(values: dict[tuple[str, str], float]) -> None:
    family = GaugeMetricFamily("a_thing", 'what "it"\nsays \\ is', labels=["b", "a"])
    for labels, value in values.items():
        family.add_metric(labels, value)
    (found,) = text_string_to_metric_families(Writer()([family]).decode())
    assert found.documentation == family.documentation
    assert {(sample.labels["b"], sample.labels["a"]): sample.value for sample in found.samples} == values


def test_every_kind_of_family_is_the_librarys() -> None:
    counter = CounterMetricFamily("c", "Says.", labels=["x"])
    counter.add_metric(['"\\\n'], 3)
    histogram = HistogramMetricFamily("h_seconds", "Says.", labels=["x"])
    histogram.add_metric(["v"], [("0.5", 1), ("+Inf", 2)], 0.75)
    odd = GaugeMetricFamily("g", "Says.")
    for value in (math.inf, -math.inf, math.nan):
        odd.add_metric([], value)
    families: list[Metric] = [counter, histogram, odd, Metric("nothing", "Says.", "gauge")]
    registry = CollectorRegistry()
    registry.register(Shown(lambda: iter(families)))
    assert Writer()(families) == generate_latest(registry)


@pytest.fixture(scope="module")
def scraped() -> tuple[bytes, list[float]]:
    """An exposition at all caps, and its pauses."""
    pauses: list[float] = []
    return Writer(pauses.append)(at_the_caps()._registry.collect()), pauses


def test_at_the_caps_an_exposition_is_bounded(scraped: tuple[bytes, list[float]]) -> None:
    text = scraped[0]
    samples = [line for line in text.splitlines() if not line.startswith(b"#")]
    assert 40_000 < len(samples) < 60_000
    assert len(text) < 6_000_000


def test_at_the_caps_others_have_their_turn_all_along(scraped: tuple[bytes, list[float]]) -> None:
    text, pauses = scraped
    assert len(pauses) >= text.count(b"\n") // LINES_AT_ONCE - 1


def test_what_is_remembered_is_bounded_and_changes_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SPELT_MAX", 10)
    write = Writer()
    for number in range(30):
        family = GaugeMetricFamily("g", "Says.", labels=["x"])
        family.add_metric([str(number)], 1)
        assert f'g{{x="{number}"}} 1.0' in write([family]).decode()
        assert write([family]) == Writer()([family])
        assert len(write._spelt) <= 11
