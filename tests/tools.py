"""Tools a test needs from the machine. A missing one is named, never passed over in silence.

With `STRICT_TOOLS=1` (as in CI) a missing tool fails the test instead of skipping it.
"""

import os
import shutil

import pytest


def strict() -> bool:
    """Whether a missing tool is a failure."""
    return os.environ.get("STRICT_TOOLS") == "1"


def need_tool(name: str) -> str:
    """The path of a program, or the end of the test, named."""
    found = shutil.which(name)
    if found is None:
        text = f"the program {name} is not installed"
        if strict():
            pytest.fail(text)
        pytest.skip(text)
    return found
