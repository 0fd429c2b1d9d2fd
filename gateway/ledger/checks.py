"""What a store must be before money is kept in it: refusing to evict, and writing to disk."""

from gateway.errors import LedgerUnavailable
from gateway.ledger.store import Store


class UnsafeStoreError(Exception):
    """The store could lose money by design. The text says what to set; it names nothing secret."""


async def refuse_unsafe(store: Store) -> None:
    """Raise UnsafeStoreError when the store may evict keys or keeps nothing on disk.

    Raises:
        LedgerUnavailable: the store does not answer.
    """
    for memory in await store.everywhere("INFO", "memory"):
        if _read(memory).get("maxmemory_policy", "noeviction") != "noeviction":
            raise UnsafeStoreError(
                "the store's maxmemory-policy is not noeviction: under memory pressure it would forget what was spent"
            )
    persistences = [_read(answer) for answer in await store.everywhere("INFO", "persistence")]
    if any(found.get("aof_enabled") != "1" for found in persistences) and not await _saves(store):
        raise UnsafeStoreError(
            "the store keeps nothing on disk (appendonly no, no save points): a restart would forget what was spent"
        )


async def _saves(store: Store) -> bool:
    """Whether save points are configured everywhere; a store that does not say is taken to have none."""
    try:
        answers = await store.everywhere("CONFIG", "GET", "save")
    except LedgerUnavailable:
        return False
    return all(len(found) > 1 and found[1] for found in answers)


def _read(answer: object) -> dict[str, str]:
    lines = (line.partition(":") for line in str(answer).splitlines() if ":" in line)
    return {name: value.strip() for name, _, value in lines}
