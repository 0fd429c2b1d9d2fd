"""Sentinels: which store is the primary, as those who watch over it agree. Asking them is redis-py's work."""

import contextlib
from typing import Any

from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.errors import LedgerUnavailable
from gateway.ledger.store.address import Address, StoreUrl
from gateway.ledger.store.topology import translated


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
        try:
            async with translated(self._deadline_s):
                host, port = await asked.discover_master(self._url.name)
                self._address = Address(str(host), int(port))
        except RedisError:
            raise LedgerUnavailable("connection", sent=False) from None
        finally:
            for client in asked.sentinels:
                with contextlib.suppress(RedisError, OSError):
                    await client.aclose()

    def moved(self, slot: int, address: Address) -> None:
        """No slots."""


def _options(within_s: float) -> dict[str, Any]:
    retry = Retry(NoBackoff(), 0)
    return {"socket_timeout": within_s, "socket_connect_timeout": within_s, "retry": retry, "protocol": 2}
