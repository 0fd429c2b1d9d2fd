"""A fake store and a connection to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.errors import LedgerUnavailable
from gateway.ledger.store import Store
from tests.unit.ledger.resp import Answer, FakeStore, fake_store


@asynccontextmanager
async def talking(answer: Answer, *, deadline_s: float = 20.0) -> AsyncIterator[tuple[FakeStore, Store]]:
    """A fake store and a connection to it."""
    async with fake_store(answer) as fake:
        store = Store(fake.url, deadline_s=deadline_s)
        try:
            yield fake, store
        finally:
            await store.close()


async def until_it_answers(store: Store, *words: str) -> None:
    async with asyncio.timeout(5):
        while not await answers(store, *words):  # noqa: ASYNC110 - a store that is back tells nobody
            await asyncio.sleep(0.01)


async def answers(store: Store, *words: str) -> bool:
    try:
        await store.call(*(words or ("PING",)))
    except LedgerUnavailable:
        return False
    return True
