"""The simulator shares nothing with the gateway, and needs Pillow only to draw."""

import ast
import subprocess
import sys
from pathlib import Path

import gateway.simulator

ROOM = Path(gateway.simulator.__file__).parent


def imported(source: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_no_file_imports_the_rest_of_the_gateway() -> None:
    names = {name for source in ROOM.glob("*.py") for name in imported(source)}
    assert any(name.startswith("gateway.simulator") for name in names)
    assert not {name for name in names if name == "gateway" or name.startswith("gateway.")} - {
        name for name in names if name == "gateway.simulator" or name.startswith("gateway.simulator.")
    }


def test_only_one_file_imports_pillow() -> None:
    sources = {source.name for source in ROOM.glob("*.py") if "PIL" in imported(source)}
    assert sources == {"images.py"}


def test_importing_needs_no_pillow_and_shows_no_key() -> None:
    program = (
        "import sys; sys.modules['PIL'] = None\n"
        "from gateway.simulator import SimulatorSettings, build_simulator\n"
        "settings = SimulatorSettings(key='SECRET'); build_simulator(settings)\n"
        "assert 'SECRET' not in repr(settings)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)  # noqa: S603 - our own words
