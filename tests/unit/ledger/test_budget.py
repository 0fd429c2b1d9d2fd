"""Which budgets a path must pass, what they are called, and what a balance says of itself."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import TenantFrozen, TenantUnknown
from gateway.ledger import keys
from gateway.ledger.budget import Balance, Budget, BudgetBook, Path, Rule, TeamBudgets, TenantBudgets, tightest
from gateway.ledger.window import Every, Span, Window
from gateway.units import Credits

DAY, WEEK, MONTH, TOTAL = (Window(every) for every in (Every.DAY, Every.WEEK, Every.MONTH, Every.TOTAL))


def rule(credits: int, window: Window = TOTAL) -> Rule:
    return Rule(Credits.whole(credits), window)


BOOK = BudgetBook(
    {
        "studio": TenantBudgets(
            budgets=(rule(100, MONTH), rule(20, DAY)),
            each_user=(rule(5, DAY),),
            teams={"ads": TeamBudgets((rule(50, WEEK),), (rule(3, DAY),)), "print": TeamBudgets()},
            users={"ann": (rule(2, DAY),)},
        ),
        "web": TenantBudgets(budgets=(rule(10),)),
        "ice": TenantBudgets(budgets=(rule(10),), frozen=True),
    }
)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (Path("studio"), ["tenant/month", "tenant/day"]),
        (Path("studio", "ads"), ["tenant/month", "tenant/day", "team:ads/week"]),
        (Path("studio", None, "bob"), ["tenant/month", "tenant/day", "each:bob/day"]),
        (Path("studio", "print", "bob"), ["tenant/month", "tenant/day", "each:bob/day"]),
        (
            Path("studio", "ads", "ann"),
            ["tenant/month", "tenant/day", "team:ads/week", "each:ann/day", "each:ads:ann/day", "user:ann/day"],
        ),
        (Path("web", "any", "ann"), ["tenant/total"]),
    ],
)
def test_a_path_must_pass_every_budget_from_the_tenant_down(path: Path, names: list[str]) -> None:
    assert [budget.name for budget in BOOK.on_path(path)] == names


def test_every_budget_on_a_path_keeps_its_own_limit_window_and_level() -> None:
    found = BOOK.on_path(Path("studio", "ads", "ann"))
    assert [budget.limit for budget in found] == [Credits.whole(n) for n in (100, 20, 50, 5, 3, 2)]
    assert [budget.window for budget in found] == [MONTH, DAY, WEEK, DAY, DAY, DAY]
    assert [budget.level for budget in found] == ["tenant", "tenant", "team", "each_user", "each_user", "user"]


@pytest.mark.parametrize(
    ("path", "level"),
    [
        (Path("nobody"), "tenant"),
        (Path("Studio"), "tenant"),
        (Path("studio", "sales"), "team"),
        (Path("studio", ""), "team"),
    ],
)
def test_an_unknown_tenant_or_team_is_refused(path: Path, level: str) -> None:
    for _ in range(2):
        with pytest.raises(TenantUnknown) as refused:
            BOOK.on_path(path)
        assert refused.value.level == level


NAMED = [*(path for path in (Path("studio", "ads", "ann"), Path("studio", "ads"), Path("studio", None, "a/b:c %")))]


@pytest.mark.parametrize("path", NAMED, ids=str)
def test_every_budget_is_found_by_its_name(path: Path) -> None:
    for budget in BOOK.on_path(path):
        assert BOOK.named("studio", budget.name) == budget


@pytest.mark.parametrize(
    "name",
    [
        *("", "/", ":", "tenant", "tenant/week", "team/week", "each/day", "user/day", "tenant/month@UTC@0"),
        *("user:bob/day", "each:print:ann/day", "x:y/day", "tenant:ads/month", "each:a:b:c/day", "team:ads:ann/week"),
    ],
)
def test_a_name_no_budget_has_finds_none(name: str) -> None:
    assert BOOK.named("studio", name) is None


def test_a_second_budget_of_a_kind_is_found_by_its_longer_name() -> None:
    zones = tuple(Rule(Credits(n), Window(Every.DAY, zone)) for n, zone in ((1, "UTC"), (2, "Asia/Tokyo")))
    book = BudgetBook({"two": TenantBudgets(zones)})
    found = [book.named("two", name) for name in ("tenant/day", "tenant/day@Asia/Tokyo@0")]
    assert [budget.limit for budget in found if budget] == [Credits(1), Credits(2)]


def test_names_of_unknown_tenants_and_teams_are_refused() -> None:
    for tenant, name in (("nobody", "tenant/month"), ("studio", "team:sales/week")):
        with pytest.raises(TenantUnknown):
            BOOK.named(tenant, name)


def test_a_frozen_tenant_admits_nothing_and_still_shows_its_budgets() -> None:
    with pytest.raises(TenantFrozen):
        BOOK.admitting(Path("ice"))
    assert [budget.name for budget in BOOK.on_path(Path("ice"))] == ["tenant/total"]


def test_the_shared_paths_pass_every_budget_that_is_no_single_users() -> None:
    assert BOOK.shared_paths == (Path("web"), Path("ice"), Path("studio", "ads"), Path("studio", "print"))
    assert BOOK.tenants == ("studio", "web", "ice")


@pytest.mark.parametrize(
    ("budgets", "promised"),
    [
        ((rule(100, MONTH),), 100),
        ((rule(100),), 100),
        ((rule(10, DAY),), 310),
        ((rule(10, WEEK),), 50),
        ((rule(1, Window(Every.HOUR)),), 744),
        ((rule(100, MONTH), rule(60), rule(2, DAY)), 60),
        ((rule(100, MONTH), rule(2, DAY)), 62),
    ],
)
def test_what_a_tenant_is_promised_is_the_least_its_limits_allow_in_a_month(
    budgets: tuple[Rule, ...], promised: int
) -> None:
    assert BudgetBook({"t": TenantBudgets(budgets)}).promised == Credits.whole(promised)
    two = BudgetBook(
        {"t": TenantBudgets(budgets), "u": TenantBudgets((rule(7),)), "f": TenantBudgets(budgets, frozen=True)}
    )
    assert two.promised == Credits.whole(promised + 7)


def test_any_number_of_users_is_answered_the_same_way() -> None:
    """What is remembered of paths is bounded; forgetting changes no answer."""
    first = BOOK.on_path(Path("studio", "ads", "ann"))
    for number in range(10_100):
        BOOK.on_path(Path("web", None, f"user-{number}"))
    assert len(BOOK._known) <= 10_000
    assert BOOK.on_path(Path("studio", "ads", "ann")) == first


SAME_KIND = (
    rule(10, Window(Every.DAY, "Europe/Berlin")),
    rule(5, Window(Every.DAY, "Europe/Paris")),
    rule(90, Window(Every.MONTH, starts_on=1)),
    rule(80, Window(Every.MONTH, starts_on=15)),
)


def test_budgets_of_one_kind_of_window_have_names_of_their_own() -> None:
    """Two daily budgets whose days begin together must not share a balance: each call would count twice."""
    book = BudgetBook({"studio": TenantBudgets(budgets=SAME_KIND)})
    found = book.on_path(Path("studio"))
    assert len({budget.name for budget in found}) == len(SAME_KIND)
    places = [keys.Place.of(budget, budget.window.span(1_800_000_000_000)) for budget in found]
    assert len({place.key("studio") for place in places}) == len(SAME_KIND)
    assert keys.read(keys.written(places)) == tuple(places)


def test_adding_a_budget_of_the_same_kind_renames_none_that_was_there() -> None:
    alone, both = (BudgetBook({"t": TenantBudgets(budgets=rules)}) for rules in (SAME_KIND[:1], SAME_KIND[:2]))
    assert both.on_path(Path("t"))[0] == alone.on_path(Path("t"))[0]


USERS = st.one_of(st.text(min_size=1, max_size=12), st.text(alphabet="ads:/%|{} @-.~3A", min_size=1, max_size=8))


@settings(deadline=None, max_examples=300)
@given(USERS, USERS)
def test_two_users_never_share_a_budget_whatever_they_are_called(one: str, other: str) -> None:
    mine, theirs = (
        {b.name for b in BOOK.on_path(Path("studio", team, user)) if b.level in ("user", "each_user")}
        for team, user in (("ads", one), ("print", other))
    )
    assert (mine & theirs == set()) == (one != other)


@settings(deadline=None, max_examples=300)
@given(USERS)
def test_names_of_one_path_are_unique_and_safe_in_a_key(user: str) -> None:
    names = [budget.name for budget in BOOK.on_path(Path("studio", "ads", user))]
    assert len(set(names)) == len(names)
    assert not [name for name in names if set(name) & set("{}| \n\0")]
    assert all(name.isascii() for name in names)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (Path("studio"), "studio/-/-"),
        (Path("studio", "ads"), "studio/ads/-"),
        (Path("studio", None, "ann@example.org"), "studio/-/ann@example.org"),
        (Path("studio", "ads", "a/b c"), "studio/ads/a%2Fb%20c"),
    ],
)
def test_a_path_is_written_in_three_parts(path: Path, text: str) -> None:
    assert str(path) == text


def balance(limit: int, spent: int, held: int, end_ms: int | None = None, now_ms: int = 0) -> Balance:
    budget = Budget("tenant/day", "tenant", Credits(limit), DAY)
    return Balance(budget, Span(0, end_ms), Credits(spent), Credits(held), now_ms)


AMOUNTS = st.integers(0, 10**12)


@settings(deadline=None)
@given(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_what_remains_is_never_negative_and_never_more_than_is_free(
    limit: int, granted: int, spent: int, held: int, amount: int
) -> None:
    found = replace(balance(limit, spent, held), granted=Credits(granted))
    assert found.limit == Credits(limit + granted)
    assert found.remaining == Credits(max(0, limit + granted - spent - held))
    assert found.bears(Credits(amount)) is (spent + held + amount <= limit + granted)


@pytest.mark.parametrize(
    ("end_ms", "now_ms", "reset_s"),
    [
        (None, 5, None),
        (1000, 0, 1),
        (1001, 0, 2),
        (1000, 999, 1),
        (1000, 1000, 1),
        (1000, 9000, 1),
        (86_400_000, 1, 86_400),
    ],
)
def test_a_reset_is_told_in_whole_seconds_rounded_up_and_at_least_one(
    end_ms: int | None, now_ms: int, reset_s: int | None
) -> None:
    assert balance(1, 0, 0, end_ms, now_ms).reset_s == reset_s


def test_the_tightest_balance_has_the_least_left_and_of_equals_is_the_first() -> None:
    one, two, three = balance(9, 0, 0), balance(7, 2, 1), balance(4, 0, 0)
    assert tightest((one, two, three)) is two
    assert tightest((one, three, two)) is three


def test_nobody_in_particular_is_not_admitted_where_each_user_has_a_budget() -> None:
    with pytest.raises(TenantUnknown) as refused:
        BOOK.admitting(Path("studio"))
    assert refused.value.level == "user"
    assert BOOK.on_path(Path("studio"))
    assert BOOK.admitting(Path("studio", None, "bob"))
    assert BOOK.admitting(Path("web"))
