"""Tools a test needs from the machine. A missing one is named, never passed over in silence.

With `STRICT_TOOLS=1` (as in CI) a missing tool fails the test instead of skipping it.
"""

import importlib.util
import os
import shutil
from typing import NoReturn

import pytest


def strict() -> bool:
    """Whether a missing tool is a failure."""
    return os.environ.get("STRICT_TOOLS") == "1"


def need_tool(name: str) -> str:
    """The path of a program, or the end of the test, named."""
    found = shutil.which(name)
    if found is None:
        _missing(f"the program {name} is not installed")
    return found


def need_package(name: str) -> None:
    """Return when a package can be imported, or end the test, named."""
    if importlib.util.find_spec(name) is None:
        _missing(f"the package {name} is not installed")


def _missing(text: str) -> NoReturn:
    if strict():
        pytest.fail(text)
    pytest.skip(text)
