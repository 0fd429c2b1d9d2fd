"""Every hour of 2024 to 2040 in every time zone, in every kind of window: one window each, ordered, without a gap.

Zones whose clocks go alike in these years are looked at once. The test suite looks at each clock change instead, where
windows can go wrong; this looks everywhere.
"""

from collections.abc import Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import pairwise

from gateway.ledger.window import Every, Span, Window
from tests.unit.ledger.test_window import FROM_S, TO_S, ZONES, different_zones

_HOUR_S = 3_600

# Of weeks and months the ends of what they may start on: those between differ by days, which all zones count alike.
KINDS = (
    Window(Every.HOUR),
    Window(Every.DAY),
    *(Window(Every.WEEK, starts_on=day) for day in (0, 6)),
    *(Window(Every.MONTH, starts_on=day) for day in (1, 31)),
)


@dataclass
class Swept:
    """What was looked at, and what was wrong with it."""

    zones: int = 0
    zones_alike: int = 0
    kinds: int = 0
    hours: int = 0
    windows: int = 0
    violations: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Figures and violations by name."""
        return asdict(self)


def sweep(*, processes: int, zones: int | None = None, kinds: Collection[str] = ()) -> Swept:
    """Look at all zones, or at the first `zones` that differ; in all kinds of window, or in these."""
    names = different_zones()[:zones]
    chosen = tuple(kind for kind in KINDS if not kinds or kind.every in kinds)
    found = Swept(len(ZONES), len(names), len(chosen))
    with ProcessPoolExecutor(processes) as pool:
        for hours, windows, violations in pool.map(partial(_zone, kinds=chosen), names):
            found.hours += hours
            found.windows += windows
            found.violations += violations
    return found


def _zone(name: str, *, kinds: tuple[Window, ...]) -> tuple[int, int, list[str]]:
    hours, windows, violations = 0, 0, []
    for kind in kinds:
        window = Window(kind.every, name, kind.starts_on)
        seen: list[Span] = []
        for instant_ms in range(FROM_S * 1000, TO_S * 1000, _HOUR_S * 1000):
            span = window.span(instant_ms)
            hours += 1
            if not span.holds(instant_ms):
                violations.append(f"{window}: {instant_ms} is not in {span}")
            if not seen or span != seen[-1]:
                seen.append(span)
        windows += len(seen)
        violations += _jumps(window, seen)
    return hours, windows, violations


def _jumps(window: Window, seen: list[Span]) -> Iterator[str]:
    """Where one window does not begin as the one before it ends. One cut by half-hour clocks may hold no full hour."""
    for before, after in pairwise(seen):
        between = before.end_ms
        while between is not None and between < after.start_ms:
            skipped = window.span(between)
            if skipped.start_ms != between or (skipped.end_ms or 0) - between >= _HOUR_S * 1000:
                break
            between = skipped.end_ms
        if between != after.start_ms:
            yield f"{window}: {before} is followed by {after}"
