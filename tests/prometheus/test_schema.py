"""Schema: every dashboard is what Grafana's own published types say it is, and the schema refuses what is not."""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import fastjsonschema
import pytest

from grafana.schema.__main__ import GENERATOR, MADE, TYPES, text_of
from tests.prometheus.shown import BOARDS, Json

SCHEMA: Json = json.loads(MADE.read_text("utf-8"))
VALID: Callable[[Any], Any] = fastjsonschema.compile(SCHEMA)


def _first(board: Json, kind: str) -> Json:
    """The first panel of a kind."""
    return next(panel for panel in board["panels"] if panel["type"] == kind)


def _set(*trail: str, to: object) -> Callable[[Json], None]:
    """Replace what `trail` leads to."""

    def change(item: Json) -> None:
        *above, last = trail
        for name in above:
            item = item[name]
        item[last] = to

    return change


FIELD = ("fieldConfig", "defaults")
WRONG = {
    "a title that is no text": (None, _set("title", to=7)),
    "a property nobody knows": (None, _set("panles", to=[])),
    "a crosshair nobody draws": (None, _set("graphTooltip", to=3)),
    "a variable without a type": (None, lambda board: board["templating"]["list"][0].pop("type")),
    "a link of no kind": (None, lambda board: board["links"][0].update(type="dashboard")),
    "a row that says not whether it is folded": ("row", lambda panel: panel.pop("collapsed")),
    "a kind of panel nobody draws": ("stat", _set("type", to="graph")),
    "a place that is text": ("stat", _set("gridPos", "w", to="4")),
    "a panel without a place's height": ("stat", lambda panel: panel["gridPos"].pop("h")),
    "an option of another kind of panel": ("stat", _set("options", "displayMode", to="basic")),
    "a colour mode that does not exist": ("timeseries", _set(*FIELD, "color", "mode", to="palette")),
    "a threshold without a colour": ("stat", _set(*FIELD, "thresholds", "steps", to=[{"value": None}])),
    "a unit that is no text": ("stat", _set(*FIELD, "unit", to=None)),
    "a line style of a curve that does not exist": ("timeseries", _set(*FIELD, "custom", "drawStyle", to="dots")),
    "a stacking that is no object": ("timeseries", _set(*FIELD, "custom", "stacking", to="normal")),
    "a curve's property on a number": ("stat", _set(*FIELD, "custom", to={"lineWidth": 1})),
    "a height of cells that does not exist": ("table", _set("options", "cellHeight", to="tiny")),
    "an override that matches nothing": ("table", _set("fieldConfig", "overrides", to=[{"properties": []}])),
    "a transformation without a name": ("table", lambda panel: panel["transformations"][0].pop("id")),
    "a legend without a place": ("timeseries", lambda panel: panel["options"]["legend"].pop("placement")),
    "a bar that is drawn in no known way": ("bargauge", _set("options", "displayMode", to="pretty")),
}


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_what_grafanas_own_types_say(name: str) -> None:
    assert VALID(deepcopy(BOARDS[name])) == BOARDS[name]


@pytest.mark.parametrize("what", WRONG)
def test_what_the_types_do_not_know_is_refused(what: str) -> None:
    board = deepcopy(BOARDS["credits"])
    kind, change = WRONG[what]
    change(board if kind is None else _first(board, kind))
    assert board != BOARDS["credits"]
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        VALID(board)


def test_the_schema_says_from_what_it_was_made_and_under_which_licence() -> None:
    for said in (TYPES, GENERATOR, "Grafana Labs", "LICENSE_APACHE2"):
        assert said in SCHEMA["$comment"]
    licence = (MADE.parent / "LICENSE_APACHE2").read_text("utf-8")
    assert "Apache License" in licence
    assert "Grafana Labs" in licence
    assert re.fullmatch(r"@grafana/schema@\d+\.\d+\.\d+", TYPES)


def test_the_schema_is_closed_and_as_its_script_writes_it() -> None:
    text = MADE.read_text("utf-8")
    assert text_of(json.loads(text)) == text
    objects = [found for name, found in SCHEMA["definitions"].items() if "properties" in found and name != "Shown"]
    assert len(objects) > 40
    assert all(found["additionalProperties"] is False for found in objects)
