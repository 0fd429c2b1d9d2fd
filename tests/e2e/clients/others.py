"""Shapes that cost nothing: lists and polls, and calls that are accidents."""

from tests.e2e.clients.asking import Said, Shape
from tests.e2e.clients.bodies import accidental_text, json_as, multipart_by, nothing
from tests.e2e.clients.by_hand import AXIOS, BROWSER, NODE_FETCH, by_hand
from tests.e2e.clients.from_text import NEGATIVE, PROMPT
from tests.e2e.clients.libraries import by_requests, by_urllib
from tests.e2e.clients.pictures import png

_JSON = "application/json"
_ELECTRON = by_hand(NODE_FETCH, nothing, accept=_JSON)

# Model lists.
FREE = (
    Shape(name="c01", way=_ELECTRON, verb="GET", path="/info", kind=_JSON),
    Shape(name="c02", way=by_hand(BROWSER, nothing, accept=f"{_JSON}, text/plain, */*"), verb="GET", path="/info"),
    Shape(name="c03", way=by_hand(NODE_FETCH, nothing), verb="GET", path="/info", flavour="rapidapi"),
)
KEYLESS = frozenset({"c02"})

ACCOUNT = Shape(name="c04", way=_ELECTRON, verb="GET", path="/account/tx/last")

# An asynchronous call and its polls.
STARTING = Shape(
    name="c26 later",
    way=by_urllib(multipart_by("by hand")),
    path="/text2image_flux_2_pro",
    said={"prompt": PROMPT, "format": "png", "width": "1024", "height": "1024"},
    credits=200,
    kind=_JSON,
)
POLLING = Shape(name="c41", way=by_urllib(nothing, Accept=_JSON), verb="GET", path="/unstable/job/")

_WRONG_MODEL: Said = {
    "prompt": PROMPT,
    "model": "stable-diffusion-xl",
    "width": 512,
    "height": 512,
    "steps": 30,
    "cfg": 7.5,
    "sampler": "dpmpp_2m_karras",
    "negative_prompt": "",
}

# Refused by the upstream, whose own words reach the client.
BY_UPSTREAM = Shape(name="c11", way=by_hand(BROWSER, json_as(), accept=f"{_JSON}, text/plain, */*"), said=_WRONG_MODEL)
# Refused by the gateway.
NO_KEY = Shape(
    name="c13",
    way=by_requests,
    said={
        "prompt": PROMPT,
        "width": "768",
        "height": "1344",
        "model": "sdxl",
        "negative_prompt": NEGATIVE,
        "guidance": "7",
        "steps": "30",
    },
)
AS_TEXT = Shape(name="c37 as text", way=by_hand(NODE_FETCH, accidental_text), path="/upscale", flavour="rapidapi")

# Sent by callers whose budget is used up; the price says who could not pay it.
POOR = (
    Shape(
        name="c38 poor",
        way=by_urllib(multipart_by("by hand")),
        path="/remove-background",
        said={"mode": "transparent", "image": png("image", "source.png")},
        credits=20,
    ),
    Shape(
        name="c19 poor",
        way=by_hand(AXIOS, json_as()),
        said={"prompt": PROMPT, "width": "512", "steps": "50"},
        credits=33,
        flavour="rapidapi",
    ),
)

ALL = (*FREE, ACCOUNT, STARTING, POLLING, BY_UPSTREAM, NO_KEY, AS_TEXT, *POOR)
