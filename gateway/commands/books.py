"""Books: what operators do with the ledger from the command line, on live data. Prints what was found or done."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console

from gateway.commands.offline import Refused
from gateway.ledger import keys
from gateway.ledger.adjusting import RedisAdjusting
from gateway.ledger.adjustment import Adjusted, OperationId, Warrant
from gateway.ledger.contract import HoldId
from gateway.ledger.embedded import EmbeddedStore
from gateway.ledger.journal import Entry, ended
from gateway.ledger.store import Store
from gateway.settings import Settings
from gateway.units import Credits, Flag

# Whoever looks at the books reads much and is in no hurry.
DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Word:
    """An operator's word as said in flags; without an id, the same words are the same operation."""

    tenant: str
    actor: str
    reason: str
    operation: str | None

    def warrant(self, *what: str | None) -> Warrant:
        """The warrant for doing `what`. Raises Refused."""
        said = json.dumps([self.tenant, *what, self.actor, self.reason])
        given = self.operation or f"cli-{hashlib.sha256(said.encode()).hexdigest()[:32]}"
        try:
            return Warrant(OperationId(given), self.actor, self.reason)
        except ValueError as error:
            raise Refused(str(error)) from None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which ended holds to list, as said in flags; neither flag means all of them."""

    tenant: str
    uncertain: bool
    unconfirmed: bool
    since: str | None
    most: int
    json: bool

    @property
    def flags(self) -> frozenset[Flag]:
        """How sure the listed amounts are."""
        said = {flag for flag, on in ((Flag.UNCERTAIN, self.uncertain), (Flag.UNCONFIRMED, self.unconfirmed)) if on}
        return frozenset(said or Flag)


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[Store]:
    """The ledger's store, also while a gateway uses it; the bundled one is started when nobody runs it.

    Raises:
        EmbeddedStoreError: the bundled store cannot be used.
    """
    url, embedded = settings.secrets.ledger_url, None
    if url is None:
        embedded = EmbeddedStore(settings.ledger.data_dir / "store", fsync=settings.ledger.fsync)
        found = await embedded.start()
    else:
        found = url.get_secret_value()
    store = Store(found, deadline_s=DEADLINE_S, ca_file=settings.ledger.ca_file)
    try:
        yield store
    finally:
        await store.close()
        if embedded is not None:
            await embedded.stop()


@asynccontextmanager
async def books_of(settings: Settings, tenant: str) -> AsyncIterator[Store]:
    """The store with this tenant's books. Raises Refused when it has none, and as `opened_store`.

    A tenant that left the configuration keeps its books.
    """
    async with opened_store(settings) as store:
        if tenant not in settings.tenants and not await store.call("SISMEMBER", keys.TENANTS, tenant):
            raise Refused(f"no such tenant; configured are: {', '.join(sorted(settings.tenants))}")
        yield store


def amount(text: str) -> Credits:
    """Credits as said in a flag. Raises Refused."""
    try:
        return Credits.parse(text)
    except ValueError as error:
        raise Refused(f"--credits: {error}") from None


def instant_ms(text: str) -> int:
    """An instant as said in a flag, in ms since the epoch. Raises Refused for one without its time zone."""
    try:
        said = datetime.fromisoformat(text)
    except ValueError:
        raise Refused("an instant is written like 2026-11-30T00:00:00Z") from None
    if said.tzinfo is None or said.timestamp() < 0:
        raise Refused("an instant needs its time zone: 2026-11-30T00:00:00Z or …+01:00")
    return int(said.timestamp()) * 1000 + said.microsecond // 1000


def shown(at_ms: int) -> str:
    """An instant as it is printed: UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"


async def listed(settings: Settings, wanted: Wanted) -> None:
    """Print the ended holds that are wanted. Raises Refused, LedgerUnavailable, EmbeddedStoreError."""
    since_ms = 0 if wanted.since is None else instant_ms(wanted.since)
    async with books_of(settings, wanted.tenant) as store:
        found = await ended(store, wanted.tenant, flags=wanted.flags, since_ms=since_ms, most=wanted.most)
    out = console()
    for entry in found:
        out.print(json.dumps(_document(entry)) if wanted.json else _line(entry), markup=False)
    if not wanted.json:
        total = Credits.sum(_booked(entry) for entry in found)
        out.print(f"{len(found)} holds, {total} credits", markup=False)


def _booked(entry: Entry) -> Credits:
    return Credits(int(entry.fields["charged"]))


def _document(entry: Entry) -> dict[str, object]:
    return {
        "hold": entry.hold_id,
        "at": shown(entry.at_ms),
        "path": entry.fields["path"],
        "credits": _booked(entry).as_number(),
        "flag": entry.fields["flag"],
        "by": entry.fields["op"],
    }


def _line(entry: Entry) -> str:
    said = _document(entry)
    return "{at}  {hold}  {path}  {credits} credits  {flag}".format_map(said)


async def refunded(settings: Settings, hold_id: str, credits: str | None, word: Word) -> None:
    """Refund and print what was done. Raises Refused, AdjustmentRefused, LedgerUnavailable, EmbeddedStoreError."""
    given = None if credits is None else amount(credits)
    warrant = word.warrant("refund", hold_id, credits)
    async with books_of(settings, word.tenant) as store:
        _tell(await RedisAdjusting(store).refund(word.tenant, HoldId(hold_id), given, warrant))


async def corrected(settings: Settings, hold_id: str, credits: str, word: Word) -> None:
    """Correct a charge and print what was done. Raises as `refunded`."""
    charged = amount(credits)
    warrant = word.warrant("correct", hold_id, credits)
    async with books_of(settings, word.tenant) as store:
        _tell(await RedisAdjusting(store).correct(word.tenant, HoldId(hold_id), charged, warrant))


def _tell(done: Adjusted) -> None:
    tell(f"hold {done.hold_id}: {done.before} -> {done.after} credits", done.operation_id, applied=done.applied)


def tell(what: str, operation_id: OperationId, *, applied: bool) -> None:
    """Print what was done under which id."""
    how = "booked" if applied else "was done before, nothing changed (--id makes it another operation)"
    console().print(f"{what}, operation {operation_id}: {how}", markup=False)


def console() -> Console:
    """Where commands on the books print: plain lines, never wrapped."""
    return Console(highlight=False, soft_wrap=True)
