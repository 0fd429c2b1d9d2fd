"""Real programs' requests: every shape known to be in use is read, with the library that writes it where there is one.

The names are those of the list of client shapes the project keeps (`c05` and so on).
"""

import base64
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from urllib.parse import urlencode

import aiohttp
import httpx
import pytest
import requests

from gateway.errors import UnsupportedMediaType
from gateway.pricing.job import Job, Size
from gateway.pricing.tariff import Basis, FlatRate, Method, Status
from tests.unit.parse.methods import (
    BY_STEPS,
    ENLARGE,
    ENLARGING,
    FORM,
    JSON,
    PICTURE,
    PUBLISHED,
    STANDARD,
    TEXT,
    TWELVE,
    read,
)
from tests.unit.parse.pictures import encoded, noisy
from tests.unit.parse.wire import STYLES, File

Params = Mapping[str, object]
Wire = tuple[str, bytes]

ADDONS = {"refiner": TWELVE, "transparent_background": TWELVE}
THIRTY = FlatRate(Decimal(30))


def flat(name: str) -> Method:
    """A method priced by the call."""
    return Method(name, THIRTY, Status.ESTIMATED, "test", options=ADDONS, lora=TWELVE)


def by_steps(name: str) -> Method:
    """A method priced by steps."""
    return Method(name, BY_STEPS, Status.ESTIMATED, "test", options=ADDONS, lora=TWELVE)


def picture(name: str) -> Method:
    """A method priced by the larger of an uploaded image and the asked size."""
    return Method(
        name,
        STANDARD,
        PUBLISHED,
        "test",
        basis=Basis.LARGER,
        upscale=ENLARGING,
        lora=TWELVE,
        image_parameter="init_image",
    )


URL = "http://gateway.test/x"
PNG = encoded("PNG", 512, 512)
JPEG = noisy("JPEG", 512, 512, progressive=True)
RGBA = encoded("PNG", 512, 512, mode="RGBA")
WEBP = encoded("WEBP", 640, 480)
INIT = File("init_image", "0.png", "image/png", PNG)
SQUARE = Size(512, 512)


def as_json(params: Params) -> Wire:
    """What axios, fetch and most others make of an object."""
    return JSON, json.dumps(params, ensure_ascii=False, separators=(",", ":")).encode()


def as_json_with_charset(params: Params) -> Wire:
    """What Ktor sends."""
    return "application/json; charset=UTF-8", json.dumps(params).encode()


def as_form(params: Params) -> Wire:
    """What URLSearchParams, FormUrlEncodedContent and Dart's http send."""
    return "application/x-www-form-urlencoded; charset=utf-8", urlencode(dict(params)).encode()


def by_requests(params: Params, *files: File) -> Wire:
    """What requests sends."""
    uploaded = {file.field: (file.filename, file.content) for file in files}
    prepared = requests.Request("POST", URL, data=dict(params), files=uploaded).prepare()
    body = prepared.body or b""
    return prepared.headers["Content-Type"], body.encode() if isinstance(body, str) else body


def by_httpx(params: Params, *files: File) -> Wire:
    """What httpx sends: fields without a filename are its `(None, value)` parts."""
    uploaded = {file.field: (file.filename, file.content, file.content_type) for file in files}
    fields = {name: (None, str(value).encode()) for name, value in params.items()}
    request = httpx.Request("POST", URL, files={**fields, **uploaded})
    return request.headers["content-type"], request.read()


def by_style(name: str) -> Callable[..., Wire]:
    """What the library `name` sends."""
    style = STYLES[name]

    def write(params: Params, *files: File) -> Wire:
        return style.content_type, style.body({key: str(value) for key, value in params.items()}, *files)

    return write


def browser_numbers(**params: object) -> Params:
    """The ordinary text-to-image parameters of a form."""
    return {"prompt": "astronaut, ä & b = c; 100%", "guidance": "7.5", "sampler": "euler_a", **params}


SHAPES: list[tuple[str, Method, Wire, Job]] = [
    ("c05", TEXT, as_form({"prompt": "a, b", "guidance": "8", "seed": "568542368"}), Job("text2image")),
    ("c06", TEXT, as_json({"prompt": "text", "model": "m", "seed": "12345"}), Job("text2image")),
    (
        "c07",
        TEXT,
        as_json(
            {"prompt": "s", "negative_prompt": "", "width": 512, "height": 768, "guidance": 7, "steps": 30, "seed": 1}
        ),
        Job("text2image", width=512, height=768, steps=30),
    ),
    (
        "c08",
        TEXT,
        as_json({"height": "512", "width": "512", "prompt": "ü", "guidance": "7", "steps": "30", "upscale": "1"}),
        Job("text2image", width=512, height=512, steps=30),
    ),
    ("c09", TEXT, as_json({"prompt": "p", "steps": 8, "guidance": 3.0}), Job("text2image", steps=8)),
    ("c10", TEXT, as_json({"width": 320, "height": 320}), Job("text2image", width=320, height=320)),
    ("c11", TEXT, as_json({"cfg": 7.5, "steps": 30}), Job("text2image", steps=30)),
    (
        "c12",
        TEXT,
        as_json({"width": 512, "height": 512, "steps": 30}),
        Job("text2image", width=512, height=512, steps=30),
    ),
    (
        "c13",
        TEXT,
        by_requests({"prompt": "t", "width": "768", "height": "1344", "steps": "30", "model": "sdxl"}),
        Job("text2image", width=768, height=1344, steps=30),
    ),
    ("c14", TEXT, as_form({"prompt": "c", "height": "787", "width": "787"}), Job("text2image", width=787, height=787)),
    (
        "c15",
        TEXT,
        by_style("dio")(
            browser_numbers(steps="30", upscale="1", lora1="", lora2="", lora1_strength="0.7", width="512")
        ),
        Job("text2image", steps=30, width=512),
    ),
    (
        "c16",
        TEXT,
        by_style("okhttp")(browser_numbers(upscale="1", steps="30", width="512", height="768", lora1="a" * 64)),
        Job("text2image", steps=30, width=512, height=768, loras=1),
    ),
    (
        "c16 with two",
        TEXT,
        by_style("okhttp")(browser_numbers(lora1="a" * 64, lora2="b" * 64, lora2_strength="0.7", seed="123")),
        Job("text2image", loras=2),
    ),
    ("c17", TEXT, as_form(browser_numbers(steps="30", upscale="1")), Job("text2image", steps=30)),
    ("c18", TEXT, as_form({"height": "320", "width": "320", "steps": "20"}), Job("text2image", 320, 320, 20)),
    ("c19", TEXT, as_form(browser_numbers(width="512", height="512", steps="50")), Job("text2image", 512, 512, 50)),
    ("c20", TEXT, (FORM, b"prompt=a+b&width=512&sampler=k_lms&height=512&steps=50"), Job("text2image", 512, 512, 50)),
    (
        "c21",
        by_steps("text2image_sdxl"),
        as_json({"width": "1024", "style": "realistic", "num_images": 1, "guidance_scale": 7.5, "steps": 30}),
        Job("text2image_sdxl", steps=30),
    ),
    (
        "c22",
        by_steps("text2image_sdxl_lightning"),
        as_json_with_charset({"transparent_background": False, "height": 832, "width": 1216, "guidance": 2.0}),
        Job("text2image_sdxl_lightning"),
    ),
    (
        "c22 with nulls",
        by_steps("text2image_sdxl_lightning"),
        as_json_with_charset({"transparent_background": False, "steps": None, "refiner": None, "seed": None}),
        Job("text2image_sdxl_lightning"),
    ),
    ("c23", flat("text2image_flux"), as_json({"prompt": "p", "width": 1024, "height": 1024}), Job("text2image_flux")),
    (
        "c24",
        flat("text2image_flux"),
        as_form({"width": "1024", "steps": "4", "transparent_background": "true"}),
        Job("text2image_flux", options=frozenset({"transparent_background"})),
    ),
    (
        "c25",
        flat("text2image_flux"),
        by_style("form-data")({"seed": "", "transparent_background": "false", "lora1": "", "lora1_strength": "0.7"}),
        Job("text2image_flux"),
    ),
    (
        "c26",
        by_steps("text2image_flux_2_pro"),
        by_style("by hand")({"steps": "8"}),
        Job("text2image_flux_2_pro", steps=8),
    ),
    ("c27", PICTURE, by_style("form-data")({"strength": "0.97", "seed": "1"}, INIT), Job("image2image", image=SQUARE)),
    (
        "c28",
        PICTURE,
        as_json({"init_image": base64.b64encode(JPEG).decode(), "strength": 0.35, "steps": 30}),
        Job("image2image", steps=30, image=SQUARE),
    ),
    (
        "c29",
        PICTURE,
        by_requests({"upscale": "1", "steps": "30", "negative_prompt": ""}, INIT),
        Job("image2image", steps=30, image=SQUARE),
    ),
    (
        "c30",
        picture("image2image_flux_2_pro"),
        by_style("by hand")({"format": "png"}, File("init_image", "a.webp", "image/webp", WEBP)),
        Job("image2image_flux_2_pro", image=Size(640, 480)),
    ),
    (
        "c31",
        picture("image2image_sdxl"),
        by_style("browser")({"prompt": "t", "strength": "0.6"}, INIT),
        Job("image2image_sdxl", image=SQUARE),
    ),
    (
        "c32",
        picture("inpainting"),
        by_style("form-data")(
            {"prompt": "hair", "seed": "1419651187"},
            File("init_image", "1.jpg", "image/jpeg", JPEG),
            File("mask_image", "1_mask.png", "image/png", RGBA),
        ),
        Job("inpainting", image=SQUARE),
    ),
    (
        "c33",
        picture("text-inpainting"),
        by_style("axios")({"mask_prompt": "hair"}, File("init_image", "1.jpg", "image/jpeg", JPEG)),
        Job("text-inpainting", image=SQUARE),
    ),
    (
        "c34",
        picture("edit-image"),
        by_style("curl")(
            {"steps": "30", "seed": "", "upscale": "1", "image_guidance": "2.5"},
            File("init_image", "image.jpg", "image/jpeg", JPEG),
        ),
        Job("edit-image", steps=30, image=SQUARE),
    ),
    (
        "c35",
        picture("controlnet"),
        by_requests({"control_preprocess": "true", "width": "1024", "height": "576", "steps": "25"}, INIT),
        Job("controlnet", 1024, 576, 25, image=SQUARE),
    ),
    ("c36", ENLARGE, as_json({"image": base64.b64encode(PNG).decode()}), Job("upscale", image=SQUARE)),
    (
        "c37",
        ENLARGE,
        by_style("undici")({}, File("image", "image.jpg", "image/jpeg", JPEG)),
        Job("upscale", image=SQUARE),
    ),
    (
        "c38",
        flat("remove-background"),
        by_style("by hand")({"mode": "transparent"}, File("image", "source.png", "image/png", PNG)),
        Job("remove-background"),
    ),
    ("c39", ENLARGE, by_requests({}, File("image", "image", "", PNG)), Job("upscale", image=SQUARE)),
    ("c40", flat("text2video_wan_2_6"), as_json({"width": 832, "height": 480, "steps": 30}), Job("text2video_wan_2_6")),
]


@pytest.mark.parametrize(("method", "wire", "job"), [shape[1:] for shape in SHAPES], ids=[shape[0] for shape in SHAPES])
def test_every_known_shape_is_read(method: Method, wire: Wire, job: Job) -> None:
    assert read(method, *wire) == job


@pytest.mark.parametrize("write", [by_requests, by_httpx, *map(by_style, STYLES)], ids=["requests", "httpx", *STYLES])
def test_every_library_is_read_alike_with_and_without_a_file(write: Callable[..., Wire]) -> None:
    params = browser_numbers(width="512", steps="30", lora1="")
    assert read(PICTURE, *write(params, INIT)) == Job("image2image", width=512, steps=30, image=SQUARE)
    assert read(TEXT, *write(params)) == Job("text2image", width=512, steps=30)


@pytest.mark.parametrize("with_file", [False, True])
async def test_aiohttp_forms_are_read_urlencoded_and_as_multipart(with_file: bool) -> None:
    form = aiohttp.FormData({"width": "512", "steps": "30"})
    if with_file:
        form.add_field("init_image", PNG, filename="ü.png", content_type="image/png")
    payload = form()
    body = await payload.as_bytes()
    method = PICTURE if with_file else TEXT
    expected = Job(method.name, width=512, steps=30, image=SQUARE if with_file else None)
    assert read(method, payload.headers["Content-Type"], body) == expected


def test_a_form_object_turned_into_text_is_refused() -> None:
    with pytest.raises(UnsupportedMediaType):
        read(ENLARGE, "text/plain;charset=UTF-8", b"[object FormData]")
