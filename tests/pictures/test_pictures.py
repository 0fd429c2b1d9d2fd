"""Pictures: one of each dashboard, small, shown where people look; and the page that draws them knows every panel."""

import json
import re
import struct
from pathlib import Path

import pytest

from grafana.schema.__main__ import TYPES
from tests.house.source import ROOT
from tests.pictures.asking import filled
from tests.pictures.drawing import PICTURES, SOURCES, WIDTH, height_of
from tests.pictures.recording import Span
from tests.prometheus.shown import BOARDS, FOLDER, expressions, panels

BYTES_MAX = 400_000
SPAN = Span(1_000_000.0, 1_001_200.0)


def _size(picture: Path) -> tuple[int, int]:
    """Width and height of a PNG, in pixels."""
    head = picture.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", head[16:24])
    return width, height


@pytest.mark.parametrize("name", BOARDS)
def test_every_dashboard_has_a_picture_of_its_own_shape(name: str) -> None:
    picture = PICTURES / f"{name}.png"
    assert _size(picture) == (WIDTH, height_of(BOARDS[name])), "draw it anew: python -m tests.pictures"
    assert 20_000 < picture.stat().st_size < BYTES_MAX


def test_there_is_no_picture_of_anything_else() -> None:
    assert {path.stem for path in PICTURES.iterdir()} == set(BOARDS)


@pytest.mark.parametrize("text", [ROOT / "README.md", FOLDER / "README.md"], ids=["README.md", "grafana/README.md"])
def test_each_picture_is_shown_with_words_for_those_who_cannot_see_it(text: Path) -> None:
    shown = re.findall(r'!\[([^\]]+)\]\(([^)]+)\)|<img [^>]*?alt="([^"]+)"[^>]*?src="([^"]+)"', text.read_text("utf-8"))
    pictures = {(text.parent / (one or two)).resolve(): said or alt for said, one, alt, two in shown}
    assert set(pictures) == set(PICTURES.resolve().iterdir())
    assert all(len(said) > 10 for said in pictures.values())


def test_the_page_draws_every_kind_of_panel_there_is() -> None:
    (known,) = re.findall(r"const DRAWN:.*= \{(.*)\};", (SOURCES / "page.tsx").read_text("utf-8"))
    assert set(re.findall(r"(\w+):", known)) >= {panel["type"] for _, panel in panels()}


def test_grafanas_components_are_of_one_release_that_of_the_schema_and_nothing_is_copied() -> None:
    asked = json.loads((SOURCES / "package.json").read_text("utf-8"))
    assert asked["private"] is True
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in asked["dependencies"].values())
    ours = {version for name, version in asked["dependencies"].items() if name.startswith("@grafana/")}
    assert {f"@grafana/schema@{version}" for version in ours} == {TYPES}
    assert {path.name for path in SOURCES.iterdir()} == {"package.json", "frames.ts", "page.tsx"}


def test_every_query_is_asked_as_grafana_would() -> None:
    for where, target in expressions():
        found = filled(target["expr"], BOARDS[where.split(":")[0]], SPAN)
        assert "$" not in found
        assert all(over in {"60s", "1200s"} for over in re.findall(r"\[(\w+)\]", found))


def test_a_view_of_one_tenant_asks_for_one() -> None:
    said = "a{tenant='$tenant'}[$__range]"
    assert filled(said, BOARDS["tenant"], SPAN) == "a{tenant='studio'}[1200s]"
    assert filled(said, BOARDS["credits"], SPAN) == "a{tenant='.*'}[1200s]"


def test_a_long_recording_is_asked_for_in_longer_steps() -> None:
    day = Span(0.0, 86_400.0)
    assert filled("[$__rate_interval]", BOARDS["credits"], day) == "[188s]"
