"""Window: the calendar of a budget. Pure; time comes in as a value.

Windows of one budget are unique, ordered and leave no gap: every instant lies in exactly one, also where a
clock change skips or repeats an hour. The start of a window is part of every balance's key, so no reset job exists.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

_HOUR_S = 3600


class Every(StrEnum):
    """How often a window begins anew."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Span:
    """One window: from `start_ms` up to, not including, `end_ms` (None: it never ends). Ms since the epoch, UTC."""

    start_ms: int
    end_ms: int | None

    def holds(self, instant_ms: int) -> bool:
        """Whether the instant lies in this window."""
        return self.start_ms <= instant_ms and (self.end_ms is None or instant_ms < self.end_ms)


@dataclass(frozen=True, slots=True)
class Window:
    """When a budget begins anew.

    Attributes:
        every: the kind of window.
        zone: IANA name of the time zone whose calendar counts.
        starts_on: week: 0 (Monday) to 6; month: day 1 to 31, the last day where a month is shorter; else unused.
    """

    every: Every
    zone: str = "UTC"
    starts_on: int = 0

    def span(self, instant_ms: int) -> Span:
        """The window that holds `instant_ms`."""
        if self.every is Every.TOTAL:
            return Span(0, None)
        zone = ZoneInfo(self.zone)
        instant_s = instant_ms // 1000
        if self.every is Every.HOUR:
            start_s, end_s = _hour(instant_s, zone)
        else:
            start_s, end_s = self._civil(instant_s, zone)
        return Span(start_s * 1000, end_s * 1000)

    def _civil(self, instant_s: int, zone: ZoneInfo) -> tuple[int, int]:
        first = self._first_day(datetime.fromtimestamp(instant_s, zone).date())
        # Where a clock change repeats midnight, the local date runs back for a while; a boundary once passed stays
        # passed.
        while instant_s >= _midnight(self._next_first_day(first), zone):
            first = self._next_first_day(first)
        return _midnight(first, zone), _midnight(self._next_first_day(first), zone)

    def _first_day(self, day: date) -> date:
        """The first day of the window that `day` belongs to."""
        if self.every is Every.DAY:
            return day
        if self.every is Every.WEEK:
            return day - timedelta(days=(day.weekday() - self.starts_on) % 7)
        anchor = _anchor(day.year, day.month, self.starts_on)
        return anchor if day >= anchor else _anchor(*_month_before(day), self.starts_on)

    def _next_first_day(self, first: date) -> date:
        if self.every is Every.DAY:
            return first + timedelta(days=1)
        if self.every is Every.WEEK:
            return first + timedelta(days=7)
        return _anchor(*_month_after(first), self.starts_on)


def _anchor(year: int, month: int, day: int) -> date:
    """That day of the month, or the month's last day where it is shorter."""
    last = (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day
    return date(year, month, min(max(day, 1), last))


def _month_before(day: date) -> tuple[int, int]:
    return (day.year - 1, 12) if day.month == 1 else (day.year, day.month - 1)


def _month_after(day: date) -> tuple[int, int]:
    return (day.year + 1, 1) if day.month == 12 else (day.year, day.month + 1)  # noqa: PLR2004 - December


def _midnight(day: date, zone: ZoneInfo) -> int:
    """The first instant (UTC seconds) at which the zone's calendar shows `day` or later."""
    start_s = int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())
    if datetime.fromtimestamp(start_s - 1, zone).date() < day:
        return start_s
    # Midnight itself was skipped by a change that began before it: find the first instant of the new day.
    return _first(lambda s: datetime.fromtimestamp(s, zone).date() >= day, start_s - 24 * _HOUR_S, start_s)


def _hour(instant_s: int, zone: ZoneInfo) -> tuple[int, int]:
    """The civil hour around the instant, cut at a change whose size is no whole number of hours."""
    shift = _shift_s(instant_s, zone)
    start_s = (instant_s + shift) // _HOUR_S * _HOUR_S - shift
    end_s = start_s + _HOUR_S
    if (_shift_s(start_s, zone) - shift) % _HOUR_S:
        start_s = _first(lambda s: _shift_s(s, zone) == shift, start_s, instant_s)
    if (_shift_s(end_s - 1, zone) - shift) % _HOUR_S:
        end_s = _first(lambda s: _shift_s(s, zone) != shift, instant_s, end_s)
    return start_s, end_s


def _shift_s(instant_s: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(instant_s, UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _first(true_from: Callable[[int], bool], low: int, high: int) -> int:
    """The first second in (low, high] for which `true_from` holds, given that it stays true once it is."""
    while low < high - 1:
        middle = (low + high) // 2
        if true_from(middle):
            high = middle
        else:
            low = middle
    return high
