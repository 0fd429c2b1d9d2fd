"""Series: what a metric is called, what it says, and what tells its samples apart. Knows no exposition format."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.units import MILLICREDITS_PER_CREDIT

PREFIX = "dezgo_gateway_"

# What a scrape reads; None where there is nothing to show.
Reading = Callable[[], float | None]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One metric: its full name, what it says, and the names of its labels. It equals itself alone."""

    name: str
    says: str
    labels: tuple[str, ...] = ()
    kind: str = "counter"
    per_unit: int = 1
    bounds_s: tuple[float, ...] = ()


def counter(name: str, says: str, *labels: str) -> Series:
    """A sum of whole numbers."""
    return Series(PREFIX + name, says, labels)


def credits(name: str, says: str, *labels: str) -> Series:
    """A sum of millicredits, shown in credits."""
    return Series(PREFIX + name, says, labels, per_unit=MILLICREDITS_PER_CREDIT)


def gauge(name: str, says: str, *labels: str) -> Series:
    """A value as it stands."""
    return Series(PREFIX + name, says, labels, "gauge")


def seconds(name: str, says: str, bounds_s: tuple[float, ...], *labels: str) -> Series:
    """How durations are distributed."""
    return Series(PREFIX + name, says, labels, "histogram", bounds_s=bounds_s)
