"""The compose file: what one of its services is told to find in another, or under a path, is there."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from gateway.settings.sections import Listen, Ops
from grafana.schema.__main__ import TYPES
from tests.house.source import ROOT
from tests.prometheus.shown import BOARDS, FOLDER, Json

COMPOSE = ROOT / "config" / "compose"
FILE: Json = yaml.safe_load((COMPOSE / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, Json] = FILE["services"]

IMAGE, HEALTH = (ROOT / "Dockerfile").read_text("utf-8"), "\nHEALTHCHECK "

# What listens where, inside the file's network; of others' images as these are published.
LISTENING = {
    f"gateway:{Listen().port}",
    f"gateway:{Ops().port}",
    "simulator:8090",
    *("valkey:6379", "prometheus:9090", "alertmanager:9093"),
}


def mounts(name: str) -> dict[PurePosixPath, Path]:
    """Where in a service which of our files lie."""
    pairs = (volume.split(":")[:2] for volume in SERVICES[name].get("volumes", ()) if volume.startswith("."))
    return {PurePosixPath(there): (COMPOSE / here).resolve() for here, there in pairs}


def ours(name: str, path: str) -> Path:
    """Our file that a service finds under `path`."""
    for there, here in mounts(name).items():
        if PurePosixPath(path).is_relative_to(there):
            return here / PurePosixPath(path).relative_to(there)
    raise AssertionError(f"{name} finds nothing at {path}")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def told() -> Iterator[str]:
    """Every text that services are told: commands, environment, and what Prometheus reads."""
    for service in SERVICES.values():
        yield from map(str, (*service.get("command", ()), *service.get("environment", {}).values()))
    prometheus = read(ours("prometheus", "/etc/prometheus/prometheus.yml"))
    for config in (*prometheus["scrape_configs"], *prometheus["alerting"]["alertmanagers"]):
        for static in config["static_configs"]:
            yield from static["targets"]


def test_whoever_is_to_be_asked_is_a_service_that_listens_there() -> None:
    assert {found for text in told() for found in re.findall(r"\b[a-z]+:\d+\b", text)} == LISTENING


@pytest.mark.parametrize("name", SERVICES)
def test_whom_a_service_waits_for_is_there_and_tells_when_it_is_well(name: str) -> None:
    waits = SERVICES[name].get("depends_on", {})
    assert set(waits) <= set(SERVICES)
    for other in waits:
        if isinstance(waits, dict) and waits[other]["condition"] == "service_healthy":
            assert tells_how_it_is(SERVICES[other])


def tells_how_it_is(service: Json) -> bool:
    """Whether it has a check of its health: in the file, or as our own image in its Dockerfile."""
    said = service.get("healthcheck", {})
    return "test" in said or ("build" in service and not said.get("disable") and HEALTH in IMAGE)


def test_every_named_volume_is_declared_and_used() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert {name for name in used if not name.startswith(".")} == set(FILE["volumes"])


def test_prometheus_and_alertmanager_find_what_they_are_told_to_read() -> None:
    for name in ("prometheus", "alertmanager"):
        (config,) = [word.split("=")[1] for word in SERVICES[name]["command"] if word.startswith("--config.file=")]
        assert ours(name, config).is_file()
    (pattern,) = read(ours("prometheus", "/etc/prometheus/prometheus.yml"))["rule_files"]
    folder, names = pattern.split("/")
    assert list(ours("prometheus", f"/etc/prometheus/{folder}").glob(names))


def test_grafana_finds_datasource_folder_and_dashboards() -> None:
    for kind in ("datasources", "dashboards"):
        assert ours("grafana", f"/etc/grafana/provisioning/{kind}") == FOLDER / "provisioning" / kind
    (provider,) = read(FOLDER / "provisioning" / "dashboards" / "dezgo.yaml")["providers"]
    assert {path.stem for path in ours("grafana", provider["options"]["path"]).glob("*.json")} == set(BOARDS)
    environment = SERVICES["grafana"]["environment"]
    assert ours("grafana", environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).is_file()
    (source,) = read(FOLDER / "provisioning" / "datasources" / "prometheus.yaml")["datasources"]
    asked = re.findall(r"\$\{(\w+)\}", source["url"])
    assert asked
    assert set(asked) <= set(environment)


def test_grafana_is_the_release_whose_types_the_dashboards_keep_to() -> None:
    assert SERVICES["grafana"]["image"].split(":")[1] == TYPES.rsplit("@", 1)[1]


def test_prometheus_asks_as_often_as_the_datasource_says() -> None:
    every = read(ours("prometheus", "/etc/prometheus/prometheus.yml"))["global"]["scrape_interval"]
    (source,) = read(FOLDER / "provisioning" / "datasources" / "prometheus.yaml")["datasources"]
    assert source["jsonData"]["timeInterval"] == every
