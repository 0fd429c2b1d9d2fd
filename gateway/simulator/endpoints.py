"""The upstream's paths and how each is priced and answered. Rules as a table (fact sheet, 2 to 4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Rule = Literal["standard", "sdxl", "upscale", "flat"]
Product = Literal["image", "enlarged", "cut_out", "video", "verdict"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One paid path.

    Attributes:
        rule: which price formula counts.
        times: the standard line is multiplied by this after rounding (`/controlnet`).
        flat_credits: the whole price, for `flat`.
        lora_credits: price of each LoRA named.
        image: the field of the uploaded image it cannot do without.
        needs: further fields it cannot do without.
        side: width and height in pixels when not said.
        steps: steps when not said.
        side_max: longest side in pixels it allows itself, None to leave that to the settings.
        area_max: most pixels it allows, None for no limit of its own.
        product: what comes back.
    """

    rule: Rule
    times: int = 1
    flat_credits: int = 0
    lora_credits: int = 0
    image: str | None = None
    needs: tuple[str, ...] = ("prompt",)
    side: int = 512
    steps: int = 30
    side_max: int | None = None
    area_max: int | None = None
    product: Product = "image"


def _standard(*, image: str | None = None, needs: tuple[str, ...] = ("prompt",), times: int = 1) -> Endpoint:
    return Endpoint("standard", times=times, lora_credits=12, image=image, needs=needs)


def _sdxl(image: str | None = None) -> Endpoint:
    return Endpoint("sdxl", lora_credits=51, image=image, side=1024, area_max=1_048_576)


def _flat(credits: int, **more: str) -> Endpoint:
    return Endpoint("flat", flat_credits=credits, side=1024, image=more.get("image"))


_VIDEO = Endpoint("flat", flat_credits=1000, product="video")

# The flat prices are weak third-party figures: no official ones were found.
PAID: Mapping[str, Endpoint] = MappingProxyType(
    {
        "/text2image": _standard(),
        "/image2image": _standard(image="init_image"),
        "/inpainting": _standard(image="init_image", needs=("prompt", "mask_image")),
        "/text-inpainting": _standard(image="init_image", needs=("prompt", "mask_prompt")),
        "/edit-image": _standard(image="init_image"),
        "/controlnet": _standard(image="init_image", times=2),
        "/text2image_sdxl": _sdxl(),
        "/image2image_sdxl": _sdxl("init_image"),
        "/text2image_sdxl_lightning": _flat(30),
        "/text2image_flux": Endpoint("flat", flat_credits=30, side=1024, steps=4, side_max=1536, area_max=2_359_296),
        "/text2image_flux_2_pro": _flat(200),
        "/image2image_flux_2_pro": _flat(200, image="init_image"),
        "/upscale": Endpoint("upscale", image="image", needs=(), product="enlarged"),
        "/remove-background": Endpoint("flat", flat_credits=20, image="image", needs=(), product="cut_out"),
        "/text_moderation_simple": Endpoint("flat", flat_credits=1, product="verdict"),
        "/text2video": _VIDEO,
        "/text2video_wan_2_1": _VIDEO,
        "/text2video_wan_2_6": _VIDEO,
    }
)

# The one generation path that also answers GET with a JSON body.
PAID_BY_GET = frozenset({"/text2image"})
