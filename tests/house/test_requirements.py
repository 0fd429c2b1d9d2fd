"""The locks: every package by its exact version and hash, from whatever index; and all of them agree."""

import re
import tomllib
from typing import Any, NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.house.source import ROOT

FOLDER = ROOT / "requirements"
NAMES = ("runtime", "demo", "dev", "build")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

# All a lock may hold. An option, an address, a path or a comment is neither of the two.
_PIN = re.compile(r"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)==(?P<version>[\w.]+)(?: ; (?P<marker>[\w.=!<>'() -]+))? \\")
_HASH = re.compile(r"    --hash=sha256:(?P<hash>[0-9a-f]{64})(?P<more> \\)?")


class Pin(NamedTuple):
    """One package of a lock."""

    version: Version
    marker: str | None
    hashes: frozenset[str]


def _read(text: str) -> dict[str, Pin]:
    """The pins of a lock by name. Raises ValueError for a line that is neither a pin nor a hash, or out of place."""
    pins: dict[str, Pin] = {}
    name, goes_on = "", False
    for number, line in enumerate(text.splitlines(), 1):
        pin, piece = _PIN.fullmatch(line), _HASH.fullmatch(line)
        if pin and not goes_on and pin["name"] not in pins:
            name, goes_on = pin["name"], True
            pins[name] = Pin(Version(pin["version"]), pin["marker"], frozenset())
        elif piece and goes_on:
            pins[name] = pins[name]._replace(hashes=pins[name].hashes | {piece["hash"]})
            goes_on = piece["more"] is not None
        else:
            raise ValueError(f"line {number}")
    if goes_on:
        raise ValueError("the last package has no end")
    return pins


LOCKS = {name: _read((FOLDER / f"{name}.lock").read_text("utf-8")) for name in NAMES}


def _asked(*extras: str) -> list[Requirement]:
    """What the project asks for, with some of its extras; an extra that names another is followed."""
    project = PROJECT["project"]
    found = [Requirement(line) for line in project["dependencies"]]
    for extra in extras:
        for line in project["optional-dependencies"][extra]:
            requirement = Requirement(line)
            own = canonicalize_name(requirement.name) == project["name"]
            found += _asked(*requirement.extras) if own else [requirement]
    return found


ASKED = {
    "runtime": _asked(),
    "demo": _asked("simulator"),
    "dev": _asked("dev"),
    "build": [Requirement(line) for line in PROJECT["build-system"]["requires"]],
}


@pytest.mark.parametrize(
    "text",
    [
        "--index-url https://packages.example/simple\n",
        "-e .\n",
        "# made with a tool\n",
        "a==1 \\\n    --hash=sha256:" + "0" * 63 + "\n",
        "a==1\n",
        "a==1 \\\n",
        "a==1 \\\nb==1 \\\n    --hash=sha256:" + "0" * 64 + "\n",
        "a @ file:///tmp/a.whl \\\n    --hash=sha256:" + "0" * 64 + "\n",
        "a>=1 \\\n    --hash=sha256:" + "0" * 64 + "\n",
    ],
)
def test_a_lock_with_anything_but_pins_and_hashes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"line|end"):
        _read(text)


def test_every_lock_is_read_here_and_explained() -> None:
    assert {path.stem for path in FOLDER.glob("*.lock")} == set(NAMES)
    assert {path.name for path in FOLDER.iterdir()} == {"README.md", *(f"{name}.lock" for name in NAMES)}
    text = (FOLDER / "README.md").read_text("utf-8")
    for name in NAMES:
        assert f"| `{name}.lock` |" in text
        assert re.search(rf"--generate-hashes .*-o requirements/{name}\.lock$", text, re.MULTILINE)
    assert "://" not in text


@pytest.mark.parametrize("name", NAMES)
def test_every_package_of_a_lock_has_its_hashes(name: str) -> None:
    assert len(LOCKS[name]) >= len(ASKED[name])
    assert not [package for package, pin in LOCKS[name].items() if not pin.hashes]


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_satisfies_what_the_project_asks_for(name: str) -> None:
    for requirement in ASKED[name]:
        pin = LOCKS[name][canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin.version), requirement
        assert (pin.marker is None) == (requirement.marker is None), requirement


@pytest.mark.parametrize("name", ["runtime", "demo", "build"])
def test_every_range_has_a_lower_end(name: str) -> None:
    assert not [str(wanted) for wanted in ASKED[name] if not any(part.operator == ">=" for part in wanted.specifier)]


@pytest.mark.parametrize(("small", "large"), [("runtime", "demo"), ("demo", "dev")])
def test_the_larger_lock_holds_the_smaller_one_to_the_hash(small: str, large: str) -> None:
    assert LOCKS[small].items() <= LOCKS[large].items()


def test_what_two_locks_share_is_the_same_version() -> None:
    shared = LOCKS["build"].keys() & LOCKS["dev"].keys()
    assert shared
    assert {name: LOCKS["build"][name] for name in shared} == {name: LOCKS["dev"][name] for name in shared}


def test_production_has_nothing_that_draws_or_tests_or_builds() -> None:
    asked = {canonicalize_name(requirement.name) for requirement in ASKED["runtime"]}
    others = {canonicalize_name(r.name) for name in ("demo", "dev", "build") for r in ASKED[name]} - asked
    assert {"pillow", "pytest", "hatchling"} <= others
    assert not others & LOCKS["runtime"].keys()
    assert not {"pip", "setuptools", "wheel", "uv"} & LOCKS["runtime"].keys()


def test_the_demo_needs_only_a_painter_more() -> None:
    assert LOCKS["demo"].keys() - LOCKS["runtime"].keys() == {"pillow"}


def test_commands_elsewhere_name_locks_that_exist_and_ask_for_their_hashes() -> None:
    for file in ("README.md", "Dockerfile"):
        text = (ROOT / file).read_text("utf-8").replace("\\\n", " ")
        named = re.findall(r"(--require-hashes +)?-r requirements/(\w+)\.lock", text)
        assert named, file
        assert all(hashed and name in NAMES for hashed, name in named), file
