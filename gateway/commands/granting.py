"""Granting from the command line, on live data. Prints what was done."""

import time
from dataclasses import dataclass

from gateway.build import budget_book
from gateway.commands.books import Word, amount, books_of, instant_ms, shown, tell
from gateway.commands.offline import Refused
from gateway.errors import TenantUnknown
from gateway.ledger.adjustment import Granted, OperationId
from gateway.ledger.budget import BudgetBook
from gateway.ledger.granting import RedisGranting
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Gift:
    """A grant as said in flags. `until` None: with the window."""

    budget: str
    credits: str
    until: str | None


async def granted(settings: Settings, gift: Gift, word: Word) -> None:
    """Grant and print what was done. Raises Refused, AdjustmentRefused, LedgerUnavailable, EmbeddedStoreError."""
    credits, book = amount(gift.credits), budget_book(settings.tenants)
    until_ms = None if gift.until is None else instant_ms(gift.until)
    # The same words in a later window are another grant.
    window = _window(book, word.tenant, gift.budget)
    warrant = word.warrant("grant", gift.budget, gift.credits, gift.until or window)
    async with books_of(settings, word.tenant) as store:
        done = await RedisGranting(store, book).grant(word.tenant, gift.budget, credits, until_ms, warrant)
    tell(f"{_said(done)} credits more, {_lapse(done)}", done.operation_id, applied=done.applied)


async def revoked(settings: Settings, grant_id: str, word: Word) -> None:
    """Take a grant back and print what was done. Raises as `granted`."""
    warrant = word.warrant("revoke", grant_id)
    async with books_of(settings, word.tenant) as store:
        book = budget_book(settings.tenants)
        done = await RedisGranting(store, book).revoke(word.tenant, OperationId(grant_id), warrant)
    tell(f"{_said(done)} credits taken back", done.operation_id, applied=done.applied)


def _window(book: BudgetBook, tenant: str, name: str) -> str:
    try:
        budget = book.named(tenant, name)
    except TenantUnknown:
        raise Refused("no such tenant or team is configured") from None
    now_ms = time.time_ns() // 1_000_000
    return f"window {budget.window.span(now_ms).start_ms}" if budget is not None else ""


def _said(done: Granted) -> str:
    return f"{done.budget}: {done.amount}"


def _lapse(done: Granted) -> str:
    return "for good" if done.until_ms is None else f"until {shown(done.until_ms)}"
