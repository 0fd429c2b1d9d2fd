"""Spenders: credits by model and by user, what upscaling would have saved, and the two halves of a tenant's latency.

Counted of the same receipts as everything else; every label comes from a bounded set.
"""

from collections.abc import Mapping

from gateway.metrics.naming import FIRST_USERS, FURTHER_USERS, Models, Users
from gateway.metrics.series import Series, counter, credits, seconds
from gateway.metrics.tallies import Spread, Tally
from gateway.receipt import Receipt

# Seconds. Few of them: each is a series for every tenant.
_TENANT_UPSTREAM_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
_TENANT_OVERHEAD_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0)

BY_MODEL = credits(
    "model_credits_charged_total", "Credits calls were charged, by the model they named.", "tenant", "method", "model"
)
CALLS_BY_MODEL = counter(
    "model_calls_charged_total", "Calls that were charged, by the model they named.", "tenant", "method", "model"
)
BY_USER = credits(
    "user_credits_charged_total",
    f"Credits calls were charged, by user: {FIRST_USERS + FURTHER_USERS} of a tenant by name, all others together.",
    *("tenant", "user"),
)
SAVING = credits(
    "upscale_saving_credits_total",
    "Credits by which served pictures were quoted above the same size made at half the sides and upscaled.",
    *("tenant", "method"),
)
TENANT_UPSTREAM_S = seconds(
    "tenant_upstream_duration_seconds", "Seconds the upstream took of a tenant's calls.", _TENANT_UPSTREAM_S, "tenant"
)
TENANT_OVERHEAD_S = seconds(
    "tenant_overhead_seconds", "Seconds a tenant's forwarded calls took besides that.", _TENANT_OVERHEAD_S, "tenant"
)

SPENDER_SERIES: tuple[Series, ...] = (BY_MODEL, CALLS_BY_MODEL, BY_USER, SAVING, TENANT_UPSTREAM_S, TENANT_OVERHEAD_S)

_SERVED = range(200, 300)


class Spenders:
    """Counts what receipts say of spenders.

    Args:
        tallies, spreads: where it is counted; those of `SPENDER_SERIES` are there.
        users: show users by name.
    """

    def __init__(self, tallies: Mapping[Series, Tally], spreads: Mapping[Series, Spread], *, users: bool) -> None:
        self._by_model, self._calls_by_model = tallies[BY_MODEL], tallies[CALLS_BY_MODEL]
        self._by_user, self._saving = tallies[BY_USER], tallies[SAVING]
        self._upstream_s, self._overhead_s = spreads[TENANT_UPSTREAM_S], spreads[TENANT_OVERHEAD_S]
        self._model = Models()
        self._user = Users() if users else None

    def charged(self, receipt: Receipt, tenant: str, method: str) -> None:
        """Count a charge; `tenant` and `method` are its labels."""
        if not receipt.charged:
            return
        amount = receipt.charged.millicredits
        labels = (tenant, method, self._model(tenant, method, receipt.model))
        self._by_model.add(labels, amount)
        self._calls_by_model.add(labels)
        if self._user is not None:
            self._by_user.add((tenant, self._user(tenant, receipt.user, amount)), amount)
        if receipt.saving is not None and receipt.upstream_status in _SERVED:
            self._saving.add((tenant, method), receipt.saving.millicredits)

    def timed(self, tenant: str, upstream_s: float, overhead_s: float) -> None:
        """Count how long a forwarded call took, upstream and here."""
        self._upstream_s.observe((tenant,), upstream_s)
        self._overhead_s.observe((tenant,), overhead_s)
