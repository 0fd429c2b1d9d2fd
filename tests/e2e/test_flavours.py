"""Both ways the upstream is sold: which key goes up, which numbers come back, and what an empty budget is called."""

from collections.abc import Mapping

import pytest

from tests.e2e.conftest import MakeWorld
from tests.e2e.world import World

# Of the upstream's numbers about the company's own account, none may pass under any name.
ACCOUNT_FIELDS = {"x-dezgo-balance-index", "x-dezgo-auth-userid", "x-rapidapi-version", "x-rapidapi-region"}


def token_fields(here: World, name: str = "rich") -> dict[str, Mapping[str, str]]:
    """The same token in every place a client may put it."""
    token = here.token(name)
    return {
        "dezgo": {"X-Dezgo-Key": token},
        "rapidapi": {"X-RapidAPI-Key": token, "X-RapidAPI-Host": "dezgo.p.rapidapi.com"},
        "rapidapi, key alone": {"x-rapidapi-key": token},
        "bearer": {"Authorization": f"Bearer {token}"},
    }


PLACES = ("dezgo", "rapidapi", "rapidapi, key alone", "bearer")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("flavour", ["direct", "rapidapi"])
async def test_the_master_key_goes_up_in_the_flavours_own_field_and_the_token_never_does(
    make_world: MakeWorld, flavour: str, place: str
) -> None:
    async with make_world(flavour=flavour) as here:
        fields = token_fields(here)[place]
        answer = await here.ask("POST", "/text2image", json={"prompt": "a"}, headers=fields)
        assert answer.status == 200
        (arrival,) = here.simulator.received.newest
        key = here.settings.secrets.upstream_key
        assert key is not None
        own, other = ("x-dezgo-key", "x-rapidapi-key") if flavour == "direct" else ("x-rapidapi-key", "x-dezgo-key")
        assert arrival.field(own) == key.get_secret_value()
        assert arrival.field(other) is None
        assert arrival.field("authorization") is None
        host = here.simulator.url.removeprefix("http://")
        assert arrival.field("x-rapidapi-host") == (host if flavour == "rapidapi" else None)
        assert fields.get("X-Dezgo-Key", here.token()) not in repr(arrival)


async def test_a_direct_client_finds_its_own_numbers_in_credits_and_in_usd(make_world: MakeWorld) -> None:
    async with make_world(flavour="direct") as here:
        answer = await here.generate(name="poor")
        said = answer.fields
        assert (said["x-credits-cost"], said["x-dezgo-job-amount-usd"]) == ("19", "0.0019")
        assert said["x-dezgo-balance-total-usd"] == "0.0021"
        assert (said["x-ratelimit-credits-limit"], said["x-ratelimit-credits-remaining"]) == ("40", "21")
        assert "x-ratelimit-credits-reset" not in said  # this budget never begins anew
        assert (said["ratelimit"], said["ratelimit-policy"]) == ('"tenant-total";r=21', '"tenant-total";q=40')
        assert said["x-input-seed"].isdecimal()
        assert not ACCOUNT_FIELDS & set(said)
        assert said["server"] == "dezgo-gateway"


@pytest.mark.parametrize(
    ("fault", "left", "left_usd"), [("price:0.5", "30", "0.00305"), ("price:1.1", "19", "0.00191")]
)
async def test_what_is_left_is_told_after_the_charge_and_not_after_the_quote(
    here: World, fault: str, left: str, left_usd: str
) -> None:
    here.simulator.faults.next(fault)
    said = (await here.generate(name="poor")).fields
    assert (said["x-ratelimit-credits-remaining"], said["x-dezgo-balance-total-usd"]) == (left, left_usd)
    await here.settled()
    balance = await here.ask("GET", "/account/tx/last", headers=here.key("poor"))
    assert balance.json() == {"balance": float(left_usd)}


async def test_a_marketplace_client_finds_its_own_numbers_in_credits_alone(make_world: MakeWorld) -> None:
    async with make_world(flavour="rapidapi") as here:
        answer = await here.generate()
        said = answer.fields
        assert (said["x-credits-cost"], said["x-ratelimit-credits-limit"]) == ("19", "100000")
        assert said["x-ratelimit-credits-remaining"] == "99981"
        assert 0 < int(said["x-ratelimit-credits-reset"]) <= 31 * 86_400
        assert not [name for name in said if name.startswith("x-dezgo")]
        assert not ACCOUNT_FIELDS & set(said)
        assert said["server"] == "dezgo-gateway"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("flavour", ["direct", "rapidapi"])
async def test_an_empty_budget_is_402_but_429_for_who_speaks_to_the_marketplace(
    make_world: MakeWorld, flavour: str, place: str
) -> None:
    async with make_world(flavour=flavour) as here:
        fields = token_fields(here, "poor")[place]
        statuses = [
            (await here.ask("POST", "/text2image", json={"prompt": "a"}, headers=fields)).status for _ in range(2)
        ]
        refused = await here.ask("POST", "/text2image", json={"prompt": "a"}, headers=fields)
        document = refused.json()
        assert statuses == [200, 200]
        assert refused.status == document["status"] == (429 if place.startswith("rapidapi") else 402)
        assert (document["reason"], document["budget"]) == ("budget_exhausted", "tenant/total")
        assert (document["quoted"], document["remaining"], document["limit"]) == (19, 2, 40)
        assert document["message"] == document["detail"]
        assert here.simulator.received.counts.total() == 2


async def test_a_budget_that_begins_anew_says_when(make_world: MakeWorld) -> None:
    tenants = "tenants: {rich-TAG: {budgets: [{credits: 18, every: month}]}}"
    async with make_world(tenants=tenants) as here:
        refused = await here.generate()
        document = refused.json()
        assert refused.status == 402
        assert int(refused.fields["retry-after"]) == document["resets_in_s"] > 0
        assert document["cheaper"]["credits"] <= 18
        assert here.simulator.received.counts.total() == 0


async def test_the_same_token_twice_is_one_and_two_are_refused(here: World) -> None:
    token = here.token()
    twice = {"X-Dezgo-Key": token, "X-RapidAPI-Key": token, "Authorization": f"Bearer {token}"}
    assert (await here.ask("POST", "/text2image", json={"prompt": "a"}, headers=twice)).status == 200
    two = {"X-Dezgo-Key": token, "Authorization": f"Bearer {here.token('poor')}"}
    refused = await here.ask("POST", "/text2image", json={"prompt": "a"}, headers=two)
    assert (refused.status, refused.json()["reason"]) == (400, "ambiguous_credentials")
    in_url = await here.ask("POST", f"/text2image?access_token={token}", json={"prompt": "a"}, headers=here.key())
    assert (in_url.status, in_url.json()["reason"]) == (400, "token_in_url")
    assert here.simulator.received.counts.total() == 1
    assert token not in here.log.getvalue()


async def test_the_marketplaces_list_of_models_needs_our_key_and_gets_it(make_world: MakeWorld) -> None:
    async with make_world(flavour="rapidapi") as here:
        assert (await here.ask("GET", "/info")).status == 401
        assert (await here.ask("GET", "/info", headers=here.key())).status == 200
        answer = await here.ask("GET", "/account/tx/last", headers=here.key())
        assert (answer.status, answer.json()) == (200, {"balance": 10.0})
