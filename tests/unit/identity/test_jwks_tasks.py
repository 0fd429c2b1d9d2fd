"""The source's own task: it refreshes ahead of time, and nothing of it outlives `close`."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from gateway.errors import IdentityUnavailable
from gateway.identity.jwk import Reading, read_jwks
from gateway.identity.jwks import FetchFailed, JwksSource, SetState
from tests.unit.identity.providers import NEW, OLD, House, Provider
from tests.unit.identity.tokens import ISSUER, jwk_of, jwks_of, signer


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    made.provider.gate.set()
    await made.verifier.close()


async def test_a_started_source_refreshes_ahead_of_time_and_sooner_after_a_failure(house: House) -> None:
    await house.verifier.start()
    assert house.provider.asked == 1
    assert await house.naps.begun() == 225
    house.provider.answer = FetchFailed("status")
    house.clock.now += 225
    house.naps.end()
    assert await house.naps.begun() == 30
    house.provider.answer = jwks_of(NEW)
    house.clock.now += 30
    house.naps.end()
    assert await house.naps.begun() == 225
    assert house.provider.asked == 3
    assert house.verifier.states() == {ISSUER: SetState.FRESH}
    assert (await house.verify(NEW)).tenant == "acme"
    assert house.provider.asked == 3


async def test_starting_with_the_provider_away_is_no_error(house: House) -> None:
    house.provider.answer = FetchFailed("connect")
    await house.verifier.start()
    await house.verifier.start()
    assert house.provider.asked == 1
    assert house.verifier.states() == {ISSUER: SetState.NONE}


async def test_closing_ends_every_task_and_fetches_no_more(house: House) -> None:
    house.provider.gate.clear()
    waiting = asyncio.create_task(house.verify(OLD))
    await asyncio.wait_for(house.provider.arrived.wait(), 10)
    await house.verifier.close()
    with pytest.raises(IdentityUnavailable):
        await waiting
    house.clock.now += 1000
    assert await house.code(OLD) == "identity_unavailable"
    assert house.provider.asked == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_started_source_leaves_no_task_behind(house: House) -> None:
    await house.verifier.start()
    await house.naps.begun()
    await house.verifier.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_closing_while_starting_leaves_no_task_behind(house: House) -> None:
    house.provider.gate.clear()
    starting = asyncio.create_task(house.verifier.start())
    await asyncio.wait_for(house.provider.arrived.wait(), 10)
    await house.verifier.close()
    await starting
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    "times",
    [{"refresh_s": 301}, {"refresh_s": 0}, {"cooldown_s": 0}, {"cooldown_s": 301}, {"refresh_s": 10}, {"wait_s": -1}],
)
async def test_times_that_would_break_a_promise_are_refused(times: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"refresh_s|above"):
        JwksSource(Provider(OLD), **times)  # type: ignore[arg-type] # the wrong time is the parameter


@pytest.mark.parametrize(("keys", "beside"), [(1, False), (100, True)])
async def test_a_large_document_is_read_beside_the_loop(
    house: House, monkeypatch: pytest.MonkeyPatch, keys: int, beside: bool
) -> None:
    threads: list[int] = []

    def reading(document: bytes) -> Reading:
        threads.append(threading.get_ident())
        return read_jwks(document)

    monkeypatch.setattr("gateway.identity.jwks.read_jwks", reading)
    many = [jwk_of(signer("rsa"), kid=f"k{number}") for number in range(1, keys)]
    house.provider.answer = jwks_of(OLD, *many)
    assert (await house.verify(OLD)).tenant == "acme"
    assert (threads != [threading.get_ident()]) == beside
    assert len(threads) == 1
