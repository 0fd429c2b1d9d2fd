"""The server's own refusals."""

import subprocess
import sys


def test_the_pure_python_parser_is_refused_at_start() -> None:
    script = "from gateway.web.server import refuse_unfit_parser; refuse_unfit_parser()"
    for environment, fit in (({}, True), ({"AIOHTTP_NO_EXTENSIONS": "1"}, False)):
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=30, check=False
        )
        assert (done.returncode == 0) is fit
        assert fit or "C parser" in done.stderr
