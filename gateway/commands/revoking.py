"""Revoking from the command line, while gateways serve. Prints what was done."""

import json
import re
from dataclasses import dataclass

from gateway.commands.books import Word, books_of, console, instant_ms, opened_store, shown
from gateway.commands.offline import Refused
from gateway.identity.claims import TOKEN_ID_DIGITS, token_id
from gateway.ledger.trimming import store_ms
from gateway.revocations import Reach, Revocation, RevocationRefused, StoredRevocations
from gateway.settings import Settings

_TOKEN_ID = re.compile(rf"[0-9a-f]{{{TOKEN_ID_DIGITS}}}", re.ASCII)
_NOW = "now"


@dataclass(frozen=True, slots=True)
class Meant:
    """Which tokens, as said in flags; exactly one of the first four."""

    jti: str | None
    token_id: str | None
    before: str | None
    all: bool
    until: str | None


async def revoked(settings: Settings, meant: Meant, word: Word) -> None:
    """Revoke, and print what was done. Raises Refused, LedgerUnavailable, EmbeddedStoreError."""
    warrant = word.warrant("revoke")
    async with books_of(settings, word.tenant) as store:
        now_ms = await store_ms(store)
        line = _revocation(word.tenant, meant, now_ms, why=f"{warrant.actor}: {warrant.reason}")
        try:
            new = await StoredRevocations(store).revoke(line, actor=warrant.actor, reason=warrant.reason)
        except RevocationRefused as refused:
            raise Refused(str(refused)) from None
    console().print(f"{_said(line)}: {'revoked' if new else 'was revoked before, nothing changed'}", markup=False)


async def lifted(settings: Settings, meant: Meant, word: Word) -> None:
    """Undo a revocation, and print what was done. Raises Refused, LedgerUnavailable, EmbeddedStoreError."""
    warrant = word.warrant("undo")
    line = _revocation(word.tenant, meant, 0)
    async with opened_store(settings) as store:
        if not await StoredRevocations(store).lift(line, actor=warrant.actor, reason=warrant.reason):
            raise Refused("no such revocation stands; `dezgo-gateway revoked` lists them")
    console().print(f"{_said(line)}: no longer revoked", markup=False)


async def listed(settings: Settings, tenant: str | None, *, as_json: bool) -> None:
    """Print what is revoked. Raises Refused, LedgerUnavailable, EmbeddedStoreError."""
    async with opened_store(settings) as store:
        try:
            found = (await StoredRevocations(store).read()).revocations
        except ValueError:
            raise Refused("something that is no revocation stands in the list; gateways believe no token now") from None
        now_ms = await store_ms(store)
    lines = [line for line in found if tenant in (None, line.tenant) and (line.until_ms or now_ms + 1) > now_ms]
    out = console()
    for line in sorted(lines, key=lambda line: line.name):
        out.print(json.dumps(_document(line)) if as_json else f"{_said(line)}  {line.why}", markup=False)
    if not as_json:
        out.print(f"{len(lines)} revocations", markup=False)


def _revocation(tenant: str, meant: Meant, now_ms: int, *, why: str = "") -> Revocation:
    until_ms = None if meant.until is None else instant_ms(meant.until)
    if until_ms is not None and until_ms <= now_ms:
        raise Refused("--until lies in the past: nothing would be revoked")
    named = token_id(meant.jti) if meant.jti is not None else meant.token_id
    try:
        if named is not None:
            if not _TOKEN_ID.fullmatch(named):
                raise Refused(f"--token-id is {TOKEN_ID_DIGITS} hex digits, as log lines show them")
            return Revocation(tenant, Reach.TOKEN, named, None, until_ms, why)
        if meant.before is not None:
            return Revocation(tenant, Reach.BEFORE, "", _instant_ms(meant.before, now_ms), until_ms, why)
        return Revocation(tenant, Reach.ALL, "", None, until_ms, why)
    except ValueError:
        raise Refused("that is no tenant's name") from None


def _instant_ms(text: str, now_ms: int) -> int:
    if text == _NOW:
        return now_ms
    said_ms = instant_ms(text)
    # To the second: what is written may be the second that has just begun.
    if now_ms and said_ms > now_ms + 1000:
        raise Refused("--before lies in the future; --all revokes every token, also those issued later")
    return said_ms


def _said(line: Revocation) -> str:
    if line.reach is Reach.TOKEN:
        what = f"token {line.token_id}"
    else:
        what = "every token" if line.before_ms is None else f"tokens issued before {shown(line.before_ms)}"
    return f"{line.tenant}: {what}" + ("" if line.until_ms is None else f", until {shown(line.until_ms)}")


def _document(line: Revocation) -> dict[str, object]:
    return {
        "tenant": line.tenant,
        "reach": str(line.reach),
        "token_id": line.token_id or None,
        "before": None if line.before_ms is None else shown(line.before_ms),
        "until": None if line.until_ms is None else shown(line.until_ms),
        "why": line.why,
    }
