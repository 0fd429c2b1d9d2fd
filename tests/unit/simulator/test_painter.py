"""Pictures are real, of the right size and format, and the same every time."""

import asyncio
import io

import pytest
from PIL import Image

from gateway.simulator import painter
from gateway.simulator.painter import Painter, encode, size_of
from gateway.simulator.picture import Picture


def opened(encoded: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(encoded))
    image.load()
    return image


@pytest.mark.parametrize(("format_", "name"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP")])
@pytest.mark.parametrize("size", [(8, 8), (512, 512), (320, 1024)])
def test_a_picture_decodes_to_its_size_and_format(format_: str, name: str, size: tuple[int, int]) -> None:
    image = opened(encode(Picture("a cat \ud800 猫", 7, size, format_)))
    assert (image.format, image.size, image.mode) == (name, size, "RGB")


def test_prompt_seed_and_size_can_be_seen() -> None:
    base = Picture("a cat", 7, (256, 256), "png")
    others = [
        Picture("a dog", 7, (256, 256), "png"),
        Picture("a cat", 8, (256, 256), "png"),
        Picture("a cat", 7, (256, 264), "png"),
    ]
    assert encode(base) == encode(base)
    assert all(opened(encode(base)).tobytes() != opened(encode(other)).tobytes() for other in others)


def test_a_transparent_picture_has_clear_corners() -> None:
    image = opened(encode(Picture("p", 1, (64, 64), "png", transparent=True)))
    assert image.mode == "RGBA"
    assert image.getpixel((0, 0))[3] == 0  # type: ignore[index]  # four bands, by its mode
    assert image.getpixel((32, 32))[3] == 255  # type: ignore[index]


def test_what_is_no_image_has_no_size() -> None:
    assert size_of(b"no image") is None
    assert size_of(encode(Picture("p", 1, (24, 16), "webp"))) == (24, 16)


async def test_the_same_picture_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Picture] = []

    def count(picture: Picture) -> bytes:
        made.append(picture)
        return b"picture"

    monkeypatch.setattr(painter, "encode", count)
    artist = Painter(hands=1, drawn=True)
    wanted = Picture("a", 1, (8, 8), "png")
    assert await artist.paint(wanted) == await artist.paint(wanted) == b"picture"
    await artist.paint(Picture("b", 1, (8, 8), "png"))
    assert [picture.prompt for picture in made] == ["a", "b"]


async def test_undrawn_pictures_share_one_per_size() -> None:
    artist = Painter(hands=1, drawn=False)
    first, second = await asyncio.gather(
        artist.paint(Picture("a", 1, (16, 8), "png")), artist.paint(Picture("b", 2, (16, 8), "png"))
    )
    assert first == second
    assert opened(first).size == (16, 8)


async def test_the_memory_of_pictures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(painter, "encode", lambda _: bytes(40))
    monkeypatch.setattr(painter, "CACHED_BYTES_MAX", 100)
    artist = Painter(hands=1, drawn=True)
    for seed in range(10):
        await artist.paint(Picture("p", seed, (8, 8), "png"))
    assert [picture.seed for picture in artist._known] == [8, 9]
    assert artist._known_bytes == 80
