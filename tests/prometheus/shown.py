"""What the dashboards' files show: panels and what they ask, read from the files as Grafana reads them."""

import json
from collections.abc import Iterator
from typing import Any

from tests.house.source import ROOT

Json = dict[str, Any]

FOLDER = ROOT / "grafana"
BOARDS: dict[str, Json] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / "dashboards").glob("*.json"))
}


def panels() -> Iterator[tuple[str, Json]]:
    """Every panel but the headings, and the dashboard it is on."""
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            if panel["type"] != "row":
                yield name, panel


def expressions() -> Iterator[tuple[str, Json]]:
    """Every query of every panel: `dashboard: panel`, and the target."""
    for name, panel in panels():
        for target in panel["targets"]:
            yield f"{name}: {panel['title']}", target


def variables() -> Iterator[tuple[str, Json]]:
    """Every variable of every dashboard."""
    for name, board in BOARDS.items():
        for variable in board["templating"]["list"]:
            yield name, variable
