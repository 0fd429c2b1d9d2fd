"""The view Operations: is the gateway well, and the ledger, the upstream and its account?"""

from grafana.build import panels as p
from grafana.build.load import CLIENTS, QUEUE
from grafana.build.panels import Panel, Query, Row, View
from grafana.build.queries import of as _of
from grafana.build.queries import quantiles as _quantiles
from grafana.build.queries import rate as _rate
from grafana.build.queries import total as _total

_QUIET = "none"


def _missed(metric: str) -> Query:
    """Credits an hour, over and under."""
    return Query(f"sum by (direction) (rate({_of(metric)}[$__rate_interval])) * 3600", "{{direction}}")


def _missed_by(direction: str) -> Query:
    drift = _of("quote_drift_credits_total", f'direction="{direction}"')
    return Query(f"sum by (method) (increase({drift}[$__range]))", direction)


_FAILED = _of("requests_total", 'status_class="5xx"')
_UNCERTAIN = _of("credits_charged_total", 'flag="uncertain"')

_SERVICE = Row(
    "Service",
    8,
    (
        Panel(
            "stat", "Gateways", "One a gateway: whether its store answers it.", p.COUNT,
            [Query(_of("ledger_up"), "{{instance}}")], 4, p.MUST_BE_ONE, "no gateway is scraped",
            words={1: ("well", p.GREEN), 0: ("no ledger", p.RED)},
        ),
        Panel(
            "timeseries", "Requests by outcome", "All routes. Refused are those the gateway itself answered.",
            p.PER_SECOND, [_rate("requests_total", "outcome")], 10, stacked=True, empty="no requests",
        ),
        Panel(
            "timeseries", "Error budgets",
            "How fast each objective's budget of 30 days is used up, by the last hour: at 1 in 30 days, at 14.4 in 2. "
            "Over all gateways.",
            p.TIMES, [Query("dezgo_gateway:slo_burn:rate1h", "{{slo}}")], 10, p.BURN, "no requests", top=16,
        ),
    ),
)  # fmt: skip

_ERRORS = Row(
    "Errors and overload",
    8,
    (
        Panel(
            "timeseries", "Share of 5xx", "Of all requests. What is refused with 4xx is the caller's.", p.SHARE,
            [
                Query(
                    f"(sum(rate({_FAILED}[$__rate_interval])) or vector(0)) "
                    f"/ (sum(rate({_of('requests_total')}[$__rate_interval])) > 0)",
                    "5xx",
                )
            ],
            6, ((None, p.GREEN), (0.005, p.RED)), "no requests", top=0.02,
        ),
        Panel(
            "timeseries", "Refusals by reason", "`busy` is overload: one of the gateway's bounds was reached.",
            p.PER_SECOND, [_rate("refusals_total", "reason")], 6, stacked=True, empty=_QUIET,
        ),
        Panel(
            "timeseries", "Upstream by status", "What the upstream answered.", p.PER_SECOND,
            [_rate("upstream_responses_total", "status")], 6, stacked=True, empty="no calls",
        ),
        Panel(
            "timeseries", "Clients that left", "Before their answer was complete. Their calls are booked all the same.",
            p.PER_SECOND, [Query(f"sum(rate({_of('client_gone_total')}[$__rate_interval]))", "left")], 6, empty=_QUIET,
            top=1,
        ),
    ),
)  # fmt: skip

_LATENCY = Row(
    "Latency: the gateway's and the upstream's",
    8,
    (
        Panel(
            "timeseries", "Whole request", "Served requests, from arrival to end.", p.SECONDS,
            _quantiles("request_duration_seconds", 'outcome="served"'), 6, empty="no calls",
        ),
        Panel(
            "timeseries", "Upstream", "The upstream's part: from sending to its last byte.", p.SECONDS,
            _quantiles("upstream_duration_seconds"), 6, empty="no calls",
        ),
        Panel(
            "timeseries", "Gateway", "What a forwarded call took besides. The objective is 0.1 s for 99 %.", p.SECONDS,
            _quantiles("overhead_seconds"), 6, ((None, p.GREEN), (0.1, p.RED)), "no calls", top=0.12,
        ),
        Panel(
            "timeseries", "Hold", "One round trip to the ledger, which sets the credits aside.", p.SECONDS,
            _quantiles("hold_duration_seconds"), 6, empty="no calls",
        ),
    ),
)  # fmt: skip

_LEDGER = Row(
    "Ledger",
    8,
    (
        Panel(
            "timeseries", "Ledger errors", "Calls to the store without a usable answer. Calls are refused meanwhile.",
            p.PER_SECOND, [_rate("ledger_errors_total", "code")], 5, empty=_QUIET, top=1,
        ),
        Panel(
            "timeseries", "Ends not booked yet", "Under way, and of those on disk. A pile that grows needs a look.",
            p.COUNT,
            [
                Query(f"sum({_of('settles_under_way')})", "under way"),
                Query(f"sum({_of('settles_on_disk')})", "on disk"),
            ],
            5, top=10,
        ),
        Panel(
            "timeseries", "Ends of holds", "By state and by how sure the charge is.", p.PER_SECOND,
            [_rate("settlements_total", "state", "flag")], 5, stacked=True, empty="no calls",
        ),
        Panel(
            "timeseries", "Open holds", "Calls under way on all gateways, as the ledger knows them.", p.COUNT,
            [Query("max by (tenant) (dezgo_gateway_holds_open)", "{{tenant}}")], 5, stacked=True,
            empty="the ledger cannot be read",
        ),
        Panel(
            "stat", "Oldest hold", "How long it is open. Calls end within `upstream.total_timeout_s`; older ones were "
            "left by a gateway that died, and are booked `uncertain` at their deadline.", p.SECONDS,
            [Query("max(dezgo_gateway_oldest_hold_seconds)", "oldest")], 4,
            ((None, p.GREEN), (300, p.YELLOW), (600, p.RED)), "no hold is open",
        ),
    ),
)  # fmt: skip

_ACCOUNT = Row(
    "The master account",
    6,
    (
        Panel(
            "stat", "Empty in", "How long the account lasts at the pace of the last six hours. Over all gateways.",
            p.SECONDS, [Query("dezgo_gateway:upstream_account_empty:seconds", "empty in")], 3, p.TO_EMPTY,
            "it does not fall",
        ),
        Panel(
            "stat", "Renewed in", "Until the plan's period ends, as the upstream last said.", p.SECONDS,
            [Query(f"min({_of('upstream_account_reset_seconds')})", "renewed in")], 3, empty="not told",
        ),
        Panel(
            "timeseries", "Left", "As the upstream last said, of its limit, and what calls under way will take.",
            p.CREDITS,
            [
                Query(f"min({_of('upstream_account_remaining_credits')})", "left"),
                Query(f"max({_of('upstream_account_limit_credits')})", "limit"),
                Query(f"sum({_of('upstream_account_in_flight_credits')})", "under way"),
            ],
            6, empty="not told yet",
        ),
        Panel(
            "stat", "Account", "Whether it bears calls, or they are refused for its sake.", p.COUNT,
            [Query(f"max({_of('upstream_account_exhausted')})", "account")], 3, empty="not told yet",
            words={0: ("well", p.GREEN), 1: ("refuses", p.RED)},
        ),
        Panel(
            "stat", "Promised", "Credits all tenants together may spend in 31 days by their own limits.", p.CREDITS,
            [Query(f"max({_of('tenants_promised_credits')})", "promised")], 3, empty="not told yet",
        ),
        Panel(
            "stat", "Oversold", "Credits promised to all tenants per credit the account has left. Above 1, not "
            "all can spend theirs.", p.TIMES,
            [Query(f"max({_of('upstream_account_oversubscription_ratio')})", "promised per credit left")],
            3, ((None, p.GREEN), (1, p.YELLOW)), "not told yet",
        ),
        Panel(
            "stat", "Foreign use",
            "Credits of the last hour that left the account by no call of any gateway here: somebody else has the key.",
            p.CREDITS, [Query("max(instance:dezgo_gateway_upstream_foreign_credits:increase1h)", "foreign")], 3,
            ((None, p.GREEN), (10, p.RED)), "not told yet",
        ),
    ),
)  # fmt: skip

_PRICES = Row(
    "Do prices hold?",
    8,
    (
        Panel(
            "timeseries", "Charged beside the quote",
            "Credits an hour by which charges lay over or under their quotes. Where it lasts, the tariff is old.",
            p.CREDITS_PER_HOUR, [_missed("quote_drift_credits_total")], 5, empty="every charge is as quoted",
        ),
        Panel(
            "table", "Which quotes missed", "Credits in the range by which charges lay over and under their quotes.",
            p.EXACT_CREDITS, [_missed_by("over"), _missed_by("under")], 6, empty="every charge is as quoted",
            sort="over",
        ),
        Panel(
            "timeseries", "Quotes that held", "How comparisons of quote and charge came out.", p.PER_SECOND,
            [_rate("quote_comparisons_total", "direction")], 5, stacked=True, empty="no calls",
        ),
        Panel(
            "timeseries", "Balance beside the charge",
            "Credits an hour by which the balance fell over or under what the upstream said it charged.",
            p.CREDITS_PER_HOUR, [_missed("balance_mismatch_credits_total")], 5, empty="the balance agrees",
        ),
        Panel(
            "stat", "Without proof",
            "Credits in the range that were booked `uncertain`, and those charged above what was held.", p.CREDITS,
            [
                Query(f"sum(increase({_UNCERTAIN}[$__range])) or vector(0)", "uncertain"),
                _total("credits_overrun_total", "over the hold"),
            ],
            3, p.ANY_IS_ODD,
        ),
    ),
)  # fmt: skip

_GATEWAYS = Row(
    "Gateways and their troubles",
    6,
    (
        Panel(
            "table", "Versions", "What runs where.", p.COUNT,
            [Query(f"max by (instance, version) ({_of('build_info')})", "running")], 6, empty="no gateway is scraped",
        ),
        Panel(
            "stat", "Troubles", "In the range; tenants that are closed now. Every one of these should be 0.", p.COUNT,
            [
                Query(f"max({_of('ledger_regressed_tenants')})", "tenants closed"),
                _total("ledger_regressions_total", "losses found"),
                _total("settles_given_up_total", "given up"),
                _total("spool_faults_total", "spool faults"),
                _total("mark_faults_total", "mark faults"),
            ],
            6, p.ANY_IS_BAD,
        ),
        Panel(
            "stat", "Not told", "Log lines that could not be written and requests that could not be counted.", p.COUNT,
            [_total("log_lines_dropped_total", "log lines"), _total("metrics_errors_total", "requests")],
            6, p.ANY_IS_BAD,
        ),
        Panel(
            "stat", "Key sets", "Since the oldest key set of an identity provider was fetched. Red: it is not renewed.",
            p.SECONDS, [Query(f"max({_of('identity_keys_age_seconds')})", "oldest")], 6,
            ((None, p.GREEN), (600, p.YELLOW), (900, p.RED)), "none are fetched",
        ),
    ),
)  # fmt: skip

VIEW = View(
    "dezgo-operations",
    "Dezgo: Operations",
    "Is the gateway well, and the ledger, the upstream and its account? For the people on call.",
    "now-3h",
    (p.labels_of("instance", "Gateway", "dezgo_gateway_build_info", "instance", many=True),),
    ("dezgo-credits", "Who spends?", "var-tenant=$__all"),
    (_SERVICE, _ERRORS, QUEUE, CLIENTS, _LATENCY, _LEDGER, _ACCOUNT, _PRICES, _GATEWAYS),
)
