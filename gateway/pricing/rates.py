"""Rates: the shapes a published price can have, in exact integer arithmetic.

A rate answers in *parts*, whole 10^-12ths of a credit. Decimals from the tariff are turned into whole parts
once, when the rate is built, so that pricing a call is a few integer operations and never a float.
"""

from dataclasses import dataclass, field
from decimal import Decimal

PARTS_PER_CREDIT = 10**12

PIXELS_MAX = 2**31
STEPS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Measure:
    """What a rate is applied to."""

    pixels: int
    steps: int


@dataclass(eq=False)
class RateError(ValueError):
    """A rate that makes no sense. `key` names the tariff's key, `problem` says what is wrong with it."""

    key: str
    problem: str

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}"


def parts(key: str, value: Decimal) -> int:
    """`value` credits in whole parts. Raises RateError when it has more than twelve decimals."""
    if not value.is_finite():
        raise RateError(key, "must be a finite number")
    scaled = value * PARTS_PER_CREDIT
    if scaled != scaled.to_integral_value():
        raise RateError(key, "has more than twelve decimals")
    return int(scaled)


@dataclass(frozen=True, slots=True)
class PixelStepRate:
    """`(max(pixels, pixels_min) * per_pixel_step + per_step) * max(steps, steps_min)` credits.

    Source: the upstream's standard formula, on both of its official price pages.
    """

    per_pixel_step: Decimal
    per_step: Decimal
    pixels_min: int
    steps_min: int
    _pixel: int = field(init=False, repr=False)
    _step: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pixel", parts("per_pixel_step", self.per_pixel_step))
        object.__setattr__(self, "_step", parts("per_step", self.per_step))
        _at_least("pixels_min", self.pixels_min, 1)
        _at_least("steps_min", self.steps_min, 1)
        if self._pixel < 0:
            raise RateError("per_pixel_step", "must not be negative: a larger image would be cheaper")
        if self.pixels_min * self._pixel + self._step < 0:
            raise RateError("per_step", "makes the smallest image cheaper than nothing")

    def exact(self, measure: Measure) -> int:
        """The price in parts; non-negative, monotone in pixels and steps."""
        pixels = max(measure.pixels, self.pixels_min)
        return (pixels * self._pixel + self._step) * max(measure.steps, self.steps_min)

    def published(self, measure: Measure) -> bool:
        """The formula holds everywhere."""
        return True


@dataclass(frozen=True, slots=True)
class PixelRate:
    """`max(pixels, pixels_min) * per_pixel` credits. Source: the official upscale formula."""

    per_pixel: Decimal
    pixels_min: int
    _pixel: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pixel", parts("per_pixel", self.per_pixel))
        _at_least("pixels_min", self.pixels_min, 1)
        if self._pixel < 0:
            raise RateError("per_pixel", "must not be negative")

    def exact(self, measure: Measure) -> int:
        """The price in parts."""
        return max(measure.pixels, self.pixels_min) * self._pixel

    def published(self, measure: Measure) -> bool:
        """The formula holds everywhere."""
        return True


@dataclass(frozen=True, slots=True)
class StepTableRate:
    """The listed credits at the listed step counts; in between and beyond, the line above them, rounded up.

    The line `per_step * steps + base` may not break the order of the rows: the price never falls when the steps
    rise. Source: the official SDXL table, which gives six rows and no formula.
    """

    table: tuple[tuple[int, Decimal], ...]
    per_step: Decimal
    base: Decimal
    _rows: dict[int, int] = field(init=False, repr=False)
    _step: int = field(init=False, repr=False)
    _base: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = {steps: parts("table", credits) for steps, credits in self.table}
        if not rows or len(rows) != len(self.table):
            raise RateError("table", "needs at least one row, and each step count once")
        _at_least("table", min(rows), 1)
        if min(rows.values()) < 0:
            raise RateError("table", "holds a negative price")
        object.__setattr__(self, "_rows", rows)
        object.__setattr__(self, "_step", parts("per_step", self.per_step))
        object.__setattr__(self, "_base", parts("base", self.base))
        if self._step < 0:
            raise RateError("per_step", "must not be negative")
        self._refuse_falling_prices()

    def _refuse_falling_prices(self) -> None:
        for steps in sorted(self._rows):
            around = [self.exact(Measure(1, s)) for s in (max(steps - 1, min(self._rows)), steps, steps + 1)]
            if around != sorted(around):
                raise RateError("table", f"the price falls around {steps} steps")

    def exact(self, measure: Measure) -> int:
        """The price in parts. Fewer steps than the first row are priced as the first row."""
        steps = max(measure.steps, min(self._rows))
        row = self._rows.get(steps)
        if row is not None:
            return row
        return -(-(self._step * steps + self._base) // PARTS_PER_CREDIT) * PARTS_PER_CREDIT

    def published(self, measure: Measure) -> bool:
        """Only the rows are published; what lies between them is our upper bound."""
        return max(measure.steps, min(self._rows)) in self._rows


@dataclass(frozen=True, slots=True)
class FlatRate:
    """The same credits for every call."""

    credits: Decimal
    _parts: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_parts", parts("credits", self.credits))
        if self._parts < 0:
            raise RateError("credits", "must not be negative")

    def exact(self, measure: Measure) -> int:
        """The price in parts."""
        return self._parts

    def published(self, measure: Measure) -> bool:
        """A flat price holds everywhere."""
        return True


Rate = PixelStepRate | PixelRate | StepTableRate | FlatRate


def _at_least(key: str, value: int, least: int) -> None:
    if value < least:
        raise RateError(key, f"must be at least {least}")
