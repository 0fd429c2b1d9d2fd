"""Settings become parts: budgets with their windows, keys with their algorithms."""

from decimal import Decimal
from pathlib import Path as FilePath

import pytest
from pydantic import SecretStr

from gateway.build import budget_book, claim_rules, redis_ledger, token_key, window
from gateway.doors import turns
from gateway.errors import TenantFrozen
from gateway.identity.claims import Claim, Fixed
from gateway.identity.mint import fresh_private_pem, public_pem
from gateway.ledger.budget import BudgetBook, Path
from gateway.ledger.limits import Limits
from gateway.ledger.store import Store
from gateway.ledger.window import Every, Window
from gateway.settings import BudgetRule, TeamRules, TenantRules, TokenKey, UserRules
from gateway.settings.issuers import Claims
from gateway.settings.tenants import LimitRules
from gateway.turns.gate import OPEN, Gate
from gateway.units import Credits
from tests.unit.settings.files import GATEWAY, load, write


def rule(credits: int, every: str, **said: object) -> BudgetRule:
    return BudgetRule.model_validate({"credits": Credits.whole(credits), "every": every, **said})


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (rule(1, "day", zone="Europe/Berlin"), Window(Every.DAY, "Europe/Berlin", 0)),
        (rule(1, "week"), Window(Every.WEEK, "UTC", 0)),
        (rule(1, "week", starts_on="sunday"), Window(Every.WEEK, "UTC", 6)),
        (rule(1, "month"), Window(Every.MONTH, "UTC", 1)),
        (rule(1, "month", starts_on=31), Window(Every.MONTH, "UTC", 31)),
        (rule(1, "total"), Window(Every.TOTAL, "UTC", 0)),
        (rule(1, "hour"), Window(Every.HOUR, "UTC", 0)),
    ],
)
def test_a_configured_window_is_the_ledgers_window(said: BudgetRule, expected: Window) -> None:
    assert window(said) == expected


def test_every_configured_budget_counts_on_the_paths_it_is_meant_for() -> None:
    book = budget_book(
        {
            "studio": TenantRules(
                budgets=(rule(100, "month"),),
                each_user=(rule(10, "day"),),
                teams={"ads": TeamRules(budgets=(rule(50, "week"),), each_user=(rule(5, "hour"),))},
                users={"ann": UserRules(budgets=(rule(7, "total"),))},
            ),
            "cold": TenantRules(budgets=(rule(1, "day"),), frozen=True),
        }
    )
    names = [budget.name for budget in book.on_path(Path("studio", "ads", "ann"))]
    assert names == ["tenant/month", "team:ads/week", "each:ann/day", "each:ads:ann/hour", "user:ann/total"]
    assert [budget.name for budget in book.on_path(Path("studio"))] == ["tenant/month"]
    with pytest.raises(TenantFrozen):
        book.admitting(Path("cold"))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, None),
        ({"calls_in_flight": 20}, Limits(20)),
        ({"calls_per_second": Decimal(5)}, Limits(None, Decimal(5), 5)),
        ({"calls_per_second": Decimal("2.5")}, Limits(None, Decimal("2.5"), 3)),
        ({"calls_per_second": Decimal("0.1")}, Limits(None, Decimal("0.1"), 1)),
        ({"calls_in_flight": 2, "calls_per_second": Decimal(5), "burst": 10}, Limits(2, Decimal(5), 10)),
    ],
)
def test_configured_limits_are_the_tenants_and_a_burst_is_a_seconds_calls_unless_given(
    said: dict[str, object], expected: Limits | None
) -> None:
    rules = TenantRules(budgets=(rule(1, "day"),), limits=LimitRules.model_validate(said))
    book = budget_book({"studio": rules})
    assert book.limits("studio") == expected
    assert book.limits("nobody") is None


def test_without_a_number_of_calls_at_once_there_is_no_queue(tmp_path: FilePath) -> None:
    settings = load(write(tmp_path))
    assert turns(settings) is OPEN
    limited = settings.upstream.model_copy(update={"calls_at_once": 3})
    assert isinstance(turns(settings.model_copy(update={"upstream": limited})), Gate)


def test_a_key_is_bound_to_the_algorithm_it_is_configured_for() -> None:
    pem = public_pem(fresh_private_pem())

    def made(algorithm: str, text: str) -> str:
        key = TokenKey.model_validate({"issuer": "i", "kid": "k", "algorithm": algorithm, "text": SecretStr(text)})
        return token_key(key).algorithm

    assert made("HS256", "s" * 32) == "HS256"
    assert made("EdDSA", pem) == "EdDSA"
    with pytest.raises(ValueError, match="RS256"):
        made("RS256", pem)


def test_claims_are_read_where_the_settings_say() -> None:
    fixed = claim_rules(Claims(tenant_fixed="studio", team_fixed="ads", user=None))
    assert (fixed.tenant, fixed.team, fixed.user) == (Fixed("studio"), Fixed("ads"), None)
    pathed = claim_rules(Claims(tenant="org.name", methods="can.call"))
    assert (pathed.tenant, pathed.methods) == (Claim(("org", "name")), Claim(("can", "call")))


def test_the_ledgers_terms_are_the_configured_ones_in_ms(tmp_path: FilePath) -> None:
    settings = load(write(tmp_path, gateway=GATEWAY + "idempotency:\n  kept_s: 90000\n"))
    made = redis_ledger(settings, Store("redis://127.0.0.1", deadline_s=1.0), BudgetBook({}))
    assert (made._hold_ttl_ms, made._once_kept_ms) == (900_000, 90_000_000)
