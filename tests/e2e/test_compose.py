"""The compose file without a container engine: its own commands and environment, on this machine's loopback."""

import asyncio
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.test_commands import CONFIG, Program
from tests.e2e.world import until
from tests.servers.node import free_port
from tests.servers.prometheus import prometheus
from tests.tools import need_tool

FOLDER = CONFIG / "compose"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))["services"]
TENANTS = yaml.safe_load((FOLDER / "tenants.yaml").read_text("utf-8"))["tenants"]
OURS = ("gateway", "simulator", "traffic")


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_mounts_is_there_and_what_it_publishes_stays_on_this_machine(name: str) -> None:
    mounts = [volume.split(":")[0] for volume in SERVICES[name].get("volumes", ()) if volume.startswith(".")]
    assert all((FOLDER / mount).exists() for mount in mounts)
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


@pytest.mark.parametrize("name", OURS)
def test_our_own_services_have_no_rights_and_write_nothing_but_their_volume(name: str) -> None:
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["build"] == SERVICES["gateway"]["build"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(OURS)))
def test_an_image_of_somebody_else_is_pinned_to_a_release(name: str) -> None:
    assert re.fullmatch(r"docker\.io/[\w/]+:v?\d+\.\d+[\w.-]*", SERVICES[name]["image"])


async def test_gateway_simulator_and_traffic_work_together_as_the_file_says(tmp_path: Path, store_url: str) -> None:
    cwd = tmp_path / "compose"
    shutil.copytree(CONFIG, cwd / "config")
    shutil.copyfile(FOLDER / "tenants.yaml", cwd / "config" / "tenants.yaml")
    ports = {"simulator:8090": free_port(), "gateway:8080": free_port(), "ops": free_port()}
    program = need_tool("prometheus")

    def here(text: str) -> str:
        for name in ("simulator:8090", "gateway:8080"):
            text = text.replace(name, f"127.0.0.1:{ports[name]}")
        return text.replace("redis://valkey:6379/0", store_url).replace("/etc/dezgo-gateway", "config")

    env = {name: here(value) for name, value in SERVICES["gateway"]["environment"].items()}
    env |= {f"DEZGO_GATEWAY__{name}__PORT": str(ports[at]) for name, at in _PORTS.items()}
    simulate, send = ([here(word) for word in SERVICES[name]["command"]] for name in ("simulator", "traffic"))
    send[send.index("--calls-per-s") + 1] = "5"
    simulate += ["--port", str(ports["simulator:8090"]), "--delay-s", "0"]
    async with (
        Program.started(*simulate, cwd=cwd, DEZGO_API_KEY=env["DEZGO_API_KEY"]),
        Program.started("serve", "--config", "config", cwd=cwd, **env) as serve,
        Program.started(*send, cwd=cwd, **env) as traffic,
        prometheus(program, tmp_path, f"127.0.0.1:{ports['ops']}") as seen,
    ):
        await serve.says("serving on port", where="stderr")
        spending: set[str] = set()
        async with asyncio.timeout(30):
            while spending != set(TENANTS):
                found = await seen.series("sum by (tenant) (rate(dezgo_gateway_credits_charged_total[8s])) > 0")
                spending = {labels["tenant"] for labels in found}
                await asyncio.sleep(0.3)
        assert (await traffic.stop(), traffic.stderr) == (0, "")
        await until(lambda: "charged" in serve.stdout)


_PORTS = {"LISTEN": "gateway:8080", "OPS": "ops"}


async def test_traffic_needs_a_secret_to_make_tokens_with(tmp_path: Path) -> None:
    shutil.copytree(CONFIG, tmp_path / "empty" / "config")
    refused = await Program.run("traffic", "--config", "config", cwd=tmp_path / "empty")
    assert (refused.code, refused.stdout) == (2, "")
    assert "GATEWAY_TOKEN_SECRET" in refused.stderr
