"""The view Tenant: one team's own page."""

from grafana.build import panels as p
from grafana.build.panels import Panel, Query, Row, View

_CHARGED = 'dezgo_gateway_credits_charged_total{tenant="$tenant"}'
_REFUSED = 'dezgo_gateway_refusals_total{tenant="$tenant"}'
_MODELS = 'sum by (method, model) (increase(dezgo_gateway_model_credits_charged_total{tenant="$tenant"}[$__range]))'
_CALLS = 'sum by (method, model) (increase(dezgo_gateway_model_calls_charged_total{tenant="$tenant"}[$__range]))'
# Users without a name, and those that share one.
_OF_USERS = 'dezgo_gateway_user_credits_charged_total{tenant="$tenant", user!~"other|none"}'
_NONE = "no budgets: the ledger cannot be read"
_UPSTREAM = "dezgo_gateway_upstream_duration_seconds_bucket"
_WHOLE = 'dezgo_gateway_request_duration_seconds_bucket{outcome="served", method!="none"}'
_USED = 'tenant_budget:dezgo_gateway_budget_used:ratio{tenant="$tenant"}'
_EMPTY = 'tenant_budget:dezgo_gateway_budget_empty:seconds{tenant="$tenant"}'
_RESET = 'max by (tenant, budget) (dezgo_gateway_budget_reset_seconds{tenant="$tenant"})'


def _own(metric: str) -> list[Query]:
    """Percentiles of the tenant's own."""
    rates = f'sum by (le) (rate(dezgo_gateway_{metric}_bucket{{tenant="$tenant"}}[$__rate_interval]))'
    return [Query(f"histogram_quantile({share}, {rates})", name) for share, (name, _) in p.SHARES.items()]


def _slow(metric: str) -> list[Query]:
    rates = f"sum by (le, method) (rate({metric}[$__rate_interval]))"
    return [Query(f"histogram_quantile(0.95, {rates})", "{{method}}")]


_NOW = Row(
    "Now",
    6,
    (
        Panel(
            "stat", "Left", "What each budget can still bear.", p.CREDITS,
            [Query('tenant_budget:dezgo_gateway_budget_remaining_credits:min{tenant="$tenant"}', "{{budget}}")],
            6, empty=_NONE,
        ),
        Panel(
            "bargauge", "Used", "Spent and held, of the limit. Yellow from 80 %, orange from 95 %, red when used up.",
            p.SHARE, [Query(_USED, "{{budget}}")], 6, p.BUDGET, _NONE,
        ),
        Panel(
            "stat", "Begins anew in", "The rest of each window. Budgets that never begin anew are not here.", p.SECONDS,
            [Query('max by (budget) (dezgo_gateway_budget_reset_seconds{tenant="$tenant"})', "{{budget}}")],
            6, empty="never",
        ),
        Panel(
            "stat", "Runs out too early, in",
            "How long a budget lasts at the pace of the last hour, if that is less than the rest of its window, or if "
            "it never begins anew.", p.SECONDS,
            [Query(f"round(({_EMPTY} < {_RESET}) or ({_EMPTY} unless {_RESET}))", "{{budget}}")], 6, p.EARLY,
            "none does at this pace",
        ),
    ),
)  # fmt: skip

_WINDOW = Row(
    "This window",
    8,
    (
        Panel(
            "timeseries", "Left of the limit",
            "It jumps up when a window begins anew. The dashed lines are where you are told.", p.SHARE,
            [Query(f"1 - {_USED}", "{{budget}}")], 8, p.LEFT, _NONE,
        ),
        Panel(
            "timeseries", "Spent in the window",
            "What each budget has borne since its window began; it falls to 0 when the next one begins.", p.CREDITS,
            [Query('max by (budget) (dezgo_gateway_budget_spent_credits{tenant="$tenant"})', "{{budget}}")], 8,
            empty=_NONE,
        ),
        Panel(
            "timeseries", "Used when the window ends",
            "Where each budget is heading at the pace of the last hour, up to 200 %. Above 100 % it runs out before "
            "its window ends. Budgets that never begin anew are not here.", p.SHARE,
            [Query(f"clamp_max({_USED} + (1 - {_USED}) * ({_RESET} / {_EMPTY}), 2)", "{{budget}}")],
            8, p.ALL_OF_IT, "nothing is spent", top=1.2,
        ),
    ),
)  # fmt: skip

_SPENT = Row(
    "What it is spent on",
    8,
    (
        Panel(
            "timeseries", "Pace by method", "Credits an hour that were charged.", p.CREDITS_PER_HOUR,
            [Query(f"sum by (method) (rate({_CHARGED}[$__rate_interval])) * 3600", "{{method}}")], 9, stacked=True,
        ),
        Panel(
            "bargauge", "Spent by method", "Credits charged in the range, the dearest first.", p.CREDITS,
            [Query(f"sort_desc(sum by (method) (increase({_CHARGED}[$__range])))", "{{method}}")], 8,
        ),
        Panel(
            "bargauge", "How sure it is",
            "Credits in the range by flag. All but `confirmed` were booked without the upstream's word; operators can "
            "list and refund them.",
            p.CREDITS, [Query(f"sum by (flag) (increase({_CHARGED}[$__range]))", "{{flag}}")], 7,
        ),
    ),
)  # fmt: skip

_WHO = Row(
    "Users, models and dearest calls",
    11,
    (
        Panel(
            "bargauge", "The ten dearest users",
            "Credits charged in the range. So many users have a name here; all others are left out.", p.CREDITS,
            [Query(f"topk(10, sum by (user) (increase({_OF_USERS}[$__range])))", "{{user}}")], 8,
            empty="no users are named",
        ),
        Panel(
            "table", "Models and dearest calls",
            "In the range, the kind first whose calls are dearest on average. `none` names no model and leaves it to "
            "the upstream; `other` are the rest. Single calls stand in the gateway's log (`charged`, `upstream_ms`) "
            "and in `dezgo-gateway ledger list`.", p.EXACT_CREDITS,
            [
                Query(f"{_MODELS} / ({_CALLS} > 0)", "credits a call"),
                Query(f"{_CALLS} > 0", "calls"),
                Query(f"{_MODELS} > 0", "credits"),
            ],
            16, empty="no calls", sort="credits a call",
        ),
    ),
)  # fmt: skip

_SLOW = Row(
    "How long it takes",
    8,
    (
        Panel(
            "timeseries", "Your calls, upstream", "What the upstream took of this tenant's calls.", p.SECONDS,
            _own("tenant_upstream_duration_seconds"), 6, empty="no calls",
        ),
        Panel(
            "timeseries", "Your calls, here", "What the gateway took of this tenant's calls besides.", p.SECONDS,
            _own("tenant_overhead_seconds"), 6, empty="no calls",
        ),
        Panel(
            "timeseries", "All tenants' calls, 95 %",
            "Of twenty served calls, nineteen took less. Counted over all tenants: methods differ, tenants do not.",
            p.SECONDS, _slow(_WHOLE), 6, empty="no calls",
        ),
        Panel(
            "timeseries", "Of that upstream, 95 %", "The upstream's share of that, over all tenants.", p.SECONDS,
            _slow(_UPSTREAM), 6, empty="no calls",
        ),
    ),
)  # fmt: skip

_REFUSALS = Row(
    "Refusals",
    8,
    (
        Panel(
            "timeseries", "Refusals by reason", "Reasons are explained in the README's table of errors.", p.PER_SECOND,
            [Query(f"sum by (reason) (rate({_REFUSED}[$__rate_interval]))", "{{reason}}")], stacked=True,
            empty="nothing was refused",
        ),
        Panel(
            "bargauge", "Refused by reason", "Requests in the range.", p.COUNT,
            [Query(f"sort_desc(sum by (reason) (increase({_REFUSED}[$__range])) > 0)", "{{reason}}")],
            empty="nothing was refused",
        ),
    ),
)  # fmt: skip

VIEW = View(
    "dezgo-tenant",
    "Dezgo: Tenant",
    "One tenant's own page: what is left, what it is spent on, what was refused. For the team that spends.",
    "now/d",
    (p.labels_of("tenant", "Tenant", "dezgo_gateway_budget_limit_credits", "tenant", many=False),),
    ("dezgo-operations", "Is the gateway well?", "var-instance=$__all"),
    (_NOW, _WINDOW, _SPENT, _WHO, _SLOW, _REFUSALS),
)
