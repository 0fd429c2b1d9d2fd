"""Shapes that send words only to the newer models: SDXL, Lightning, Flux, video."""

from tests.e2e.clients.asking import Said, Shape
from tests.e2e.clients.bodies import form_by_browser, json_as, multipart_by
from tests.e2e.clients.by_hand import AXIOS, AXIOS_OF_OLD, BROWSER, DENO, KTOR, NODE_FETCH, by_hand
from tests.e2e.clients.from_text import NEGATIVE, PROMPT
from tests.e2e.clients.libraries import by_urllib

LIGHTNING: Said = {
    "negative_prompt": NEGATIVE,
    "transparent_background": False,
    "prompt": PROMPT,
    "model": "juggernautxl_9_lightning_1024px",
    "height": 832,
    "width": 1216,
    "guidance": 2.0,
    "format": "jpg",
}
TRY_IT: Said = {
    "prompt": PROMPT,
    "width": "1024",
    "height": "1024",
    "steps": "4",
    "seed": "",
    "format": "png",
    "transparent_background": "false",
    "lora1": "",
    "lora1_strength": "0.7",
    "lora2": "",
    "lora2_strength": "0.7",
}
DRAGON: Said = {
    "prompt": PROMPT,
    "width": 1024,
    "height": 1024,
    "style": "realistic",
    "negative_prompt": NEGATIVE,
    "num_images": 1,
    "guidance_scale": 7.5,
    "steps": 30,
}

SHAPES = (
    Shape(
        name="c21",
        way=by_hand(BROWSER, json_as(), accept="application/json, text/plain, */*"),
        path="/text2image_sdxl",
        said=DRAGON,
        credits=75,
    ),
    Shape(
        name="c21 edited",
        way=by_hand(BROWSER, json_as(), accept="application/json, text/plain, */*"),
        path="/text2image_sdxl",
        said={**DRAGON, "width": "1024", "height": "768"},
        credits=75,
    ),
    Shape(
        name="c22",
        way=by_hand(KTOR, json_as("application/json; charset=UTF-8"), accept="image/jpeg"),
        path="/text2image_sdxl_lightning",
        said=LIGHTNING,
        credits=30,
        kind="image/jpeg",
    ),
    Shape(
        name="c22 nulls",
        way=by_hand(KTOR, json_as("application/json; charset=UTF-8"), accept="image/jpeg"),
        path="/text2image_sdxl_lightning",
        said={**LIGHTNING, "steps": None, "refiner": None},
        credits=30,
        kind="image/jpeg",
    ),
    Shape(
        name="c23",
        way=by_hand(NODE_FETCH, json_as(), accept="application/json"),
        path="/text2image_flux",
        said={"prompt": PROMPT, "width": 1024, "height": 1024},
        credits=30,
    ),
    # The extra for the background is known to nobody; the tariff allows for one, this upstream takes none.
    Shape(
        name="c24",
        way=by_hand(DENO, form_by_browser(), lower=True),
        path="/text2image_flux",
        said={
            "prompt": PROMPT,
            "model": "flux_1_schnell",
            "width": "1024",
            "height": "1024",
            "steps": "4",
            "format": "png",
            "transparent_background": "true",
        },
        credits=30,
        quoted=50,
    ),
    Shape(
        name="c25",
        way=by_hand(AXIOS, multipart_by("form-data")),
        path="/text2image_flux",
        said=TRY_IT,
        credits=30,
    ),
    Shape(
        name="c25 old",
        way=by_hand(AXIOS_OF_OLD, multipart_by("form-data"), piece=3),
        path="/text2image_flux",
        said=TRY_IT,
        credits=30,
    ),
    Shape(
        name="c26",
        way=by_urllib(multipart_by("by hand")),
        path="/text2image_flux_2_pro",
        said={
            "prompt": PROMPT,
            "format": "png",
            "width": "1024",
            "height": "1024",
            "steps": "8",
            "transparent_background": "false",
        },
        credits=200,
    ),
    Shape(
        name="c40",
        way=by_urllib(json_as()),
        path="/text2video_wan_2_6",
        said={"prompt": PROMPT, "width": 832, "height": 480, "steps": 30},
        credits=1000,
        kind="video/mp4",
    ),
)
