"""An operator's commands on the books of a gateway that goes on serving: list, refund, correct, and audits between."""

import json
from pathlib import Path

import pytest

from gateway.ledger.adjustment import REFUSALS
from gateway.ledger.budget import BudgetBook, Rule, TenantBudgets
from gateway.ledger.budget import Path as Payer
from gateway.ledger.contract import HoldId
from gateway.ledger.embedded import EmbeddedStore
from gateway.ledger.redis import RedisLedger
from gateway.ledger.store import Store
from gateway.ledger.window import Every, Window
from gateway.units import Credits, Flag
from tests.e2e.desk import WHO, Desk, run, three_calls
from tests.e2e.world import GATEWAY_YAML, SHIPPED, World


async def spent(here: World) -> Credits:
    (balance,) = await here.balances()
    assert not balance.held
    return balance.spent


async def test_an_uncertain_charge_is_listed_and_refunded_while_the_gateway_serves(desk: Desk, here: World) -> None:
    await three_calls(here)
    (doubtful,) = await desk.holds("--uncertain")
    assert (doubtful["credits"], doubtful["flag"], doubtful["by"]) == (19, "uncertain", "settle")
    assert str(doubtful["path"]) == f"{here.tenant('rich')}/-/ann"
    assert doubtful["hold"] in {line.get("request_id") for line in here.lines()}
    ran = await desk("refund", str(doubtful["hold"]), *WHO)
    assert (ran.status, ran.err) == (0, "")
    assert f"hold {doubtful['hold']}: 19 -> 0 credits" in ran.out
    assert await spent(here) == Credits.whole(38)
    await here.generate()
    assert await desk.holds("--uncertain") == []
    assert {hold["credits"] for hold in await desk.holds()} == {0, 19}
    assert (await here.audit()).differences == ()
    assert await spent(here) == Credits.whole(57)


async def test_the_same_command_again_changes_nothing_and_another_id_no_more_than_is_booked(
    desk: Desk, here: World
) -> None:
    await three_calls(here)
    (doubtful,) = await desk.holds("--unconfirmed")
    refund = ("refund", str(doubtful["hold"]), "--credits", "12", *WHO)
    for words in ("-> 7 credits", "was done before, nothing changed"):
        ran = await desk(*refund)
        assert (ran.status, words in ran.out) == (0, True)
    refused = await desk(*refund, "--id", "again")
    assert (refused.status, refused.out, refused.err) == (1, "", REFUSALS["too_much"] + "\n")
    assert await spent(here) == Credits.whole(45)


async def test_a_correction_books_what_the_invoice_says_and_confirms_it(desk: Desk, here: World) -> None:
    await three_calls(here)
    (doubtful,) = await desk.holds("--unconfirmed")
    ran = await desk("correct", str(doubtful["hold"]), "--credits", "20.5", *WHO)
    assert (ran.status, "19 -> 20.5 credits" in ran.out) == (0, True)
    assert await desk.holds("--unconfirmed") == []
    assert await spent(here) == Credits.parse("58.5")
    audit = await desk("audit")
    assert audit.status == 0
    assert f"{here.tenant('rich')}: 7 entries, 1 balances, 58.5 credits: agrees" in audit.out


async def test_what_is_listed_can_be_narrowed_to_a_time_and_a_number(desk: Desk, here: World) -> None:
    await three_calls(here)
    first, second, third = await desk.holds()
    assert await desk.holds("--since", str(third["at"])) == [third]
    assert await desk.holds("--most", "2") == [second, third]
    assert await desk.holds("--uncertain", "--unconfirmed") == [first, second]
    text = (await desk("list")).out.splitlines()
    assert [line.split("  ")[1] for line in text[:3]] == [first["hold"], second["hold"], third["hold"]]
    assert text[3] == "3 holds, 57 credits"


GRANT = ("grant", "--budget", "tenant/total", "--credits", "17.5", *WHO)


async def test_a_grant_opens_an_exhausted_budget_at_once_and_its_caller_sees_it(desk: Desk, here: World) -> None:
    for status in (200, 200, 402):
        assert (await here.generate(name="poor")).status == status
    await here.settled()
    ran = await desk(*GRANT, "--window", name="poor")
    assert (ran.status, "tenant/total: 17.5 credits more, for good" in ran.out) == (0, True), ran.err
    answer = await here.generate(name="poor")
    assert (answer.status, answer.fields["x-ratelimit-credits-limit"]) == (200, "57")
    await here.settled()
    document = (await here.ask("GET", "/gateway/budget", headers=here.key("poor"))).json()
    (budget,) = document["budgets"]
    shown = {name: budget[name] for name in ("limit", "granted", "spent", "remaining")}
    assert shown == {"limit": 57.5, "granted": 17.5, "spent": 57, "remaining": 0.5}
    found = await here.metrics()
    labels = f'budget="tenant/total",tenant="{here.tenant("poor")}"'
    for name, value in (("limit", 57.5), ("granted", 17.5), ("remaining", 0.5)):
        assert f"dezgo_gateway_budget_{name}_credits{{{labels}}} {value}" in found
    refused = await here.generate(name="poor")
    assert (refused.status, refused.json()["limit"], refused.json()["remaining"]) == (402, 57.5, 0.5)
    assert (await here.audit("poor")).differences == ()


async def test_a_grant_typed_twice_is_one_grant_and_can_be_taken_back(desk: Desk, here: World) -> None:
    for words in ("booked", "was done before"):
        ran = await desk(*GRANT, "--until", "2100-01-01T00:00:00+01:00", name="poor")
        assert (ran.status, words in ran.out) == (0, True), ran.err
    assert "until 2099-12-31T23:00:00.000Z" in ran.out
    given = ran.out.partition("operation ")[2].partition(":")[0]
    assert (await here.balances("poor"))[0].limit == Credits.parse("57.5")
    for status in (0, 1):
        taken = await desk("revoke", given, *WHO, "--id", f"take-{status}", name="poor")
        assert taken.status == status
    assert taken.err == REFUSALS["lapsed"] + "\n"
    assert (await here.balances("poor"))[0].limit == Credits.whole(40)
    assert (await desk("audit")).status == 0


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("refund", "never", *WHO), 1, REFUSALS["unknown"]),
        (("refund", "x", "--credits", "-1", *WHO), 2, "--credits"),
        (("refund", "x", "--actor", "=kim", "--reason", "why"), 2, "the actor begins with"),
        (("correct", "x", "--credits", "all", *WHO), 2, "--credits"),
        (GRANT, 2, "either --window or --until"),
        ((*GRANT, "--window", "--until", "2100-01-01T00:00:00Z"), 2, "either --window or --until"),
        ((*GRANT, "--until", "2020-01-01T00:00:00Z"), 1, REFUSALS["budget"]),
        (("revoke", "never", *WHO), 1, REFUSALS["lapsed"]),
        (("list", "--since", "yesterday"), 2, "2026-11-30T00:00:00Z"),
        (("list", "--since", "2026-11-30"), 2, "needs its time zone"),
        (("list", "--since", "0001-01-01T00:00:00Z"), 2, "needs its time zone"),
    ],
)
async def test_what_was_asked_wrongly_is_said_and_nothing_is_written(
    desk: Desk, words: tuple[str, ...], status: int, says: str
) -> None:
    ran = await desk(*words)
    assert (ran.status, ran.out, says in ran.err) == (status, "", True)
    assert (await desk.here.audit()).entries == 0


async def test_a_tenant_nobody_knows_is_no_empty_book(desk: Desk) -> None:
    ran = await desk("list", name="nobody")
    assert (ran.status, "no such tenant" in ran.err) == (2, True)


async def test_the_commands_adopt_the_store_a_gateway_runs_and_leave_it_running(tmp_path: Path) -> None:
    yaml = GATEWAY_YAML.replace("FLAVOUR", "direct").replace("UPSTREAM", "http://127.0.0.1:9")
    rest = [line for line in yaml.splitlines() if not line.startswith("ledger:")]
    (tmp_path / "gateway.yaml").write_text("\n".join([*rest, f'ledger: {{data_dir: "{tmp_path}/data"}}']))
    (tmp_path / "tenants.yaml").write_text("tenants: {solo: {budgets: [{credits: 100, every: total}]}}")
    (tmp_path / "tariff.yaml").write_bytes((SHIPPED / "tariff.yaml").read_bytes())
    environ = {"DEZGO_API_KEY": "DEZGO-" + "A" * 32, "TOKEN_SECRET": "s" * 43}
    limits = BudgetBook({"solo": TenantBudgets((Rule(Credits.whole(100), Window(Every.TOTAL)),))})
    async with EmbeddedStore(tmp_path / "data" / "store") as embedded:
        store = Store(embedded.url, deadline_s=10.0)
        ledger = RedisLedger(store, limits, hold_ttl_ms=60_000)
        held = await ledger.hold(Payer("solo"), Credits.whole(19), hold_id=HoldId("h"))
        await ledger.settle(held, Credits.whole(19), Flag.UNCERTAIN)
        ran = await run(tmp_path, environ, "refund", "h", "--tenant", "solo", *WHO)
        assert (ran.status, "19 -> 0 credits" in ran.out) == (0, True), ran.err
        assert embedded.owned
        (balance,) = await ledger.balances(Payer("solo"))
        assert balance.spent == Credits.ZERO
        await store.close()
    # Nobody runs it now: the command starts it, and stops it again.
    ran = await run(tmp_path, environ, "list", "--tenant", "solo", "--json")
    assert (ran.status, json.loads(ran.out)["credits"]) == (0, 0), ran.err
    assert not (tmp_path / "data" / "store" / "store.sock").exists()
