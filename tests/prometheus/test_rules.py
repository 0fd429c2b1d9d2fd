"""Rules and alerts: each alert fires when it should, is silent when it should be, and says what to do."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.metrics.counting import CATALOGUE
from tests.house.source import ROOT
from tests.prometheus.scenes import SCENES, Scene
from tests.tools import need_tool

FOLDER = ROOT / "config" / "prometheus"
FILES = sorted((FOLDER / "rules").glob("*.yml"))
RULES: list[dict[str, Any]] = [
    rule for path in FILES for group in yaml.safe_load(path.read_text("utf-8"))["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}


def run(*command: str) -> str:
    """Run a program that must succeed; what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - ours
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_shipped_files_are_what_prometheus_reads() -> None:
    said = run(need_tool("promtool"), "check", "config", "--lint=all", "--lint-fatal", str(FOLDER / "prometheus.yml"))
    assert said.count("rules found") == len(FILES)
    assert "FAILED" not in said


def test_the_routing_example_is_what_alertmanager_reads() -> None:
    assert "SUCCESS" in run(need_tool("amtool"), "check-config", str(FOLDER / "alertmanager.yml"))


def _as_test(scene: Scene) -> dict[str, Any]:
    """The scene as promtool wants it. Every alert that is firing is a sample of ALERTS."""
    severity = ALERTS[scene.alert]["labels"]["severity"]
    said = {"__name__": "ALERTS", "alertname": scene.alert, "alertstate": "firing", "severity": severity}
    asked = {
        "expr": f'ALERTS{{alertname="{scene.alert}",alertstate="firing"}}',
        "eval_time": scene.at,
        "exp_samples": [{"labels": _series({**said, **labels}), "value": 1} for labels in scene.fires],
    }
    series = [{"series": name, "values": values} for name, values in scene.series.items()]
    return {"interval": "1m", "input_series": series, "promql_expr_test": [asked]}


def _series(labels: dict[str, str]) -> str:
    pairs = ",".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
    return f"{labels['__name__']}{{{pairs}}}"


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: f"{scene.alert}: {scene.when}")
def test_an_alert_fires_when_it_should_and_only_then(scene: Scene, tmp_path: Path) -> None:
    written = {"rule_files": list(map(str, FILES)), "evaluation_interval": "1m", "tests": [_as_test(scene)]}
    (tmp_path / "test.yml").write_text(json.dumps(written), "utf-8")
    run(need_tool("promtool"), "test", "rules", str(tmp_path / "test.yml"))


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_a_scene_in_which_it_fires_and_one_in_which_it_does_not(name: str) -> None:
    assert {bool(scene.fires) for scene in SCENES if scene.alert == name} == {True, False}


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_how_bad_it_is_what_is_the_matter_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"info", "warning", "critical"}
    assert set(alert["annotations"]) == {"summary", "todo"}
    assert all(text.endswith(".") and len(text) > 25 for text in alert["annotations"].values())


def metrics_in(expression: str) -> set[str]:
    """The gateway's own metrics that an expression asks for."""
    return set(re.findall(r"(?<![\w:])dezgo_gateway_\w+(?!\w|:)", expression))


def test_every_rule_names_metrics_that_exist_and_every_recorded_one_is_recorded() -> None:
    samples = {series.name for series in CATALOGUE}
    samples |= {f"{s.name}_{part}" for s in CATALOGUE if s.kind == "histogram" for part in ("bucket", "count", "sum")}
    for rule in RULES:
        assert not metrics_in(rule["expr"]) - samples
        assert not set(re.findall(r"\w+:dezgo_gateway_\w+:\w+|dezgo_gateway:\w+:\w+", rule["expr"])) - RECORDED


def test_tenants_in_the_routing_example_get_what_is_about_their_budgets_only() -> None:
    example = yaml.safe_load((FOLDER / "alertmanager.yml").read_text("utf-8"))
    routes = [route for route in example["route"]["routes"] if route["receiver"].startswith("tenant-")]
    assert routes
    for route in routes:
        tenant, pattern = (re.fullmatch(r'\w+=~?"(.*)"', matcher)[1] for matcher in route["matchers"])  # type: ignore[index]
        assert route["receiver"] == f"tenant-{tenant}"
        told = {name for name in ALERTS if re.fullmatch(pattern, name)}
        assert told == {name for name, rule in ALERTS.items() if rule in _about_budgets()}


@pytest.mark.parametrize("name", ALERTS)
def test_alertmanager_sends_a_tenants_own_budgets_to_it_and_nothing_else(name: str) -> None:
    severity = ALERTS[name]["labels"]["severity"]
    operators = "on-call" if severity == "critical" and not name.startswith("DezgoBudget") else "operators"
    about_budgets = ALERTS[name] in _about_budgets()
    for tenant in ("studio", "web", "unheard-of"):
        known = about_budgets and tenant != "unheard-of"
        receiver = f"tenant-{tenant}" if known else operators
        example = ("--config.file", str(FOLDER / "alertmanager.yml"), "--verify.receivers", receiver)
        labels = (f"alertname={name}", f"severity={severity}", f"tenant={tenant}")
        run(need_tool("amtool"), "config", "routes", "test", *example, *labels)


def _about_budgets() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "rules" / "alerts.yml").read_text("utf-8"))["groups"]
    (found,) = [group["rules"] for group in groups if group["name"] == "dezgo_gateway_budgets"]
    return list(found)
