"""Job: what was asked, as far as it changes the price."""

from dataclasses import dataclass, field

from gateway.values import value


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        """Area in pixels."""
        return self.width * self.height

    def __str__(self) -> str:
        return f"{self.width}×{self.height}"


@value(frozen=True, slots=True)
class Job:
    """One job as the caller wrote it; None means "not said", so the tariff's default counts.

    Attributes:
        method: the tariff's name of what is asked for, such as `text2image` or `edit-image`.
        width: asked width in pixels.
        height: asked height in pixels.
        steps: asked number of steps.
        upscaled: the result is to be upscaled (`upscale=2`).
        loras: how many LoRAs are named, 0 to 2.
        options: switched-on options that have a price of their own, such as `refiner`.
        image: pixel size of the uploaded image, read from its header.
        model: the model it names, in plain letters; None when it names none. It changes no price: jobs that differ in
            nothing else are the same.
    """

    method: str
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    upscaled: bool = False
    loras: int = 0
    options: frozenset[str] = frozenset()
    image: Size | None = None
    model: str | None = field(default=None, compare=False)
