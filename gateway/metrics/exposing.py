"""Exposing: series and values -> metric families. Knows nothing of what they mean.

Samples are made one by one while they are written: ten thousand at once would set off the garbage collector, and all
requests wait for that.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import cast

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, Sample
from prometheus_client.registry import Collector

from gateway.metrics.series import Reading, Series


class Shown(Collector):
    """Hands the registry what there is to show, when it asks."""

    def __init__(self, families: Callable[[], Iterator[Metric]]) -> None:
        self._families = families

    def describe(self) -> tuple[Metric, ...]:
        """Nothing beforehand: registering must not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Everything as it stands."""
        return self._families()


class Samples:
    """Samples of a series by label values, made when they are asked for; those without a value are left out."""

    def __init__(self, series: Series, values: Iterable[tuple[tuple[str, ...], float | None]]) -> None:
        self.series = series
        self._values = values

    def rows(self) -> Iterator[tuple[tuple[str, ...], float]]:
        """Label values and value of each."""
        for labels, value in self._values:
            if value is not None:
                yield labels, value

    def __iter__(self) -> Iterator[Sample]:
        for labels, value in self.rows():
            yield Sample(self.series.name, dict(zip(self.series.labels, labels, strict=True)), value)


def summed(series: Series, sums: Iterable[tuple[tuple[str, ...], float]]) -> CounterMetricFamily:
    """A counter and its sums by label values."""
    family = CounterMetricFamily(series.name, series.says, labels=series.labels)
    family.samples = cast("list[Sample]", Samples(series, sums))
    return family


def gauged(series: Series, values: Iterable[tuple[tuple[str, ...], float | None]]) -> GaugeMetricFamily:
    """A gauge and its values by label values; those that are None are left out."""
    family = GaugeMetricFamily(series.name, series.says, labels=series.labels)
    family.samples = cast("list[Sample]", Samples(series, values))
    return family


def value_of(reading: Reading) -> float | None:
    """What `reading` says now; None when it fails or says nothing: one that fails must not cost the whole scrape."""
    with contextlib.suppress(Exception):
        return reading()
    return None


def read(series: Series, value: float | None) -> Metric:
    """A series that was read; without a value when there was nothing to read."""
    if value is None:
        return Metric(series.name.removesuffix("_total"), series.says, series.kind)
    return summed(series, [((), value)]) if series.kind == "counter" else one(series, value)


def one(series: Series, value: float, *labels: str) -> GaugeMetricFamily:
    """A gauge with one value."""
    return gauged(series, [(labels, value)])
