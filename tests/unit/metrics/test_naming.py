"""Which models and users have a name: few, those that matter, and nothing a client invents."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.metrics.naming import (
    CANDIDATES_MAX,
    CHARGES_COMPARED,
    COMBINATIONS_MAX,
    COMBINATIONS_OF_ONE_MAX,
    FIRST_USERS,
    FURTHER_USERS,
    MODELS_MAX,
    Models,
    Users,
)

OF_ONE_MAX = FIRST_USERS + FURTHER_USERS


def test_models_have_their_names_up_to_the_bounds() -> None:
    model = Models()
    assert model("acme", "text2image", None) == "none"
    assert model("acme", "text2image", "sdxl") == "sdxl"
    tried = ((tenant, f"x{(7 * tenant + number) % 100}") for tenant in range(200) for number in range(100))
    shown = {(tenant, model(f"t{tenant}", "m", name)) for tenant, name in tried}
    named = {(tenant, name) for tenant, name in shown if name != "other"}
    assert len({name for _, name in named}) == MODELS_MAX - 1
    assert max(sum(1 for tenant, _ in named if tenant == one) for one in range(200)) == COMBINATIONS_OF_ONE_MAX
    assert len(named) == COMBINATIONS_MAX - 1
    assert model("acme", "text2image", "sdxl") == "sdxl"
    assert model("acme", "text2image", "late") == "other"


def test_names_that_mean_something_else_are_nobodys() -> None:
    model, user = Models(), Users()
    assert {model("acme", "m", name) for name in ("other", "none")} == {"other"}
    assert {user("acme", name, 1) for name in ("other", "none")} == {"other"}
    assert user("acme", None, 1) == "none"
    assert user("other", "ann", 1) == "other"


def test_the_first_users_have_names_at_once_and_keep_them() -> None:
    user = Users()
    first = [f"u{number}" for number in range(FIRST_USERS)]
    assert [user("acme", name, 1) for name in first] == first
    assert user("acme", "late", 1) == "other"
    assert [user("acme", name, 1) for name in first] == first
    assert user("rival", "late", 1) == "late"


def test_whoever_is_charged_most_gets_a_name_later_among_any_number_of_others() -> None:
    user = Users()
    for number in range(FIRST_USERS):
        user("acme", f"early{number}", 1)
    seen = set()
    for number in range(40 * CHARGES_COMPARED):
        seen |= {user("acme", f"small{number}", 1), user("acme", f"big{number % 3}", 20)}
    assert {name for name in seen if name.startswith("big")} == {"big0", "big1", "big2"}
    assert len(seen - {"other"}) <= FURTHER_USERS


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60), st.integers(1, 9)), max_size=200))
def test_users_are_bounded_per_tenant_and_in_all(charges: list[tuple[int, int, int]]) -> None:
    user = Users(users_max=25)
    named = {(tenant, user(f"t{tenant}", f"u{number}", amount)) for tenant, number, amount in charges}
    named = {(tenant, name) for tenant, name in named if name != "other"}
    assert len(named) <= 25
    assert all(sum(1 for tenant, _ in named if tenant == one) <= OF_ONE_MAX for one in range(4))


def test_what_is_remembered_of_users_without_a_name_is_bounded() -> None:
    user = Users()
    for number in range(CHARGES_COMPARED - 1):
        user("acme", f"u{number}", 1)
    assert all(len(known.since) <= CANDIDATES_MAX for known in user._tenants.values())
    for number in range(100 * CHARGES_COMPARED):
        user("acme", f"v{number}", 1)
    assert len(user._tenants["acme"].named) == OF_ONE_MAX
    assert not user._tenants["acme"].since
