"""Adjustments: what an operator may do to the books, in words and types. Never an edit: each is one more journal entry.

Promises, on top of those of `contract.py`:

1. An operation happens once per id. The same id again changes nothing and answers what was done; the same id for
   something else is refused.
2. Who, why, how much before and how much after stand in the journal, in the entry that moved the balance.
3. A refund never gives back more than is booked for the hold. A hold that is open is left alone.
4. An operator's word is the last: a hold that was adjusted is settled, and a late settle finds it ended.
5. What is moved is moved in the windows that admitted the hold.
6. A grant raises the limit of one budget, in the window of now, until it lapses: at an instant of its own or with the
   window. It is never more than its amount in all; taken back, it no longer counts. What was spent meanwhile stays
   spent.
"""

import re
from dataclasses import dataclass
from typing import Final, NewType, Protocol

from gateway.ledger.contract import HoldId
from gateway.units import Credits

OperationId = NewType("OperationId", str)

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_TEXT_CHARACTERS_MAX = 500

# Why an adjustment is refused, for the operator who asked.
REFUSALS: Final = {
    "unknown": "no hold with this id is remembered, nor does the journal still have it",
    "open": "the hold is open: it will be settled or expire first",
    "too_much": "more than is booked for this hold",
    "other": "this operation id was used for something else",
    "budget": "the tenant has no budget of this name",
    "nothing": "a grant is of more than nothing",
    "until": "a grant lapses later than now and no later than the window it is for",
    "full": "this budget has too many grants with ends of their own",
    "kept": "not all of it was exported: export it first, or state --retention for what is older than that",
    "lapsed": "no grant under this id is live: it has lapsed, was taken back, or never was",
}


class AdjustmentRefused(RuntimeError):
    """An adjustment that cannot be made; nothing was written.

    Attributes:
        code: a key of `REFUSALS`; the text is for the operator.
    """

    def __init__(self, code: str) -> None:
        super().__init__(REFUSALS[code])
        self.code = code


@dataclass(frozen=True, slots=True)
class Warrant:
    """On whose word an adjustment is made. Raises ValueError for what does not fit a journal or a spreadsheet.

    Attributes:
        operation_id: unique to this one adjustment; safe to send again.
        actor: who wants it.
        reason: why.
    """

    operation_id: OperationId
    actor: str
    reason: str

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.operation_id):
            raise ValueError("an operation id is 1 to 64 of A-Z a-z 0-9 . _ : - and begins with a letter or digit")
        for what, text in (("actor", self.actor), ("reason", self.reason)):
            # A text that begins with a sign is a formula to a spreadsheet.
            if not text[:1].isalnum() or not text.isprintable() or len(text) > _TEXT_CHARACTERS_MAX:
                raise ValueError(f"the {what} begins with a letter or digit and is one printable line")


@dataclass(frozen=True, slots=True)
class Adjusted:
    """A hold's charge was changed.

    Attributes:
        operation_id: by which operation.
        hold_id: whose charge.
        before, after: what was and is booked for it.
        applied: false when the operation had been done before and this call changed nothing.
    """

    operation_id: OperationId
    hold_id: HoldId
    before: Credits
    after: Credits
    applied: bool


@dataclass(frozen=True, slots=True)
class Granted:
    """A budget was granted credits, or a grant was taken back.

    Attributes:
        operation_id: by which operation.
        budget: the budget's name.
        amount: how much.
        until_ms: when it lapses, ms since the epoch by the keeper's clock; None when it never does.
        applied: false when the operation had been done before and this call changed nothing.
    """

    operation_id: OperationId
    budget: str
    amount: Credits
    until_ms: int | None
    applied: bool


class Adjusting(Protocol):
    """Changes the books on an operator's word. See the promises at the head of this file.

    Everything raises AdjustmentRefused when nothing may be changed, and LedgerUnavailable when no answer came: it may
    have been done, and is safe to send again under the same operation id.
    """

    async def refund(self, tenant: str, hold_id: HoldId, amount: Credits | None, warrant: Warrant) -> Adjusted:
        """Give back `amount` of what is booked for an ended hold; all of it for None."""
        ...

    async def correct(self, tenant: str, hold_id: HoldId, charged: Credits, warrant: Warrant) -> Adjusted:
        """Book `charged` for an ended hold, whatever was booked for it before. The same amount confirms it."""
        ...

    async def grant(self, tenant: str, budget: str, amount: Credits, until_ms: int | None, warrant: Warrant) -> Granted:
        """Raise the limit of the budget of this name by `amount`, for its window of now.

        Args:
            tenant: whose budget.
            budget: its name, such as `tenant/month` or `each:ann/day`.
            amount: credits on top of its limit.
            until_ms: when the grant lapses, no later than the window; None means with the window.
            warrant: on whose word.

        Raises:
            TenantUnknown: nobody configured the tenant.
        """
        ...

    async def revoke(self, tenant: str, granted: OperationId, warrant: Warrant) -> Granted:
        """Take a live grant back, whole."""
        ...
