"""Shapes that send words only: text to image, text to video."""

from tests.e2e.clients.asking import Said, Shape
from tests.e2e.clients.bodies import (
    FORM,
    form_by_browser,
    form_by_rfc3986,
    json_as,
    json_by_go,
    json_by_php,
    multipart_by,
)
from tests.e2e.clients.by_hand import (
    AXIOS,
    BROWSER,
    DART,
    DOTNET_EXPECTING,
    GO,
    KTOR,
    NODE_FETCH,
    OKHTTP,
    WORDPRESS,
    by_hand,
)
from tests.e2e.clients.libraries import by_aiohttp, by_httpx

PROMPT = "astronaut on a horse, höchst “fein” & <b> 100% = a+b; ~*/ 漢字 🎠"
NEGATIVE = "ugly, (blurry:1.2), low quality, " * 7 + "text"

SEED = ("x-input-seed",)
MARKET = ("x-credits-cost", "x-ratelimit-credits-remaining", "x-ratelimit-credits-limit")

JSON_BY_NODE = by_hand(NODE_FETCH, json_as(), lower=True)
FORM_BY_AXIOS = by_hand(AXIOS, form_by_browser())
JSON_BY_AXIOS = by_hand(AXIOS, json_as())
# What dio makes of a form with nulls: empty parts.
DIO: Said = {
    "prompt": PROMPT,
    "model": "dreamshaper_8",
    "negative_prompt": NEGATIVE,
    "guidance": "7",
    "steps": "30",
    "sampler": "euler_a",
    "upscale": "1",
    "format": "jpg",
    "lora1": "",
    "lora2": "",
    "lora1_strength": "0.7",
    "lora2_strength": "0.7",
    "width": "512",
    "height": "512",
}
RETROFIT: Said = {
    "prompt": PROMPT,
    "negative_prompt": NEGATIVE,
    "guidance": "7.5",
    "upscale": "1",
    "sampler": "euler_a",
    "steps": "30",
    "model": "anything_5_0",
    "width": "512",
    "height": "768",
    "lora1": "ab" * 32,
    "lora1_strength": "0.7",
}
DIRECT = (
    Shape(
        name="c05",
        way=FORM_BY_AXIOS,
        said={"prompt": PROMPT, "negative_prompt": NEGATIVE, "guidance": "8", "seed": "568542368"},
        credits=19,
    ),
    Shape(
        name="c06",
        way=by_hand(GO, json_by_go),
        verb="GET",
        said={"prompt": PROMPT, "model": "dreamshaper_8", "seed": "12345"},
        credits=19,
        reads=SEED,
    ),
    Shape(
        name="c07",
        way=by_hand(NODE_FETCH, json_as(), accept="image/png,image/jpeg,image/webp"),
        said={
            "prompt": PROMPT,
            "negative_prompt": "",
            "model": "dreamshaper_8",
            "width": 512,
            "height": 768,
            "guidance": 7,
            "steps": 30,
            "sampler": "dpmpp_2m_karras",
            "seed": 1234,
            "format": "png",
        },
        credits=46,
        reads=(*SEED, "content-length", "x-dezgo-job-amount-usd", "x-dezgo-balance-total-usd"),
    ),
    Shape(
        name="c08",
        way=JSON_BY_AXIOS,
        said={
            "height": "512",
            "width": "512",
            "prompt": PROMPT,
            "negative_prompt": "",
            "guidance": "7",
            "steps": "30",
            "upscale": "1",
            "model": "realdream_12",
        },
        credits=19,
    ),
    Shape(
        name="c09",
        way=JSON_BY_NODE,
        said={"prompt": PROMPT, "width": 512, "height": 512, "steps": 8, "guidance": 3, "sampler": "DPM++ 2M Karras"},
        credits=6,
    ),
    Shape(
        name="c10",
        way=by_hand(AXIOS, json_as(), lower=True),
        said={"prompt": PROMPT, "width": 320, "height": 320, "model": "dreamshaper_8"},
        credits=19,
        at_once=3,
    ),
    Shape(
        name="c12",
        way=by_hand(WORDPRESS, json_by_php),
        said={
            "prompt": PROMPT,
            "model": "dreamshaper_8",
            "width": 512,
            "height": 512,
            "sampler": "euler_a",
            "guidance": 7,
            "steps": 30,
        },
        credits=19,
    ),
    # No multiple of 8: drawn and billed as 792 × 792.
    Shape(
        name="c14",
        way=by_hand(DART, form_by_rfc3986("application/x-www-form-urlencoded; charset=utf-8"), lower=True),
        path="/text2image/",
        said={"prompt": PROMPT, "height": "787", "width": "787"},
        credits=94,
    ),
    Shape(
        name="c15",
        way=by_hand(DART, multipart_by("dio"), lower=True),
        said={**DIO, "seed": "1234567"},
        credits=19,
        kind="image/jpeg",
        reads=(*SEED, "x-dezgo-job-id"),
    ),
    Shape(name="c16", way=by_hand(OKHTTP, multipart_by("okhttp")), said=RETROFIT, credits=58, at_once=5),
    Shape(
        name="c16 two loras",
        way=by_hand(OKHTTP, multipart_by("okhttp")),
        said={**RETROFIT, "lora2": "cd" * 32, "lora2_strength": "0.7", "seed": "123"},
        credits=70,
    ),
    Shape(name="also httpx", way=by_httpx, said={"prompt": PROMPT, "steps": "20", "width": "640"}, credits=22),
    Shape(
        name="also aiohttp",
        way=by_aiohttp,
        said={"prompt": PROMPT, "steps": "10", "format": "webp"},
        credits=6,
        kind="image/webp",
    ),
    Shape(name="also Ktor forms", way=by_hand(KTOR, multipart_by("ktor")), said=DIO, credits=19, kind="image/jpeg"),
)

MARKETPLACE = (
    Shape(
        name="c17",
        way=by_hand(NODE_FETCH, form_by_browser(FORM + ";charset=UTF-8")),
        said={
            "prompt": PROMPT,
            "guidance": "7",
            "steps": "30",
            "sampler": "euler_a",
            "upscale": "1",
            "negative_prompt": NEGATIVE,
            "model": "epic_diffusion_1_1",
        },
        credits=19,
        flavour="rapidapi",
    ),
    Shape(
        name="c18",
        way=by_hand(BROWSER, form_by_browser()),
        said={"prompt": PROMPT, "guidance": "8", "height": "320", "width": "320", "steps": "20"},
        credits=13,
        flavour="rapidapi",
    ),
    Shape(
        name="c19",
        way=FORM_BY_AXIOS,
        said={
            "prompt": PROMPT,
            "guidance": "7.5",
            "width": "512",
            "sampler": "ddim",
            "height": "512",
            "steps": "50",
        },
        credits=33,
        flavour="rapidapi",
        reads=MARKET,
    ),
    Shape(
        name="c20",
        way=by_hand(DOTNET_EXPECTING, form_by_rfc3986()),
        said={
            "prompt": PROMPT,
            "guidance": "7.5",
            "width": "512",
            "sampler": "k_lms",
            "height": "512",
            "steps": "50",
        },
        credits=33,
        flavour="rapidapi",
    ),
)

SHAPES = (*DIRECT, *MARKETPLACE)
