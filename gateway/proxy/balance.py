"""Balance: ask the direct upstream what its account holds, for free. RapidAPI has no such question."""

import json
from decimal import Decimal
from typing import Protocol

from gateway.errors import UpstreamError
from gateway.messages import Call, Reply
from gateway.units import Credits

BALANCE_PATH = "/account/tx/last"

# The document has a handful of short members.
DOCUMENT_BYTES_MAX = 65_536


class Sending(Protocol):
    """The back door, as far as one question needs it."""

    async def forward(self, call: Call) -> Reply:
        """Send `call` once. Raises UpstreamError."""
        ...


async def balance_told_by(upstream: Sending) -> Credits | None:
    """What the account holds, or None when that was not answered in one readable way. Raises nothing of its own."""
    try:
        reply = await upstream.forward(Call("account", "GET", BALANCE_PATH, "", (), b""))
    except UpstreamError:
        return None
    try:
        return await _read(reply)
    except UpstreamError:
        return None
    finally:
        await reply.close()


async def _read(reply: Reply) -> Credits | None:
    if reply.status != 200 or reply.leaking:  # noqa: PLR2004 - success
        return None
    document = bytearray()
    async for piece in reply.body:
        document += piece
        if len(document) > DOCUMENT_BYTES_MAX:
            return None
    return balance_in(bytes(document))


def balance_in(document: bytes) -> Credits | None:
    """The `balance` of a last transaction, a number of USD; None when there is no such number. Never raises."""
    try:
        transaction = json.loads(document, parse_float=Decimal)
        balance = transaction.get("balance") if isinstance(transaction, dict) else None
        if isinstance(balance, bool) or not isinstance(balance, int | Decimal):
            return None
        return Credits.parse_usd(f"{balance:f}" if isinstance(balance, Decimal) else str(balance))
    except (ValueError, RecursionError):
        return None
