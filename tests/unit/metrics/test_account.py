"""What is shown of the account shared by all callers."""

import pytest

from gateway import errors
from gateway.account.findings import Compared, Exhausted, Foreign, Recovered
from gateway.messages import Account
from gateway.pricing.charge import Outcome
from gateway.units import Credits
from tests.unit.metrics.test_counting import metrics, samples, shared_account


def test_the_master_account_is_shown_as_it_is_known_and_not_before() -> None:
    shown, account = metrics(), shared_account()
    shown.watch_account(account, promised=Credits.whole(30_000), usd_per_credit=0.00009)
    names = {name.removeprefix("upstream_account_") for name, _ in samples(shown) if "account" in name}
    assert names == {"in_flight_credits", "exhausted"}
    call = account.admit(Credits.whole(19), "text2image")
    assert samples(shown)["upstream_account_in_flight_credits", ()] == 19
    call.answered(Account(Credits(7_500_000), Credits.whole(20_000), 60), Outcome.REPORTED, Credits.whole(19))
    with pytest.raises(errors.UpstreamExhausted):
        account.admit(Credits.whole(7_501), "text2image")
    found = samples(shown)
    assert found["upstream_account_remaining_credits", ()] == 7_500
    assert found["upstream_account_limit_credits", ()] == 20_000
    assert found["upstream_account_reset_seconds", ()] == 60
    assert found["upstream_account_in_flight_credits", ()] == 0
    assert found["upstream_account_exhausted", ()] == 1
    assert found["tenants_promised_credits", ()] == 30_000
    assert found["credit_price_usd", ()] == 0.00009
    assert found["upstream_account_oversubscription_ratio", ()] == 4


def test_findings_of_the_account_are_counted_by_method_and_direction() -> None:
    shown = metrics()
    for difference in (0, 1_500, -500, 2_500):
        shown.account(Compared("text2image", Credits(difference), news=False))
    shown.account(Foreign(Credits(30_500), news=True))
    shown.account(Exhausted("answer", None))
    shown.account(Recovered(None))
    found = samples(shown)
    assert found["upstream_foreign_credits_total", ()] == 30.5
    assert found["balance_comparisons_total", ("equal", "text2image")] == 1
    assert found["balance_comparisons_total", ("over", "text2image")] == 2
    assert found["balance_mismatch_credits_total", ("over", "text2image")] == 4
    assert found["balance_mismatch_credits_total", ("under", "text2image")] == 0.5
