"""Looks: colours change where alerts do and have a meaning, words fit, and only what is known is overridden."""

import re
from itertools import pairwise

import pytest

from gateway.problems import error_rows
from grafana.build.panels import BLUE, GREEN, GREY, ORANGE, REASONS, RED, SHARES, YELLOW
from tests.prometheus.shown import Json, panels
from tests.prometheus.test_rules import ALERTS

PANELS = [pytest.param(panel, id=f"{name}: {panel['title']}") for name, panel in panels()]
COLOURS = {GREEN, YELLOW, ORANGE, RED, BLUE}

# A recorded or measured number, and at what figures alerts look at it. What is left is what is not used.
WATCHED = {
    r"(?:sort_desc\()?tenant_budget:dezgo_gateway_budget_used:ratio\{[^}]*\}\)?$": (
        "DezgoBudget80",
        "DezgoBudget95",
        "DezgoBudget100",
    ),
    r"1 - tenant_budget:dezgo_gateway_budget_used:ratio\{[^}]*\}$": ("DezgoBudget80", "DezgoBudget95"),
    r"dezgo_gateway:slo_burn:rate1h$": ("DezgoBurnsSlowly", "DezgoBurnsSteadily", "DezgoBurnsFast"),
    r"dezgo_gateway:upstream_account_empty:seconds$": ("DezgoAccountRunsOutNow", "DezgoAccountRunsOutSoon"),
    r"max\(dezgo_gateway_oldest_hold_seconds\)$": ("DezgoHoldLeftOpen",),
    r"max by \(instance\) \(dezgo_gateway_event_loop_lag_seconds": ("DezgoLoopLags",),
    r"max\(dezgo_gateway_identity_keys_age_seconds": ("DezgoKeySetStale",),
}


def _figure(alert: str) -> float:
    """The number an alert compares with."""
    found = re.search(r"[<>]=? ([\d.]+)", ALERTS[alert]["expr"])
    assert found is not None
    return float(found[1])


def _steps(panel: Json) -> list[float]:
    return [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]]


@pytest.mark.parametrize("asked", WATCHED)
def test_colours_change_where_alerts_do(asked: str) -> None:
    found = [panel for _, panel in panels() if any(re.match(asked, target["expr"]) for target in panel["targets"])]
    figures = [_figure(alert) for alert in WATCHED[asked]]
    if asked.startswith("1 - "):
        figures = sorted(round(1 - figure, 9) for figure in figures)
    assert found
    for panel in found:
        assert set(figures) <= set(_steps(panel)), panel["title"]


@pytest.mark.parametrize("panel", PANELS)
def test_steps_rise_and_their_colours_are_the_few_that_mean_something(panel: Json) -> None:
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert all(low < high for low, high in pairwise(_steps(panel)))
    assert {step["color"] for step in steps} <= COLOURS
    fixed = {p["value"]["fixedColor"] for o in panel["fieldConfig"]["overrides"] for p in _of(o, "color")}
    assert fixed <= COLOURS | {shade for _, shade in SHARES.values()}


def _of(override: Json, which: str) -> list[Json]:
    return [found for found in override["properties"] if found["id"] == which]


def test_a_refusal_is_red_where_not_the_caller_but_we_or_the_upstream_could_not() -> None:
    """And yellow where a limit was reached; whatever else was refused is the caller's mistake, in shades of blue."""
    red, yellow = (
        {
            reason
            for _, reason, _ in error_rows()
            for pattern, shade in REASONS.items()
            if shade == colour and re.match(pattern.strip("/"), reason)
        }
        for colour in (RED, YELLOW)
    )
    assert red == {reason for status, reason, _ in error_rows() if status.startswith("5")}
    assert yellow == {"budget_exhausted", "above_ceiling", "too_many_calls"}
    drawn = [panel for _, panel in panels() if panel["targets"][0]["legendFormat"] == "{{reason}}"]
    assert len(drawn) > 2
    for panel in drawn:
        assert [item["matcher"]["options"] for item in panel["fieldConfig"]["overrides"]] == list(REASONS)


@pytest.mark.parametrize("panel", PANELS)
def test_limits_of_a_curve_are_drawn_and_a_share_of_a_budget_is_seen_whole(panel: Json) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    if panel["type"] == "timeseries":
        assert defaults["custom"]["thresholdsStyle"]["mode"] == ("dashed" if _steps(panel) else "off")
        top = defaults.get("max", defaults["custom"].get("axisSoftMax"))
        assert not _steps(panel) or top >= max(_steps(panel))
    if panel["type"] in {"timeseries", "bargauge"}:
        assert defaults["min"] == 0


@pytest.mark.parametrize("panel", PANELS)
def test_a_title_fits_its_panel(panel: Json) -> None:
    """On a screen of 1600 pixels: 8 for a letter, 90 for the edges and the signs of description and link."""
    assert len(panel["title"]) * 8 + 90 <= panel["gridPos"]["w"] * 65


@pytest.mark.parametrize("panel", PANELS)
def test_a_number_that_is_not_there_is_a_word_without_a_colour(panel: Json) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    for mapping in (found for found in defaults.get("mappings", ()) if found["type"] == "special"):
        assert mapping["options"] == {"match": "null", "result": {"text": defaults["noValue"], "color": GREY}}
    assert any(found["type"] == "special" for found in defaults.get("mappings", ())) is (panel["type"] == "stat")


@pytest.mark.parametrize("panel", PANELS)
def test_an_override_matches_in_a_way_and_sets_a_property_that_grafana_knows(panel: Json) -> None:
    for override in panel["fieldConfig"]["overrides"]:
        assert override["matcher"]["id"] in {"byName", "byRegexp", "byType"}
        assert {given["id"] for given in override["properties"]} <= {
            *("color", "unit", "decimals", "noValue", "custom.width"),
        }


@pytest.mark.parametrize("panel", PANELS)
def test_what_is_counted_is_whole_and_dollars_of_a_table_have_cents(panel: Json) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert (defaults.get("decimals") == 0) is (defaults["unit"] == "locale")
    for override in panel["fieldConfig"]["overrides"]:
        units = {given["value"] for given in _of(override, "unit")}
        assert [given["value"] for given in _of(override, "decimals")] == ([2] if "currencyUSD" in units else [])
