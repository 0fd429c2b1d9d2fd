"""Dashboards: what each of them, each panel and each query keeps to."""

import re
from itertools import combinations, pairwise

import pytest
import yaml

from gateway.metrics.counting import CATALOGUE
from grafana.build.__main__ import texts
from tests.prometheus.shown import BOARDS, FOLDER, Json, expressions, panels, variables
from tests.prometheus.test_rules import RECORDED, metrics_in

PANELS = [pytest.param(name, panel, id=f"{name}: {panel['title']}") for name, panel in panels()]
QUERIES = [pytest.param(target, id=f"{name} {target['refId']}") for name, target in expressions()]
COUNTERS = {series.name for series in CATALOGUE if series.kind == "counter"}
BUCKETS = {
    f"{series.name}_{part}" for series in CATALOGUE if series.kind == "histogram" for part in ("bucket", "count")
}
GAUGES = {series.name for series in CATALOGUE if series.kind == "gauge"}
LABELS = {label for series in CATALOGUE for label in series.labels} | {"instance", "slo"}
UNITS = {
    "count:cr",
    "count:cr/h",
    "currencyUSD",
    "percentunit",
    "s",
    "reqps",
    "locale",
    "short",
    "bytes",
    "dateTimeAsIso",
}


def test_the_files_are_what_the_script_makes() -> None:
    found = {path.name: path.read_text("utf-8") for path in (FOLDER / "dashboards").glob("*.json")}
    assert found == texts()


def test_addresses_of_dashboards_never_change() -> None:
    uids = {name: board["uid"] for name, board in BOARDS.items()}
    assert uids == {"credits": "dezgo-credits", "operations": "dezgo-operations", "tenant": "dezgo-tenant"}


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_asks_the_datasource_that_is_chosen(name: str) -> None:
    first = BOARDS[name]["templating"]["list"][0]
    assert (first["name"], first["type"], first["query"]) == ("datasource", "datasource", "prometheus")
    sources = [item["datasource"] for item in _within(BOARDS[name]) if "datasource" in item]
    assert sources
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def _within(item: object) -> list[Json]:
    """Every object of a document."""
    if isinstance(item, dict):
        return [item, *(found for value in item.values() for found in _within(value))]
    return [found for value in item for found in _within(value)] if isinstance(item, list) else []


@pytest.mark.parametrize("name", BOARDS)
def test_panels_neither_overlap_nor_leave_gaps(name: str) -> None:
    board = BOARDS[name]
    places = [panel["gridPos"] for panel in board["panels"]]
    for one, two in combinations(places, 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"], (one, two)
    for top in {place["y"] for place in places}:
        row = sorted((place["x"], place["w"], place["h"]) for place in places if place["y"] == top)
        assert len({height for _, _, height in row}) == 1
        assert row[0][0] == 0
        assert row[-1][0] + row[-1][1] == 24
        assert all(left[0] + left[1] == right[0] for left, right in pairwise(row))


@pytest.mark.parametrize("name", BOARDS)
def test_ids_and_titles_tell_panels_apart(name: str) -> None:
    found = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in found}) == len(found)
    heading, titles = "", []
    for panel in found:
        heading = panel["title"] if panel["type"] == "row" else heading
        titles.append((heading, panel["title"], panel["type"]))
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_a_panel_says_what_it_shows_in_which_unit_and_what_an_empty_one_means(name: str, panel: Json) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"] in UNITS
    assert defaults["noValue"]
    assert defaults["thresholds"]["steps"][0]["value"] is None
    assert all(target["legendFormat"] for target in panel["targets"])


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_a_panel_links_to_another_view_and_takes_range_and_datasource_along(name: str, panel: Json) -> None:
    (link,) = panel["links"]
    uid = re.match(r"/d/([\w-]+)\?", link["url"])
    assert uid is not None
    assert uid[1] in {board["uid"] for other, board in BOARDS.items() if other != name}
    assert "${__url_time_range}" in link["url"]
    assert "${datasource:queryparam}" in link["url"]


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_links_to_both_others(name: str) -> None:
    linked = {link["url"] for link in BOARDS[name]["links"]}
    assert linked == {f"/d/{board['uid']}" for other, board in BOARDS.items() if other != name}


@pytest.mark.parametrize("target", QUERIES)
def test_a_query_names_metrics_that_exist(target: Json) -> None:
    expression = target["expr"]
    recorded = set(re.findall(r"\w+:dezgo_gateway_\w+:\w+|dezgo_gateway:\w+:\w+", expression))
    asked = metrics_in(expression)
    assert asked or recorded
    assert not asked - COUNTERS - BUCKETS - GAUGES
    assert not recorded - RECORDED


@pytest.mark.parametrize("target", QUERIES)
def test_a_query_takes_rates_of_counters_and_of_nothing_else(target: Json) -> None:
    expression = target["expr"]
    under = re.findall(r"\b(\w+)\((dezgo_gateway_\w+)(?:\{[^}]*\})?\[([^\]]+)\]\)", expression)
    assert {metric for _, metric, _ in under} == metrics_in(expression) & (COUNTERS | BUCKETS)
    assert expression.count("[") == len(under)
    assert all((what, over) in {("rate", "$__rate_interval"), ("increase", "$__range")} for what, _, over in under)


@pytest.mark.parametrize("target", QUERIES)
def test_a_query_keeps_the_labels_its_legend_names(target: Json) -> None:
    named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    assert named <= LABELS
    by = re.match(r"(?:sort_desc\(|topk\(10, |histogram_quantile\([\d.]+, )?\w+ by \(([^)]*)\)", target["expr"])
    if by is not None and target["format"] == "time_series":
        assert named == set(by[1].split(", ")) - {"le"}


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_totals_are_asked_once_and_curves_over_time(name: str, panel: Json) -> None:
    for target in panel["targets"]:
        assert target["range"] is (panel["type"] == "timeseries")
        assert target["instant"] is not target["range"]
        assert ("$__range" in target["expr"]) <= target["instant"]


def test_every_variable_that_is_asked_for_is_there_and_none_is_idle() -> None:
    for name, board in BOARDS.items():
        there = {variable["name"] for other, variable in variables() if other == name} - {"datasource"}
        asked = {found for target in _within(board) for found in re.findall(r"\$(\w+)", str(target.get("expr", "")))}
        assert asked - {"__rate_interval", "__range"} == there


def test_grafana_finds_what_is_provisioned() -> None:
    source = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "prometheus.yaml").read_text("utf-8"))
    assert [item["type"] for item in source["datasources"]] == ["prometheus"]
    boards = yaml.safe_load((FOLDER / "provisioning" / "dashboards" / "dezgo.yaml").read_text("utf-8"))
    assert [item["type"] for item in boards["providers"]] == ["file"]
