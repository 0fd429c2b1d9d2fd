"""Windows of one budget are unique, ordered and leave no gap, in every time zone and across every clock change."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ledger.window import Every, Span, Window

HOUR_MS = 3_600_000
FROM_S, TO_S = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2024, 2041))
STEP_S = 5 * 24 * 3600
ZONES = sorted(available_timezones() - {"localtime"})

# Midnight is skipped or repeated here, or clocks change by something else than an hour.
ODD_ZONES = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Asuncion",
    "America/Havana",
    "America/Nuuk",
    "America/Santiago",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
)

MONTHS = tuple(Window(Every.MONTH, starts_on=day) for day in (1, 28, 29, 30, 31))
WEEKS = tuple(Window(Every.WEEK, starts_on=day) for day in range(7))
KINDS = (Window(Every.HOUR), Window(Every.DAY), *WEEKS, *MONTHS)

WINDOWS = st.builds(
    lambda kind, zone: Window(kind.every, zone, kind.starts_on), st.sampled_from(KINDS), st.sampled_from(ZONES)
)


def ms(zone: str, *civil: int, fold: int = 0) -> int:
    """The instant at which clocks in `zone` show that time."""
    year, month, day, *clock = civil
    hour, minute = (*clock, 0, 0)[:2]
    return int(datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


def end(span: Span) -> int:
    assert span.end_ms is not None
    return span.end_ms


def assert_sound(window: Window, instant_ms: int) -> None:
    """The instant lies in its window, every instant of that window names it, and the neighbours touch it."""
    span = window.span(instant_ms)
    assert span.start_ms <= instant_ms < end(span), (window, instant_ms)
    for inside in (span.start_ms, (span.start_ms + end(span)) // 2, end(span) - 1):
        assert window.span(inside) == span, (window, instant_ms, inside)
    assert window.span(end(span)).start_ms == span.end_ms, (window, instant_ms)
    assert window.span(span.start_ms - 1).end_ms == span.start_ms, (window, instant_ms)


def shift_s(zone: ZoneInfo, at_s: int) -> int:
    offset = datetime.fromtimestamp(at_s, zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


@cache
def changes(name: str) -> tuple[tuple[int, int], ...]:
    """Every clock change of a zone in these years: the second at which it happens, and the new offset."""
    zone = ZoneInfo(name)
    steps = [(at_s, shift_s(zone, at_s)) for at_s in range(FROM_S, TO_S, STEP_S)]
    return tuple(
        (_change(zone, low, high), after) for (low, before), (high, after) in pairwise(steps) if before != after
    )


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    before = shift_s(zone, low)
    while low < high - 1:
        middle = (low + high) // 2
        low, high = (middle, high) if shift_s(zone, middle) == before else (low, middle)
    return high


def different_zones() -> list[str]:
    """One name of all zones whose clocks go alike in these years."""
    alike = {(shift_s(ZoneInfo(name), FROM_S), changes(name)): name for name in reversed(ZONES)}
    return sorted(alike.values())


def test_windows_are_unique_ordered_and_gap_free_at_every_clock_change_of_every_zone() -> None:
    kinds = (Window(Every.HOUR), Window(Every.DAY), Window(Every.WEEK, starts_on=6), Window(Every.MONTH, starts_on=31))
    seen = 0
    for name in different_zones():
        for at_s, _ in changes(name):
            for kind in kinds:
                assert_sound(Window(kind.every, name, kind.starts_on), at_s * 1000 - 1)
                assert_sound(Window(kind.every, name, kind.starts_on), at_s * 1000)
            seen += 1
    assert seen > 1_000


def test_the_sweep_knows_every_zone_and_finds_changes_that_are_no_whole_hour() -> None:
    assert len(ZONES) > 400
    assert len(changes("Europe/Berlin")) == 34
    assert {after for _, after in changes("Australia/Lord_Howe")} == {37_800, 39_600}


@pytest.mark.parametrize("name", ODD_ZONES)
def test_a_walk_through_the_windows_of_an_odd_zone_never_jumps(name: str) -> None:
    for kind in KINDS[1:]:
        window = Window(kind.every, name, kind.starts_on)
        span = window.span(FROM_S * 1000)
        for _ in range(800 if kind.every is Every.DAY else 130):
            following = window.span(end(span))
            assert (following.start_ms, window.span(end(span) - 1)) == (span.end_ms, span)
            span = following


@pytest.mark.parametrize("name", ODD_ZONES)
def test_hours_around_every_change_of_an_odd_zone_never_jump(name: str) -> None:
    window = Window(Every.HOUR, name)
    for at_s, _ in changes(name):
        span = window.span((at_s - 4 * 3600) * 1000)
        while span.start_ms < (at_s + 4 * 3600) * 1000:
            following = window.span(end(span))
            assert (following.start_ms, window.span(end(span) - 1)) == (span.end_ms, span)
            assert 0 < end(span) - span.start_ms <= HOUR_MS
            span = following


@settings(deadline=None, max_examples=400)
@given(WINDOWS, st.integers(FROM_S * 1000, TO_S * 1000))
def test_any_instant_lies_in_exactly_one_window(window: Window, instant_ms: int) -> None:
    assert_sound(window, instant_ms)


@settings(deadline=None, max_examples=300)
@given(WINDOWS, st.lists(st.integers(FROM_S * 1000, TO_S * 1000), min_size=2, max_size=2))
def test_a_later_instant_never_lies_in_an_earlier_window(window: Window, instants: list[int]) -> None:
    early, late = (window.span(instant) for instant in sorted(instants))
    assert early == late or end(early) <= late.start_ms


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", (2026, 3, 29), 23),
        ("Europe/Berlin", (2026, 10, 25), 25),
        ("Europe/Berlin", (2026, 6, 1), 24),
        ("America/New_York", (2026, 3, 8), 23),
        ("America/New_York", (2026, 11, 1), 25),
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("Australia/Lord_Howe", (2026, 10, 4), 23.5),
        ("Antarctica/Troll", (2026, 3, 29), 22),
        ("Antarctica/Troll", (2026, 10, 25), 26),
        ("UTC", (2026, 3, 29), 24),
    ],
)
def test_a_day_is_as_long_as_the_clocks_of_its_zone_make_it(zone: str, day: tuple[int, int, int], hours: float) -> None:
    span = Window(Every.DAY, zone).span(ms(zone, *day, 12))
    assert end(span) - span.start_ms == int(hours * HOUR_MS)
    assert span.start_ms == ms(zone, *day)


@pytest.mark.parametrize(
    ("zone", "day", "first_clock"),
    [
        ("Africa/Cairo", (2026, 4, 24), (1, 0)),
        ("America/Havana", (2026, 3, 8), (1, 0)),
        ("America/Santiago", (2026, 9, 6), (1, 0)),
        ("Asia/Beirut", (2026, 3, 29), (1, 0)),
    ],
)
def test_a_day_whose_midnight_is_skipped_begins_at_the_change(
    zone: str, day: tuple[int, int, int], first_clock: tuple[int, int]
) -> None:
    span = Window(Every.DAY, zone).span(ms(zone, *day, 12))
    first = datetime.fromtimestamp(span.start_ms / 1000, ZoneInfo(zone))
    before = datetime.fromtimestamp(span.start_ms / 1000 - 1, ZoneInfo(zone))
    assert (first.date(), (first.hour, first.minute)) == (date(*day), first_clock)
    assert (before.date(), (before.hour, before.minute)) == (date(*day) - timedelta(days=1), (23, 59))
    assert end(span) - span.start_ms == 23 * HOUR_MS


def test_midnight_repeated_by_a_change_begins_the_day_once() -> None:
    """Havana goes from 1:00 back to 0:00: the day began at the first midnight and has 25 hours."""
    span = Window(Every.DAY, "America/Havana").span(ms("America/Havana", 2026, 11, 1, 0, 30, fold=1))
    assert span.start_ms == ms("America/Havana", 2026, 11, 1, 0, 0, fold=0)
    assert end(span) - span.start_ms == 25 * HOUR_MS


def test_a_date_run_through_twice_stays_in_the_window_that_began_first() -> None:
    """St John's went from 0:01 back to 23:01: for an hour the calendar shows yesterday again."""
    zone = "America/St_Johns"
    window, midnight = Window(Every.DAY, zone), ms(zone, 2010, 11, 7, 0, 0, fold=0)
    assert [window.span(midnight + minutes * 60_000).start_ms for minutes in (0, 2, 30, 60, 120)] == [midnight] * 5
    assert end(window.span(midnight - 1)) == midnight


def test_a_day_that_a_zone_left_out_is_no_window() -> None:
    """Apia had no 30 December 2011."""
    window = Window(Every.DAY, "Pacific/Apia")
    last = window.span(ms("Pacific/Apia", 2011, 12, 29, 12))
    assert end(last) == ms("Pacific/Apia", 2011, 12, 31) == window.span(end(last)).start_ms


@pytest.mark.parametrize(
    ("clock", "fold", "minutes"),
    [
        ((2026, 10, 4, 1, 59), 0, 60),  # the hour before the spring change
        ((2026, 10, 4, 2, 45), 0, 30),  # 2:00 to 2:30 does not exist
        ((2026, 4, 5, 1, 45), 0, 60),  # 1:00 to 2:00 of summer time
        ((2026, 4, 5, 1, 45), 1, 30),  # 1:30 to 2:00 once more
        ((2026, 4, 5, 2, 15), 0, 60),
    ],
)
def test_an_hour_of_lord_howe_is_cut_where_clocks_change_by_half_an_hour(
    clock: tuple[int, ...], fold: int, minutes: int
) -> None:
    span = Window(Every.HOUR, "Australia/Lord_Howe").span(ms("Australia/Lord_Howe", *clock, fold=fold))
    assert end(span) - span.start_ms == minutes * 60_000


@pytest.mark.parametrize(
    ("zone", "clock", "minutes"),
    [
        ("America/Caracas", (2016, 5, 1, 2, 15), 30),  # at 2:30 it became 3:00
        ("America/Caracas", (2016, 5, 1, 3, 15), 60),
        ("Asia/Pyongyang", (2018, 5, 4, 23, 15), 30),  # at 23:30 it became midnight
    ],
)
def test_an_hour_ends_early_where_clocks_are_set_on_in_its_middle(
    zone: str, clock: tuple[int, ...], minutes: int
) -> None:
    window, instant_ms = Window(Every.HOUR, zone), ms(zone, *clock)
    span = window.span(instant_ms)
    assert end(span) - span.start_ms == minutes * 60_000
    assert_sound(window, instant_ms)


def test_a_day_whose_midnight_was_skipped_by_a_change_the_evening_before_begins_at_the_change() -> None:
    """Toronto went from 23:30 to 0:30 on 30 March 1919."""
    zone = "America/Toronto"
    window, change = Window(Every.DAY, zone), ms(zone, 1919, 3, 31, 0, 30)
    span = window.span(ms(zone, 1919, 3, 31, 12))
    assert (span.start_ms, end(span) - span.start_ms) == (change, 23 * HOUR_MS + HOUR_MS // 2)
    assert_sound(window, change)
    assert_sound(window, change - 1)


@pytest.mark.parametrize("starts_on", range(7))
def test_a_week_begins_on_its_weekday(starts_on: int) -> None:
    span = Window(Every.WEEK, "Europe/Berlin", starts_on).span(ms("Europe/Berlin", 2026, 10, 25, 12))
    first = datetime.fromtimestamp(span.start_ms / 1000, ZoneInfo("Europe/Berlin"))
    assert (first.weekday(), first.hour, first.minute) == (starts_on, 0, 0)
    assert span.holds(ms("Europe/Berlin", 2026, 10, 25, 12))


@pytest.mark.parametrize(
    ("starts_on", "instant", "first", "following"),
    [
        (1, (2026, 2, 28), (2026, 2, 1), (2026, 3, 1)),
        (1, (2026, 12, 31), (2026, 12, 1), (2027, 1, 1)),
        (15, (2027, 1, 3), (2026, 12, 15), (2027, 1, 15)),
        (28, (2026, 3, 1), (2026, 2, 28), (2026, 3, 28)),
        (29, (2026, 3, 1), (2026, 2, 28), (2026, 3, 29)),
        (29, (2028, 3, 1), (2028, 2, 29), (2028, 3, 29)),
        (30, (2026, 2, 27), (2026, 1, 30), (2026, 2, 28)),
        (30, (2028, 3, 29), (2028, 2, 29), (2028, 3, 30)),
        (31, (2026, 2, 28), (2026, 2, 28), (2026, 3, 31)),
        (31, (2026, 4, 30), (2026, 4, 30), (2026, 5, 31)),
        (31, (2026, 5, 30), (2026, 4, 30), (2026, 5, 31)),
    ],
)
def test_a_month_begins_on_its_day_or_on_the_last_one_it_has(
    starts_on: int, instant: tuple[int, ...], first: tuple[int, ...], following: tuple[int, ...]
) -> None:
    zone = "Europe/Berlin"
    span = Window(Every.MONTH, zone, starts_on).span(ms(zone, *instant))
    assert (span.start_ms, span.end_ms) == (ms(zone, *first), ms(zone, *following))


def test_the_total_window_holds_every_instant_and_never_ends() -> None:
    window = Window(Every.TOTAL, "Europe/Berlin")
    assert {window.span(instant) for instant in (0, FROM_S * 1000, TO_S * 1000)} == {Span(0, None)}
    assert window.span(0).holds(10**15)


def test_a_span_holds_its_start_and_not_its_end() -> None:
    span = Span(10, 20)
    assert [span.holds(instant) for instant in (9, 10, 19, 20)] == [False, True, True, False]
