"""What things are called in the store: two different things never share a name, and all of a tenant share a slot."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ledger import keys
from gateway.ledger.budget import BudgetBook, Path, Rule, TenantBudgets
from gateway.ledger.keys import Place
from gateway.ledger.window import Every, Span, Window
from gateway.units import Credits

TENANTS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
INSTANTS = st.integers(0, 10**14)
SPANS = st.builds(Span, INSTANTS, st.one_of(st.none(), INSTANTS))
USERS = st.text(min_size=1, max_size=10)


def each_user_name(user: str) -> str:
    rule = Rule(Credits.ZERO, Window(Every.DAY))
    return BudgetBook({"t": TenantBudgets((rule,), (rule,))}).on_path(Path("t", None, user))[1].name


NAMES = st.one_of(st.sampled_from(["tenant/month", "tenant/day", "team:ads/week"]), USERS.map(each_user_name))
PLACES = st.builds(Place, NAMES, SPANS)


def whole(place: Place) -> tuple[str, Span]:
    """All of a place: places are equal when they share a balance, wherever the window is thought to end."""
    return place.name, place.span


@settings(deadline=None, max_examples=300)
@given(st.lists(PLACES, max_size=6))
def test_places_are_read_as_they_were_written(places: list[Place]) -> None:
    assert [whole(place) for place in keys.read(keys.written(places))] == [whole(place) for place in places]


@settings(deadline=None, max_examples=300)
@given(TENANTS, PLACES, TENANTS, PLACES)
def test_two_balances_never_share_a_key(tenant: str, one: Place, other_tenant: str, other: Place) -> None:
    same = (tenant, one.name, one.span.start_ms) == (other_tenant, other.name, other.span.start_ms)
    assert (one.key(tenant) == other.key(other_tenant)) == same


@settings(deadline=None, max_examples=300)
@given(PLACES, PLACES)
def test_places_are_equal_exactly_when_they_share_a_balance(one: Place, other: Place) -> None:
    """The books are counted by place: one balance under two places would be counted in halves."""
    assert (one == other) == (one.key("t") == other.key("t"))
    assert one != other or hash(one) == hash(other)


def test_a_window_thought_to_end_elsewhere_is_still_the_same_balance() -> None:
    one, other = Place("tenant/month", Span(0, 10)), Place("tenant/month", Span(0, 20))
    assert one == other
    assert one.key("t") == other.key("t")
    assert str(one) != str(other)
    assert one != "tenant/month|0|10"


@settings(deadline=None, max_examples=500)
@given(st.text(alphabet="a/|0129 -+_\n٣", max_size=14))
def test_what_was_never_written_is_not_read(text: str) -> None:
    try:
        places = keys.read(text)
    except ValueError:
        return
    assert keys.written(places) == text


@pytest.mark.parametrize(
    "text",
    ["x", "x|1", "x|1|2|3", "x|a|2", "x|1|b", "x||1", "x|+1|2", "x|1_0|", "x| 1|2", "x|01|2", "x|-1|2", "|1|2", " "],
)
def test_a_place_that_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        keys.read(text)


def all_keys(tenant: str, word: str) -> dict[str, str]:
    return {
        "record": keys.record(tenant, word),
        "open": keys.open_holds(tenant),
        "journal": keys.journal(tenant),
        "job": keys.job(tenant, word),
        "balance": Place(f"each:{word}/day", Span(0, 1)).key(tenant),
    }


@settings(deadline=None)
@given(TENANTS, TENANTS, st.from_regex(r"[A-Za-z0-9-]{1,20}", fullmatch=True))
def test_no_two_kinds_and_no_two_tenants_share_a_key(one: str, other: str, word: str) -> None:
    mine, theirs = all_keys(one, word), all_keys(other, word)
    assert len(set(mine.values())) == len(mine)
    assert keys.TENANTS not in mine.values()
    assert bool(set(mine.values()) & set(theirs.values())) == (one == other)


@settings(deadline=None)
@given(TENANTS, USERS)
def test_every_key_of_a_tenant_lies_in_its_slot(tenant: str, user: str) -> None:
    """A cluster takes what stands between the first brace and the next closing one."""
    for key in (*all_keys(tenant, "id").values(), Place(each_user_name(user), Span(0, None)).key(tenant)):
        tagged = re.search(r"\{(.*?)\}", key, re.DOTALL)
        assert tagged is not None
        assert tagged[1] == tenant
