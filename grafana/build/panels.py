"""Panels: what a dashboard is made of, and how Grafana wants to be told. Pure.

Every panel has a title, a description, a unit, words for when there is nothing to show, and a link to the next view.
Colours mean something or are Grafana's own: green is well, yellow asks for attention, red for action.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

# Units. Credits have none of Grafana's own: 12.3K cr at a glance, 12,345 where it is looked up.
CREDITS, CREDITS_PER_HOUR, EXACT_CREDITS = "count:cr", "count:cr/h", "locale"
USD, SHARE, SECONDS, PER_SECOND, WHEN = "currencyUSD", "percentunit", "s", "reqps", "dateTimeAsIso"
# Whole things, and how often one number goes into another.
COUNT, TIMES = "locale", "short"
BYTES = "bytes"

GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"
GREY = "text"

# Where colours change; the first one from below.
Steps = Sequence[tuple[float | None, str]]
PLAIN: Steps = ((None, BLUE),)
BUDGET: Steps = ((None, GREEN), (0.8, YELLOW), (0.95, ORANGE), (0.999, RED))
# The same soft limits, seen from what is left.
LEFT: Steps = ((None, RED), (0.05, ORANGE), (0.2, YELLOW))
ANY_IS_BAD: Steps = ((None, GREEN), (1, RED))
ANY_IS_ODD: Steps = ((None, GREEN), (0.001, YELLOW))
MUST_BE_ONE: Steps = ((None, RED), (1, GREEN))
BURN: Steps = ((None, GREEN), (1, YELLOW), (6, ORANGE), (14.4, RED))
TO_EMPTY: Steps = ((None, RED), (21_600, ORANGE), (259_200, GREEN))
EARLY: Steps = ((None, RED), (21_600, ORANGE), (259_200, YELLOW))
ALL_OF_IT: Steps = ((None, GREEN), (1, RED))

# What these labels say has a colour wherever it is drawn: well, odd, bad.
MEANT = ("outcome", "flag", "direction", "status")
MEANINGS: Mapping[str, str] = {
    r"/^(served|equal|2\d\d)$|\bconfirmed$/": GREEN,
    r"/^(refused|4\d\d)$|\b(unconfirmed|under)$/": YELLOW,
    r"/^(failed|5\d\d)$|\b(uncertain|over)$/": RED,
}
# Of refusals: a limit was reached; the gateway, its store or the upstream could not. Others are the caller's.
REASONS: Mapping[str, str] = {
    r"/^(budget_exhausted|above_ceiling|too_many_calls)$/": YELLOW,
    r"/^(internal|busy|overloaded|identity_unavailable|ledger_\w+|upstream_\w+)$/": RED,
}
# Percentiles are shades of one colour, the rarest the lightest.
SHARES: Mapping[float, tuple[str, str]] = {
    0.5: ("half", "dark-blue"),
    0.95: ("95 %", "blue"),
    0.99: ("99 %", "super-light-blue"),
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
        top: of a time series: how high its axis reaches at least, in its unit.
        words: values that are told in words, each with its colour.
        sort: of a table: the column whose largest values come first.
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
    top: float | None = None
    words: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    sort: str | None = None


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
        "options": _options(panel),
        "links": [link],
    }
    return found | ({"transformations": _columns(panel)} if panel.kind == "table" else {})


def _options(panel: Panel) -> Json:
    found = dict(_OPTIONS[panel.kind])
    if panel.sort is not None:
        found |= {"sortBy": [{"displayName": panel.sort, "desc": True}]}
    if panel.kind == "stat" and _many(panel):
        found |= {
            "orientation": "horizontal",
            "textMode": "value_and_name",
            **(_NARROW if panel.width <= _NARROW_AT else _WIDE),
        }
    return found


def _many(panel: Panel) -> bool:
    """Whether it shows several values."""
    return len(panel.ask) > 1 or "{{" in panel.ask[0].legend


def _target(panel: Panel, query: Query, number: int) -> Json:
    instant = panel.kind != "timeseries"
    shape = "table" if panel.kind == "table" else "time_series"
    said: Json = {"refId": chr(ord("A") + number), "expr": query.expr, "legendFormat": query.legend, "format": shape}
    return said | {"instant": instant, "range": not instant, "editorMode": "code", "datasource": _SOURCE}


def _field(panel: Panel) -> Json:
    found: Json = {
        "unit": panel.unit,
        "noValue": panel.empty,
        "color": _colour(panel),
        "thresholds": {"mode": "absolute", "steps": [{"value": value, "color": name} for value, name in panel.steps]},
    }
    if panel.unit == COUNT:
        found["decimals"] = 0
    if panel.kind in {"timeseries", "bargauge"}:
        found |= {"min": 0, "max": 1} if panel.steps in (BUDGET, LEFT) else {"min": 0}
    if panel.kind == "bargauge":
        # A bar that is alone would have no name otherwise.
        found["displayName"] = re.sub(r"\{\{(\w+)\}\}", r"${__field.labels.\1}", panel.ask[0].legend)
    if panel.kind == "stat":
        found["mappings"] = _mappings(panel)
    custom = _CUSTOM.get(panel.kind)
    return found | ({} if custom is None else {"custom": custom(panel)})


def _mappings(panel: Panel) -> list[Json]:
    """Words for values; those for none are grey, for nothing is well or bad of it."""
    words = {str(value): {"text": text, "color": name} for value, (text, name) in panel.words.items()}
    nothing = {"type": "special", "options": {"match": "null", "result": {"text": panel.empty, "color": GREY}}}
    return [*([{"type": "value", "options": words}] if words else []), nothing]


def _colour(panel: Panel) -> Json:
    """By steps where they say something, else plain. Several curves: reasons in shades, others in Grafana's order."""
    if panel.kind != "timeseries" and (panel.steps is not PLAIN or panel.kind == "stat"):
        return {"mode": "thresholds"}
    if panel.kind == "timeseries" and panel.ask[0].legend == "{{reason}}":
        return {"mode": "shades", "fixedColor": BLUE}
    if panel.kind == "timeseries" and _many(panel):
        return {"mode": "palette-classic"}
    return {"mode": "fixed", "fixedColor": BLUE}


def _lines(panel: Panel) -> Json:
    shown = "off" if panel.steps is PLAIN else "dashed"
    stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
    # Areas that are stacked have no outline: that of an empty one would hide the one below.
    width, filled = (0, 70) if panel.stacked else (2, 0)
    found: Json = {"drawStyle": "line", "lineWidth": width, "fillOpacity": filled, "stacking": stacking}
    found |= {} if panel.top is None else {"axisSoftMax": panel.top}
    return found | {"showPoints": "never", "spanNulls": 120_000, "thresholdsStyle": {"mode": shown}}


def _cells(_: Panel) -> Json:
    return {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False, "minWidth": 80}


def _overrides(panel: Panel) -> list[Json]:
    """Colours of what has a meaning; the units of a table's columns, and what stands in a cell without a value."""
    if panel.kind == "table":
        units = [_override("byName", column, **_COLUMNS_OF[unit]) for column, unit in panel.units.items()]
        return [*units, _override("byType", "number", noValue="–"), _override("byType", "time", noValue="–")]
    legends = {query.legend for query in panel.ask}
    found = [_override("byName", name, color=_fixed(shade)) for name, shade in SHARES.values() if name in legends]
    if legends == {"{{reason}}"}:
        found += [_override("byRegexp", pattern, color=_fixed(name)) for pattern, name in REASONS.items()]
    if any(f"{{{{{label}}}}}" in legend for legend in legends for label in MEANT):
        found += [_override("byRegexp", pattern, color=_fixed(name)) for pattern, name in MEANINGS.items()]
    return found


def _fixed(colour: str) -> Json:
    return {"mode": "fixed", "fixedColor": colour}


def _override(by: str, which: str, **properties: Any) -> Json:
    given = [{"id": name, "value": value} for name, value in properties.items()]
    return {"matcher": {"id": by, "options": which}, "properties": given}


def _columns(panel: Panel) -> list[Json]:
    """One line per set of labels, one column per query, named as its legend."""
    names = {f"Value #{chr(ord('A') + number)}": query.legend for number, query in enumerate(panel.ask)}
    if len(panel.ask) == 1:
        names = {"Value": panel.ask[0].legend}
    hidden = dict.fromkeys(("Time", "__name__", "job"), True)
    order = {name: place for place, name in enumerate((*_LABELS, *names))}
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": hidden, "renameByName": names, "indexByName": order}},
    ]


# Whom a line is about comes before what of it.
_LABELS = ("tenant", "budget", "method", "model", "reason", "instance", "version")
# What a column of its own unit needs beside it: cents, room.
_COLUMNS_OF: Mapping[str, Json] = {
    USD: {"unit": USD, "decimals": 2},
    SECONDS: {"unit": SECONDS},
    WHEN: {"unit": WHEN, "custom.width": 165},
}
_CUSTOM: Mapping[str, Callable[[Panel], Json]] = {"timeseries": _lines, "table": _cells}
_REDUCED = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
_NUMBER = {"colorMode": "value", "graphMode": "none", "textMode": "auto", "text": {"valueSize": 30}}
# Several numbers: name and number side by side where there is room, else one above the other.
_NARROW_AT = 4
_WIDE = {"text": {"titleSize": 15, "valueSize": 18}}
_NARROW = {"justifyMode": "center", "text": {"titleSize": 14, "valueSize": 24}}
_BARS = {"orientation": "horizontal", "displayMode": "basic", "showUnfilled": True, "namePlacement": "left"}
_THIN = {"sizing": "manual", "minVizHeight": 16, "maxVizHeight": 36, "text": {"valueSize": 15}}
_OPTIONS: Mapping[str, Json] = {
    "timeseries": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    "stat": {"reduceOptions": _REDUCED, **_NUMBER},
    "bargauge": {"reduceOptions": _REDUCED, **_BARS, **_THIN},
    "table": {"showHeader": True, "cellHeight": "sm"},
}
