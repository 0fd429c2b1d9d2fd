"""Shapes that upload pictures."""

from tests.e2e.clients.asking import Shape
from tests.e2e.clients.bodies import json_as, multipart_by
from tests.e2e.clients.by_hand import AXIOS, BROWSER, CURL, CURL_EXPECTING, DENO, DOTNET_EXPECTING, by_hand
from tests.e2e.clients.from_text import NEGATIVE, PROMPT, SEED
from tests.e2e.clients.libraries import by_aiohttp, by_httpx, by_requests, by_urllib
from tests.e2e.clients.pictures import LARGE_JPEG, MASK, PNG, ROOM, SMALL_PNG, WEBP, as_base64, jpeg, png
from tests.unit.parse.wire import File

DIRECT = (
    # Words before and after the file.
    Shape(
        name="c27",
        way=by_hand(AXIOS, multipart_by("form-data")),
        path="/image2image",
        said={
            "prompt": PROMPT,
            "init_image": png("init_image", "0.png"),
            "strength": "0.97",
            "seed": "2942950965",
        },
        credits=19,
        reads=SEED,
    ),
    # A room of 1536 × 1024: the picture's size is what counts.
    Shape(
        name="c28",
        way=by_hand(BROWSER, json_as()),
        path="/image2image",
        said={
            "prompt": PROMPT,
            "init_image": as_base64(ROOM),
            "strength": 0.35,
            "guidance": 7.5,
            "steps": 30,
            "sampler": "dpmpp_2m_karras",
            "model": "absolute_reality_1_8_1",
        },
        credits=289,
    ),
    Shape(
        name="c30",
        way=by_urllib(multipart_by("by hand")),
        path="/image2image_flux_2_pro",
        said={
            "prompt": PROMPT,
            "format": "png",
            "negative_prompt": NEGATIVE,
            "init_image": File("init_image", "product.webp", "image/webp", WEBP),
        },
        credits=200,
    ),
    Shape(
        name="c31",
        way=by_hand(DENO, multipart_by("browser"), lower=True),
        path="/image2image_sdxl",
        said={
            "prompt": PROMPT,
            "model": "sdxl_1024px",
            "strength": "0.6",
            "init_image": jpeg("init_image", "Foto.jpg"),
        },
        credits=75,
    ),
    Shape(
        name="c32",
        way=by_hand(AXIOS, multipart_by("form-data")),
        path="/inpainting",
        said={
            "prompt": PROMPT,
            "model": "stablediffusion_inpaint_2",
            "init_image": jpeg("init_image", "1.jpg"),
            "mask_image": File("mask_image", "1_mask.png", "image/png", MASK),
            "seed": "1419651187",
        },
        credits=19,
    ),
    Shape(
        name="c34",
        way=by_hand(CURL, multipart_by("curl")),
        path="/edit-image",
        said={
            "init_image": jpeg("init_image", "image.jpg"),
            "steps": "30",
            "sampler": "dpmpp_2m_karras",
            "prompt": PROMPT,
            "negative_prompt": NEGATIVE,
            "seed": "",
            "upscale": "1",
            "format": "png",
            "guidance": "9",
            "image_guidance": "2.5",
        },
        credits=19,
    ),
    Shape(
        name="c34 large",
        way=by_hand(CURL_EXPECTING, multipart_by("curl")),
        path="/edit-image",
        said={"init_image": File("init_image", "image.jpg", "image/jpeg", ROOM), "prompt": PROMPT, "steps": "30"},
        credits=289,
    ),
    Shape(
        name="c35",
        way=by_requests,
        path="/controlnet",
        said={
            "prompt": PROMPT,
            "negative_prompt": NEGATIVE,
            "control_model": "scribble",
            "control_scale": "1.0",
            "control_preprocess": "true",
            "width": "1024",
            "height": "576",
            "guidance": "7",
            "steps": "25",
            "sampler": "dpmpp_2m_karras",
            "format": "jpg",
            "init_image": png("init_image", "skeleton1.png"),
        },
        credits=144,
        kind="image/jpeg",
    ),
    Shape(
        name="c36",
        way=by_hand(AXIOS, json_as()),
        path="/upscale",
        said={"image": as_base64(PNG)},
        credits=12,
    ),
    Shape(
        name="c38",
        way=by_urllib(multipart_by("by hand")),
        path="/remove-background",
        said={"mode": "transparent", "image": png("image", "source.png")},
        credits=20,
    ),
    Shape(
        name="c39",
        way=by_requests,
        path="/remove-background",
        said={"image": File("image", "", "", PNG)},
        credits=20,
    ),
    Shape(
        name="also httpx files",
        way=by_httpx,
        path="/image2image",
        said={"prompt": PROMPT, "steps": "30", "init_image": png("init_image", "a b.png")},
        credits=19,
    ),
    Shape(
        name="also aiohttp files",
        way=by_aiohttp,
        path="/upscale",
        said={"format": "webp", "image": png("image", "ü.png")},
        credits=12,
        kind="image/webp",
    ),
    Shape(
        name="also .NET files",
        way=by_hand(DOTNET_EXPECTING, multipart_by("dotnet")),
        path="/upscale",
        said={"image": png("image", "a.png"), "format": "png"},
        credits=12,
    ),
)

MARKETPLACE = (
    Shape(
        name="c29",
        way=by_requests,
        path="/image2image",
        said={
            "upscale": "1",
            "prompt": PROMPT,
            "steps": "30",
            "sampler": "euler_a",
            "negative_prompt": "",
            "model": "epic_diffusion_1_1",
            "strength": "0.6",
            "guidance": "7",
            "init_image": File("init_image", "input.png", "", SMALL_PNG),
        },
        credits=19,
        flavour="rapidapi",
    ),
    Shape(
        name="c33",
        way=by_hand(AXIOS, multipart_by("form-data")),
        path="/text-inpainting",
        said={
            "prompt": PROMPT,
            "mask_prompt": "hair",
            "model": "stablediffusion_inpaint_2",
            "seed": "1419651187",
            "init_image": jpeg("init_image", "1.jpg"),
        },
        credits=19,
        flavour="rapidapi",
    ),
    Shape(
        name="c37",
        way=by_hand(BROWSER, multipart_by("browser")),
        path="/upscale",
        said={"image": File("image", "image.jpg", "image/jpeg", LARGE_JPEG)},
        credits=51,
        flavour="rapidapi",
    ),
)

SHAPES = (*DIRECT, *MARKETPLACE)
