"""Prices: what a job costs and what is worth knowing beside it, worked out once per job."""

from dataclasses import dataclass

from gateway.pricing.advice import upscaling_saves
from gateway.pricing.job import Job, Size
from gateway.pricing.quote import Quote, quote
from gateway.pricing.tariff import Basis, Kind, Method, Tariff
from gateway.units import Credits

# Prices that are remembered. A job names its method, and a tariff never changes.
PRICES_KEPT = 1_024


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one job.

    Attributes:
        quote: itemised.
        items: its lines in one short text, such as `image:19 upscale:12`.
        size: sides in pixels that were priced, such as `1024x768`; None where no side has a price.
        saving: what the same picture would cost less, made at half the sides and upscaled.
    """

    quote: Quote
    items: str
    size: str | None
    saving: Credits


class Prices:
    """Prices by one tariff; those of the last jobs are remembered."""

    def __init__(self, tariff: Tariff) -> None:
        self._tariff = tariff
        self._known: dict[Job, Price] = {}

    def of(self, method: Method, job: Job) -> Price:
        """What `job`, which asks for `method`, costs."""
        known = self._known.get(job)
        if known is None:
            if len(self._known) >= PRICES_KEPT:
                self._known.clear()
            known = self._known[job] = _price(self._tariff, method, job)
        return known


def _price(tariff: Tariff, method: Method, job: Job) -> Price:
    quoted = quote(tariff, method, job)
    return Price(
        quoted,
        items=" ".join([f"{line.name}:{line.credits}" for line in quoted.lines]),
        size=_size(method, job),
        saving=upscaling_saves(tariff, method, job, quoted.total),
    )


def _size(method: Method, job: Job) -> str | None:
    asked = Size(job.width or method.width, job.height or method.height)
    uploaded = job.image if method.basis is not Basis.SIZE else None
    # As `measured` chooses.
    unasked = method.basis is Basis.IMAGE or not (job.width or job.height)
    if uploaded is not None and (unasked or uploaded.pixels > asked.pixels):
        return f"{uploaded.width}x{uploaded.height}"
    return f"{asked.width}x{asked.height}" if Kind.SIDE in method.parameters.values() else None
