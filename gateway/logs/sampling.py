"""Sampling: of refusals that anybody can cause, only so many lines a second; all are counted in the metrics."""

from collections.abc import Callable

from gateway.receipt import Receipt

LINES_PER_S = 10


class Sampler:
    """Says which receipts become a line.

    A request of a known tenant, one that was held for, and one that broke always does. Of all others, at most
    `LINES_PER_S` in any one second for each reason; reasons are a closed set.

    Args:
        clock_s: monotonic seconds.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._seconds: dict[str, tuple[int, int]] = {}
        self._left_out: dict[str, int] = {}

    def takes(self, receipt: Receipt) -> bool:
        """Whether `receipt` becomes a line."""
        if receipt.tenant is not None or receipt.held is not None or receipt.outcome != "refused":
            return True
        second, reason = int(self._clock_s()), receipt.reason
        began, count = self._seconds.get(reason, (second, 0))
        count = count + 1 if began == second else 1
        self._seconds[reason] = second, count
        if count > LINES_PER_S:
            self._left_out[reason] = self._left_out.get(reason, 0) + 1
            return False
        return True

    def left_out(self, reason: str) -> int | None:
        """How many lines of `reason` were left out since this was last asked; None for none."""
        return self._left_out.pop(reason, None)
