"""Credits by model and by user add up to what was charged; savings and latencies by tenant."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.receipt import Receipt
from gateway.units import Credits
from tests.unit.metrics.test_counting import REFUSED, SERVED, Samples, recorded

SPENT = replace(SERVED, model="sdxl_1024px", user="ann@example.com", saving=Credits.whole(150))


def summed(found: Samples, name: str) -> float:
    return sum(value for (said, _), value in found.items() if said == name)


def test_a_charge_is_counted_by_model_and_by_user() -> None:
    found = recorded(SPENT, SPENT, replace(SPENT, model=None, user=None))
    assert found["model_credits_charged_total", ("text2image", "sdxl_1024px", "acme")] == 38
    assert found["model_credits_charged_total", ("text2image", "none", "acme")] == 19
    assert found["model_calls_charged_total", ("text2image", "sdxl_1024px", "acme")] == 2
    assert found["model_calls_charged_total", ("text2image", "none", "acme")] == 1
    assert found["user_credits_charged_total", ("acme", "ann@example.com")] == 38
    assert found["user_credits_charged_total", ("acme", "none")] == 19


def test_what_was_not_charged_names_neither_model_nor_user() -> None:
    """So no client makes names up: of a model that the upstream does not know nothing is charged."""
    uncharged = replace(SPENT, charged=Credits.ZERO, upstream_status=400, model="made-up", user="mallory")
    found = recorded(uncharged, replace(REFUSED, model="made-up", user="mallory", quoted=Credits.whole(19)))
    assert not [labels for _, labels in found if {"made-up", "mallory"} & set(labels)]


def test_users_are_shown_only_where_that_is_wanted() -> None:
    found = recorded(SPENT, users=False)
    assert not [name for name, _ in found if name.startswith("user_")]
    assert found["model_credits_charged_total", ("text2image", "sdxl_1024px", "acme")] == 19


@pytest.mark.parametrize(("status", "charged"), [(400, 19), (500, 19), (200, 0), (None, 19)])
def test_only_a_picture_that_was_served_and_charged_could_have_been_cheaper(status: int | None, charged: int) -> None:
    assert recorded(SPENT)["upscale_saving_credits_total", ("text2image", "acme")] == 150
    other = replace(SPENT, upstream_status=status, charged=Credits.whole(charged))
    assert not summed(recorded(other), "upscale_saving_credits_total")


def test_the_two_halves_of_a_tenants_latency_are_told_apart() -> None:
    found = recorded(SPENT, REFUSED)
    assert found["tenant_upstream_duration_seconds_sum", ("acme",)] == 2.0
    assert found["tenant_overhead_seconds_sum", ("acme",)] == 0.25
    assert found["tenant_upstream_duration_seconds_count", ("acme",)] == 1


def receipts() -> st.SearchStrategy[Receipt]:
    names = st.one_of(st.none(), st.integers(0, 90).map("n{}".format))
    amounts = st.integers(0, 10**9).map(Credits)
    return st.builds(
        lambda tenant, method, model, user, charged: replace(
            SERVED, tenant=tenant, method=method, model=model, user=user, charged=charged
        ),
        st.sampled_from(("acme", "rival", "third")),
        st.sampled_from(("text2image", "upscale", "odd")),
        names,
        names,
        amounts,
    )


@given(st.lists(receipts(), max_size=120))
def test_sums_over_models_and_over_users_are_what_was_charged(charges: list[Receipt]) -> None:
    found = recorded(*charges, tenants_max=2)
    total = round(1000 * summed(found, "credits_charged_total"))
    assert total == sum(receipt.charged.millicredits for receipt in charges if receipt.charged is not None)
    assert round(1000 * summed(found, "model_credits_charged_total")) == total
    assert round(1000 * summed(found, "user_credits_charged_total")) == total
