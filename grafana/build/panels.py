"""Panels: what a dashboard is made of, and how Grafana wants to be told. Pure.

Every panel has a title, a description, a unit, words for when there is nothing to show, and a link to the next view.
Colours mean something or are Grafana's own: green is well, yellow asks for attention, red for action.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

# Units. Credits have none of Grafana's own.
CREDITS, CREDITS_PER_HOUR = "suffix: cr", "suffix: cr/h"
USD, SHARE, SECONDS, PER_SECOND, COUNT, WHEN = "currencyUSD", "percentunit", "s", "reqps", "short", "dateTimeAsIso"

GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"

# Where colours change; the first one from below.
Steps = Sequence[tuple[float | None, str]]
PLAIN: Steps = ((None, BLUE),)
BUDGET: Steps = ((None, GREEN), (0.8, YELLOW), (0.95, ORANGE), (1, RED))
ANY_IS_BAD: Steps = ((None, GREEN), (1, RED))
ANY_IS_ODD: Steps = ((None, GREEN), (0.001, YELLOW))
MUST_BE_ONE: Steps = ((None, RED), (1, GREEN))
BURN: Steps = ((None, GREEN), (1, YELLOW), (6, ORANGE), (14.4, RED))
TO_EMPTY: Steps = ((None, RED), (21_600, ORANGE), (259_200, GREEN))

# What these words mean has a colour wherever they are drawn.
WORDS: Mapping[str, str] = {
    "served": GREEN,
    "refused": YELLOW,
    "failed": RED,
    "confirmed": GREEN,
    "unconfirmed": YELLOW,
    "uncertain": RED,
}

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Query:
    """One question to Prometheus, and what its answers are called."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        kind: Grafana's type: `timeseries`, `stat`, `bargauge`, `table`.
        title: two or three words.
        says: what it shows, from what, and what to make of it.
        unit: Grafana's name of the unit.
        ask: queries; of a table, one column each.
        width: of 24 columns.
        steps: where colours change.
        empty: what stands there when there is nothing to show.
        stacked: of a time series: drawn on top of each other.
        units: of a table: columns whose unit differs.
    """

    kind: str
    title: str
    says: str
    unit: str
    ask: Sequence[Query]
    width: int = 12
    steps: Steps = PLAIN
    empty: str = "nothing yet"
    stacked: bool = False
    units: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side under a heading; they take the whole width."""

    title: str
    height: int
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class View:
    """One dashboard.

    Attributes:
        uid: for good: links and bookmarks name it.
        title: in Grafana's list.
        says: whom it is for and what it answers.
        since: the range it opens with.
        variables: beside the datasource, as Grafana wants them.
        next_view: uid, title and query string of where a panel's link leads.
        rows: from the top.
    """

    uid: str
    title: str
    says: str
    since: str
    variables: Sequence[Json]
    next_view: tuple[str, str, str]
    rows: Sequence[Row]


def labels_of(name: str, title: str, metric: str, label: str, *, many: bool) -> Json:
    """A variable over the values of a label; with `many`, several or all of them."""
    query = {"qryType": 1, "query": f"label_values({metric}, {label})", "refId": "variable"}
    found: Json = {"name": name, "label": title, "type": "query", "datasource": _SOURCE, "query": query}
    found |= {"refresh": 2, "sort": 1, "multi": many, "includeAll": many, "hide": 0}
    return found | ({"allValue": ".*", "current": {"text": "All", "value": "$__all"}} if many else {})


def number(name: str, title: str, value: str) -> Json:
    """A variable that is typed in."""
    current = {"text": value, "value": value}
    return {"name": name, "label": title, "type": "textbox", "query": value, "current": current, "hide": 0}


def dashboard(view: View, others: Sequence[View]) -> Json:
    """A view as Grafana's JSON."""
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    links = [_between(other) for other in others if other.uid != view.uid]
    return {
        "uid": view.uid,
        "title": view.title,
        "description": view.says,
        "tags": ["dezgo-gateway"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": view.since, "to": "now"},
        "timezone": "browser",
        "links": links,
        "templating": {"list": [{**source, "refresh": 1, "hide": 0}, *view.variables]},
        "annotations": {"list": []},
        "panels": _placed(view),
    }


def _between(other: View) -> Json:
    return {**_link(other.title, f"/d/{other.uid}", other.says), "keepTime": True, "includeVars": True}


def _link(title: str, url: str, says: str) -> Json:
    """A link that takes nothing along but what its address says."""
    found: Json = {"type": "link", "title": title, "url": url, "tooltip": says, "icon": "dashboard", "tags": []}
    return found | dict.fromkeys(("asDropdown", "keepTime", "includeVars", "targetBlank"), False)


def _placed(view: View) -> list[Json]:
    """Every panel in its place: rows from the top, panels from the left."""
    found: list[Json] = []
    top = 0
    for row in view.rows:
        place = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
        heading = {"type": "row", "title": row.title, "gridPos": place, "collapsed": False, "panels": []}
        found.append({"id": len(found) + 1, **heading})
        top, left = top + 1, 0
        for panel in row.panels:
            place = {"x": left, "y": top, "w": panel.width, "h": row.height}
            found.append({"id": len(found) + 1, "gridPos": place, **_drawn(panel, view)})
            left += panel.width
        top += row.height
    return found


def _drawn(panel: Panel, view: View) -> Json:
    uid, title, query = view.next_view
    link = _link(title, f"/d/{uid}?{query}&${{__url_time_range}}&${{datasource:queryparam}}", "")
    found = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": _SOURCE,
        "targets": [_target(panel, query, number) for number, query in enumerate(panel.ask)],
        "fieldConfig": {"defaults": _field(panel), "overrides": _overrides(panel)},
        "options": _OPTIONS[panel.kind],
        "links": [link],
    }
    return found | ({"transformations": _columns(panel)} if panel.kind == "table" else {})


def _target(panel: Panel, query: Query, number: int) -> Json:
    instant = panel.kind != "timeseries"
    shape = "table" if panel.kind == "table" else "time_series"
    said: Json = {"refId": chr(ord("A") + number), "expr": query.expr, "legendFormat": query.legend, "format": shape}
    return said | {"instant": instant, "range": not instant, "editorMode": "code", "datasource": _SOURCE}


def _field(panel: Panel) -> Json:
    by_steps = panel.steps is not PLAIN or panel.kind == "stat"
    coloured = by_steps and panel.kind != "timeseries"
    found: Json = {
        "unit": panel.unit,
        "noValue": panel.empty,
        "color": {"mode": "thresholds" if coloured else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": [{"value": value, "color": name} for value, name in panel.steps]},
    }
    if panel.unit == SHARE:
        found |= {"min": 0, "max": 1} if panel.kind == "bargauge" else {"min": 0}
    if panel.kind == "timeseries":
        found["custom"] = _lines(panel)
    return found


def _lines(panel: Panel) -> Json:
    shown = "off" if panel.steps is PLAIN else "dashed"
    stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
    found: Json = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 25 if panel.stacked else 8, "stacking": stacking}
    return found | {"showPoints": "never", "spanNulls": 120_000, "thresholdsStyle": {"mode": shown}}


def _overrides(panel: Panel) -> list[Json]:
    """Colours of words that have one, and the units of a table's columns."""
    legends = {query.legend for query in panel.ask}
    told = any(label in legend for legend in legends for label in ("outcome", "flag"))
    words = WORDS if told and panel.kind != "table" else {}
    fixed = [_override(word, "color", {"mode": "fixed", "fixedColor": colour}) for word, colour in words.items()]
    return fixed + [_override(column, "unit", unit) for column, unit in panel.units.items()]


def _override(name: str, what: str, value: Any) -> Json:
    return {"matcher": {"id": "byName", "options": name}, "properties": [{"id": what, "value": value}]}


def _columns(panel: Panel) -> list[Json]:
    """One line per set of labels, one column per query, named as its legend."""
    names = {f"Value #{chr(ord('A') + number)}": query.legend for number, query in enumerate(panel.ask)}
    if len(panel.ask) == 1:
        names = {"Value": panel.ask[0].legend}
    hidden = dict.fromkeys(("Time", "__name__", "job"), True)
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": hidden, "renameByName": names, "indexByName": {}}},
    ]


_REDUCED = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
_OPTIONS: Mapping[str, Json] = {
    "timeseries": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    "stat": {"reduceOptions": _REDUCED, "colorMode": "value", "graphMode": "none", "textMode": "auto"},
    "bargauge": {"reduceOptions": _REDUCED, "orientation": "horizontal", "displayMode": "basic", "showUnfilled": True},
    "table": {"showHeader": True, "cellHeight": "sm"},
}
