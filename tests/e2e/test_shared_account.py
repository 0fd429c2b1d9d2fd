"""The company's one account: never asked beyond its floor, back when it is filled, and watched for strangers."""

import asyncio
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from gateway.units import Credits
from tests.e2e.conftest import MakeWorld
from tests.e2e.test_metrics import samples, total
from tests.e2e.world import Seen, World, until

BOTH = pytest.mark.parametrize("flavour", ["direct", "rapidapi"])

TENANTS = """
tenants:
  rich-TAG: {budgets: [{credits: 100000, every: month}, {credits: 70000, every: total}]}
  poor-TAG: {budgets: [{credits: 40, every: day}]}
"""


def account(credits: int, *, floor: int = 0, exhausted_s: float = 30.0) -> dict[str, Any]:
    """Settings of a world whose account holds so much."""
    environ = {
        "DEZGO_GATEWAY__UPSTREAM__FLOOR_CREDITS": str(floor),
        "DEZGO_GATEWAY__UPSTREAM__EXHAUSTED_S": str(exhausted_s),
    }
    return {"balance_usd": Decimal(credits) / 10_000, "quota_credits": credits, "environ": environ}


def events(here: World, name: str) -> list[dict[str, Any]]:
    return [line for line in here.lines() if line["event"] == name]


async def burst(here: World, calls: int) -> list[Seen]:
    return list(await asyncio.gather(*(here.generate() for _ in range(calls))))


def reasons(answers: list[Seen]) -> Counter[str]:
    return Counter("ok" if answer.status == 200 else answer.json()["reason"] for answer in answers)


async def stolen(here: World, times: int = 1) -> None:
    """Somebody else uses the key."""
    field = "X-Dezgo-Key" if here.settings.upstream.flavour == "direct" else "X-RapidAPI-Key"
    key = here.settings.secrets.upstream_key
    assert key is not None
    for _ in range(times):
        async with here.session.post(
            here.simulator.url + "/text2image", json={"prompt": "a"}, headers={field: key.get_secret_value()}
        ) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(("left", "floor", "served"), [(200, 0, 10), (208, 0, 10), (200, 50, 7), (18, 0, 0)])
@BOTH
async def test_under_concurrency_the_account_is_never_asked_beyond_its_floor(
    make_world: MakeWorld, flavour: str, left: int, floor: int, served: int
) -> None:
    async with make_world(flavour=flavour, delay_s=0.02, **account(left + 19, floor=floor)) as here:
        assert (await here.generate()).status == 200
        answers = await burst(here, 40)
        for _ in range(3):  # what was let go by the first burst is found by the next, one by one at last
            answers += await burst(here, 5)
        assert reasons(answers) == Counter(ok=served, upstream_exhausted=len(answers) - served)
        assert here.simulator.book.balance == left - 19 * served >= floor
        # Not once did the upstream itself have to refuse.
        assert here.simulator.received.counts["/text2image"] == served + 1
        await here.settled()
        (balance,) = await here.balances()
        assert (balance.spent, balance.held) == (Credits.whole(19 * (served + 1)), Credits.ZERO)
        assert not (await here.audit()).differences
        await until(lambda: bool(events(here, "upstream_account_exhausted")))
        assert len(events(here, "upstream_account_exhausted")) == 1


@BOTH
async def test_a_refusal_names_the_account_and_neither_the_callers_budget_nor_the_accounts_numbers(
    make_world: MakeWorld, flavour: str
) -> None:
    async with make_world(flavour=flavour, **account(37)) as here:
        await here.generate()
        answer = await here.generate()
        document = answer.json()
        assert (answer.status, document["type"]) == (503, "urn:dezgo-gateway:problem:upstream-exhausted")
        assert "own budget is not the reason" in document["detail"]
        assert "18" not in answer.body.decode().replace(document["instance"], "")
        quote = await here.ask("POST", "/gateway/quote/text2image", json={"prompt": "a"}, headers=here.key())
        assert (quote.json()["verdict"], quote.json()["refused_by"]) == ("refused", "shared-account")
        assert quote.json()["cheaper"] is None


@BOTH
async def test_nobody_knows_of_the_first_burst_and_the_upstreams_own_refusal_stops_the_rest(
    make_world: MakeWorld, flavour: str
) -> None:
    async with make_world(flavour=flavour, delay_s=0.02, **account(100)) as here:
        found = reasons(await burst(here, 20))
        assert found == {"ok": 5, "upstream_exhausted": 15}
        asked = here.simulator.received.counts["/text2image"]
        assert reasons(await burst(here, 20)) == {"upstream_exhausted": 20}
        assert here.simulator.received.counts["/text2image"] == asked
        (balance,) = await here.balances()
        assert (balance.spent, balance.held) == (Credits.whole(95), Credits.ZERO)


@BOTH
async def test_an_account_that_is_filled_again_is_found_by_itself(make_world: MakeWorld, flavour: str) -> None:
    async with make_world(flavour=flavour, **account(20, exhausted_s=0.05)) as here:
        await here.generate()
        assert (await here.generate()).status == 503
        here.simulator.book.top_up(Decimal(1_000))
        async with asyncio.timeout(10):
            while (await here.generate()).status != 200:
                pass
        assert reasons(await burst(here, 10)) == {"ok": 10}
        await until(lambda: bool(events(here, "upstream_account_recovered")))
        assert len(events(here, "upstream_account_recovered")) == 1
        found = await samples(here)
        assert total(found, "upstream_account_exhausted") == 0
        assert total(found, "upstream_foreign_credits_total") == 0


async def test_an_account_filled_above_its_floor_is_found_by_asking_not_by_spending(make_world: MakeWorld) -> None:
    async with make_world(**account(77, floor=50, exhausted_s=0.05)) as here:
        await here.generate()
        assert (await here.generate()).status == 503
        await until(lambda: here.simulator.received.counts["/account/tx/last"] >= 3)
        assert (await here.generate()).status == 503
        assert here.simulator.book.balance == 58
        here.simulator.book.top_up(Decimal(1_000))
        await until(lambda: bool(events(here, "upstream_account_recovered")))
        assert (await here.generate()).status == 200
        asked = here.simulator.received.counts["/account/tx/last"]
        assert (await here.generate()).status == 200
        assert here.simulator.received.counts["/account/tx/last"] == asked


@BOTH
async def test_somebody_else_with_the_key_is_seen_and_said_once(make_world: MakeWorld, flavour: str) -> None:
    async with make_world(flavour=flavour) as here:
        await burst(here, 5)
        await here.generate()
        assert total(await samples(here), "upstream_foreign_credits_total") == 0
        await stolen(here, 2)
        await here.generate()
        await stolen(here)
        await here.generate()
        assert total(await samples(here), "upstream_foreign_credits_total") == 57
        await until(lambda: bool(events(here, "upstream_account_foreign_use")))
        (said,) = events(here, "upstream_account_foreign_use")
        assert said["credits"] == 38


async def test_a_thief_is_seen_among_the_calls_of_a_busy_gateway(make_world: MakeWorld) -> None:
    async with make_world(delay_s=0.01) as here:
        await here.generate()
        await asyncio.gather(*(here.generate() for _ in range(30)), stolen(here, 4))
        await here.generate()
        assert total(await samples(here), "upstream_foreign_credits_total") == 4 * 19
        assert here.simulator.book.total == 36 * 19


@BOTH
async def test_faults_of_the_upstream_are_not_taken_for_a_thief(make_world: MakeWorld, flavour: str) -> None:
    faults = ("cut:head", "charge:missing", "garbage", "status:500 charged", "status:400", "price:1.5", "html_5xx")
    async with make_world(flavour=flavour) as here:
        await here.generate()
        for fault in faults:
            here.simulator.faults.next(fault)
            await here.generate()
            await here.generate()
        assert total(await samples(here), "upstream_foreign_credits_total") == 0
        assert not events(here, "upstream_account_foreign_use")


async def test_a_charge_that_the_balance_does_not_bear_out_is_counted_with_its_method(make_world: MakeWorld) -> None:
    async with make_world() as here:
        await here.generate()
        await here.generate()
        here.simulator.faults.next("charge:zero")
        await here.generate()
        found = await samples(here)
        assert total(found, "balance_comparisons_total", method="text2image", direction="equal") == 1
        assert total(found, "balance_comparisons_total", method="text2image", direction="over") == 1
        assert total(found, "balance_mismatch_credits_total", method="text2image", direction="over") == 19
        await until(lambda: bool(events(here, "upstream_balance_mismatch")))
        (said,) = events(here, "upstream_balance_mismatch")
        assert (said["method"], said["difference"]) == ("text2image", 19)


@BOTH
async def test_what_was_promised_is_shown_beside_what_there_is(make_world: MakeWorld, flavour: str) -> None:
    async with make_world(flavour=flavour, tenants=TENANTS, **account(35_639)) as here:
        found = await samples(here)
        promised = 70_000 + 31 * 40
        assert total(found, "tenants_promised_credits") == promised
        assert "upstream_account_oversubscription_ratio" not in {name for name, _ in found}
        await here.generate()
        found = await samples(here)
        assert total(found, "upstream_account_oversubscription_ratio") == promised / 35_620
        assert total(found, "upstream_account_remaining_credits") == 35_620
        assert total(found, "upstream_account_in_flight_credits") == 0
