"""A store that forgets, as callers, operators and metrics see it; and what an operator does about it."""

from gateway.ledger import keys
from gateway.units import Credits
from tests.contract.keepers import StoreKeeper
from tests.e2e.conftest import MakeWorld
from tests.e2e.desk import WHO, Desk
from tests.e2e.world import World, until


def keeper(here: World, store_url: str, name: str = "rich") -> StoreKeeper:
    return StoreKeeper(store_url, here.tenant(name))


def events(here: World, name: str) -> list[dict[str, object]]:
    return [line for line in here.lines() if line.get("event") == name]


async def forgotten(here: World, store_url: str) -> None:
    """The store loses all it knows of the tenant."""
    hand = keeper(here, store_url)
    await hand.fall_back("never photographed")
    await hand.store.close()


async def test_a_store_that_forgot_refuses_its_tenant_alone_until_an_operator_accepts(
    desk: Desk, here: World, store_url: str
) -> None:
    assert (await here.generate()).status == 200
    await here.settled()
    await forgotten(here, store_url)
    refused = await here.generate()
    assert (refused.status, refused.json()["reason"]) == (503, "ledger_regressed")
    assert "retry-after" in refused.fields
    assert (await here.generate(name="poor")).status == 200
    await until(lambda: events(here, "ledger_regressed"))
    (event,) = events(here, "ledger_regressed")
    assert event["tenant"] == here.tenant("rich")
    shown = await here.metrics()
    assert "dezgo_gateway_ledger_regressed_tenants 1.0" in shown
    assert "dezgo_gateway_ledger_regressions_total 1.0" in shown
    assert 'dezgo_gateway_ledger_errors_total{code="regressed"} 1.0' in shown
    ran = await desk("accept", *WHO)
    assert (ran.status, "is given up" in ran.out, "booked" in ran.out) == (0, True, True), ran.err
    again = await desk("accept", *WHO)
    assert (again.status, "was done before" in again.out) == (0, True)
    assert (await here.generate()).status == 200
    await until(lambda: events(here, "ledger_recovered"))
    assert events(here, "ledger_recovered")[0]["by"] == "other"
    audit = await here.audit()
    assert (audit.differences, audit.spent) == ((), Credits.whole(38))
    assert "dezgo_gateway_ledger_regressed_tenants 0.0" in await here.metrics()


async def test_a_balance_that_is_gone_closes_its_tenant_until_it_is_repaired(
    desk: Desk, here: World, store_url: str
) -> None:
    assert (await here.generate(name="poor")).status == 200
    await here.settled()
    hand = keeper(here, store_url, "poor")
    await hand.store.call("DEL", keys.balance(hand.tenant, "tenant/total|0"))
    refused = await here.generate(name="poor")
    assert (refused.status, refused.json()["reason"]) == (503, "ledger_missing")
    ran = await desk("audit")
    assert (ran.status, "DIFFERS in 3 places" in ran.out) == (1, True)
    told = await desk("repair", "--dry-run", *WHO, name="poor")
    assert (told.status, "tenant/total|0| spent: -1 -> 19000" in told.out) == (0, True), told.err
    assert (await here.generate(name="poor")).status == 503
    ran = await desk("repair", *WHO, name="poor")
    assert (ran.status, "3 differences set right" in ran.out) == (0, True), ran.err
    assert (await here.generate(name="poor")).status == 200
    assert (await here.generate(name="poor")).status == 402
    assert (await desk("audit")).status == 0
    nothing = await desk("repair", *WHO, name="poor")
    assert (nothing.status, "0 differences, nothing was changed" in nothing.out) == (0, True)
    await hand.store.close()


async def test_an_audit_goes_on_past_a_tenant_whose_journal_cannot_be_counted(
    desk: Desk, here: World, store_url: str
) -> None:
    hand = keeper(here, store_url)
    await hand.store.call("XADD", keys.journal(hand.tenant), "*", "op", "gift")
    ran = await desk("audit")
    assert (ran.status, ran.err) == (1, "")
    assert f"{hand.tenant}: the journal cannot be counted" in ran.out
    assert f"{here.tenant('poor')}: 0 entries" in ran.out
    await hand.store.call("DEL", keys.journal(hand.tenant))
    await hand.store.close()


async def test_the_charge_of_a_hold_the_store_lost_in_flight_is_booked_and_told(
    make_world: MakeWorld, store_url: str
) -> None:
    environ = {"DEZGO_GATEWAY_FAILPOINTS": "before_settle=pause:3000"}
    async with make_world(environ=environ) as here:
        assert (await here.generate()).status == 200
        await forgotten(here, store_url)
        await here.settled()
        await until(lambda: events(here, "settle_recovered"))
        (event,) = events(here, "settle_recovered")
        assert event["hold_id"] in {line.get("request_id") for line in here.lines()}
        assert 'dezgo_gateway_settlements_total{flag="confirmed",state="recovered"} 1.0' in await here.metrics()
        (balance,) = await here.balances()
        assert (balance.spent, balance.held) == (Credits.whole(19), Credits.ZERO)
        assert (await here.audit()).differences == ()


async def test_what_a_failover_lost_of_the_last_minute_is_booked_again_without_an_operator(
    make_world: MakeWorld, store_url: str
) -> None:
    async with make_world() as here:
        hand = keeper(here, store_url)
        await here.generate()
        await here.settled()
        await hand.photograph()
        for _ in range(3):
            await here.generate()
        await here.settled()
        await hand.fall_back()
        assert (await here.generate()).status == 503
        await until(lambda: events(here, "ledger_recovered"), within_s=20)
        (event,) = events(here, "ledger_recovered")
        assert (event["by"], event["booked_again"]) == ("gateway", 3)
        assert (await here.generate()).status == 200
        audit = await here.audit()
        assert (audit.differences, audit.spent) == ((), Credits.whole(95))
        accepted = [entry for entry in await hand.journal() if entry["op"] == "accept"]
        assert [entry["actor"] for entry in accepted] == ["gateway"]
        await hand.store.close()
