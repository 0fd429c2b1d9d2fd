"""Prices: worked out once per job, with what is worth knowing beside the quote."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pricing import prices
from gateway.pricing.advice import upscaling_saves
from gateway.pricing.job import Job, Size
from gateway.pricing.prices import Prices
from gateway.pricing.quote import quote
from gateway.pricing.tariff import Method
from gateway.units import Credits
from tests.unit.pricing.rates import CONTROLNET, FLUX, IMAGE2IMAGE, TARIFF, TEXT2IMAGE, TEXT2IMAGE_SDXL, UPSCALER

SQUARE = Job("text2image", 1024, 1024)


def test_a_price_names_its_items_and_its_size() -> None:
    price = Prices(TARIFF).of(TEXT2IMAGE, replace(SQUARE, upscaled=True, loras=2))
    assert price.items == "image:181 upscale:51 lora:24"
    assert price.size == "1024x1024"
    assert price.quote == quote(TARIFF, TEXT2IMAGE, replace(SQUARE, upscaled=True, loras=2))


@pytest.mark.parametrize(
    ("method", "job", "size"),
    [
        (TEXT2IMAGE, Job("text2image"), "512x512"),
        (TEXT2IMAGE, Job("text2image", height=768), "512x768"),
        (UPSCALER, Job("upscale", image=Size(640, 480)), "640x480"),
        (IMAGE2IMAGE, Job("image2image", image=Size(640, 480)), "640x480"),
        (IMAGE2IMAGE, Job("image2image", 1024, 1024, image=Size(640, 480)), "1024x1024"),
        (IMAGE2IMAGE, Job("image2image", 320, 320, image=Size(640, 480)), "640x480"),
        (TEXT2IMAGE_SDXL, Job("text2image_sdxl"), None),
        (FLUX, Job("text2image_flux"), None),
    ],
)
def test_the_size_is_the_one_that_was_priced(method: Method, job: Job, size: str | None) -> None:
    assert Prices(TARIFF).of(method, job).size == size


def test_a_large_picture_could_have_been_a_small_one_upscaled() -> None:
    """181 credits natively, 31 = 19 + 12 upscaled: the upstream's own example."""
    assert Prices(TARIFF).of(TEXT2IMAGE, SQUARE).saving == Credits.whole(150)


@pytest.mark.parametrize(
    ("method", "job"),
    [
        (TEXT2IMAGE, Job("text2image", 512, 512)),  # half of it is smaller than the upstream makes
        (TEXT2IMAGE, Job("text2image", 1024, 1000)),  # half of it is no side it takes
        (TEXT2IMAGE, replace(SQUARE, upscaled=True)),
        (CONTROLNET, Job("controlnet", 1024, 1024, image=Size(8, 8))),  # priced by the larger of two sizes
        (TEXT2IMAGE_SDXL, Job("text2image_sdxl", 2048, 2048)),
    ],
)
def test_nothing_is_called_a_saving_that_cannot_be_had(method: Method, job: Job) -> None:
    assert not Prices(TARIFF).of(method, job).saving


@given(st.integers(1, 256), st.integers(1, 256), st.integers(1, 150))
def test_a_saving_is_the_difference_of_two_quotes_and_never_negative(width: int, height: int, steps: int) -> None:
    job = Job("text2image", 16 * width, 16 * height, steps)
    total = quote(TARIFF, TEXT2IMAGE, job).total
    saving = upscaling_saves(TARIFF, TEXT2IMAGE, job, total)
    halved = replace(job, width=8 * width, height=8 * height, upscaled=True)
    assert saving in (Credits.ZERO, total - quote(TARIFF, TEXT2IMAGE, halved).total)
    assert saving >= Credits.ZERO


def test_a_job_is_priced_once_and_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "PRICES_KEPT", 3)
    known = Prices(TARIFF)
    first = known.of(TEXT2IMAGE, replace(SQUARE, model="a"))
    assert known.of(TEXT2IMAGE, replace(SQUARE, model="b")) is first
    for steps in range(10, 20):
        known.of(TEXT2IMAGE, replace(SQUARE, steps=steps))
        assert len(known._known) <= 3
