"""Standing: what is to be thought of a journal that lacks this process's mark.

It was trimmed: all is well. Its loss was accepted, here or by somebody else: the mark is void. Neither: the store has
forgotten what it had confirmed (a failover, an old copy, a flush), and nothing it says of this tenant can be built on.
"""

from dataclasses import dataclass
from enum import StrEnum

from gateway.errors import LedgerPoisoned
from gateway.ledger import keys
from gateway.ledger.adjustment import AdjustmentRefused, Warrant
from gateway.ledger.journal import order
from gateway.ledger.store import Script, Store

# How long the scripts remember what was done under an operation's id; as long as balances are kept.
_REMEMBERED_MS = 400 * 24 * 3_600_000


class Verdict(StrEnum):
    """Whether the store's word on a tenant can be built on."""

    SOUND = "sound"
    ACCEPTED = "accepted"
    REGRESSED = "regressed"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a tenant's journal stands to a mark.

    Attributes:
        verdict: whether it can be built on.
        before: id of the journal's last entry no later than the mark: what came after it, up to the mark, is lost.
        mark: what to send from now on.
    """

    verdict: Verdict
    before: str
    mark: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """A loss was accepted. `applied`: by this call, not by an earlier one under the same id."""

    entry_id: str
    applied: bool


async def standing_of(store: Store, script: Script, tenant: str, mark: str) -> Standing:
    """Ask the store; `script` is standing.lua. Raises LedgerUnavailable."""
    if not mark:
        return Standing(Verdict.SOUND, "0-0", mark)
    wanted = [keys.journal(tenant), keys.accepted(tenant), keys.trimmed(tenant)]
    answer = await store.run(script, wanted, [mark])
    there, before, newest, covers, accepted, trimmed = answer
    try:
        if there:
            return Standing(Verdict.SOUND, before, mark)
        if order(covers) >= order(mark):
            # The entry that accepts may have been trimmed since; then the next look finds that.
            return Standing(Verdict.ACCEPTED, before, accepted)
        if order(trimmed) >= order(mark):
            return Standing(Verdict.SOUND, before, newest)
    except ValueError:
        raise LedgerPoisoned("poisoned") from None
    return Standing(Verdict.REGRESSED, before, mark)


async def accept(store: Store, tenant: str, mark: str, warrant: Warrant) -> Accepted:
    """Go on with the tenant's journal as it is: all marks up to now, and `mark`, are void.

    Raises:
        AdjustmentRefused: the operation id was used for something else.
        LedgerUnavailable: it may have been done; safe to send again.
    """
    answer = await store.run(
        Script.load("accept"),
        [
            keys.operation(tenant, warrant.operation_id),
            keys.journal(tenant),
            keys.register(tenant),
            keys.accepted(tenant),
        ],
        [warrant.operation_id, mark, str(_REMEMBERED_MS), warrant.actor, warrant.reason],
    )
    if answer[0] == "known" and answer[1] != "accept":
        raise AdjustmentRefused("other")
    return Accepted(str(answer[-1]), applied=answer[0] == "done")
