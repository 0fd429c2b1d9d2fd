"""Promises of standings.py: what the ledger last said, bounded, and nothing when it says nothing."""

from collections import Counter
from dataclasses import replace

from gateway.ledger.open_holds import OpenHolds
from gateway.ledger.window import Every
from gateway.metrics.standings import BALANCES_MAX
from gateway.units import Credits
from tests.unit.metrics.test_counting import REFUSED, balance, metrics, samples


def test_budgets_are_shown_as_the_ledger_last_said_and_gone_when_it_says_nothing() -> None:
    shown = metrics()
    shown.set_balances([("acme", balance()), ("acme", replace(balance(spent=2_500), granted=Credits(7_500)))])
    found = samples(shown)
    labels = ("tenant/day", "acme")
    values = {name: found[f"budget_{name}", labels] for name in ("limit_credits", "spent_credits", "held_credits")}
    assert values == {"limit_credits": 107.5, "spent_credits": 2.5, "held_credits": 19}
    assert (found["budget_granted_credits", labels], found["budget_remaining_credits", labels]) == (7.5, 86)
    assert found["budget_reset_seconds", labels] == 6
    shown.set_balances([])
    assert not [name for name, _ in samples(shown) if name.startswith("budget_")]


def test_a_budget_that_never_resets_has_no_reset_and_nothing_is_infinite() -> None:
    shown = metrics()
    shown.set_balances([("acme", balance("tenant/total", every=Every.TOTAL))])
    shown.record(REFUSED)
    assert not [name for name, _ in samples(shown) if name == "budget_reset_seconds"]
    values = [line.rsplit(" ", 1)[1] for line in shown.render()[0].decode().splitlines() if not line.startswith("#")]
    assert not {"+Inf", "-Inf", "NaN"} & set(values)


def test_budgets_in_one_scrape_are_bounded_and_those_of_unshown_tenants_left_out() -> None:
    shown = metrics(tenants_max=1)
    shown.set_balances([("acme", balance(f"each:{number}/day")) for number in range(BALANCES_MAX + 5)])
    shown.set_balances([*((t, balance()) for t in ("acme", "late")), *(("acme", balance(f"{n}")) for n in range(3000))])
    found = Counter(name for name, _ in samples(shown))
    assert found["budget_limit_credits"] == BALANCES_MAX
    assert ("budget_limit_credits", ("tenant/day", "late")) not in samples(shown)


def test_open_holds_are_shown_by_tenant_and_without_one_there_is_no_oldest() -> None:
    shown = metrics(tenants_max=2)
    holds = {"acme": OpenHolds(3, 12_500), "idle": OpenHolds(0, None), "late": OpenHolds(1, 1_000)}
    shown.set_balances([], holds)
    found = {(name, labels): value for (name, labels), value in samples(shown).items() if "hold" in name}
    assert found["holds_open", ("acme",)] == 3
    assert found["holds_open", ("idle",)] == 0
    assert found["oldest_hold_seconds", ("acme",)] == 12.5
    assert not {labels for name, labels in found if name == "oldest_hold_seconds"} - {("acme",)}
    assert ("holds_open", ("late",)) not in found
    shown.set_balances([])
    assert not [name for name, _ in samples(shown) if name in {"holds_open", "oldest_hold_seconds"}]
