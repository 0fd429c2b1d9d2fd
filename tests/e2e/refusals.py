"""What every refusal promises: a clear document, nothing echoed, nothing charged, nothing held."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.units import Credits
from tests.e2e.raw import Wire
from tests.e2e.world import World, world

# Planted in whatever must not come back.
MARK = "7h1sMu5tN0tC0m3B4ck"

_FRAMEWORKS = (b"aiohttp", b"Python", b"CPython", b"llhttp")


def assert_refused(answer: Wire, status: int, reason: str, *, says: str = "", hides: str = MARK) -> dict[str, Any]:
    """Check a refusal, and return its document.

    Args:
        answer: what came.
        status: what was promised.
        reason: likewise.
        says: stands in the detail, such as the name of the field at fault.
        hides: stands nowhere in the answer.
    """
    told: dict[str, Any] = answer.json()
    assert (answer.status, told["status"], told["reason"]) == (status, status, reason), told
    assert answer.fields["content-type"] == "application/problem+json"
    assert answer.fields["cache-control"] == "no-store"
    assert answer.fields["server"] == "dezgo-gateway"
    assert told["instance"] == f"urn:dezgo-gateway:request:{answer.fields['x-request-id']}"
    assert told["type"] == f"urn:dezgo-gateway:problem:{reason.replace('_', '-')}"
    assert told["title"]
    assert told["message"] == told["detail"]
    assert says in told["detail"]
    whole = answer.head + answer.body
    assert hides.encode() not in whole
    assert not [name for name in _FRAMEWORKS if name in whole]
    assert "set-cookie" not in answer.fields
    return told


@asynccontextmanager
async def nothing_happens(here: World, name: str = "rich") -> AsyncIterator[None]:
    """Inside, nothing reaches the upstream, and nothing is charged, held or written down."""
    received, book = here.simulator.received, here.simulator.book
    arrivals, charges = received.counts.total(), (book.count, book.total_millicredits)
    (before,) = await here.balances(name)
    entries = (await here.audit(name)).entries
    yield
    (after,) = await here.balances(name)
    assert received.counts.total() == arrivals
    assert (book.count, book.total_millicredits) == charges
    assert (after.spent, after.held) == (before.spent, Credits.ZERO)
    audit = await here.audit(name)
    assert (audit.entries, audit.differences) == (entries, ())


@asynccontextmanager
async def lasting_world(directory: Path, store_url: str, **said: Any) -> AsyncIterator[World]:
    """A world for all tests of a module."""
    async with world(directory, store_url, secrets.token_hex(4), **said) as made:
        yield made
