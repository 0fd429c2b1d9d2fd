"""The view Credits: who spends what, on what, and how long it lasts."""

from grafana.build import panels as p
from grafana.build.panels import Panel, Query, Row, View

_CHARGED = 'dezgo_gateway_credits_charged_total{tenant=~"$tenant"}'
_REFUSED = 'dezgo_gateway_refusals_total{tenant=~"$tenant"}'
_SPENT = f"sum(increase({_CHARGED}[$__range])) or vector(0)"
# What the plan takes for a credit, as the gateways are told.
_PRICE = "on () group_left () max(dezgo_gateway_credit_price_usd)"
_OF_MODELS = 'dezgo_gateway_model_credits_charged_total{tenant=~"$tenant"}'
# Users without a name, and those that share one.
_OF_USERS = 'dezgo_gateway_user_credits_charged_total{tenant=~"$tenant", user!~"other|none"}'
_SAVING = 'dezgo_gateway_upscale_saving_credits_total{tenant=~"$tenant"}'
_BY_BOTH = f"sum by (tenant, method) (increase({_CHARGED}[$__range]))"
_UNSURE = 'dezgo_gateway_credits_charged_total{tenant=~"$tenant", flag!="confirmed"}'


_USED = 'tenant_budget:dezgo_gateway_budget_used:ratio{tenant=~"$tenant"}'
_EMPTY = 'tenant_budget:dezgo_gateway_budget_empty:seconds{tenant=~"$tenant"}'
_NONE = "no budgets: the ledger cannot be read"


def _budget(what: str) -> str:
    return f'max by (tenant, budget) (dezgo_gateway_budget_{what}{{tenant=~"$tenant"}})'


_GLANCE = Row(
    "At a glance",
    4,
    (
        Panel(
            "stat", "Spent", "Credits charged to the chosen tenants in the chosen range.", p.CREDITS,
            [Query(_SPENT, "spent")], 4,
        ),
        Panel(
            "stat", "Spent in USD", "The same at the plan's price of a credit, `upstream.usd_per_credit`.", p.USD,
            [Query(f"({_SPENT}) * {_PRICE}", "spent")], 4,
        ),
        Panel(
            "stat", "Pace", "Credits an hour, at the moment.", p.CREDITS_PER_HOUR,
            [Query(f"sum(rate({_CHARGED}[$__rate_interval])) * 3600", "pace")], 4, empty="no calls",
        ),
        Panel(
            "stat", "Held now",
            "Credits that calls under way have set aside: of each tenant, what its fullest budget says.",
            p.CREDITS,
            [Query('sum(max by (tenant) (dezgo_gateway_budget_held_credits{tenant=~"$tenant"})) or vector(0)', "held")],
            4,
        ),
        Panel(
            "stat", "Not proven",
            "Credits in the range that were booked without the upstream's word: `uncertain` and `unconfirmed`.",
            p.CREDITS, [Query(f"sum(increase({_UNSURE}[$__range])) or vector(0)", "not proven")], 4, p.ANY_IS_ODD,
        ),
        Panel(
            "stat", "Refused", "Requests in the range that ended in an error of the gateway's.", p.COUNT,
            [Query(f"sum(increase({_REFUSED}[$__range])) or vector(0)", "refused")], 4, p.ANY_IS_ODD,
        ),
    ),
)  # fmt: skip

_BUDGETS = Row(
    "Budgets",
    9,
    (
        Panel(
            "bargauge", "Used", "Spent and held, of the limit, the fullest first. Yellow from 80 %, orange from 95 %, "
            "red when used up.",
            p.SHARE, [Query(f"sort_desc({_USED})", "{{tenant}} {{budget}}")], 9, p.BUDGET, _NONE,
        ),
        Panel(
            "table", "Limits and what is left of them, in credits",
            "One line a budget. `ends in` is the rest of its window, absent where it never begins anew; `empty at` is "
            "when it runs out at the pace of the last hour, absent where nothing is spent.",
            p.EXACT_CREDITS,
            [
                Query(_budget("limit_credits"), "limit"),
                Query(_budget("spent_credits"), "spent"),
                Query(_budget("held_credits"), "held"),
                Query(_budget("remaining_credits"), "left"),
                Query(_budget("reset_seconds"), "ends in"),
                Query(f"(time() + {_EMPTY}) * 1000", "empty at"),
            ],
            15, empty=_NONE, units={"ends in": p.SECONDS, "empty at": p.WHEN},
        ),
    ),
)  # fmt: skip

_BURN_DOWN = Row(
    "Burn-down",
    8,
    (
        Panel(
            "timeseries", "Left of the limit",
            "It jumps up when a window begins anew. The dashed lines are where tenants are told.", p.SHARE,
            [Query(f"1 - {_USED}", "{{tenant}} {{budget}}")], 12, p.LEFT, _NONE,
        ),
        Panel(
            "timeseries", "Used when the window ends",
            "Where each budget is heading at the pace of the last hour, up to 200 %. Above 100 % it runs out before "
            "its window ends. Budgets that never begin anew are not here: see `empty at` above.",
            p.SHARE,
            [
                Query(
                    f"clamp_max({_USED} + (1 - {_USED}) * ({_budget('reset_seconds')} / {_EMPTY}), 2)",
                    "{{tenant}} {{budget}}",
                )
            ],
            12, p.ALL_OF_IT, "nothing is spent", top=1.2,
        ),
    ),
)  # fmt: skip

_WHERE = Row(
    "Where it goes",
    8,
    (
        Panel(
            "timeseries", "Pace by tenant", "Credits an hour that were charged.", p.CREDITS_PER_HOUR,
            [Query(f"sum by (tenant) (rate({_CHARGED}[$__rate_interval])) * 3600", "{{tenant}}")], 8, stacked=True,
        ),
        Panel(
            "timeseries", "Pace by method", "Credits an hour that were charged.", p.CREDITS_PER_HOUR,
            [Query(f"sum by (method) (rate({_CHARGED}[$__rate_interval])) * 3600", "{{method}}")], 8, stacked=True,
        ),
        Panel(
            "table", "Who spends what on what",
            "Credits charged in the range, and the same at the plan's price of a credit, `upstream.usd_per_credit`.",
            p.EXACT_CREDITS,
            [Query(f"{_BY_BOTH} > 0", "credits"), Query(f"{_BY_BOTH} * {_PRICE} > 0", "USD")],
            8, units={"USD": p.USD}, sort="credits",
        ),
    ),
)  # fmt: skip

_WHAT = Row(
    "Models, users and what could be saved",
    9,
    (
        Panel(
            "table", "Credits by model",
            "Credits charged in the range. `none` names no model and leaves it to the upstream; `other` are the rest.",
            p.EXACT_CREDITS,
            [Query(f"sum by (method, model) (increase({_OF_MODELS}[$__range])) > 0", "credits")], 9, sort="credits",
        ),
        Panel(
            "bargauge", "The ten dearest users",
            "Credits charged in the range. Of each tenant, so many users have a name here; all others are left out.",
            p.CREDITS,
            [Query(f"topk(10, sum by (tenant, user) (increase({_OF_USERS}[$__range])))", "{{tenant}} {{user}}")], 8,
            empty="no users are named",
        ),
        Panel(
            "bargauge", "Upscaling would have saved",
            "Credits by which pictures in the range were dearer than half the sides and upscaled to the same size.",
            p.CREDITS,
            [Query(f"sort_desc(sum by (tenant, method) (increase({_SAVING}[$__range])) > 0)", "{{tenant}} {{method}}")],
            7, empty="nothing",
        ),
    ),
)  # fmt: skip

_REFUSALS = Row(
    "Refusals",
    8,
    (
        Panel(
            "timeseries", "Refusals by reason", "Reasons are explained in the README's table of errors.", p.PER_SECOND,
            [Query(f"sum by (reason) (rate({_REFUSED}[$__rate_interval]))", "{{reason}}")], 15, stacked=True,
            empty="nothing was refused",
        ),
        Panel(
            "table", "Who was refused, and why", "Requests in the range. `none` is a caller without a valid token.",
            p.COUNT,
            [Query(f"sort_desc(sum by (tenant, reason) (increase({_REFUSED}[$__range])) > 0)", "refused")], 9,
            empty="nothing was refused",
        ),
    ),
)  # fmt: skip

VIEW = View(
    "dezgo-credits",
    "Dezgo: Credits",
    "Who spends what, on what, how much is left and how long it lasts. For the people who pay.",
    "now-24h",
    (p.labels_of("tenant", "Tenant", "dezgo_gateway_budget_limit_credits", "tenant", many=True),),
    ("dezgo-tenant", "One tenant", "${tenant:queryparam}"),
    (_GLANCE, _BUDGETS, _BURN_DOWN, _WHERE, _WHAT, _REFUSALS),
)
