"""One paid call, read and checked as the upstream would: what to draw, and what its price depends on."""

from dataclasses import dataclass

from gateway.simulator.endpoints import PAID, Endpoint
from gateway.simulator.models import MODEL_IDS
from gateway.simulator.painter import size_of
from gateway.simulator.picture import Size
from gateway.simulator.read import Params, UnreadableError, read_params
from gateway.simulator.settings import SimulatorSettings

SEED_MAX = 2**32 - 1
GRID = 8
FORMATS = frozenset({"png", "jpg", "webp"})
_UPSCALE = {"": False, "1": False, "false": False, "2": True, "true": True}


@dataclass(frozen=True, slots=True)
class Order:
    """What one call asks for.

    Attributes:
        path: the upstream's path.
        endpoint: its row of the table.
        prompt: the words to draw.
        seed: asked seed, None for any.
        size: of the generated picture in pixels, before upscaling; of the uploaded one for `/upscale`.
        billed_pixels: the area the price formula counts.
        steps: steps, the default filled in.
        upscaled: the picture is doubled after generation.
        loras: how many LoRAs are named.
        transparent: `transparent_background` is on.
        refined: `refiner` is on.
        format: `png`, `jpg` or `webp`.
    """

    path: str
    endpoint: Endpoint
    prompt: str
    seed: int | None
    size: Size
    billed_pixels: int
    steps: int
    upscaled: bool
    loras: int
    transparent: bool
    refined: bool
    format: str

    @property
    def output_size(self) -> Size:
        """Pixels of the picture that is sent back."""
        times = 2 if self.upscaled or self.endpoint.product == "enlarged" else 1
        return self.size[0] * times, self.size[1] * times


def read_order(path: str, content_type: str, body: bytes, settings: SimulatorSettings) -> Order:
    """The order in a request body.

    Raises:
        UnreadableError: the upstream would answer 400; nothing is charged.
    """
    endpoint = PAID[path]
    params = read_params(content_type, body)
    _check_presence(params, endpoint)
    _check_model(params, settings)
    uploaded = _uploaded(params, endpoint, settings)
    size, billed_pixels = _measure(params, endpoint, uploaded, settings)
    return Order(
        path=path,
        endpoint=endpoint,
        prompt=params.text("prompt"),
        seed=_seed(params),
        size=size,
        billed_pixels=billed_pixels,
        steps=_steps(params, endpoint, settings),
        upscaled=endpoint.rule in {"standard", "sdxl"} and _upscaled(params),
        loras=sum(params.has(name) for name in ("lora1", "lora2")),
        transparent=params.flag("transparent_background"),
        refined=params.flag("refiner"),
        format=_format(params),
    )


def _check_presence(params: Params, endpoint: Endpoint) -> None:
    for name in (*endpoint.needs, *filter(None, [endpoint.image])):
        if not params.has(name):
            raise UnreadableError(f"Parameter '{name}' is required")


def _check_model(params: Params, settings: SimulatorSettings) -> None:
    model = params.text("model")
    if settings.listed_models_only and model and model not in MODEL_IDS:
        raise UnreadableError("Parameter 'model' names no model of /info")


def _uploaded(params: Params, endpoint: Endpoint, settings: SimulatorSettings) -> Size | None:
    if endpoint.image is None:
        return None
    size = size_of(params.binary(endpoint.image))
    if size is None:
        raise UnreadableError(f"Parameter '{endpoint.image}' is not a readable image")
    if size[0] * size[1] > settings.uploaded_pixels_max:
        raise UnreadableError(f"Parameter '{endpoint.image}' is too large", title="Image too large")
    return size


def _measure(
    params: Params, endpoint: Endpoint, uploaded: Size | None, settings: SimulatorSettings
) -> tuple[Size, int]:
    """Size to draw and area to bill. With an uploaded image the larger of the two areas is billed."""
    width, height = params.whole("width"), params.whole("height")
    if uploaded is not None and (endpoint.product != "image" or (width is None and height is None)):
        return uploaded, uploaded[0] * uploaded[1]
    asked = (_or(width, endpoint.side), _or(height, endpoint.side))
    drawn = _on_grid(asked, settings)
    _check_size(drawn, endpoint, settings)
    billed = drawn if settings.billed_size == "drawn" else asked
    area = billed[0] * billed[1]
    return drawn, area if uploaded is None else max(area, uploaded[0] * uploaded[1])


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _on_grid(size: Size, settings: SimulatorSettings) -> Size:
    if settings.off_grid == "refuse" and any(side % GRID for side in size):
        raise UnreadableError("width and height must be multiples of 8", title="Invalid dimensions")
    return _up(size[0]), _up(size[1])


def _up(side: int) -> int:
    return -(-side // GRID) * GRID


def _check_size(size: Size, endpoint: Endpoint, settings: SimulatorSettings) -> None:
    side_max = _or(endpoint.side_max, settings.side_max)
    too_many = endpoint.area_max is not None and size[0] * size[1] > endpoint.area_max
    if min(size) < GRID or max(size) > side_max or too_many:
        raise UnreadableError("width and height are out of range", title="Invalid dimensions")


def _steps(params: Params, endpoint: Endpoint, settings: SimulatorSettings) -> int:
    return _between(params, "steps", 1, settings.steps_max, endpoint.steps)


def _seed(params: Params) -> int | None:
    seed = _between(params, "seed", -1, SEED_MAX, -1)
    return None if seed < 0 else seed


def _between(params: Params, name: str, low: int, high: int, default: int) -> int:
    value = _or(params.whole(name), default)
    if not low <= value <= high:
        raise UnreadableError(f"Parameter '{name}' is out of range")
    return value


def _upscaled(params: Params) -> bool:
    chosen = _UPSCALE.get(params.text("upscale").strip().lower())
    if chosen is None:
        raise UnreadableError("Parameter 'upscale' must be 1 or 2")
    return chosen


def _format(params: Params) -> str:
    chosen = params.text("format").strip().lower() or "png"
    if chosen not in FORMATS:
        raise UnreadableError("Parameter 'format' must be png, jpg or webp")
    return chosen
