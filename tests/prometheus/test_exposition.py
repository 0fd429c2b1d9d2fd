"""What `promtool` says of the exposition: nothing."""

import subprocess

from tests.tools import need_tool
from tests.unit.metrics.test_counting import full


def test_promtool_finds_nothing_to_say_of_a_full_exposition() -> None:
    command = [need_tool("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=full().render()[0], capture_output=True, timeout=60, check=False)  # noqa: S603
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
