"""Topology: at which address a key lives. One store, the primary that sentinels name, or the nodes of a cluster.

Finding out is redis-py's work; what is found is asked over our own wires.
"""

import asyncio
import binascii
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from gateway.errors import LedgerUnavailable
from gateway.ledger.store.address import Address, Kind, StoreUrl

_SLOTS = 16_384


class Topology(Protocol):
    """Where keys live."""

    # How long what was found is believed before it is looked at again beside the calls; None: for ever.
    believed_s: float | None

    def of(self, key: str | None) -> Address | None:
        """Where `key` lives, or any primary for None; None when that is not known."""
        ...

    def primaries(self) -> list[Address]:
        """All addresses that keys live at, as far as known."""
        ...

    async def find(self) -> None:
        """Find out. Raises LedgerUnavailable."""
        ...

    def moved(self, slot: int, address: Address) -> None:
        """A node says that this slot lives elsewhere."""
        ...


class Single:
    """One store."""

    believed_s: float | None = None

    def __init__(self, address: Address) -> None:
        self._address = address

    def of(self, key: str | None) -> Address | None:
        """See `Topology.of`."""
        return self._address

    def primaries(self) -> list[Address]:
        """See `Topology.primaries`."""
        return [self._address]

    async def find(self) -> None:
        """Nothing to find."""

    def moved(self, slot: int, address: Address) -> None:
        """No slots."""


class Primary:
    """The primary that sentinels agree on. It changes with a failover."""

    believed_s: float | None = 1.0

    def __init__(self, url: StoreUrl, *, deadline_s: float) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._address: Address | None = None

    def of(self, key: str | None) -> Address | None:
        """See `Topology.of`."""
        return self._address

    def primaries(self) -> list[Address]:
        """See `Topology.primaries`."""
        return [] if self._address is None else [self._address]

    async def find(self) -> None:
        """Ask the sentinels one after the other; the first that knows a living primary is believed."""
        sentinels = [(address.host, address.port) for address in self._url.addresses]
        # redis-py leaves its sentinels untyped.
        asked = Sentinel(sentinels, sentinel_kwargs=_options(self._deadline_s / len(sentinels)))  # type: ignore[no-untyped-call]
        async with _translated(self._deadline_s, *asked.sentinels):
            host, port = await asked.discover_master(self._url.name)
            self._address = Address(str(host), int(port))

    def moved(self, slot: int, address: Address) -> None:
        """No slots."""


class Cluster:
    """The nodes of a cluster. All keys of a tenant share a slot."""

    believed_s: float | None = 10.0

    def __init__(self, url: StoreUrl, *, deadline_s: float, tls: ssl.SSLContext | None) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._tls = tls
        self._slots: list[Address | None] = [None] * _SLOTS

    def of(self, key: str | None) -> Address | None:
        """See `Topology.of`."""
        return next(iter(self.primaries()), None) if key is None else self._slots[slot_of(key)]

    def primaries(self) -> list[Address]:
        """See `Topology.primaries`."""
        return sorted({address for address in self._slots if address is not None}, key=str)

    async def find(self) -> None:
        """Ask the nodes we were told of, and those found before, for the map of slots."""
        known = {(address.host, address.port) for address in (*self._url.addresses, *self.primaries())}
        secure: dict[str, Any] = {} if self._tls is None else {"ssl": True, "ssl_context": self._tls}
        asked = RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in sorted(known)],
            require_full_coverage=False,
            username=self._url.user,
            password=self._url.password,
            **secure,
            **_options(self._deadline_s),
        )
        async with _translated(self._deadline_s * 2, asked):
            await asked.nodes_manager.initialize()
            for slot, nodes in asked.nodes_manager.slots_cache.items():
                self._slots[slot] = Address(str(nodes[0].host), int(nodes[0].port))

    def moved(self, slot: int, address: Address) -> None:
        """See `Topology.moved`."""
        if 0 <= slot < _SLOTS:
            self._slots[slot] = address


def slot_of(key: str) -> int:
    """The slot of a key: of what stands in its first braces, if anything does."""
    start = key.find("{")
    end = key.find("}", start + 1)
    hashed = key[start + 1 : end] if start >= 0 and end > start + 1 else key
    return binascii.crc_hqx(hashed.encode(), 0) % _SLOTS


def topology_of(url: StoreUrl, *, deadline_s: float, tls: ssl.SSLContext | None) -> Topology:
    """What the URL speaks of."""
    if url.kind is Kind.CLUSTER:
        return Cluster(url, deadline_s=deadline_s, tls=tls)
    if url.kind is Kind.SENTINEL:
        return Primary(url, deadline_s=deadline_s)
    return Single(url.addresses[0])


def _options(within_s: float) -> dict[str, Any]:
    retry = Retry(NoBackoff(), 0)
    return {"socket_timeout": within_s, "socket_connect_timeout": within_s, "retry": retry, "protocol": 2}


@asynccontextmanager
async def _translated(within_s: float, *clients: "Redis | RedisCluster") -> AsyncIterator[None]:
    """Bound a search, give its errors a class, and close what it opened."""
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError:
        raise LedgerUnavailable("timeout", sent=False) from None
    except (RedisError, RedisClusterException, OSError, ValueError):
        raise LedgerUnavailable("connection", sent=False) from None
    finally:
        for client in clients:
            with contextlib.suppress(RedisError, OSError):
                await client.aclose()
