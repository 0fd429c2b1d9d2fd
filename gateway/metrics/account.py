"""The series of the shared account, and what a scrape reads of it. What is not known is absent."""

from gateway.account.guard import SharedAccount
from gateway.metrics.series import Reading, Series, counter, credits, gauge
from gateway.units import Credits

ACCOUNT_LEFT = gauge("upstream_account_remaining_credits", "Credits left on the master account, as last answered.")
ACCOUNT_LIMIT = gauge("upstream_account_limit_credits", "Credits of the master account's plan, as last answered.")
ACCOUNT_RESET = gauge("upstream_account_reset_seconds", "Seconds until the plan's period ends; absent if never told.")
ACCOUNT_DRAWN = gauge("upstream_account_in_flight_credits", "Credits of calls that no answered balance holds yet.")
ACCOUNT_SHUT = gauge("upstream_account_exhausted", "Whether calls are refused for the master account's sake, 0 or 1.")
PROMISED = gauge("tenants_promised_credits", "Credits all tenants together may spend in 31 days by their own limits.")
PRICE = gauge("credit_price_usd", "USD a credit costs on the master account's plan, as configured.")
OVERSOLD = gauge("upstream_account_oversubscription_ratio", "Credits promised to tenants per credit left upstream.")
FOREIGN = credits("upstream_foreign_credits_total", "Credits that left the master account by no call of this gateway.")
WEIGHED = counter(
    "balance_comparisons_total", "Reported charges compared with the change of the balance.", "method", "direction"
)
MISMATCH = credits(
    "balance_mismatch_credits_total", "Credits the balance fell over or under the charge.", "method", "direction"
)

ACCOUNT_SERIES: tuple[Series, ...] = (
    *(ACCOUNT_LEFT, ACCOUNT_LIMIT, ACCOUNT_RESET, ACCOUNT_DRAWN, ACCOUNT_SHUT),
    *(PROMISED, PRICE, OVERSOLD, FOREIGN, WEIGHED, MISMATCH),
)


def account_readings(account: SharedAccount, promised: Credits, usd_per_credit: float) -> dict[Series, Reading]:
    """What a scrape reads of the shared account."""

    def known(amount: Credits | None) -> float | None:
        return None if amount is None else amount.as_number()

    def oversold() -> float | None:
        left = account.remaining
        return promised.millicredits / left.millicredits if left else None

    return {
        ACCOUNT_LEFT: lambda: known(account.remaining),
        ACCOUNT_LIMIT: lambda: known(account.limit),
        ACCOUNT_RESET: lambda: account.reset_s,
        ACCOUNT_DRAWN: lambda: known(account.in_flight),
        ACCOUNT_SHUT: lambda: account.exhausted,
        PROMISED: promised.as_number,
        PRICE: lambda: usd_per_credit,
        OVERSOLD: oversold,
    }
