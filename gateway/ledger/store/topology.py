"""Topology: at which address a key lives. One store, the primary that sentinels name, or the nodes of a cluster.

Everything here goes over our own wires; who asks sentinels is read in where there are some.
"""

import asyncio
import binascii
import contextlib
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from gateway.errors import LedgerUnavailable
from gateway.ledger.store.address import Address, Kind, StoreUrl
from gateway.ledger.store.link import Dialling
from gateway.ledger.store.wire import Wire

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


class Cluster:
    """The nodes of a cluster. All keys of a tenant share a slot."""

    believed_s: float | None = 10.0

    def __init__(self, url: StoreUrl, *, deadline_s: float, tls: ssl.SSLContext | None) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._dialling = Dialling(url, deadline_s, tls=tls)
        self._slots: list[Address | None] = [None] * _SLOTS

    def of(self, key: str | None) -> Address | None:
        """See `Topology.of`."""
        return next(iter(self.primaries()), None) if key is None else self._slots[slot_of(key)]

    def primaries(self) -> list[Address]:
        """See `Topology.primaries`."""
        return sorted({address for address in self._slots if address is not None}, key=str)

    async def find(self) -> None:
        """Ask the nodes we were told of, and those found before, one after the other, for the map of slots.

        In another order each time: a node that was cut off from the others believes its old map.
        """
        known = sorted({*self._url.addresses, *self.primaries()}, key=str)
        async with translated(self._deadline_s * 2):
            for address in random.sample(known, len(known)):
                with contextlib.suppress(LedgerUnavailable, OSError):
                    if self._read(address, await self._slots_of(address)):
                        return
        raise LedgerUnavailable("connection", sent=False)

    async def _slots_of(self, address: Address) -> object:
        """What this node says, over a connection of its own."""
        wire = Wire(deadline_s=self._deadline_s / 2)
        try:
            async with asyncio.timeout(self._deadline_s / 2):
                await self._dialling.dial(address, wire)
                return await wire.plain(("CLUSTER", "SLOTS"))
        finally:
            if wire.open:
                wire.abort()
                await wire.closed.wait()

    def _read(self, asked: Address, answer: object) -> bool:
        """Note the primaries a node names: `[first slot, last slot, [host, port, …], replicas …]`; whether any is."""
        ranges = answer if isinstance(answer, list) else []
        for first, last, (host, port, *_), *_ in ranges:
            self._slots[int(first) : int(last) + 1] = [Address(host or asked.host, int(port))] * (last - first + 1)
        return bool(ranges)

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
        # Only here: redis-py is ten megabytes of memory, and a tenth of the time to start.
        from gateway.ledger.store.sentinels import Primary  # noqa: PLC0415

        return Primary(url, deadline_s=deadline_s)
    return Single(url.addresses[0])


@asynccontextmanager
async def translated(within_s: float) -> AsyncIterator[None]:
    """Bound a search, and give its errors a class."""
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError:
        raise LedgerUnavailable("timeout", sent=False) from None
    except (OSError, ValueError):
        raise LedgerUnavailable("connection", sent=False) from None
