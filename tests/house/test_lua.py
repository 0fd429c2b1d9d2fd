"""Scripts say what they promise at their head, and their callers pass what the head says."""

import re
from pathlib import Path

import pytest

from tests.house.source import GATEWAY

LUA = GATEWAY / "ledger" / "lua"
SCRIPTS = sorted(path for path in LUA.glob("*.lua") if path.name not in ("common.lua", "closing.lua"))


def _head(path: Path) -> str:
    lines = path.read_text("utf-8").splitlines()
    end = next(index for index, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(lines[:end])


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_has_its_head(path: Path) -> None:
    head = _head(path)
    assert head.startswith(f"-- {path.name}: ")
    for word in ("KEYS[1]", "ARGV", "Returns", "Clock", "Promise"):
        assert word in head


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_uses_only_the_arguments_its_head_names(path: Path) -> None:
    head, text = _head(path), path.read_text("utf-8")
    used = {int(number) for number in re.findall(r"ARGV\[(\d+)\]", text[len(head) :])}
    named = {int(number) for number in re.findall(r"ARGV\[(\d+)…?\]", head)}
    assert used <= named | ({7} if 7 in named else set())
    assert {int(n) for n in re.findall(r"KEYS\[(\d+)\]", text[len(head) :])} <= {
        int(n) for n in re.findall(r"KEYS\[(\d+)…?\]", head)
    }


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_touches_only_the_keys_it_is_given(path: Path) -> None:
    calls = re.findall(r"redis\.call\('(\w+)'(?:, ([^,)]+))?", path.read_text("utf-8"))
    assert calls
    for command, key in calls:
        assert command == "TIME" or key.startswith("KEYS["), (command, key)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_checks_everything_before_it_writes(path: Path) -> None:
    """An error half-way keeps the earlier writes, so no check may follow the first write."""
    body = path.read_text("utf-8")[len(_head(path)) :]
    writes = [m.start() for m in re.finditer(r"'(HINCRBY|HSET|ZADD|XADD|PEXPIRE|PEXPIREAT)'", body)]
    checks = [m.start() for m in re.finditer(r"\bwhole\(|\berror\(|\bbalance\(", body)]
    assert not writes or not checks or max(checks) < min(writes)
