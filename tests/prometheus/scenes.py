"""Scenes: what Prometheus has seen, and whether an alert fires at the end of it. Series in promtool's own notation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scene:
    """One alert in one situation.

    Attributes:
        alert: its name.
        when: the situation, in words.
        series: samples, one a minute: `0+1x60` is 0 and 60 more, each greater by 1.
        at: when to look: minutes or hours after the first sample.
        fires: the labels of every alert that must be there, without name and severity; none must be there unless given.
    """

    alert: str
    when: str
    series: Mapping[str, str]
    at: str
    fires: tuple[Labels, ...] = field(default=())


STUDIO = {"tenant": "studio", "budget": "tenant/day"}
ONE, OTHER = {"instance": "a:8081"}, {"instance": "b:8081"}
JOB = 'job="dezgo-gateway",instance="a:8081"'
_FAR = "80000x600"


def _budget(spent: str, *, held: str = "0x600", limit: str = "1000x600") -> dict[str, str]:
    """A budget's gauges, as two gateways show them."""
    found: dict[str, str] = {}
    for instance in ("a:8081", "b:8081"):
        labels = f'{{tenant="studio",budget="tenant/day",instance="{instance}"}}'
        gauges = {"spent": spent, "held": held, "limit": limit}
        found |= {f"dezgo_gateway_budget_{what}_credits{labels}": values for what, values in gauges.items()}
    return found


def _with_rest(spent: str, remaining: str, reset: str | None) -> dict[str, str]:
    labels = '{tenant="studio",budget="tenant/day",instance="a:8081"}'
    found = _budget(spent) | {f"dezgo_gateway_budget_remaining_credits{labels}": remaining}
    return found if reset is None else found | {f"dezgo_gateway_budget_reset_seconds{labels}": reset}


def _charged(values: str, *, flag: str = "confirmed", instance: str = "a:8081") -> dict[str, str]:
    labels = f'{{tenant="studio",method="text2image",flag="{flag}",instance="{instance}"}}'
    return {f"dezgo_gateway_credits_charged_total{labels}": values}


def _refused(reason: str, values: str) -> dict[str, str]:
    return {f'dezgo_gateway_refusals_total{{reason="{reason}",tenant="studio",instance="a:8081"}}': values}


def _workers(wanted: str, ready: str) -> dict[str, str]:
    states = {"wanted": wanted, "ready": ready}
    return {f'dezgo_gateway_workers{{state="{state}",instance="a:8081"}}': values for state, values in states.items()}


def _left(values: str) -> dict[str, str]:
    return {'dezgo_gateway_upstream_account_remaining_credits{instance="a:8081"}': values}


def _plain(name: str, values: str) -> dict[str, str]:
    return {f'{name}{{instance="a:8081"}}': values}


def _oldest(values: str) -> dict[str, str]:
    return {'dezgo_gateway_oldest_hold_seconds{tenant="studio",instance="a:8081"}': values}


def _foreign(values: str, instance: str = "a:8081") -> dict[str, str]:
    return {f'dezgo_gateway_upstream_foreign_credits_total{{instance="{instance}"}}': values}


def _drift(values: str) -> dict[str, str]:
    return {
        'dezgo_gateway_quote_drift_credits_total{method="text2image",direction="over",instance="a:8081"}': values,
        'dezgo_gateway_credits_quoted_total{tenant="studio",method="text2image",instance="a:8081"}': "0+100x600",
    }


def _requests(good: str, bad: str) -> dict[str, str]:
    name = "dezgo_gateway_requests_total"
    return {
        f'{name}{{route="text2image",outcome="served",status_class="2xx",instance="a:8081"}}': good,
        f'{name}{{route="text2image",outcome="failed",status_class="5xx",instance="a:8081"}}': bad,
    }


def _overhead(all_of_them: str, quick: str) -> dict[str, str]:
    name = "dezgo_gateway_overhead_seconds"
    return {
        f'{name}_count{{instance="a:8081"}}': all_of_them,
        f'{name}_bucket{{le="0.1",instance="a:8081"}}': quick,
    }


def _duration(all_of_them: str, quick: str) -> dict[str, str]:
    name, labels = "dezgo_gateway_request_duration_seconds", 'method="text2image",outcome="served",instance="a:8081"'
    return {f"{name}_count{{{labels}}}": all_of_them, f'{name}_bucket{{{labels},le="30.0"}}': quick}


ERRORS, OVERHEAD, DURATION = {"slo": "errors"}, {"slo": "overhead"}, {"slo": "duration"}

BUDGETS = (
    Scene("DezgoBudget80", "four fifths are spent", _budget("800x60"), "30m", (STUDIO,)),
    Scene("DezgoBudget80", "four fifths are spent or held", _budget("500x60", held="300x60"), "30m", (STUDIO,)),
    Scene("DezgoBudget80", "a little less is spent", _budget("799x60"), "30m"),
    Scene("DezgoBudget80", "it was that much for a minute", _budget("100x28 900x2 100x60"), "30m"),
    Scene("DezgoBudget80", "a budget allows nothing", _budget("0x60", limit="0x60"), "30m"),
    Scene("DezgoBudget95", "19 of 20 are spent", _budget("950x60"), "30m", (STUDIO,)),
    Scene("DezgoBudget95", "a little less is spent", _budget("949x60"), "30m"),
    Scene("DezgoBudget100", "all is spent", _budget("1000x60"), "30m", (STUDIO,)),
    Scene("DezgoBudget100", "what no call is cheap enough for is left", _budget("999.2x60"), "30m", (STUDIO,)),
    Scene("DezgoBudget100", "a few credits are left", _budget("998x60"), "30m"),
    Scene(
        "DezgoBudgetRefuses", "a budget refuses", _refused("budget_exhausted", "0+1x60"), "30m", ({"tenant": "studio"},)
    ),
    Scene("DezgoBudgetRefuses", "it refused an hour ago", _refused("budget_exhausted", "0+1x10 10x90"), "80m"),
    Scene("DezgoBudgetRefuses", "something else refuses", _refused("above_ceiling", "0+1x60"), "30m"),
    Scene(
        "DezgoBudgetRunsOut", "an hour is left and nine to go", _with_rest("0+5x130", "1000-5x130", _FAR), "120m",
        (STUDIO,),
    ),
    Scene("DezgoBudgetRunsOut", "its window ends first", _with_rest("0+5x130", "1000-5x130", "3600x600"), "120m"),
    Scene("DezgoBudgetRunsOut", "less than half is used", _with_rest("0+3x130", "1000-3x130", _FAR), "120m"),
    Scene("DezgoBudgetRunsOut", "nothing is spent any more", _with_rest("900x130", "100x130", _FAR), "120m"),
    Scene(
        "DezgoBudgetRunsOut", "a window has begun anew", _with_rest("900x100 0+1x60", "100x100 1000-1x60", _FAR), "130m"
    ),
    Scene(
        "DezgoFixedBudgetRunsOut", "it never begins anew", _with_rest("0+5x130", "1000-5x130", None), "120m", (STUDIO,)
    ),
    Scene("DezgoFixedBudgetRunsOut", "it does", _with_rest("0+5x130", "1000-5x130", _FAR), "120m"),
    Scene("DezgoFixedBudgetRunsOut", "it lasts for months", _with_rest("0+0.001x130", "999x130", None), "120m"),
)  # fmt: skip

ACCOUNT = (
    Scene("DezgoAccountRunsOutSoon", "it lasts for two days", _left("288000-100x600"), "90m", ({},)),
    Scene("DezgoAccountRunsOutSoon", "it lasts for a month", _left("4320000-100x600"), "90m"),
    Scene("DezgoAccountRunsOutSoon", "it was filled up", _left("1000x30 90000x600"), "90m"),
    Scene("DezgoAccountRunsOutSoon", "nobody knows what is left", _plain("up", "1x600"), "90m"),
    Scene("DezgoAccountRunsOutNow", "it lasts for five hours", _left("40000-100x600"), "100m", ({},)),
    Scene("DezgoAccountRunsOutNow", "it lasts for two days", _left("288000-100x600"), "90m"),
    Scene(
        "DezgoAccountExhausted", "it refuses", _plain("dezgo_gateway_upstream_account_exhausted", "0x5 1x30"), "15m",
        ({},),
    ),
    Scene("DezgoAccountExhausted", "it bears calls", _plain("dezgo_gateway_upstream_account_exhausted", "0x60"), "15m"),
    Scene("DezgoForeignUse", "credits leave by no call", _foreign("0+1x120"), "90m", (ONE,)),
    Scene("DezgoForeignUse", "our own calls explain it", _foreign("0x120") | _charged("0+19x120"), "90m"),
    Scene(
        "DezgoForeignUse", "two gateways see each other's calls",
        _foreign("0+19x120") | _foreign("0+38x120", "b:8081")
        | _charged("0+38x120") | _charged("0+19x120", instance="b:8081"),
        "90m",
    ),
    Scene(
        "DezgoForeignUse", "two gateways see each other's calls and somebody else's",
        _foreign("0+69x120") | _foreign("0+88x120", "b:8081")
        | _charged("0+38x120") | _charged("0+19x120", instance="b:8081"),
        "90m", (ONE, OTHER),
    ),
    Scene("DezgoForeignUse", "an idle gateway sees another's calls",
          _foreign("0+19x120", "b:8081") | _foreign("0x120") | _charged("0+19x120"), "90m"),
    Scene("DezgoQuoteDrift", "three of a hundred credits miss", _drift("0+3x120"), "90m", ({"method": "text2image"},)),
    Scene("DezgoQuoteDrift", "one of a hundred misses", _drift("0+1x120"), "90m"),
    Scene("DezgoUncertainCredits", "a tenth is not proven",
          _charged("0+90x120") | _charged("0+10x120", flag="uncertain"), "90m", ({"tenant": "studio"},)),
    Scene("DezgoUncertainCredits", "a hundredth is not proven",
          _charged("0+99x120") | _charged("0+1x120", flag="uncertain"), "90m"),
)  # fmt: skip

LEDGER = (
    Scene("DezgoLedgerDown", "the store is silent", _plain("dezgo_gateway_ledger_up", "1x5 0x30"), "15m", (ONE,)),
    Scene("DezgoLedgerDown", "it answers", _plain("dezgo_gateway_ledger_up", "1x60"), "15m"),
    Scene(
        "DezgoLedgerRegressed", "two tenants are closed", _plain("dezgo_gateway_ledger_regressed_tenants", "0x5 2x30"),
        "15m", ({},),
    ),
    Scene("DezgoLedgerRegressed", "none is", _plain("dezgo_gateway_ledger_regressed_tenants", "0x60"), "15m"),
    Scene("DezgoLedgerClosed", "a balance is gone, for the first time", _refused("ledger_missing", "_x20 1x60"), "25m",
          ({"tenant": "studio", "reason": "ledger_missing"},)),
    Scene("DezgoLedgerClosed", "an unreadable one refuses again", _refused("ledger_poisoned", "1x20 2x9"), "25m",
          ({"tenant": "studio", "reason": "ledger_poisoned"},)),
    Scene("DezgoLedgerClosed", "it was repaired an hour ago", _refused("ledger_missing", "_x5 1x90"), "80m"),
    Scene("DezgoLedgerClosed", "the store is only away", _refused("ledger_unavailable", "0+1x60"), "25m"),
    Scene("DezgoHoldLeftOpen", "one is open for a quarter of an hour", _oldest("0+60x15"), "15m",
          ({"tenant": "studio"},)),
    Scene("DezgoHoldLeftOpen", "each ends soon", _oldest("3 250 40 12x60"), "30m"),
    Scene("DezgoSpoolGrows", "ends pile up", _plain("dezgo_gateway_settles_on_disk", "0+4x60"), "30m", (ONE,)),
    Scene("DezgoSpoolGrows", "a few are under way", _plain("dezgo_gateway_settles_on_disk", "3 5 2 4x60"), "30m"),
    Scene("DezgoSpoolGrows", "a pile is worked off", _plain("dezgo_gateway_settles_on_disk", "900-10x60"), "30m"),
    Scene("DezgoSettlesGivenUp", "one was", _plain("dezgo_gateway_settles_given_up_total", "0x20 1x60"), "30m", (ONE,)),
    Scene("DezgoSettlesGivenUp", "one was hours ago", _plain("dezgo_gateway_settles_given_up_total", "0 1x90"), "80m"),
    Scene("DezgoDiskFaults", "an end was not written",
          _plain("dezgo_gateway_spool_faults_total", "0x20 1x60") | _plain("dezgo_gateway_mark_faults_total", "0x90"),
          "30m", (ONE,)),
    Scene("DezgoDiskFaults", "a mark was not written",
          _plain("dezgo_gateway_spool_faults_total", "0x90") | _plain("dezgo_gateway_mark_faults_total", "0x20 1x60"),
          "30m", (ONE,)),
    Scene("DezgoDiskFaults", "all is written",
          _plain("dezgo_gateway_spool_faults_total", "0x90") | _plain("dezgo_gateway_mark_faults_total", "0x90"),
          "30m"),
)  # fmt: skip

SERVICE = (
    Scene("DezgoGatewayDown", "it cannot be scraped", {f"up{{{JOB}}}": "1x5 0x30"}, "15m",
          ({"job": "dezgo-gateway", **ONE},)),
    Scene("DezgoGatewayDown", "it can", {f"up{{{JOB}}}": "1x60"}, "15m"),
    Scene("DezgoGatewayDown", "something else cannot", {'up{job="other",instance="c"}': "0x60"}, "15m"),
    Scene("DezgoKeySetStale", "nothing was fetched for long",
          _plain("dezgo_gateway_identity_keys_age_seconds", "0+60x60"), "40m", (ONE,)),
    Scene("DezgoKeySetStale", "it is fetched every few minutes",
          _plain("dezgo_gateway_identity_keys_age_seconds", "0 60 120 180 240 0 60 120 180 240 0x50"), "40m"),
    Scene("DezgoWorkersMissing", "one of three is not there", _workers("3x60", "3x10 2x50"), "30m", (ONE,)),
    Scene("DezgoWorkersMissing", "one was replaced at once", _workers("3x60", "3x10 2x1 3x48"), "30m"),
    Scene("DezgoLoopLags", "for half an hour", _plain("dezgo_gateway_event_loop_lag_seconds", "0.9x60"), "30m", (ONE,)),
    Scene("DezgoLoopLags", "for a moment", _plain("dezgo_gateway_event_loop_lag_seconds", "0x20 2x1 0x40"), "30m"),
    Scene("DezgoOverloaded", "calls find no place", _refused("overloaded", "0+60x60"), "30m", (ONE,)),
    Scene("DezgoOverloaded", "bodies find no room", _refused("busy", "0+60x60"), "30m", (ONE,)),
    Scene("DezgoOverloaded", "one now and then", _refused("overloaded", "0+1x60"), "30m"),
    Scene("DezgoOverloaded", "budgets are empty", _refused("budget_exhausted", "0+60x60"), "30m"),
    Scene("DezgoConnectionsRefused", "there is no room",
          _plain("dezgo_gateway_connections_refused_total", "0x10 0+30x50"), "30m", (ONE,)),
    Scene("DezgoConnectionsRefused", "there was none for a moment",
          _plain("dezgo_gateway_connections_refused_total", "0x10 50x50"), "30m"),
    Scene("DezgoConnectionsRefused", "there is room", _plain("dezgo_gateway_connections_refused_total", "7x60"), "30m"),
    Scene("DezgoBurnsFast", "a tenth of all requests fails", _requests("0+90x120", "0+10x120"), "90m", (ERRORS,)),
    Scene("DezgoBurnsFast", "it did until ten minutes ago", _requests("0+90x120", "0+10x80 800x40"), "95m"),
    Scene("DezgoBurnsFast", "a fifth fails, for ten minutes so far",
          _requests("0+100x80 8080+80x12", "0x80 20+20x12"), "90m"),
    Scene("DezgoBurnsFast", "one in a thousand fails", _requests("0+999x120", "0+1x120"), "90m"),
    Scene("DezgoBurnsFast", "nobody calls", _requests("5x120", "5x120"), "90m"),
    Scene("DezgoBurnsFast", "a fifth of all calls is held up here", _overhead("0+100x120", "0+80x120"), "90m",
          (OVERHEAD,)),
    Scene("DezgoBurnsFast", "a fifth of all calls takes too long", _duration("0+100x120", "0+80x120"), "90m",
          (DURATION,)),
    Scene("DezgoBurnsSteadily", "one in twenty requests fails", _requests("0+95x600", "0+5x600"), "9h", (ERRORS,)),
    Scene("DezgoBurnsSteadily", "it is an hour so far",
          _requests("0+100x500 50094+94x60", "0x500 6+6x60"), "555m"),
    Scene("DezgoBurnsSteadily", "it ended an hour ago", _requests("0+90x600", "0+10x480 4800x120"), "9h"),
    Scene("DezgoBurnsSteadily", "one in a hundred fails", _requests("0+99x600", "0+1x600"), "9h"),
    Scene("DezgoBurnsSlowly", "one in a hundred fails", _requests("0+99x900", "0+1x900"), "14h", (ERRORS,)),
    Scene("DezgoBurnsSlowly", "it ended six hours ago", _requests("0+99x900", "0+1x450 450x450"), "14h"),
    Scene("DezgoBurnsSlowly", "one in a thousand fails", _requests("0+999x900", "0+1x900"), "14h"),
)  # fmt: skip

SCENES = (*BUDGETS, *ACCOUNT, *LEDGER, *SERVICE)
