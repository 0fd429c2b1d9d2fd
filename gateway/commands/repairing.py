"""Repairing from the command line, on live data: balances by the journal, and journals that have lost entries."""

import time

from gateway.commands.books import Word, books_of, console, shown, tell
from gateway.ledger.contract import Difference
from gateway.ledger.repairing import repair
from gateway.ledger.standing import accept
from gateway.settings import Settings

_DAY_CHARACTERS = len("2026-11-30")


async def repaired(settings: Settings, word: Word, *, dry_run: bool) -> None:
    """Repair and print what was changed. Raises Refused, AdjustmentRefused, LedgerUnavailable, EmbeddedStoreError."""
    async with books_of(settings, word.tenant) as store:
        found = (await repair(store, word.tenant, None)).differences
        for difference in found:
            console().print(_line(difference), markup=False)
        # Another damage is another operation; the same one, asked for again, is not.
        warrant = word.warrant("repair", *(str(difference) for difference in found))
        if dry_run or not found:
            console().print(f"{word.tenant}: {len(found)} differences, nothing was changed", markup=False)
            return
        done = await repair(store, word.tenant, warrant)
    tell(f"{word.tenant}: {len(done.differences)} differences set right", warrant.operation_id, applied=done.applied)


def _line(difference: Difference) -> str:
    return f"  {difference.balance} {difference.field}: {difference.stored} -> {difference.counted}"


async def accepted(settings: Settings, word: Word) -> None:
    """Accept a loss and print what was done. Raises as `repaired`.

    Without an id, the same words on the same day are the same operation.
    """
    warrant = word.warrant("accept", shown(time.time_ns() // 1_000_000)[:_DAY_CHARACTERS])
    async with books_of(settings, word.tenant) as store:
        done = await accept(store, word.tenant, "", warrant)
    tell(f"{word.tenant}: what its journal has lost is given up", warrant.operation_id, applied=done.applied)
