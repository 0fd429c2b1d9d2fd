"""Tariff: rates as data (`config/tariff.yaml`), each with its source; nonsense is refused when it is built.

Wall 1: pricing is pure. What the upstream does not publish stands in the tariff as `estimated`, never in code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

from gateway.pricing.rates import FlatRate, Measure, PixelRate, PixelStepRate, Rate, RateError, StepTableRate
from gateway.units import MILLICREDITS_MAX, MILLICREDITS_PER_CREDIT

# The upstream's dearest legal job, times a generous margin: a tariff that prices it above the largest
# bookable amount is a typing error.
_DEAREST = Measure(pixels=4096 * 4096, steps=150)


class Status(StrEnum):
    """Where a rate comes from."""

    PUBLISHED = "published"
    ESTIMATED = "estimated"


class Basis(StrEnum):
    """Which pixels a method is priced by."""

    SIZE = "size"  # the asked width and height
    IMAGE = "image"  # the uploaded image
    LARGER = "larger"  # whichever of the two has more pixels


class Kind(StrEnum):
    """How a priced parameter is read."""

    SIDE = "side"
    STEPS = "steps"
    UPSCALE = "upscale"
    LORA = "lora"
    OPTION = "option"
    IMAGE = "image"


@dataclass(frozen=True)
class Method:
    """One paid path of the upstream and what decides its price.

    Attributes:
        name: the path without its leading slash, such as `edit-image`.
        rate: price of the main line.
        status: whether the upstream publishes it.
        source: where the figure comes from.
        verbs: HTTP methods that start this paid job.
        factor: the floored main line is multiplied by this (controlnet: 2).
        basis: which pixels count.
        width, height, steps: what counts when the caller says nothing.
        side_multiple: sides are priced rounded up to this; the upstream may round.
        image_pixels_max: larger uploads are priced as this many pixels, None for no cap.
        upscale: rate of the `upscale=2` line, by the size before upscaling.
        lora: rate of each named LoRA.
        options: rate of each switched-on option.
        image_parameter: the parameter that carries the priced image, None when no image is priced.
        enabled: a switched-off method is refused as unpriced.
    """

    name: str
    rate: Rate
    status: Status
    source: str
    verbs: frozenset[str] = frozenset({"POST"})
    factor: int = 1
    basis: Basis = Basis.SIZE
    width: int = 512
    height: int = 512
    steps: int = 30
    side_multiple: int = 8
    image_pixels_max: int | None = None
    upscale: Rate | None = None
    lora: Rate | None = None
    options: Mapping[str, Rate] = field(default_factory=dict)
    image_parameter: str | None = None
    enabled: bool = True

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise RateError("factor", "must be at least 1")
        if (self.basis is not Basis.SIZE) != (self.image_parameter is not None):
            raise RateError("basis", "an image basis and image_parameter belong together")
        dearest = self.rate.exact(_DEAREST) * self.factor // 10**12
        if dearest * MILLICREDITS_PER_CREDIT > MILLICREDITS_MAX:
            raise RateError("rate", "prices the largest legal job above 100,000 USD")

    def __getstate__(self) -> dict[str, object]:
        """What is pickled: what was said, and nothing that is worked out of it."""
        return {known.name: getattr(self, known.name) for known in fields(self)}

    @property
    def path(self) -> str:
        """The upstream path."""
        return f"/{self.name}"

    @cached_property
    def parameters(self) -> Mapping[str, Kind]:
        """The names of all parameters that can change the price, and how each is read."""
        kinds: dict[str, Kind] = {}
        by_pixels = isinstance(self.rate, PixelStepRate | PixelRate) or self.upscale is not None
        if by_pixels and self.basis is not Basis.IMAGE:
            kinds |= {"width": Kind.SIDE, "height": Kind.SIDE}
        if isinstance(self.rate, PixelStepRate | StepTableRate):
            kinds["steps"] = Kind.STEPS
        if self.upscale is not None:
            kinds["upscale"] = Kind.UPSCALE
        if self.lora is not None:
            kinds |= {"lora1": Kind.LORA, "lora2": Kind.LORA}
        kinds |= dict.fromkeys(self.options, Kind.OPTION)
        if self.image_parameter is not None:
            kinds[self.image_parameter] = Kind.IMAGE
        return MappingProxyType(kinds)


@dataclass(frozen=True, slots=True)
class Example:
    """A published figure the tariff must reproduce: checked by `dezgo-gateway check` and at every start."""

    method: str
    credits: int
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    upscaled: bool = False
    loras: int = 0
    image_width: int | None = None
    image_height: int | None = None


@dataclass(frozen=True)
class Tariff:
    """All rates in force. `version` is written into every hold."""

    version: str
    methods: Mapping[str, Method]
    examples: tuple[Example, ...] = ()

    def __post_init__(self) -> None:
        for name, method in self.methods.items():
            if name != method.name:
                raise RateError(name, "is filed under another name")

    def method(self, name: str) -> Method | None:
        """The enabled method of that name, or None: without a rate nothing is forwarded."""
        method = self.methods.get(name)
        return method if method is not None and method.enabled else None


__all__ = [
    "Basis",
    "Example",
    "FlatRate",
    "Kind",
    "Method",
    "PixelRate",
    "PixelStepRate",
    "RateError",
    "Status",
    "StepTableRate",
    "Tariff",
]
