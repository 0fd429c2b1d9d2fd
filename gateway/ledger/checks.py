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
    memory = _read(await store.call("INFO", "memory"))
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise UnsafeStoreError(
            "the store's maxmemory-policy is not noeviction: under memory pressure it would forget what was spent"
        )
    persistence = _read(await store.call("INFO", "persistence"))
    if persistence.get("aof_enabled") != "1" and not await _saves(store):
        raise UnsafeStoreError(
            "the store keeps nothing on disk (appendonly no, no save points): a restart would forget what was spent"
        )


async def _saves(store: Store) -> bool:
    """Whether save points are configured; a store that does not say is taken to have none."""
    try:
        found = await store.call("CONFIG", "GET", "save")
    except LedgerUnavailable:
        return False
    value = found.get("save", "") if isinstance(found, dict) else (found[1] if len(found) > 1 else "")
    return bool(value)


def _read(answer: object) -> dict[str, str]:
    if isinstance(answer, dict):
        return {str(key): str(value) for key, value in answer.items()}
    lines = (line.partition(":") for line in str(answer).splitlines() if ":" in line)
    return {name: value.strip() for name, _, value in lines}
