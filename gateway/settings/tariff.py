"""`tariff.yaml`: rates, methods and published figures as data. `compiling` makes a `Tariff` of them."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from gateway.pricing.rates import (
    PARTS_PER_CREDIT,
    PIXELS_MAX,
    STEPS_MAX,
    FlatRate,
    Measure,
    PixelRate,
    PixelStepRate,
    Rate,
    RateError,
    StepTableRate,
)
from gateway.pricing.tariff import Basis, Status
from gateway.settings.faults import nearest, refuse
from gateway.settings.shape import Rules, Text, matching
from gateway.units import MILLICREDITS_MAX, MILLICREDITS_PER_CREDIT

# A rate counts in whole 10^-12ths of a credit; one that has more decimals could not be kept exactly.
_DECIMALS_MAX = 12
_RATE_MAX = Decimal(10**8)
_RATE = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,12})?(?:e-?[0-9]{1,2})?", re.ASCII)
_COUNT = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)
_SIDE_MAX = 65_536

# The upstream's dearest legal job: no rate may price it above the largest bookable amount.
_DEAREST = Measure(pixels=4096 * 4096, steps=150)


def _rate_number(value: object) -> object:
    """A rate's exact number. Quoted, it may have an exponent, as the published formulas do."""
    if isinstance(value, str) and _RATE.fullmatch(value):
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise refuse("must be a decimal number", 'such as 2.13, or "6.849e-6" in quotes')
    number = Decimal(value)
    if abs(number) > _RATE_MAX or not _fits(number):
        raise refuse(f"must be at most {_RATE_MAX} and have at most {_DECIMALS_MAX} decimals")
    return number


def _fits(number: Decimal) -> bool:
    exponent = number.normalize().as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -_DECIMALS_MAX


def _step_count(key: object) -> object:
    if not isinstance(key, str) or not _COUNT.fullmatch(key):
        raise refuse("must be a number of steps")
    return int(key)


Number = Annotated[Decimal, BeforeValidator(_rate_number)]
StepCount = Annotated[int, BeforeValidator(_step_count), Field(le=STEPS_MAX)]
PixelCount = Annotated[int, Field(ge=1, le=PIXELS_MAX)]
Side = Annotated[int, Field(ge=1, le=_SIDE_MAX)]
Steps = Annotated[int, Field(ge=0, le=STEPS_MAX)]


class _RateRules(Rules):
    """Base of the shapes a rate can have."""

    def build(self) -> Rate:
        """The rate itself. Raises RateError for one that makes no sense."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _makes_sense(self) -> "_RateRules":
        try:
            rate = self.build()
        except RateError as error:
            raise refuse(error.problem, at=(error.key,)) from None
        if rate.exact(_DEAREST) // PARTS_PER_CREDIT * MILLICREDITS_PER_CREDIT > MILLICREDITS_MAX:
            raise refuse("prices the largest legal job above 100,000 USD")
        return self


class PixelStepRules(_RateRules):
    """(max(pixels, pixels_min) × per_pixel_step + per_step) × max(steps, steps_min) credits."""

    kind: Literal["pixel_step"] = Field(description="The shape of this rate.")
    per_pixel_step: Number = Field(description="Credits per pixel and step.")
    per_step: Number = Field(description="Credits per step; may be negative.")
    pixels_min: PixelCount = Field(description="Smaller images are priced as this many pixels.")
    steps_min: Steps = Field(description="Fewer steps are priced as this many.")

    def build(self) -> Rate:
        """As the base says."""
        return PixelStepRate(
            per_pixel_step=self.per_pixel_step,
            per_step=self.per_step,
            pixels_min=self.pixels_min,
            steps_min=self.steps_min,
        )


class PixelRules(_RateRules):
    """max(pixels, pixels_min) × per_pixel credits."""

    kind: Literal["pixel"] = Field(description="The shape of this rate.")
    per_pixel: Number = Field(description="Credits per pixel.")
    pixels_min: PixelCount = Field(description="Smaller images are priced as this many pixels.")

    def build(self) -> Rate:
        """As the base says."""
        return PixelRate(per_pixel=self.per_pixel, pixels_min=self.pixels_min)


class StepTableRules(_RateRules):
    """The listed credits at the listed steps; between and beyond them per_step × steps + base, rounded up."""

    kind: Literal["step_table"] = Field(description="The shape of this rate.")
    table: Annotated[Mapping[StepCount, Number], Field(min_length=1, max_length=1000)] = Field(
        description="Credits by step count."
    )
    per_step: Number = Field(description="Slope of the line above the table, credits per step.")
    base: Number = Field(description="Where that line begins, credits.")

    def build(self) -> Rate:
        """As the base says."""
        return StepTableRate(table=tuple(sorted(self.table.items())), per_step=self.per_step, base=self.base)


class FlatRules(_RateRules):
    """The same credits for every call."""

    kind: Literal["flat"] = Field(description="The shape of this rate.")
    credits: Number = Field(description="Credits for one call.")

    def build(self) -> Rate:
        """As the base says."""
        return FlatRate(credits=self.credits)


AnyRate = Annotated[PixelStepRules | PixelRules | StepTableRules | FlatRules, Field(discriminator="kind")]


def _listed(kind: str) -> AfterValidator:
    """A validator for names that must be keys of the section `kind`, which the loader passes in."""

    def check(name: str, known: ValidationInfo) -> str:
        names = (known.context or {}).get(kind, ())
        if name not in names:
            raise refuse(f"names nothing in `{kind}`", nearest(name, names))
        return name

    return AfterValidator(check)


Name = Annotated[str, matching(r"[a-z0-9][a-z0-9_-]{0,63}", "1 to 64 of a-z 0-9 _ -")]
RateName = Annotated[str, _listed("rates")]
ParameterName = Annotated[str, matching(r"[a-z][a-z0-9_]{0,63}", "a parameter's name")]

# Parameters with a reading of their own, which an option or an image must not take over.
_TAKEN = frozenset({"width", "height", "steps", "upscale", "lora1", "lora2"})


class MethodRules(Rules):
    """One paid path of the upstream."""

    rate: RateName = Field(description="Rate of the main line.")
    status: Annotated[Status, Field(strict=False)] = Field(description="published or estimated.")
    source: Text = Field(description="Where the figure comes from.")
    verbs: tuple[Literal["GET", "POST"], ...] = Field(
        default=("POST",), min_length=1, max_length=2, description="HTTP methods that start a paid job."
    )
    factor: int = Field(default=1, ge=1, le=1000, description="Multiplies the floored main line.")
    image_parameter: ParameterName | None = Field(
        default=None, description="Parameter with the priced image; null when no image is priced."
    )
    basis: Annotated[Basis, Field(strict=False)] = Field(
        default=Basis.SIZE,
        validate_default=True,
        description="Which pixels count: size (asked), image (uploaded) or larger (of the two).",
    )
    width: Side = Field(default=512, description="Pixels, when the caller names no width.")
    height: Side = Field(default=512, description="Pixels, when the caller names no height.")
    steps: Steps = Field(default=30, description="Steps, when the caller names none.")
    side_multiple: int = Field(default=8, ge=1, le=1024, description="Sides are priced rounded up to this, pixels.")
    image_pixels_max: PixelCount | None = Field(
        default=None, description="Larger uploads are priced as this many pixels; null: as they are."
    )
    upscale: RateName | None = Field(default=None, description="Rate of upscale=2, by the size before it.")
    lora: RateName | None = Field(default=None, description="Rate of each named LoRA.")
    options: Annotated[Mapping[ParameterName, RateName], Field(max_length=32)] = Field(
        default_factory=dict, description="Rates of options, by the parameter that switches them on."
    )
    enabled: bool = Field(default=True, description="false refuses the method as unpriced.")

    @model_validator(mode="after")
    def _hangs_together(self) -> "MethodRules":
        if (self.basis is not Basis.SIZE) != (self.image_parameter is not None):
            raise refuse("an image basis and image_parameter belong together", at=("basis",))
        if self.image_parameter in _TAKEN:
            raise refuse("is a parameter with another meaning", at=("image_parameter",))
        for option in self.options:
            if option in _TAKEN or option == self.image_parameter:
                raise refuse("is a parameter with another meaning", at=("options", option))
        return self


class ExampleRules(Rules):
    """A published figure the tariff must reproduce."""

    method: Annotated[str, _listed("methods")] = Field(description="The method.")
    credits: int = Field(ge=0, le=10**9, description="The published price, whole credits.")
    width: Side | None = Field(default=None, description="Asked width in pixels.")
    height: Side | None = Field(default=None, description="Asked height in pixels.")
    steps: Steps | None = Field(default=None, description="Asked steps.")
    upscaled: bool = Field(default=False, description="Whether upscale=2 is asked.")
    loras: int = Field(default=0, ge=0, le=2, description="How many LoRAs are named.")
    image_width: Side | None = Field(default=None, description="Width of the uploaded image in pixels.")
    image_height: Side | None = Field(default=None, description="Height of the uploaded image in pixels.")

    @model_validator(mode="after")
    def _whole_image(self) -> "ExampleRules":
        if (self.image_width is None) != (self.image_height is None):
            raise refuse("image_width and image_height belong together")
        return self


class TariffFile(Rules):
    """All of `tariff.yaml`."""

    version: Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "1 to 64 of A-Z a-z 0-9 . _ -")] = Field(
        description="Written into every hold; change it with every change of a price."
    )
    rates: Annotated[Mapping[Name, AnyRate], Field(min_length=1, max_length=256)] = Field(description="Rates by name.")
    methods: Annotated[Mapping[Name, MethodRules], Field(min_length=1, max_length=256)] = Field(
        description="Paid paths, by the path without its leading slash."
    )
    examples: Annotated[tuple[ExampleRules, ...], Field(max_length=1000)] = Field(
        default=(), description="Published figures; a start fails when one is not reproduced."
    )
