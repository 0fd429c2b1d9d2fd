"""How long a gateway takes from its start until it is ready, bundled store included, and what takes how much of it.

Each step is a process of its own that does what the one before it does, and a little more; the last is the gateway,
timed from exec to the first 200 of `/readyz`. Processor time of the process is told beside: on a busy machine only that
is worth comparing.
"""

import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from gateway.identity.mint import fresh_secret

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 30.0

# What no gateway of this kind could do without, for comparison.
LIBRARIES = "import aiohttp, redis, jwt, prometheus_client"

_BEFORE = "import gc; gc.set_threshold(100_000)\n"
_SETTINGS = (
    "import os, pathlib, gateway.cli, gateway.settings as s\ns.load_settings(pathlib.Path('config'), os.environ)\n"
)
STEPS: Mapping[str, str] = {
    "interpreter": "pass",
    "libraries": LIBRARIES,
    "command_line": _BEFORE + "import gateway.cli",
    "and_settings": _BEFORE + _SETTINGS,
    "and_all_parts": _BEFORE + _SETTINGS + "import gateway.commands.serving, uvloop",
}

Taken = tuple[float, float]  # seconds by the clock, and of the processor


def start(directory: Path, *, runs: int) -> dict[str, Any]:
    """All figures by name, medians of `runs` in turn. `directory` is empty; the store's is warm after the first."""
    environ = _environ(directory)
    steps: dict[str, Callable[[], Taken]] = {
        name: lambda code=code: _run(code, environ)  # type: ignore[misc]
        for name, code in STEPS.items()
    }
    steps["ready"] = lambda: _ready(directory, environ)
    for step in steps.values():  # fills the caches of files and bytecode, and makes the store's directory
        step()
    taken: dict[str, list[Taken]] = {name: [] for name in steps}
    for _ in range(runs):
        for name, step in steps.items():
            taken[name].append(step())
    shown = {name: _shown(ones) for name, ones in taken.items()}
    ratio = statistics.median(wall for wall, _ in taken["ready"]) / statistics.median(w for w, _ in taken["libraries"])
    return {"runs": runs, "load": round(os.getloadavg()[0], 1), "ready_to_libraries": round(ratio, 2)} | shown


def _shown(ones: list[Taken]) -> dict[str, float]:
    walls, cpus = [wall for wall, _ in ones], [cpu for _, cpu in ones]
    return {
        "s": round(statistics.median(walls), 3),
        "least_s": round(min(walls), 3),
        "cpu_s": round(statistics.median(cpus), 3),
    }


def _environ(directory: Path) -> dict[str, str]:
    said = {
        "LISTEN__HOST": "127.0.0.1",
        "LISTEN__PORT": "0",
        "LEDGER__DATA_DIR": str(directory / "data"),
        "SHUTDOWN__LAME_DUCK_S": "0",
    }
    secrets = {"DEZGO_API_KEY": "DEZGO-OF-NOBODY-AT-ALL", "GATEWAY_TOKEN_SECRET": fresh_secret()}
    overrides = {f"DEZGO_GATEWAY__{name}": value for name, value in said.items()}
    return {"PATH": os.environ["PATH"], **secrets, **overrides}


def _run(code: str, environ: dict[str, str]) -> Taken:
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environ)  # noqa: S603 - our own interpreter
    cpu_s = _ended(process)
    return time.perf_counter() - began, cpu_s


def _ready(directory: Path, environ: dict[str, str]) -> Taken:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    words = [sys.executable, "-m", "gateway", "serve", "--config", "config"]
    began = time.perf_counter()
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            words, cwd=ROOT, env=environ | {"DEZGO_GATEWAY__OPS__PORT": str(port)}, stdout=log, stderr=log
        )
    try:
        while not _says_ready(port):
            if process.poll() is not None or time.perf_counter() - began > READY_WITHIN_S:
                raise RuntimeError("the gateway did not start")
            time.sleep(0.005)
        took_s = time.perf_counter() - began
    finally:
        process.terminate()
    return took_s, _ended(process)


def _says_ready(port: int) -> bool:
    asked = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        asked.request("GET", "/readyz")
        return asked.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        asked.close()


def _ended(process: subprocess.Popen[bytes]) -> float:
    """Wait for its end; the processor seconds it used. Raises RuntimeError when it failed."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"a step ended with {process.returncode}")
    return used.ru_utime + used.ru_stime
