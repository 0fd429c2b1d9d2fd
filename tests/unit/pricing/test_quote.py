"""Quotes reproduce the published tables, and behave between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pricing.job import Job, Size
from gateway.pricing.quote import quote
from gateway.pricing.rates import PARTS_PER_CREDIT, Measure
from gateway.pricing.tariff import Method, Status
from gateway.units import Credits
from tests.unit.pricing.rates import (
    CONTROLNET,
    FLUX,
    IMAGE2IMAGE,
    METHODS,
    STANDARD,
    TARIFF,
    TEXT2IMAGE,
    TEXT2IMAGE_SDXL,
    UPSCALER,
)


def credits(method: Method, job: Job) -> int:
    total = quote(TARIFF, method, job).total.millicredits
    assert total % 1000 == 0
    return total // 1000


@pytest.mark.parametrize(
    ("width", "height", "steps", "upscaled", "published"),
    [
        (512, 512, 30, False, 19),  # price table
        (768, 768, 30, False, 87),  # price table
        (1024, 1024, 30, False, 181),  # price table
        (512, 512, 30, True, 31),  # listing's own example: 19 + 12
        (320, 320, 30, False, 19),  # never fewer pixels than 512 x 512
        (320, 320, 30, True, 24),  # the upscale line has a minimum of its own: 19 + 5, not 19 + 12
        (512, 512, 10, False, 6),
        (512, 512, 8, False, 6),  # never fewer steps than 10
        (512, 512, 50, False, 33),
        (512, 768, 30, False, 46),
        (1024, 1024, 150, False, 907),  # the dearest legal job
        (None, None, None, False, 19),
        (768, None, None, False, 46),  # the other side's default counts
    ],
)
def test_standard_prices_are_the_published_ones(
    width: int | None, height: int | None, steps: int | None, upscaled: bool, published: int
) -> None:
    assert credits(TEXT2IMAGE, Job("text2image", width, height, steps, upscaled)) == published


@pytest.mark.parametrize(("side", "published"), [(320, 5), (512, 12), (768, 29), (1024, 51), (64, 5)])
def test_upscale_is_priced_by_the_uploaded_pixels(side: int, published: int) -> None:
    assert credits(UPSCALER, Job("upscale", image=Size(side, side))) == published


@pytest.mark.parametrize(("side", "published"), [(512, 38), (768, 174), (1024, 362)])
def test_controlnet_is_twice_the_floored_standard_price(side: int, published: int) -> None:
    assert credits(CONTROLNET, Job("controlnet", side, side)) == published


def test_a_lora_adds_its_fixed_price_once_each() -> None:
    assert credits(TEXT2IMAGE, Job("text2image", loras=1)) == 31
    assert credits(TEXT2IMAGE, Job("text2image", loras=2)) == 43
    assert credits(TEXT2IMAGE_SDXL, Job("text2image_sdxl", loras=2)) == 75 + 102


@pytest.mark.parametrize(("steps", "published"), [(10, 32), (20, 54), (30, 75), (40, 96), (80, 181), (150, 330)])
def test_sdxl_rows_are_the_published_ones_and_marked_so(steps: int, published: int) -> None:
    priced = quote(TARIFF, TEXT2IMAGE_SDXL, Job("text2image_sdxl", steps=steps))
    assert priced.total == Credits.whole(published)
    assert priced.status is Status.PUBLISHED


def test_sdxl_between_the_rows_is_an_upper_bound_and_marked_as_estimated() -> None:
    priced = quote(TARIFF, TEXT2IMAGE_SDXL, Job("text2image_sdxl", steps=25))
    assert priced.total == Credits.whole(66)  # ceiling of 2.13 * 25 + 11.8 = 65.05
    assert priced.status is Status.ESTIMATED


def test_an_estimated_option_makes_the_quote_estimated_and_adds_its_line() -> None:
    priced = quote(TARIFF, TEXT2IMAGE_SDXL, Job("text2image_sdxl", options=frozenset({"refiner"})))
    assert [(line.name, line.credits) for line in priced.lines] == [
        ("image", Credits.whole(75)),
        ("refiner", Credits.whole(25)),
    ]
    assert priced.status is Status.ESTIMATED


def test_a_flat_estimate_is_the_same_for_every_size() -> None:
    assert credits(FLUX, Job("text2image_flux", 320, 320)) == credits(FLUX, Job("text2image_flux", 1536, 1536)) == 30


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (Job("image2image", image=Size(768, 768)), 87),  # nothing asked: the image decides, not the default
        (Job("image2image", image=Size(64, 64)), 19),
        (Job("image2image", 1024, 1024, image=Size(512, 512)), 181),
        (Job("image2image", 512, 512, image=Size(1024, 1024)), 181),
    ],
)
def test_where_the_basis_is_not_known_the_larger_counts(job: Job, expected: int) -> None:
    assert credits(IMAGE2IMAGE, job) == expected


def test_sides_are_priced_rounded_up_to_what_the_upstream_may_round_to() -> None:
    assert credits(TEXT2IMAGE, Job("text2image", 787, 787)) == credits(TEXT2IMAGE, Job("text2image", 792, 792))


@given(
    st.sampled_from(METHODS),
    st.integers(1, 8192),
    st.integers(1, 8192),
    st.integers(1, 1000),
    st.integers(0, 64),
    st.integers(0, 64),
    st.integers(0, 20),
    st.booleans(),
)
def test_a_price_never_falls_when_size_or_steps_rise_and_is_never_negative(
    method: Method, width: int, height: int, steps: int, wider: int, higher: int, longer: int, upscaled: bool
) -> None:
    small = quote(TARIFF, method, Job(method.name, width, height, steps, upscaled, image=Size(width, height)))
    large = quote(
        TARIFF,
        method,
        Job(method.name, width + wider, height + higher, steps + longer, upscaled, image=Size(width + wider, height)),
    )
    assert Credits.ZERO <= small.total <= large.total
    assert small.total <= small.ceiling <= small.total + Credits.whole(2 * method.factor)


def test_floats_and_exact_arithmetic_floor_alike_over_every_legal_input() -> None:
    """Every size of multiples of 8 from 320 to 1024, at every number of steps from 10 to 150."""
    areas = {width * height for width in range(320, 1025, 8) for height in range(320, 1025, 8)}
    for pixels in {max(area, 512 * 512) for area in areas}:
        for steps in range(10, 151):
            # (pixels * 6.849e-6 - 1.133) * steps, in billionths
            exact = (pixels * 6849 - 1_133_000_000) * steps // 10**9
            assert int((pixels * 6.849e-6 - 1.133) * steps) == exact
            assert STANDARD.exact(Measure(pixels, steps)) // PARTS_PER_CREDIT == exact


def test_lines_add_up_to_the_total() -> None:
    priced = quote(TARIFF, TEXT2IMAGE, Job("text2image", 1024, 768, 40, upscaled=True, loras=2))
    assert Credits.sum(line.credits for line in priced.lines) == priced.total
    assert Credits.sum(line.ceiling for line in priced.lines) == priced.ceiling
    assert [line.name for line in priced.lines] == ["image", "upscale", "lora"]
