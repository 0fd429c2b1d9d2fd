"""`tenants.yaml`: every budget is whole and enforceable, or the file is refused at the line that is not."""

from decimal import Decimal
from pathlib import Path

import pytest

from gateway.settings import BudgetRule
from gateway.settings.tenants import LimitRules
from gateway.units import Credits
from tests.unit.settings.files import TENANTS, changed, load, marked, only_fault, write

DAY = "{credits: 1500.5, every: day}"
FIRST = "tenants.studio.budgets[0]"
LIMITS = "tenants.studio.limits"
SECOND = "tenants.studio.budgets[1]"

# What is changed, into what (§: where the fault must stand), its key path, the message, the hint.
MISTAKES = [
    (DAY, "{§credit: 1, credits: 1, every: day}", f"{SECOND}.credit", "not a known key", "`credits`"),
    (DAY, "{credits: §-1, every: day}", f"{SECOND}.credits", "must not be negative", ""),
    (DAY, '{credits: §"1500", every: day}', f"{SECOND}.credits", "a number of credits", "without quotes"),
    (DAY, "{credits: §true, every: day}", f"{SECOND}.credits", "a number of credits", "without quotes"),
    (DAY, "{credits: §1e3, every: day}", f"{SECOND}.credits", "exponent", "all its digits"),
    (DAY, "{credits: §0100, every: day}", f"{SECOND}.credits", "octal", "without the zero"),
    (DAY, "{credits: §1O00, every: day}", f"{SECOND}.credits", "letter", "digits only"),
    (DAY, "{credits: §15USD, every: day}", f"{SECOND}.credits", "without a unit", ""),
    (DAY, "{credits: §0.0001, every: day}", f"{SECOND}.credits", "finer than a thousandth", ""),
    (DAY, "{credits: §1000000001, every: day}", f"{SECOND}.credits", "more than 100,000 USD", ""),
    (DAY, "{credits: §99999999999999999, every: day}", f"{SECOND}.credits", "more than 100,000 USD", ""),
    (DAY, "{credits: 1, every: §daily}", f"{SECOND}.every", "must be 'hour'", "did you mean `day`?"),
    (DAY, "{credits: 1}", f"{SECOND}.every", "is missing", ""),
    (DAY, "{credits: 1, every: day, zone: §Europe/Berln}", f"{SECOND}.zone", "IANA", "`Europe/Berlin`"),
    (DAY, "{credits: 1, every: day, zone: §europe/berlin}", f"{SECOND}.zone", "IANA", "`Europe/Berlin`"),
    (DAY, "{credits: 1, every: day, zone: §Europe}", f"{SECOND}.zone", "IANA", ""),
    (DAY, "{credits: 1, every: day, zone: §../../etc/passwd}", f"{SECOND}.zone", "IANA", ""),
    (DAY, "{credits: 1, every: day, starts_on: §1}", f"{SECOND}.starts_on", "only weeks and months", "delete"),
    (DAY, "{credits: 1, every: total, starts_on: §1}", f"{SECOND}.starts_on", "only weeks and months", "delete"),
    (DAY, "{credits: 1, every: week, starts_on: §1}", f"{SECOND}.starts_on", "weekday", "monday"),
    (DAY, "{credits: 1, every: week, starts_on: §mon}", f"{SECOND}.starts_on", "weekday", "`monday`"),
    (DAY, "{credits: 1, every: month, starts_on: §32}", f"{SECOND}.starts_on", "1 to 31", ""),
    (DAY, "{credits: 1, every: month, starts_on: §0}", f"{SECOND}.starts_on", "1 to 31", ""),
    (DAY, "{credits: 1, every: month, starts_on: §monday}", f"{SECOND}.starts_on", "1 to 31", ""),
    (DAY, "{credits: 1, every: month, starts_on: §1.5}", f"{SECOND}.starts_on", "1 to 31", ""),
    (DAY, f"{DAY}\n      - §{DAY}", "tenants.studio.budgets[2]", "the window of another budget", "only one"),
    (
        DAY,
        "{credits: 1, every: week}\n      - §{credits: 2, every: week, starts_on: monday}",
        "tenants.studio.budgets[2]",
        "the window of another budget",
        "only one",
    ),
    (
        DAY,
        "{credits: 1, every: month, starts_on: 1}\n      - §{credits: 2, every: month}",
        "tenants.studio.budgets[2]",
        "the window of another budget",
        "only one",
    ),
    ("      - {credits: 1000, every: total}\n", "", "tenants.labs.budgets", "must be a list", ""),
    (
        "  labs:\n    budgets:\n      - {credits: 1000, every: total}\n",
        "  labs: §{}\n",
        "tenants.labs.budgets",
        "missing",
        "",
    ),
    ("  labs:", "  §Labs:", "tenants.Labs", "1 to 64 of a-z 0-9", ""),
    ("  labs:", "  §studio:", "tenants.studio", "the key is given twice", "the first is in line 2"),
    ("      ads:", "      §a/b:", "tenants.studio.teams.a/b", "1 to 64 of a-z 0-9", ""),
    ("      alice:", '      §"alice b":', 'tenants.studio.users."alice b"', "without spaces", ""),
    ("    title: The studio", "    title: §2 studios", "tenants.studio.title", "a number stands alone", "quotes"),
    ("    title: The studio", "    frozen: §yes", "tenants.studio.frozen", "truth value", "true or false"),
    (
        "    title: The studio",
        "    limits: {calls_in_flight: §0}",
        f"{LIMITS}.calls_in_flight",
        "must be at least 1",
        "",
    ),
    ("    title: The studio", "    limits: {§calls: 1}", f"{LIMITS}.calls", "not a known key", ""),
    ("    title: The studio", "    limits: {calls_per_second: §0}", f"{LIMITS}.calls_per_second", "0.001 to 10000", ""),
    ("    title: The studio", "    limits: {calls_per_second: §0.0005}", f"{LIMITS}.calls_per_second", "0.001", ""),
    ("    title: The studio", "    limits: {calls_per_second: §10001}", f"{LIMITS}.calls_per_second", "10000", ""),
    ("    title: The studio", '    limits: {calls_per_second: §"5"}', f"{LIMITS}.calls_per_second", "number", "quotes"),
    ("    title: The studio", "    limits: {burst: §5}", f"{LIMITS}.burst", "needs calls_per_second", "delete"),
    (
        "    title: The studio",
        "    limits: {calls_per_second: 1, burst: §0}",
        f"{LIMITS}.burst",
        "must be at least 1",
        "",
    ),
    ("    title: The studio", "    §froze: true", "tenants.studio.froze", "not a known key", "`frozen`"),
    ("    each_user:", "    §each_users:", "tenants.studio.each_users", "not a known key", "`each_user`"),
]


@pytest.mark.parametrize(("old", "new", "where", "message", "hint"), MISTAKES)
def test_a_mistake_is_laid_to_its_place_with_the_way_out(
    tmp_path: Path, old: str, new: str, where: str, message: str, hint: str
) -> None:
    text = changed(TENANTS, old, new)
    fault = only_fault(write(tmp_path, tenants=text))
    assert fault.where == where
    assert message in fault.message
    assert hint in fault.hint
    assert fault.file == str(tmp_path / "tenants.yaml")
    if "§" in new and "missing" not in message:
        assert (fault.line, fault.column) == marked(text)


def test_budgets_come_out_as_they_stand_in_the_file(tmp_path: Path) -> None:
    tenants = load(write(tmp_path)).tenants
    studio = tenants["studio"]
    assert studio.budgets == (
        BudgetRule(credits=Credits.whole(20_000), every="month", zone="Europe/Berlin", starts_on=1),
        BudgetRule(credits=Credits(1_500_500), every="day"),
    )
    assert studio.each_user[0].credits == Credits.whole(400)
    assert studio.teams["ads"].budgets[0].starts_on == "monday"
    assert studio.users["alice"].budgets[0].every == "hour"
    assert (tenants["labs"].budgets[0].zone, tenants["labs"].frozen) == ("UTC", False)


def test_limits_on_calls_come_out_as_they_stand_and_are_none_unless_given(tmp_path: Path) -> None:
    said = "    limits: {calls_in_flight: 20, calls_per_second: 0.125, burst: 10}\n    title: The studio"
    tenants = load(write(tmp_path, tenants=changed(TENANTS, "    title: The studio", said))).tenants
    limits = tenants["studio"].limits
    assert (limits.calls_in_flight, limits.calls_per_second, limits.burst) == (20, Decimal("0.125"), 10)
    assert tenants["labs"].limits == LimitRules()


@pytest.mark.parametrize(
    ("credits", "millicredits"), [("0", 0), ("12.345", 12_345), ("12.500000", 12_500), ("1000000000", 10**12)]
)
def test_credits_are_exact_up_to_the_largest_bookable_amount(tmp_path: Path, credits: str, millicredits: int) -> None:
    text = changed(TENANTS, "credits: 1000,", f"credits: {credits},")
    assert load(write(tmp_path, tenants=text)).tenants["labs"].budgets[0].credits == Credits(millicredits)


def test_the_last_days_of_a_month_and_any_weekday_may_start_a_window(tmp_path: Path) -> None:
    rules = "{credits: 1, every: month, starts_on: 31}\n      - {credits: 1, every: week, starts_on: sunday}"
    text = changed(TENANTS, DAY, rules)
    budgets = load(write(tmp_path, tenants=text)).tenants["studio"].budgets
    assert [rule.starts_on for rule in budgets] == [1, 31, "sunday"]
