"""A twin of a world's upstream, asked without a gateway: what its clients would have got."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from gateway.simulator import Simulator, SimulatorSettings, start_simulator
from gateway.simulator.settings import Flavour
from tests.e2e.canary import fresh_key
from tests.e2e.clients.asking import Shape, Target
from tests.e2e.world import World


@asynccontextmanager
async def twin(flavour: Flavour, **upstream: Any) -> AsyncIterator[tuple[Simulator, Target]]:
    """An upstream that makes the same choices in the same order as the one behind a world with `drawn=True`."""
    key = fresh_key()
    said = {"delay_s": 0.0, "balance_usd": Decimal(1000), "quota_credits": 10_000_000, **upstream}
    simulator = await start_simulator(SimulatorSettings(key=key, flavour=flavour, **said))
    try:
        yield simulator, Target(simulator.url.removeprefix("http://"), flavour, key)
    finally:
        await simulator.stop()


def through(here: World, shape: Shape, *, key: str | None = None) -> Target:
    """The gateway as a client sees it."""
    token = here.token() if key is None else key
    return Target(f"127.0.0.1:{here.running.port}", shape.flavour, token)
