"""Limits: how large the priced values may be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on priced values; what is larger is refused. They keep prices bookable, the upstream has its own.

    Attributes:
        side_max: largest width or height, in pixels.
        steps_max: most steps.
        pixels_max: largest area of an uploaded image, in pixels.
    """

    side_max: int = 8192
    steps_max: int = 1000
    pixels_max: int = 33_554_432
