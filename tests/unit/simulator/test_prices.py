"""The published figures, row by row. Sources: the official pricing pages, as the fact sheet gives them."""

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.order import read_order
from gateway.simulator.prices import price, rounded, sdxl_credits, standard_credits, upscale_credits
from gateway.simulator.settings import Billing, SimulatorSettings
from tests.unit.simulator.running import png


def charged(path: str, *, settings: SimulatorSettings | None = None, **params: Any) -> Decimal:
    settings = settings or SimulatorSettings(key="k")
    texts = {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in params.items()
    }
    body = json.dumps({"prompt": "p", **texts}).encode()
    return price(read_order(path, "application/json", body, settings), settings)


@pytest.mark.parametrize(
    ("width", "height", "steps", "exact", "floored"),
    [
        (512, 512, 30, "19.8727", 19),  # published
        (768, 768, 30, "87.2011", 87),  # published
        (1024, 1024, 30, "181.4609", 181),  # published
        (320, 320, 30, "19.8727", 19),  # implied by the smallest counted area
        (512, 512, 10, "6.6242", 6),
        (512, 512, 8, "6.6242", 6),  # fewer than 10 steps count as 10
        (512, 512, 50, "33.1212", 33),
        (512, 768, 30, "46.8041", 46),
        (1024, 1024, 150, "907.3046", 907),
    ],
)
def test_standard_prices_are_the_published_ones(width: int, height: int, steps: int, exact: str, floored: int) -> None:
    credits = standard_credits(width * height, steps)
    assert credits.quantize(Decimal("0.0001")) == Decimal(exact)
    assert charged("/text2image", width=width, height=height, steps=steps) == floored


@pytest.mark.parametrize(
    ("side", "exact", "floored"),
    [
        (320, "5.046", 5),
        (512, "12.918", 12),
        (768, "29.065", 29),
        (1024, "51.672", 51),
        (100, "5.046", 5),
    ],
)
def test_upscaling_is_priced_by_the_uploaded_pixels(side: int, exact: str, floored: int) -> None:
    assert upscale_credits(side * side).quantize(Decimal("0.001")) == Decimal(exact)
    assert charged("/upscale", image=png(side, side)) == floored


@pytest.mark.parametrize(("steps", "usd"), [(10, 32), (20, 54), (30, 75), (40, 96), (80, 181), (150, 330)])
def test_sdxl_prices_are_the_published_table(steps: int, usd: int) -> None:
    assert sdxl_credits(steps) == usd
    assert charged("/text2image_sdxl", steps=steps, width=1216, height=832) == usd


@pytest.mark.parametrize(("steps", "credits"), [(11, 36), (25, 66), (31, 78), (149, 330), (4, 32)])
def test_sdxl_between_rows_is_the_safe_straight_line(steps: int, credits: int) -> None:
    assert sdxl_credits(steps) == credits


@pytest.mark.parametrize(
    ("path", "params", "credits"),
    [
        ("/text2image", {}, 19),
        ("/text2image", {"width": "", "height": None, "steps": ""}, 19),
        ("/text2image", {"upscale": "2"}, 31),  # published: 19 + 12, each floored
        ("/text2image", {"upscale": 2, "width": 512, "height": 768}, 65),
        ("/text2image", {"lora1": "a"}, 31),
        ("/text2image", {"lora1": "a", "lora2": "b"}, 43),
        ("/text2image", {"lora1": "", "lora1_strength": "0.7"}, 19),
        ("/text2image_sdxl", {}, 75),
        ("/text2image_sdxl", {"lora1": "a"}, 126),
        ("/text2image_sdxl", {"transparent_background": True, "refiner": "true"}, 75),
        ("/controlnet", {"init_image": png(512, 512)}, 38),  # published: twice the floored line
        ("/controlnet", {"init_image": png(768, 768)}, 174),
        ("/controlnet", {"init_image": png(1024, 1024)}, 362),
        ("/controlnet", {"init_image": png(64, 64), "width": 1024, "height": 576, "steps": 25}, 144),
        ("/controlnet", {"init_image": png(512, 512), "upscale": 2, "lora1": "a"}, 62),
        ("/image2image", {"init_image": png(768, 768)}, 87),
        ("/image2image", {"init_image": png(768, 768), "width": 512, "height": 512}, 87),
        ("/image2image", {"init_image": png(512, 512), "width": 768, "height": 768}, 87),
        ("/inpainting", {"init_image": png(512, 512), "mask_image": png(512, 512)}, 19),
        ("/text-inpainting", {"init_image": png(512, 512), "mask_prompt": "hair"}, 19),
        ("/edit-image", {"init_image": png(512, 512)}, 19),
        ("/image2image_sdxl", {"init_image": png(512, 512)}, 75),
        ("/text2image_flux", {"steps": 4}, 30),
        ("/text2image_sdxl_lightning", {"steps": None, "lora1": "a"}, 30),
        ("/text2image_flux_2_pro", {}, 200),
        ("/image2image_flux_2_pro", {"init_image": png(512, 512)}, 200),
        ("/remove-background", {"image": png(512, 512)}, 20),
        ("/text_moderation_simple", {}, 1),
        ("/text2video_wan_2_6", {"width": 832, "height": 480}, 1000),
    ],
)
def test_each_path_charges_the_sum_of_its_parts(path: str, params: dict[str, Any], credits: int) -> None:
    assert charged(path, **params) == credits


def test_options_without_a_known_price_are_charged_what_the_settings_say() -> None:
    settings = SimulatorSettings(key="k", transparent_credits=7, refiner_credits=4)
    path = "/text2image_sdxl"
    assert charged(path, settings=settings, transparent_background="true", refiner=True) == 86


@pytest.mark.parametrize(("billing", "credits"), [("floored", "31"), ("exact", "32.790659712"), ("ceiling", "33")])
def test_each_part_is_rounded_on_its_own(billing: Billing, credits: str) -> None:
    settings = SimulatorSettings(key="k", billing=billing)
    assert charged("/text2image", settings=settings, upscale=2) == Decimal(credits)


@pytest.mark.parametrize(("billed_size", "credits"), [("drawn", 94), ("asked", 93)])
def test_a_size_off_the_grid_is_billed_as_the_settings_say(billed_size: str, credits: int) -> None:
    settings = SimulatorSettings(key="k", billed_size="drawn" if billed_size == "drawn" else "asked")
    assert charged("/text2image", settings=settings, width="787", height="787") == credits


@given(st.integers(1, 2048 * 2048), st.integers(1, 150))
def test_no_part_falls_by_asking_for_more_and_rounding_moves_it_less_than_a_credit(pixels: int, steps: int) -> None:
    credits = standard_credits(pixels, steps)
    assert credits <= standard_credits(pixels + 64, steps) <= standard_credits(pixels + 64, steps + 1)
    assert 0 <= credits - rounded(credits, "floored") < 1
    assert 0 <= rounded(credits, "ceiling") - credits < 1
