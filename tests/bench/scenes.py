"""Scenes of a failover: a primary and its replica, and what kills the one and promotes the other."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.ledger import keys
from tests.servers.cluster import Cluster, cluster
from tests.servers.node import Node
from tests.servers.pair import Pair, pair
from tests.servers.watched import Watched, watched


class Scene(Protocol):
    """One primary with one replica, in sync."""

    @property
    def url(self) -> str:
        """Where the ledger is found, before and after."""
        ...

    async def fail_over(self, dice: random.Random) -> Node:
        """Take the primary's life, wait for the next one, let the dead one come back as its replica; the new one."""
        ...


@dataclass
class ByHand:
    """An operator promotes the replica at once. A black hole swallows what was to be replicated, for a while before."""

    pair: Pair
    black_hole: bool

    @property
    def url(self) -> str:
        """See `Scene.url`."""
        return self.pair.url

    async def fail_over(self, dice: random.Random) -> Node:
        """See `Scene.fail_over`."""
        if self.black_hole:
            self.pair.wire.swallows = True
            await asyncio.sleep(dice.uniform(0.3, 2.0))
        self.pair.primary.kill()
        self.pair.promote()
        self.pair.primary.launch("--replicaof", "127.0.0.1", str(self.pair.replica.port))
        return self.pair.replica


@dataclass
class BySentinel:
    """Three Sentinels promote it."""

    group: Watched

    @property
    def url(self) -> str:
        """See `Scene.url`."""
        return self.group.url

    async def fail_over(self, dice: random.Random) -> Node:
        """See `Scene.fail_over`."""
        first = self.group.primary
        first.kill()
        promoted = await asyncio.to_thread(self.group.promoted, first)
        first.launch("--replicaof", "127.0.0.1", str(promoted.port))
        return promoted


@dataclass
class ByCluster:
    """The other primaries of a cluster promote it."""

    six: Cluster
    tenant: str

    @property
    def url(self) -> str:
        """See `Scene.url`."""
        return self.six.url

    async def fail_over(self, dice: random.Random) -> Node:
        """See `Scene.fail_over`."""
        slot = self.six.slot(keys.journal(self.tenant))
        first = self.six.owner(slot)
        first.kill()
        promoted = await asyncio.to_thread(self.six.promoted, slot, first)
        first.launch()
        return promoted


@contextmanager
def _by_hand(program: str, directory: Path, black_hole: bool) -> Iterator[Scene]:
    with pair(program, directory) as two:
        yield ByHand(two, black_hole)


@contextmanager
def _by_sentinel(program: str, directory: Path) -> Iterator[Scene]:
    with watched(program, directory) as group:
        yield BySentinel(group)


@contextmanager
def _by_cluster(program: str, directory: Path, tenant: str) -> Iterator[Scene]:
    with cluster(program, directory) as six:
        yield ByCluster(six, tenant)


def scenes(program: str, tenant: str) -> dict[str, Callable[[Path], AbstractContextManager[Scene]]]:
    """Every scene by its name, to be set in an empty directory."""
    return {
        "kill": lambda directory: _by_hand(program, directory, black_hole=False),
        "blackhole": lambda directory: _by_hand(program, directory, black_hole=True),
        "sentinel": lambda directory: _by_sentinel(program, directory),
        "cluster": lambda directory: _by_cluster(program, directory, tenant),
    }
