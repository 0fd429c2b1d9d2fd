"""Exporting and trimming the journal from the command line, on live data. Prints what was done."""

from dataclasses import dataclass
from pathlib import Path

from gateway.commands.books import books_of, console, instant_ms, shown
from gateway.commands.offline import Refused
from gateway.commands.tables import KINDS, Row, table
from gateway.ledger.journal import Entry, first_id, pages
from gateway.ledger.recount import Recount
from gateway.ledger.store import Store
from gateway.ledger.trimming import mark_exported, store_ms, trim
from gateway.settings import Settings
from gateway.units import Credits

DAY_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Export:
    """An export as said in flags. `before` None: all there is."""

    tenant: str
    kind: str
    out: Path
    before: str | None
    trim: bool


async def exported(settings: Settings, wanted: Export) -> None:
    """Write the journal, oldest entry first, to a new file, and note that it was; print what was written.

    Raises:
        Refused: wrong words, or a file that cannot be written.
        AdjustmentRefused, LedgerUnavailable, EmbeddedStoreError.
    """
    if wanted.kind not in KINDS:
        raise Refused(f"--format is one of {', '.join(KINDS)}")
    last = "+" if wanted.before is None else str(instant_ms(wanted.before) - 1)
    async with books_of(settings, wanted.tenant) as store:
        newest, counted = await _written(store, wanted, last)
        spent = Credits(counted.spent_in_all)
        console().print(f"{counted.entries} entries, {spent} credits spent, in {wanted.out.name}", markup=False)
        if newest is None:
            return
        await mark_exported(store, wanted.tenant, newest)
        if wanted.trim:
            _tell(await trim(store, wanted.tenant, last=newest, retention_ms=None))


async def _written(store: Store, wanted: Export, last: str) -> tuple[str | None, Recount]:
    counted, newest, first = Recount(), None, await first_id(store, wanted.tenant)
    with table(wanted.out, wanted.kind) as write:
        async for page in pages(store, wanted.tenant, last=last):
            write([row(entry, counted.count(entry.fields)) for entry in page])
            newest = page[-1].entry_id
        if await first_id(store, wanted.tenant) != first:
            raise Refused("the journal was trimmed meanwhile: export again")
    return newest, counted


def row(entry: Entry, moved: int) -> Row:
    """An entry as a row of `tables.COLUMNS`; `moved` is what it moved `spent` by."""
    said = entry.fields
    number = {name: int(said[name]) if said.get(name) else None for name in ("amount", "charged", "until", "entries")}
    texts = ("op", "id", "of", "path", "flag", "actor", "reason", "changed", "budgets", "spent", "held", "granted")
    return {
        **{name: said.get(name) for name in texts},
        "entry": entry.entry_id,
        "at": shown(entry.at_ms),
        "amount_millicredits": number["amount"],
        "charged_millicredits": number["charged"],
        "spent_change_millicredits": moved,
        "until_ms": number["until"],
        "entries": number["entries"],
    }


async def trimmed(settings: Settings, tenant: str, before: str | None, retention_days: int | None) -> None:
    """Trim the journal and print how much went. Raises as `exported`."""
    if before is None and retention_days is None:
        raise Refused("say what may go: --before, --retention or both")
    retention_ms = None if retention_days is None else retention_days * DAY_MS
    last_ms = None if before is None else instant_ms(before) - 1
    async with books_of(settings, tenant) as store:
        if last_ms is None:
            last_ms = await store_ms(store) - (retention_ms or 0) - 1
        _tell(await trim(store, tenant, last=str(max(last_ms, 0)), retention_ms=retention_ms))


def _tell(dropped: int) -> None:
    console().print(f"{dropped} entries trimmed", markup=False)
