"""What the upstream refuses with 400, and what it makes of the rest."""

import base64
import json

import pytest

from gateway.simulator.order import Order, read_order
from gateway.simulator.read import UnreadableError
from gateway.simulator.settings import SimulatorSettings
from tests.unit.simulator.running import png

PICTURE = base64.b64encode(png(200, 104)).decode()


def order(path: str, params: dict[str, object], **settings: object) -> Order:
    chosen = SimulatorSettings(**{"key": "k", **settings})  # type: ignore[arg-type]  # a table of settings
    return read_order(path, "application/json", json.dumps(params).encode(), chosen)


@pytest.mark.parametrize(
    ("path", "params", "title"),
    [
        ("/text2image", {}, None),
        ("/text2image", {"prompt": ""}, None),
        ("/text2image", {"prompt": "p", "width": "wide"}, None),
        ("/text2image", {"prompt": "p", "steps": 0}, None),
        ("/text2image", {"prompt": "p", "steps": 151}, None),
        ("/text2image", {"prompt": "p", "seed": 2**32}, None),
        ("/text2image", {"prompt": "p", "format": "gif"}, None),
        ("/text2image", {"prompt": "p", "upscale": 4}, None),
        ("/text2image", {"prompt": "p", "width": 2056}, "Invalid dimensions"),
        ("/text2image", {"prompt": "p", "height": 0}, "Invalid dimensions"),
        ("/text2image_sdxl", {"prompt": "p", "width": 1032, "height": 1024}, "Invalid dimensions"),
        ("/text2image_flux", {"prompt": "p", "width": 1544, "height": 512}, "Invalid dimensions"),
        ("/image2image", {"prompt": "p"}, None),
        ("/image2image", {"prompt": "p", "init_image": "bm8gcGljdHVyZQ=="}, None),
        ("/inpainting", {"prompt": "p", "init_image": PICTURE}, None),
        ("/text-inpainting", {"prompt": "p", "init_image": PICTURE}, None),
        ("/upscale", {"prompt": "p"}, None),
    ],
)
def test_a_call_that_cannot_be_served_is_refused(path: str, params: dict[str, object], title: str | None) -> None:
    with pytest.raises(UnreadableError) as refused:
        order(path, params)
    assert refused.value.title == title


@pytest.mark.parametrize(
    ("path", "params", "size"),
    [
        ("/text2image", {}, (512, 512)),
        ("/text2image", {"width": 600}, (600, 512)),
        ("/text2image", {"width": "787", "height": "787"}, (792, 792)),
        ("/text2image", {"width": 2048, "height": 320}, (2048, 320)),
        ("/text2image", {"upscale": "2"}, (1024, 1024)),
        ("/text2image", {"upscale": "true"}, (1024, 1024)),
        ("/text2image_sdxl", {}, (1024, 1024)),
        ("/text2image_flux", {"upscale": "2"}, (1024, 1024)),
        ("/image2image", {"init_image": PICTURE}, (200, 104)),
        ("/image2image", {"init_image": PICTURE, "width": 320}, (320, 512)),
        ("/upscale", {"image": PICTURE}, (400, 208)),
        ("/remove-background", {"image": PICTURE}, (200, 104)),
    ],
)
def test_the_picture_has_the_asked_size(path: str, params: dict[str, object], size: tuple[int, int]) -> None:
    assert order(path, {"prompt": "p", **params}).output_size == size


def test_sides_off_the_grid_are_refused_when_the_settings_say_so() -> None:
    with pytest.raises(UnreadableError) as refused:
        order("/text2image", {"prompt": "p", "width": 787}, off_grid="refuse")
    assert refused.value.title == "Invalid dimensions"


def test_limits_come_from_the_settings() -> None:
    with pytest.raises(UnreadableError):
        order("/text2image", {"prompt": "p", "width": 1032}, side_max=1024)
    with pytest.raises(UnreadableError):
        order("/text2image", {"prompt": "p", "steps": 61}, steps_max=60)
    with pytest.raises(UnreadableError):
        order("/upscale", {"image": PICTURE}, uploaded_pixels_max=200 * 104 - 1)


def test_an_unlisted_model_is_refused_only_when_the_settings_say_so() -> None:
    asked: dict[str, object] = {"prompt": "p", "model": "stable-diffusion-xl"}
    assert order("/text2image", asked)
    with pytest.raises(UnreadableError):
        order("/text2image", asked, listed_models_only=True)
    assert order("/text2image", {"prompt": "p", "model": "dreamshaper_8"}, listed_models_only=True)


@pytest.mark.parametrize(("seed", "read"), [("", None), (-1, None), ("007", 7), (2**32 - 1, 2**32 - 1)])
def test_an_empty_or_negative_seed_means_any(seed: object, read: int | None) -> None:
    assert order("/text2image", {"prompt": "p", "seed": seed}).seed == read
