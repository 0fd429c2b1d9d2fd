"""Advice: the formula turned round. Which cheaper setting of the same job would still fit?"""

from dataclasses import dataclass, replace

from gateway.pricing.job import Job
from gateway.pricing.quote import quote
from gateway.pricing.tariff import Basis, Method, Tariff
from gateway.units import Credits

# The upstream's smallest legal side: half of anything smaller could not be asked for.
SIDE_MIN = 320

# Below it the upstream bills ten steps all the same.
STEPS_MIN = 10


@dataclass(frozen=True, slots=True)
class Advice:
    """A setting that fits: what to send instead, and what it costs."""

    job: Job
    width: int
    height: int
    steps: int
    upscaled: bool
    credits: Credits


def cheaper(tariff: Tariff, method: Method, job: Job, remaining: Credits) -> Advice | None:
    """The setting closest to `job` that costs at most `remaining`, or None.

    First choice keeps the picture's size (half the sides, then upscaled), second keeps the size and takes as many
    steps as fit, third does both.
    """
    halved = _halved(method, job)
    for candidate in (halved, _fewest_lost_steps(tariff, method, job, remaining)):
        if candidate is not None and (found := _fits(tariff, method, candidate, remaining)):
            return found
    if halved is not None:
        both = _fewest_lost_steps(tariff, method, halved, remaining)
        if both is not None:
            return _fits(tariff, method, both, remaining)
    return None


def upscaling_saves(tariff: Tariff, method: Method, job: Job, quoted: Credits) -> Credits:
    """By how much less than `quoted` the same picture is priced at half the sides and upscaled; zero when it is not.

    The steps stay as they are. Of quality it says nothing.
    """
    halved = _halved(method, job)
    if halved is None:
        return Credits.ZERO
    return max(Credits.ZERO, quoted - quote(tariff, method, halved).total)


def _halved(method: Method, job: Job) -> Job | None:
    width, height = job.width or method.width, job.height or method.height
    possible = method.upscale is not None and not job.upscaled and method.basis is Basis.SIZE
    if not possible or width % 16 or height % 16 or min(width, height) < 2 * SIDE_MIN:
        return None
    return replace(job, width=width // 2, height=height // 2, upscaled=True)


def _fewest_lost_steps(tariff: Tariff, method: Method, job: Job, remaining: Credits) -> Job | None:
    """`job` with the most steps that fit; None when not even one step does, or steps have no price."""
    if "steps" not in method.parameters:
        return None
    low, high = 0, job.steps if job.steps is not None else method.steps
    while low < high:
        middle = (low + high + 1) // 2
        if quote(tariff, method, replace(job, steps=middle)).total <= remaining:
            low = middle
        else:
            high = middle - 1
    return replace(job, steps=low) if low >= STEPS_MIN else None


def _fits(tariff: Tariff, method: Method, job: Job, remaining: Credits) -> Advice | None:
    price = quote(tariff, method, job)
    if price.total > remaining:
        return None
    return Advice(
        job=job,
        width=job.width or method.width,
        height=job.height or method.height,
        steps=price.measure.steps,
        upscaled=job.upscaled,
        credits=price.total,
    )
