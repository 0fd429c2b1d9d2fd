"""Reviving: the bundled store is started again when it has died with the process that had started it."""

import asyncio
import contextlib
from collections.abc import Callable

from gateway.errors import LedgerUnavailable
from gateway.ledger.embedded import EmbeddedStore, EmbeddedStoreError
from gateway.ledger.store import Store


async def revive_forever(
    store: Store, embedded: EmbeddedStore | None, *, every_s: float, failed: Callable[[LedgerUnavailable], None]
) -> None:
    """Look again and again whether the store answers, until cancelled.

    Args:
        store: the connection to it.
        embedded: started again where nobody is at the other end; None where that is for others to do.
        every_s: seconds between two looks.
        failed: told of every look without an answer; must not raise.
    """
    while True:
        await asyncio.sleep(every_s)
        try:
            await store.call("PING")
        except LedgerUnavailable as error:
            failed(error)
            if embedded is not None and error.code == "connection":
                with contextlib.suppress(OSError, EmbeddedStoreError):
                    await embedded.start()
