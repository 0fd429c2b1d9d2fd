"""The image: two stages, nothing in the second but what runs, and no rights it does not need."""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.settings import load_settings
from tests.house.source import ROOT

TEXT = (ROOT / "Dockerfile").read_text("utf-8")


class Instruction(NamedTuple):
    """One instruction: its word, and what follows on one line."""

    word: str
    rest: str


def _instructions() -> list[Instruction]:
    lines = [line for line in TEXT.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines()]


def _stages() -> list[list[Instruction]]:
    """The instructions of each stage, its FROM first."""
    found: list[list[Instruction]] = []
    for instruction in _instructions():
        if instruction.word == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def _of(stage: list[Instruction], word: str) -> list[str]:
    return [instruction.rest for instruction in stage if instruction.word == word]


def _commands(stage: list[Instruction]) -> list[str]:
    return [command.strip() for run in _of(stage, "RUN") for command in run.split("&&")]


BUILD, LAST = _stages()
ENV = dict(pair.split("=", 1) for line in _of(LAST, "ENV") for pair in shlex.split(line))
SHIPPED = load_settings(ROOT / "config", {}, require_secrets=False)


def test_both_stages_stand_on_the_same_base_so_that_the_links_of_the_environment_hold() -> None:
    base = _of(_instructions(), "ARG")[0]
    assert re.fullmatch(r"BASE=docker\.io/library/python:3\.11-slim(-\w+)?", base)
    assert _of(BUILD, "FROM") == ["${BASE} AS build"]
    assert _of(LAST, "FROM") == ["${BASE}"]


def test_only_the_classic_subset_is_used_which_every_builder_reads() -> None:
    assert "<<" not in TEXT
    assert "syntax=" not in TEXT
    flags = {flag for line in TEXT.splitlines() for flag in re.findall(r"^(?:RUN|COPY|ADD) (--\w+)", line)}
    assert flags == {"--from"}


def test_every_package_is_installed_by_its_hash_and_as_a_wheel() -> None:
    installs = [command for command in _commands(BUILD) if re.search(r"\binstall\b", command)]
    assert len(installs) == 3
    for command in installs:
        own = command.endswith("/wheels/*.whl")
        needed = ("--no-deps", "--no-index") if own else ("--require-hashes", "--only-binary :all:")
        assert all(flag in command for flag in needed), command
        assert own or re.search(r" -r requirements/(\$\{LOCK\}|build)\.lock$", command), command


def test_the_gateway_alone_is_what_is_built_unless_the_demo_is_asked_for() -> None:
    assert _of(BUILD, "ARG") == ["LOCK=runtime"]
    assert {"runtime.lock", "demo.lock"} <= {path.name for path in (ROOT / "requirements").glob("*.lock")}


def test_the_wheel_is_built_with_what_the_lock_names_and_nothing_fetched() -> None:
    (command,) = [command for command in _commands(BUILD) if " wheel " in command]
    assert "--no-deps" in command
    assert "--no-build-isolation" in command


def test_what_runs_never_held_an_installer() -> None:
    assert "python3 -m venv --without-pip /opt/gateway" in _commands(BUILD)
    assert not [command for command in _commands(BUILD) if command.startswith("/opt/gateway/bin/pip")]


def test_the_last_stage_installs_nothing_and_loses_the_installer_of_its_base() -> None:
    commands = _commands(LAST)
    assert not [c for c in commands if re.search(r"\b(install|apt|apt-get|apk|curl|wget|gcc|make|compileall)\b", c)]
    pips = [command for command in commands if re.search(r"\bpip\b", command)]
    assert any("pip uninstall -q -y pip setuptools wheel" in command for command in pips)
    assert all("pip uninstall" in command or "pip --version" in command for command in pips)
    assert any(command.startswith("rm -rf") and "ensurepip" in command for command in commands)
    assert not [command for command in commands if "|| true" in command]


def test_the_last_stage_takes_files_only_from_the_first() -> None:
    assert _of(LAST, "COPY") == [
        "--from=build /opt/gateway /opt/gateway",
        "--from=build /etc/dezgo-gateway /etc/dezgo-gateway",
    ]
    assert not _of(LAST, "ADD")


def test_the_image_runs_as_a_user_by_number_who_is_not_root() -> None:
    assert _of(LAST, "USER") == ["10001:10001"]
    words = [instruction.word for instruction in LAST]
    assert not {"RUN", "COPY"} & set(words[words.index("USER") :])
    assert any(command.startswith("useradd --uid 10001 ") for command in _commands(LAST))


def test_a_configuration_out_of_order_makes_no_image() -> None:
    assert "/opt/gateway/bin/dezgo-gateway check --no-secrets" in _commands(LAST)


def test_the_volume_is_where_the_shipped_configuration_then_keeps_its_books() -> None:
    settings = load_settings(ROOT / "config", ENV, require_secrets=False)
    (volume,) = _of(LAST, "VOLUME")
    assert settings.ledger.data_dir == Path(volume)
    assert _of(LAST, "WORKDIR") == [volume]
    assert any(command == f"chown gateway:gateway {volume}" for command in _commands(LAST))


def test_every_command_reads_the_configuration_that_serving_reads() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"config": "gateway/_config"}
    assert 'ln -s /etc/dezgo-gateway "$shipped"' in _commands(BUILD)
    assert json.loads(_of(LAST, "CMD")[0]) == ["serve", "--config", "/etc/dezgo-gateway"]


def test_the_gateway_gets_its_signals_itself() -> None:
    """The form with a shell would put the shell in front of it."""
    assert json.loads(_of(LAST, "ENTRYPOINT")[0]) == ["dezgo-gateway"]
    assert _of(LAST, "STOPSIGNAL") == ["SIGTERM"]


def test_the_ports_are_the_shipped_ones() -> None:
    assert _of(LAST, "EXPOSE") == [f"{SHIPPED.listen.port} {SHIPPED.ops.port}"]
    assert f"'{SHIPPED.ops.host}', {SHIPPED.ops.port}," in _health_code()


def test_nothing_in_it_is_a_secret_or_of_one_machine() -> None:
    assert not re.search(r"https?://(?!127\.0\.0\.1)", TEXT)
    assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host|PIP_|pip\.conf", TEXT)
    named = [line for stage in _stages() for word in ("ARG", "ENV") for line in _of(stage, word)]
    assert not [line for line in named if re.search(r"key|secret|token|password", line, re.IGNORECASE)]


def test_the_context_lets_in_what_is_copied_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copied = {source.removeprefix("./") for line in _of(BUILD, "COPY") for source in line.split()[:-1]}
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert rules[-2:] == ["**/__pycache__", "**/.*"]
    assert all((ROOT / source).exists() for source in copied)


def _health_code() -> str:
    (check,) = _of(LAST, "HEALTHCHECK")
    command: list[str] = json.loads(check.split(" CMD ", 1)[1])
    assert "--timeout=" in check
    assert command[:2] == ["python", "-c"]
    return command[2]


@contextmanager
def _operators_port(status: int) -> Iterator[int]:
    """A listener that answers /readyz with `status` and everything else with 404."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def _health(port: int) -> int:
    """How the health check ends when the engine has put a proxy into the environment, where nothing listens."""
    code = _health_code().replace(str(SHIPPED.ops.port), str(port))
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(  # noqa: S603 - the file's own code
        [sys.executable, "-c", code], env={**os.environ, **proxies}, stderr=subprocess.DEVNULL, timeout=30, check=False
    )
    return done.returncode


@pytest.mark.parametrize(("status", "end"), [(200, 0), (503, 1), (404, 1)])
def test_the_health_check_is_what_readyz_says(status: int, end: int) -> None:
    with _operators_port(status) as port:
        assert _health(port) == end


def test_a_gateway_that_does_not_answer_is_not_healthy() -> None:
    with _operators_port(200) as port:
        pass
    assert _health(port) == 1
