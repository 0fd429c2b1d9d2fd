"""Bounded waits for what no process tells by itself."""

import time
from collections.abc import Callable

_POLL_S = 0.01


def wait_until(reached: Callable[[], object], what: str, *, within_s: float = 15.0) -> None:
    """Return once `reached` says yes. Raises AssertionError, with `what`, when it does not within `within_s`."""
    deadline = time.monotonic() + within_s
    while not reached():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within_s:g} s in vain: {what}")
        time.sleep(_POLL_S)
