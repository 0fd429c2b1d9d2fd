"""The provider's key set: rotation, floods, outages and removals (ID14 to ID17), without waiting for any clock."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.errors import GatewayError, IdentityUnavailable
from gateway.identity.jwks import FetchFailed, JwksSource, SetState
from gateway.identity.mint import mint_token
from tests.unit.identity.providers import HOUR_S, NEW, OLD, House, Provider, minted
from tests.unit.identity.tokens import AUDIENCE, ISSUER, NOW, Clock, code_of, jwks_of, signer


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    made.provider.gate.set()
    await made.verifier.close()


async def settled(house: House) -> None:
    """Let the fetch under way end."""
    assert house.source._flight is not None
    await asyncio.wait({house.source._flight}, timeout=10)


async def test_a_thousand_cold_requests_cause_one_fetch(house: House) -> None:
    principals = await asyncio.gather(*(house.verify(OLD) for _ in range(1000)))
    assert {principal.tenant for principal in principals} == {"acme"}
    assert house.provider.asked == 1


async def test_a_thousand_tokens_of_a_new_key_cause_one_fetch_and_verify(house: House) -> None:
    await house.verify(OLD)
    generation = house.source.generation
    house.provider.answer = jwks_of(OLD, NEW)
    house.clock.now += 30
    principals = await asyncio.gather(*(house.verify(NEW) for _ in range(1000)))
    assert len(principals) == 1000
    assert house.provider.asked == 2
    assert house.source.generation == generation + 1


async def test_a_flood_of_unknown_kids_causes_one_fetch_per_cool_down(house: House) -> None:
    await house.verify(OLD)
    strangers = [signer("ed25519", kid=f"x{n}", name="c") for n in range(50)]
    for passed_s, asked in ((0, 1), (29.9, 1), (30, 2), (59.9, 2), (60, 3)):
        house.clock.now = 1000.0 + passed_s
        codes = await asyncio.gather(*(house.code(stranger) for stranger in strangers))
        assert set(codes) == {"jwt_kid"}
        assert house.provider.asked == asked
    assert (await house.verify(OLD)).tenant == "acme"


async def test_a_failed_fetch_cools_down_too(house: House) -> None:
    house.provider.answer = FetchFailed("connect")
    for passed_s, asked in ((0, 1), (10, 1), (29.9, 1), (30, 2)):
        house.clock.now = 1000.0 + passed_s
        assert await asyncio.gather(*(house.code(OLD) for _ in range(20))) == ["identity_unavailable"] * 20
        assert house.provider.asked == asked
    assert house.source.failure == "connect"
    assert house.source.state() == SetState.NONE


async def test_unknown_kids_in_an_outage_are_refused_and_known_ones_served(house: House) -> None:
    await house.verify(OLD)
    house.provider.answer = FetchFailed("timeout")
    house.clock.now += 60
    assert [await house.code(NEW) for _ in range(5)] == ["jwt_kid"] * 5
    assert (await house.verify(OLD)).tenant == "acme"
    assert house.provider.asked == 2


FAULTS: dict[str, tuple[bytes | Exception, str]] = {
    "unreachable": (FetchFailed("connect"), "connect"),
    "server error": (FetchFailed("status"), "status"),
    "HTML": (b"<html>", "bad_keys"),
    "empty set": (b'{"keys": []}', "bad_keys"),
    "only symmetric keys": (b'{"keys": [{"kty": "oct", "k": "AAAA"}]}', "bad_keys"),
    "too slow": (TimeoutError(), "timeout"),
    "something unforeseen": (RuntimeError("secret text"), "internal"),
}


@pytest.mark.parametrize(("answer", "failure"), FAULTS.values(), ids=FAULTS.keys())
async def test_the_last_good_set_serves_through_any_fault_until_it_is_too_old(
    house: House, answer: bytes | Exception, failure: str
) -> None:
    await house.verify(OLD)
    house.provider.answer = answer
    house.clock.now = 1000.0 + 300
    assert (await house.verify(OLD)).tenant == "acme"
    assert (house.provider.asked, house.source.failure) == (2, failure)
    assert house.source.state() == SetState.STALE
    house.clock.now = 1000.0 + 24 * HOUR_S - 0.1
    assert (await house.verify(OLD)).tenant == "acme"
    house.clock.now = 1000.0 + 24 * HOUR_S
    assert house.verifier.verify_cached(minted(OLD)) is None
    assert await house.code(OLD) == "identity_unavailable"
    assert house.source.state() == SetState.NONE
    assert "secret text" not in repr(vars(house.source))


async def test_during_an_outage_nobody_waits_for_the_retry(house: House) -> None:
    await house.verify(OLD)
    house.provider.answer = FetchFailed("connect")
    house.clock.now += 300
    await house.verify(OLD)
    house.clock.now += 30
    house.provider.gate.clear()
    assert (await house.verify(OLD)).tenant == "acme"
    assert house.verifier.verify_cached(minted(OLD))
    assert house.source._flight is not None
    assert not house.source._flight.done()
    house.provider.answer = jwks_of(NEW)
    house.provider.gate.set()
    await settled(house)
    assert house.provider.asked == 3
    assert await house.code(OLD) == "jwt_kid"


async def test_a_removed_key_is_refused_within_the_interval_also_when_remembered(house: House) -> None:
    """ID17."""
    await house.verify(OLD)
    assert house.verifier.verify_cached(minted(OLD))
    house.provider.answer = jwks_of(NEW)
    house.clock.now += 299.9
    assert house.verifier.verify_cached(minted(OLD))
    house.clock.now += 0.1
    assert house.verifier.verify_cached(minted(OLD)) is None
    assert await house.code(OLD) == "jwt_kid"
    assert (await house.verify(NEW)).tenant == "acme"
    assert house.provider.asked == 2


async def test_a_key_replaced_under_its_own_kid_voids_what_was_remembered(house: House) -> None:
    await house.verify(OLD)
    generation = house.source.generation
    house.provider.answer = jwks_of(signer("ed25519", kid="old", name="c"))
    house.clock.now += 300
    assert await house.code(OLD) == "jwt_signature"
    assert house.verifier.verify_cached(minted(OLD)) is None
    assert house.source.generation == generation + 1


async def test_a_refresh_that_changes_nothing_keeps_the_generation(house: House) -> None:
    house.provider.answer = jwks_of(OLD, NEW)
    await house.verify(OLD)
    house.provider.answer = jwks_of(NEW, OLD)
    generation = house.source.generation
    house.clock.now += 300
    await house.verify(NEW)
    assert (house.provider.asked, house.source.generation) == (2, generation)


async def test_a_caller_waits_only_so_long_and_the_fetch_goes_on() -> None:
    provider = Provider(OLD)
    provider.gate.clear()
    source = JwksSource(provider, wait_s=0.01)
    with pytest.raises(IdentityUnavailable):
        await source.current()
    with pytest.raises(IdentityUnavailable):
        await source.after_unknown_kid()
    provider.gate.set()
    assert source._flight is not None
    await asyncio.wait({source._flight}, timeout=10)
    assert (await source.current()).by_kid("old") == OLD.verifying
    assert provider.asked == 1
    await source.close()


async def test_while_a_provider_hangs_only_the_first_callers_wait() -> None:
    clock, provider = Clock(0), Provider(OLD)
    provider.gate.clear()
    source = JwksSource(provider, clock=clock, wait_s=60, fetch_timeout_s=60)
    first = asyncio.create_task(source.current())
    await asyncio.wait_for(provider.arrived.wait(), 10)
    clock.now += 60
    with pytest.raises(IdentityUnavailable):
        await source.after_unknown_kid()
    assert not first.done()
    provider.gate.set()
    assert (await first).by_kid("old") == OLD.verifying
    await source.close()


async def test_a_set_is_as_old_as_the_question_it_answers(house: House) -> None:
    house.provider.gate.clear()
    waiting = asyncio.create_task(house.verify(OLD))
    await asyncio.wait_for(house.provider.arrived.wait(), 10)
    house.clock.now += 4
    house.provider.gate.set()
    await waiting
    house.clock.now = 1000.0 + 300
    assert house.source.state() == SetState.STALE


async def test_the_age_of_a_key_set_grows_while_its_provider_is_away_and_starts_anew_with_a_good_fetch(
    house: House,
) -> None:
    assert house.verifier.keys_age_s() is None
    await house.verify(OLD)
    assert house.verifier.keys_age_s() == 0
    good, house.provider.answer = house.provider.answer, FetchFailed("timeout")
    house.clock.now += 900
    await house.verify(OLD)
    await settled(house)
    assert house.verifier.keys_age_s() == 900
    house.provider.answer = good
    house.clock.now += 60
    await house.verify(OLD)
    await settled(house)
    assert house.verifier.keys_age_s() == 0


async def test_a_fetch_that_never_ends_is_ended_by_its_deadline() -> None:
    provider = Provider(OLD)
    provider.gate.clear()
    source = JwksSource(provider, fetch_timeout_s=0.01, wait_s=10)
    with pytest.raises(IdentityUnavailable):
        await source.current()
    assert source.failure == "timeout"
    await source.close()


async def test_a_caller_that_gives_up_does_not_end_the_fetch_of_the_others(house: House) -> None:
    house.provider.gate.clear()
    first, second = asyncio.create_task(house.verify(OLD)), asyncio.create_task(house.verify(OLD))
    await asyncio.wait_for(house.provider.arrived.wait(), 10)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    house.provider.gate.set()
    assert (await second).tenant == "acme"
    assert house.provider.asked == 1


async def test_bad_keys_are_counted_and_the_rest_serves(house: House) -> None:
    house.provider.answer = jwks_of(OLD, {"kty": "oct", "k": "AAAA"}, {"kty": "RSA"})
    await house.verify(OLD)
    assert house.source.rejected == 2


async def test_a_token_without_kid_finds_the_only_fetched_key_and_causes_no_refresh(house: House) -> None:
    bare = signer("ed25519", kid=None)
    text = mint_token(bare, issuer=ISSUER, audience=AUDIENCE, tenant="acme", ttl_s=600, now=NOW)
    assert (await house.verifier.verify(text)).tenant == "acme"
    house.provider.answer = jwks_of(OLD, NEW)
    house.clock.now += 300
    assert house.verifier.verify_cached(text) is None
    with pytest.raises(GatewayError) as refused:
        await house.verifier.verify(text)
    assert code_of(refused.value) == "jwt_kid"
    assert house.provider.asked == 2
