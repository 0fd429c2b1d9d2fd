"""Quote: what a job costs, itemised, before it is done. A total function of tariff and job.

Each line is floored to whole credits on its own: that, and no other rounding, reproduces every row of the
upstream's published tables (19/87/181; 5/12/29/51; 31 = 19 + 12). The ceiling of each line stands beside it
for those who hold the upper estimate instead.
"""

from dataclasses import dataclass

from gateway.pricing.job import Job
from gateway.pricing.rates import PARTS_PER_CREDIT, Measure, Rate
from gateway.pricing.tariff import Basis, Method, Status, Tariff
from gateway.units import Credits


@dataclass(frozen=True, slots=True)
class Line:
    """One item of a quote.

    Attributes:
        name: `image`, `upscale`, `lora` or an option's name.
        credits: the published, floored price.
        ceiling: the same line rounded up: at most one credit per unit above it.
        status: whether this very figure is published.
    """

    name: str
    credits: Credits
    ceiling: Credits
    status: Status


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of one job. `total` is what is quoted; `ceiling` the upper estimate.

    Attributes:
        method: what was priced.
        measure: pixels and steps that counted.
        lines: the items, main line first.
        tariff_version: which tariff said so.
        status: published only when every line is.
    """

    method: str
    measure: Measure
    lines: tuple[Line, ...]
    total: Credits
    ceiling: Credits
    tariff_version: str
    status: Status


def quote(tariff: Tariff, method: Method, job: Job) -> Quote:
    """Price `job`, which asks for `method` of `tariff`."""
    measure = measured(method, job)
    lines = [_line("image", method.rate, measure, method.status, times=method.factor)]
    if job.upscaled and method.upscale is not None:
        lines.append(_line("upscale", method.upscale, measure, method.status))
    if job.loras and method.lora is not None:
        lines.append(_line("lora", method.lora, measure, method.status, times=job.loras))
    for option, rate in method.options.items():
        if option in job.options:
            lines.append(_line(option, rate, measure, Status.ESTIMATED))
    return Quote(
        method=method.name,
        measure=measure,
        lines=tuple(lines),
        total=Credits.sum(line.credits for line in lines),
        ceiling=Credits.sum(line.ceiling for line in lines),
        tariff_version=tariff.version,
        status=Status.ESTIMATED if any(line.status is Status.ESTIMATED for line in lines) else Status.PUBLISHED,
    )


def measured(method: Method, job: Job) -> Measure:
    """The pixels and steps that count: defaults where nothing was said, sides rounded up."""
    asked = _rounded_up(job.width or method.width, method) * _rounded_up(job.height or method.height, method)
    uploaded = job.image.pixels if job.image is not None else 0
    if method.image_pixels_max is not None:
        uploaded = min(uploaded, method.image_pixels_max)
    pixels = {
        Basis.SIZE: asked,
        Basis.IMAGE: uploaded,
        # A default nobody asked for does not outweigh the image that was really sent.
        Basis.LARGER: max(asked, uploaded) if job.width or job.height or not uploaded else uploaded,
    }[method.basis]
    return Measure(pixels=pixels, steps=job.steps if job.steps is not None else method.steps)


def _rounded_up(side: int, method: Method) -> int:
    return -(-side // method.side_multiple) * method.side_multiple


def _line(name: str, rate: Rate, measure: Measure, status: Status, *, times: int = 1) -> Line:
    exact = rate.exact(measure)
    known = status if rate.published(measure) else Status.ESTIMATED
    return Line(
        name=name,
        credits=Credits.whole(exact // PARTS_PER_CREDIT * times),
        ceiling=Credits.whole(-(-exact // PARTS_PER_CREDIT) * times),
        status=known,
    )
