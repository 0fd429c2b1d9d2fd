"""Simulators for the tests of this folder, each ended with its test."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.unit.simulator.running import Running, run

Serve = Callable[..., Awaitable[Running]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts simulators with given settings."""
    started: list[Running] = []

    async def start(**settings: object) -> Running:
        started.append(await run(**settings))
        return started[-1]

    yield start
    for running in started:
        await running.session.close()
        await running.simulator.stop()


@pytest.fixture
async def direct(serve: Serve) -> Running:
    return await serve()
