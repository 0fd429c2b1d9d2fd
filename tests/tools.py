"""Tools a test needs from the machine. A missing one is named, never passed over in silence.

With `STRICT_TOOLS=1` (as in CI) a missing tool fails the test instead of skipping it.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest


def strict() -> bool:
    """Whether a missing tool is a failure."""
    return os.environ.get("STRICT_TOOLS") == "1"


def need_tool(name: str) -> str:
    """The path of a program of this machine, or the end of the test, named.

    What a package put beside our interpreter is another version of that program, and is not meant.
    """
    beside = str(Path(sys.executable).parent)
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder != beside]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        _missing(f"the program {name} is not installed")
    return found


def need_packaged(distribution: str, program: str) -> str:
    """The path of a program that a package carries in a folder `bin`, or the end of the test, named.

    The package is not imported: some do things then.
    """
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        _missing(f"the package {distribution} is not installed")
    carried = (
        Path(str(file.locate())) for file in files if file.parts[-2:] == ("bin", program) and len(file.parts) > 2
    )
    found = next((str(path) for path in carried if ".." not in path.parts and os.access(path, os.X_OK)), None)
    if found is None:
        _missing(f"the package {distribution} carries no {program}")
    return found


def need_package(name: str) -> None:
    """Return when a package can be imported, or end the test, named."""
    if importlib.util.find_spec(name) is None:
        _missing(f"the package {name} is not installed")


def _missing(text: str) -> NoReturn:
    if strict():
        pytest.fail(text)
    pytest.skip(text)
