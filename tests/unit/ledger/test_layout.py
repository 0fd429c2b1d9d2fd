"""A layout says what the windows say, is put together once, and holds no longer than the first of them."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger import keys
from gateway.ledger.budget import Budget, Path
from gateway.ledger.layout import Layouts
from gateway.ledger.window import Every, Window
from gateway.units import Credits

PATH = Path("acme", "ads", "alice")
BUDGETS = (
    Budget("tenant/month", "tenant", Credits.whole(100), Window(Every.MONTH, "Europe/Berlin", 31)),
    Budget("team:ads/hour", "team", Credits.whole(10), Window(Every.HOUR, "Asia/Kolkata")),
    Budget("each:alice/total", "each_user", Credits.whole(1), Window(Every.TOTAL)),
)
YEAR_MS = 365 * 24 * 3_600_000


@given(st.lists(st.integers(YEAR_MS, 60 * YEAR_MS), min_size=1, max_size=5))
def test_at_every_instant_it_says_what_the_windows_say(instants_ms: list[int]) -> None:
    layouts = Layouts()
    for now_ms in instants_ms:
        found = layouts.of(PATH, BUDGETS, now_ms)
        spans = tuple(budget.window.span(now_ms) for budget in BUDGETS)
        assert found.spans == spans
        assert keys.read(found.places) == tuple(map(keys.Place.of, BUDGETS, spans))
        assert found.limits[::3] == ("100000", "10000", "1000")
        assert found.common.holds(now_ms)


def test_it_changes_with_the_first_window_that_ends_and_not_before() -> None:
    layouts = Layouts()
    first = layouts.of(PATH, BUDGETS, 0)
    end_ms = first.spans[1].end_ms
    assert end_ms is not None
    assert first.common.end_ms == end_ms
    assert layouts.of(PATH, BUDGETS, end_ms - 1) is first
    assert layouts.of(PATH, BUDGETS, end_ms).spans[1] != first.spans[1]


def test_other_budgets_on_the_same_path_have_a_layout_of_their_own() -> None:
    layouts = Layouts()
    layouts.of(PATH, BUDGETS, 0)
    assert layouts.of(PATH, BUDGETS[:1], 0).budgets == BUDGETS[:1]
