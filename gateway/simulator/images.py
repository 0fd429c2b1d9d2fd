"""Pictures of the asked size and format, quick to make. The only file that imports Pillow."""

import colorsys
import io
import textwrap
import threading

from PIL import Image, ImageDraw, ImageFont

from gateway.simulator.picture import Picture, Size

_GOLDEN = 0.618033988749895
_TONES = ((0.0, 0.95), (0.08, 0.8), (0.15, 0.6), (0.25, 0.35))
_PROMPT_SHOWN = 400

# Drawing letters shares font state inside FreeType, which is not safe in two threads at once.
_PEN = threading.Lock()


def size_of(image: bytes) -> Size | None:
    """Pixel size of an encoded image, read from its header; None when it is none."""
    try:
        with Image.open(io.BytesIO(image)) as opened:
            return opened.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None


def encode(picture: Picture) -> bytes:
    """Draw and encode `picture`. Takes its time: call it from a worker thread."""
    image = _draw(picture)
    written = io.BytesIO()
    if picture.format == "jpg":
        image.save(written, "JPEG", quality=85)
    elif picture.format == "webp":
        image.save(written, "WEBP", quality=80, method=0)
    else:
        image.save(written, "PNG", compress_level=1)
    return written.getvalue()


def _draw(picture: Picture) -> Image.Image:
    image = Image.new("RGB", (2, 2))
    for place, (turn, value) in zip(((0, 0), (1, 0), (0, 1), (1, 1)), _TONES, strict=True):
        image.putpixel(place, _colour(picture.seed * _GOLDEN + turn, value))
    image = image.resize(picture.size, Image.Resampling.BICUBIC)
    with _PEN:
        _write(ImageDraw.Draw(image), picture)
    if picture.transparent and picture.format != "jpg":
        image.putalpha(_oval(picture.size))
    return image


def _colour(hue: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, 0.55, value)
    return int(red * 255), int(green * 255), int(blue * 255)


def _write(pen: ImageDraw.ImageDraw, picture: Picture) -> None:
    width, height = picture.size
    points = max(8, min(width, height) // 22)
    letters = max(8, int(width * 1.7 / points))
    lines = textwrap.wrap(_drawable(picture.prompt[:_PROMPT_SHOWN]), letters)
    lines += ["", f"seed {picture.seed}", f"{width} x {height}"]
    font = ImageFont.load_default(points)
    pen.multiline_text((points, points), "\n".join(lines), font=font, fill="white", spacing=points // 3)


def _drawable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _oval(size: Size) -> Image.Image:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse((0, 0, size[0] - 1, size[1] - 1), fill=255)
    return mask
