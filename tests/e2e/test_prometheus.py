"""A real Prometheus looks at a real gateway: every panel, variable, rule and alert has its answer and its labels."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.ledger.budget import Path as Payer
from gateway.ledger.contract import HoldId
from gateway.units import Credits, Flag
from tests.e2e.conftest import MakeWorld
from tests.e2e.world import World
from tests.prometheus.shown import Json, expressions, variables
from tests.prometheus.test_rules import ALERTS, RECORDED, RULES
from tests.servers.prometheus import Prometheus, prometheus
from tests.tools import need_tool

# Panels that have nothing to show while all is well, no key sets are fetched and no call has to wait; an upstream that
# does not tell.
EMPTY_WHILE_WELL = {
    *("operations: Ledger errors", "operations: Balance beside the charge", "operations: Key sets"),
    *("operations: Wait for a turn", "operations: Renewed in"),
}
NOT_TOLD = {'max(dezgo_gateway_upstream_account_limit_credits{instance=~"$instance"})'}

# What no traffic gives reason for while gateway, ledger and account are well; not even pending.
NO_REASON_FOR = {
    *("DezgoForeignUse", "DezgoAccountExhausted", "DezgoLedgerDown", "DezgoLedgerRegressed", "DezgoLedgerClosed"),
    *("DezgoHoldLeftOpen", "DezgoSpoolGrows", "DezgoSettlesGivenUp", "DezgoDiskFaults", "DezgoGatewayDown"),
    *("DezgoKeySetStale", "DezgoWorkersMissing", "DezgoConnectionsRefused"),
}

FAULTS = ("price:1.1", "charge:missing", "status:500", "cut:head", "price:0.9")


async def traffic(here: World) -> None:
    """Calls of every outcome, again and again until cancelled."""
    while True:
        here.simulator.faults.next(*FAULTS)
        for _ in FAULTS:
            await here.generate()
        await here.ask("POST", "/text2image_sdxl", json={"prompt": "a"}, headers=here.key())
        await here.generate(name="poor")
        await here.generate({"prompt": "a", "width": 1024, "height": 1024})
        await here.generate({"prompt": "a", "steps": "many"})
        await here.ask("POST", "/text2image", json={"prompt": "a"})
        await asyncio.sleep(0.2)


@asynccontextmanager
async def watched(make_world: MakeWorld, folder: Path) -> AsyncIterator[tuple[World, Prometheus]]:
    """A gateway under traffic, with a hold that stays open, and a Prometheus that has seen it long enough."""
    program = need_tool("prometheus")
    async with make_world() as here, prometheus(program, folder, here.ops_url.removeprefix("http://")) as seen:
        hold = await here.running.ledger.hold(Payer(here.tenant("rich")), Credits(1), hold_id=HoldId("0" * 24))
        calling = asyncio.create_task(traffic(here))
        try:
            async with asyncio.timeout(30):
                while not await _whole(seen):
                    assert not calling.done(), calling
                    await asyncio.sleep(0.5)
            yield here, seen
        finally:
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
            await here.running.ledger.settle(hold, Credits.ZERO, Flag.CONFIRMED)


async def _whole(seen: Prometheus) -> bool:
    """Whether every rule has been evaluated over some samples, and the first alert fires."""
    firing = await seen.series('ALERTS{alertname="DezgoBudgetRefuses", alertstate="firing"}')
    return bool(firing) and {name for name in RECORDED if await seen.series(name)} == RECORDED


def _chosen(expression: str, tenant: str) -> str:
    """An expression as Grafana would send it."""
    for name, value in (
        ("$__rate_interval", "8s"),
        ("$__range", "30s"),
        ("$instance", ".*"),
        ('=~"$tenant"', '=~".*"'),
        ("$tenant", tenant),
    ):
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


async def test_every_panel_variable_rule_and_alert_has_an_answer(make_world: MakeWorld, tmp_path: Path) -> None:
    async with watched(make_world, tmp_path) as (here, seen):
        await _panels_have_answers(here, seen)
        await _variables_have_values(here, seen)
        await _rules_are_well(seen)
        await _alerts_say_whom_and_what(here, seen)


async def _panels_have_answers(here: World, seen: Prometheus) -> None:
    empty: set[str] = set()
    for name, target in expressions():
        found = await seen.series(_chosen(target["expr"], here.tenant("rich")))
        named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert all(named <= set(labels) for labels in found), (name, target["expr"], found)
        if not found and target["expr"] not in NOT_TOLD:
            empty.add(name)
    assert empty <= EMPTY_WHILE_WELL


async def _variables_have_values(here: World, seen: Prometheus) -> None:
    for _, variable in variables():
        if variable["type"] != "query":
            continue
        asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
        assert asked is not None, variable
        values = await seen.ask(f"label/{asked[2]}/values", **{"match[]": asked[1]})
        expected = {here.tenant("rich"), here.tenant("poor")} if asked[2] == "tenant" else {here.ops_url[7:]}
        assert set(values) == expected


async def _rules_are_well(seen: Prometheus) -> None:
    groups: list[Json] = (await seen.ask("rules"))["groups"]
    rules: list[dict[str, Any]] = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == len(RULES)
    assert not [rule for rule in rules if rule["health"] != "ok" or rule.get("lastError")]


async def _alerts_say_whom_and_what(here: World, seen: Prometheus) -> None:
    alerts: list[Json] = (await seen.ask("alerts"))["alerts"]
    assert set(ALERTS) > NO_REASON_FOR
    assert not {alert["labels"]["alertname"] for alert in alerts} & NO_REASON_FOR
    for alert in alerts:
        assert all("error expanding" not in text and "{{" not in text for text in alert["annotations"].values()), alert
    (refuses,) = [alert for alert in alerts if alert["labels"]["alertname"] == "DezgoBudgetRefuses"]
    assert (refuses["state"], refuses["labels"]["tenant"]) == ("firing", here.tenant("poor"))
