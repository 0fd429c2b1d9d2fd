"""Limits: how many calls a tenant may have in flight, and how many may begin in a second. Pure, in whole numbers.

Pace is kept as one instant: when the tenant would be even if every call took one interval. Each call moves it on by an
interval; it may lie ahead by as many intervals as a burst has calls. A rest makes it even again, and no more than that.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one tenant may do at once; None for no such limit.

    Attributes:
        calls_in_flight: open holds, at least 1.
        calls_per_second: holds that may be made in a second, in the long run; at least 0.001.
        burst: holds that may be made at one instant after a rest, at least 1.
    """

    calls_in_flight: int | None = None
    calls_per_second: Decimal | None = None
    burst: int = 1

    @property
    def interval_us(self) -> int | None:
        """Microseconds from one call to the next, None for no pace."""
        return None if self.calls_per_second is None else max(1, int(_SECOND_US // self.calls_per_second))


def paced(limits: Limits, even_us: int, now_us: int) -> tuple[int, int]:
    """When the tenant will be even after one more call, and for how long that call must wait (0: not at all).

    Args:
        limits: with a pace.
        even_us: when it will be even without that call. Further ahead than these limits can lead, it was left by
            others, or the clock was set back: then the call need not wait.
        now_us: the keeper's clock.
    """
    interval = limits.interval_us or 0
    even = max(even_us, now_us)
    latest = now_us + (limits.burst - 1) * interval
    if even > latest + interval:
        even = latest
    return even + interval, max(0, even - latest)


@lru_cache(maxsize=1_024)
def written(limits: Limits | None) -> str:
    """The limits as the script reads them: `in flight|interval|burst`; empty for none."""
    if limits is None or limits == Limits(burst=limits.burst):
        return ""
    flight = "" if limits.calls_in_flight is None else str(limits.calls_in_flight)
    pace = "|" if limits.interval_us is None else f"{limits.interval_us}|{limits.burst}"
    return f"{flight}|{pace}"
