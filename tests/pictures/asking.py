"""Asking: every query of a dashboard, as Grafana would send it for the range of a recording."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.pictures.recording import Span
from tests.prometheus.shown import FOLDER, Json
from tests.servers.prometheus import Prometheus

# What is chosen at the top of each view: for a query, and in words.
CHOICES: Mapping[str, tuple[str, str]] = {
    "tenant": (".*", "All"),
    "instance": (".*", "All"),
}
ONE_TENANT = ("studio", "studio")

_POINTS_MAX = 500


def _interval_s() -> int:
    """How often Prometheus looks, as the provisioned datasource tells Grafana."""
    said = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "prometheus.yaml").read_text("utf-8"))
    return int(said["datasources"][0]["jsonData"]["timeInterval"].removesuffix("s"))


INTERVAL_S = _interval_s()


def _chosen(board: Json, name: str) -> tuple[str, str]:
    (variable,) = [found for found in board["templating"]["list"] if found["name"] == name]
    return ONE_TENANT if name == "tenant" and not variable["multi"] else CHOICES[name]


def filled(expression: str, board: Json, span: Span) -> str:
    """An expression with Grafana's own variables and the view's filled in."""
    step_s = _step_s(span)
    own = {"__rate_interval": f"{max(step_s + INTERVAL_S, 4 * INTERVAL_S)}s", "__range": f"{_length_s(span)}s"}
    return re.sub(r"\$(\w+)", lambda found: own.get(found[1]) or _chosen(board, found[1])[0], expression)


def _length_s(span: Span) -> int:
    return round(span.end_s - span.begin_s)


def _step_s(span: Span) -> int:
    """Seconds between two points of a curve: as many points as a panel is wide, none closer than the interval."""
    return max(INTERVAL_S, -(-_length_s(span) // _POINTS_MAX))


async def seen(board: Json, span: Span, prometheus: Prometheus) -> Json:
    """All that a picture of `board` shows: the board, what is chosen, the range, and each panel's answers."""
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    answers = {
        panel["id"]: {target["refId"]: await _answer(board, target, span, prometheus) for target in panel["targets"]}
        for panel in panels
    }
    variables = [found for found in board["templating"]["list"] if found["type"] != "datasource"]
    chosen = {found["label"]: _chosen(board, found["name"])[1] for found in variables}
    ends = {"from_ms": span.begin_s * 1000, "to_ms": span.end_s * 1000}
    return {"board": board, "variables": chosen, "answers": answers, **ends}


async def _answer(board: Json, target: Json, span: Span, prometheus: Prometheus) -> Any:
    expression = filled(target["expr"], board, span)
    if target["instant"]:
        return await prometheus.ask("query", query=expression, time=f"{span.end_s:.3f}")
    step_s = _step_s(span)
    # Points at whole steps, as Grafana asks for them.
    ends = {"start": f"{-(-span.begin_s // step_s) * step_s:.0f}", "end": f"{span.end_s // step_s * step_s:.0f}"}
    found = await prometheus.ask("query_range", query=expression, step=str(step_s), **ends)
    return {**found, "step_ms": step_s * 1000}
