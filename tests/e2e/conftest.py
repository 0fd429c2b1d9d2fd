"""One store for all worlds of a run, started from the bundled binary; every world has tenants of its own."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.ledger.embedded import EmbeddedStore
from gateway.logs import pipe
from tests.e2e.desk import Desk
from tests.e2e.world import World, world

MakeWorld = Callable[..., AbstractAsyncContextManager[World]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def store_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The store's address."""
    async with EmbeddedStore(tmp_path_factory.mktemp("store")) as store:
        yield store.url


@pytest.fixture(autouse=True)
def lines_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log lines do not wait for company: tests look at them right after what they speak of."""
    monkeypatch.setattr(pipe, "_GATHER_S", 0.0)


@pytest.fixture
def make_world(tmp_path: Path, store_url: str) -> MakeWorld:
    """Make a world with its own settings."""

    def make(**said: Any) -> AbstractAsyncContextManager[World]:
        directory = tmp_path / secrets.token_hex(4)
        directory.mkdir()
        return world(directory, store_url, secrets.token_hex(4), **said)

    return make


@pytest_asyncio.fixture
async def here(make_world: MakeWorld) -> AsyncIterator[World]:
    """A world with the plain settings."""
    async with make_world() as made:
        yield made


@pytest.fixture
def desk(here: World, tmp_path: Path) -> Desk:
    """An operator beside the world with the plain settings."""
    (config,) = [path.parent for path in tmp_path.glob("*/gateway.yaml")]
    return Desk(here, config)
