"""Repeating: the answer to a call whose idempotency key the store has seen before. Reads, never writes."""

from gateway.errors import LedgerPoisoned
from gateway.ledger import keys
from gateway.ledger.contract import State
from gateway.ledger.grants import whole
from gateway.ledger.store import Script, Store
from gateway.once import Facts, First, IdempotencyEnded, IdempotencyOpen, Once, Repeated
from gateway.units import Credits, Flag


class Repeating:
    """Says what became of the first call under a key."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._once = Script.load("once")

    async def refusal(self, tenant: str, hold_id: str, once: Once) -> Repeated:
        """What a second call is told. `hold_id` is the first one's.

        A key given back since it was asked for is told as open: the next try finds it free.

        Raises:
            LedgerUnavailable: no answer in time.
        """
        wanted = [keys.record(tenant, hold_id), keys.once(tenant, once.key)]
        answer = await self._store.run(self._once, wanted, [hold_id])
        if answer[0] == "free" or answer[1] == State.OPEN:
            return IdempotencyOpen()
        _, state, charged, flag, facts = answer
        if not state:
            return IdempotencyEnded(first=First(hold_id, None, Flag.UNCERTAIN, Facts.read(facts)))
        try:
            booked, sure = Credits(whole(charged or "0")), Flag(flag or Flag.CONFIRMED)
        except ValueError:
            raise LedgerPoisoned("poisoned") from None
        return IdempotencyEnded(first=First(hold_id, booked, sure, Facts.read(facts)))
