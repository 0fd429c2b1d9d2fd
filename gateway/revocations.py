"""Revocations: which tokens an operator has taken back, kept in the ledger's store so that every gateway knows.

A tenant's tokens are revoked one by one (by token id), all that were issued before an instant, or all of them. The list
is small and bounded. It has a version, so that whoever holds a copy asks one short question to learn that it changed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from gateway.ledger import keys
from gateway.ledger.store import Script

REVOCATIONS_MAX = 10_000

_VERSION = "version"
_FIELD = re.compile(r"([a-z0-9][a-z0-9._-]{0,63})/(all|before|token)(?:/([0-9a-f]{12}))?", re.ASCII)
_VALUE = re.compile(r"([0-9]{0,15})\|([0-9]{0,15})\|(.*)", re.ASCII | re.DOTALL)


class Reach(StrEnum):
    """How far a revocation reaches among a tenant's tokens."""

    ALL = "all"
    BEFORE = "before"
    TOKEN = "token"  # noqa: S105 - a word, no secret


class RevocationRefused(RuntimeError):
    """A revocation that cannot be made; nothing was written. The text is for the operator."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """One line of the list.

    Attributes:
        tenant: whose tokens.
        reach: which of them.
        token_id: of the one token, as log lines show it; only with `TOKEN`.
        before_ms: tokens issued earlier, or that do not say when, are meant; only with `BEFORE`.
        until_ms: when it lapses; None never does.
        why: actor and reason, for people.

    Raises:
        ValueError: parts that do not belong together, or are not written as they must be.
    """

    tenant: str
    reach: Reach
    token_id: str = ""
    before_ms: int | None = None
    until_ms: int | None = None
    why: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        fits = bool(self.token_id) == (self.reach is Reach.TOKEN) and (self.before_ms is not None) == (
            self.reach is Reach.BEFORE
        )
        if not fits or not _FIELD.fullmatch(self.name) or not _VALUE.fullmatch(self.value):
            raise ValueError("not a revocation")

    @property
    def name(self) -> str:
        """What it is called in the list; one tenant has one `all` and one `before`."""
        return f"{self.tenant}/{self.reach}" + (f"/{self.token_id}" if self.token_id else "")

    @property
    def value(self) -> str:
        """What stands there."""
        ends = "" if self.until_ms is None else str(self.until_ms)
        return f"{ends}|{'' if self.before_ms is None else self.before_ms}|{self.why}"

    @classmethod
    def read(cls, name: str, value: str) -> "Revocation":
        """Read what `name` and `value` wrote. Raises ValueError for anything else."""
        found, said = _FIELD.fullmatch(name), _VALUE.fullmatch(value)
        if found is None or said is None:
            raise ValueError("not a revocation")
        ends, before = (int(part) if part else None for part in (said[1], said[2]))
        return cls(found[1], Reach(found[2]), found[3] or "", before, ends, said[3])


@dataclass(frozen=True, slots=True)
class RevocationList:
    """The whole list as it stood under one version."""

    version: str
    revocations: Sequence[Revocation]


class _Store(Protocol):
    async def call(self, *words: str | int) -> Any: ...
    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str]) -> list[Any]: ...


class StoredRevocations:
    """The list in the store. Every method raises LedgerUnavailable."""

    def __init__(self, store: _Store) -> None:
        self._store = store
        self._script = Script.load("revocation")

    async def version(self) -> str:
        """Which version the list has; empty when nobody ever revoked anything."""
        return str(await self._store.call("HGET", keys.REVOKED, _VERSION) or "")

    async def read(self) -> RevocationList:
        """The whole list. Raises ValueError when something else stands in it: then nobody knows what is revoked."""
        found = _pairs(await self._store.call("HGETALL", keys.REVOKED))
        version = found.pop(_VERSION, "")
        return RevocationList(version, [Revocation.read(name, value) for name, value in found.items()])

    async def revoke(self, revocation: Revocation, *, actor: str, reason: str) -> bool:
        """Put it on the list; whether that changed anything.

        Raises:
            RevocationRefused: the list is full, or a later instant stands there already.
        """
        verdict = await self._write(revocation, revocation.value, actor, reason)
        if verdict == "weaker":
            raise RevocationRefused("tokens up to a later instant are revoked already; --undo that first")
        if verdict == "full":
            raise RevocationRefused(
                f"the list holds {REVOCATIONS_MAX} revocations; revoke by --before or --all, or --undo some"
            )
        return verdict == "done"

    async def lift(self, revocation: Revocation, *, actor: str, reason: str) -> bool:
        """Take it off the list; whether it was on it."""
        return await self._write(revocation, "", actor, reason) == "done"

    async def _write(self, revocation: Revocation, value: str, actor: str, reason: str) -> str:
        before = "" if revocation.before_ms is None else str(revocation.before_ms)
        args = [revocation.name, value, before, str(REVOCATIONS_MAX), actor, reason]
        return str((await self._store.run(self._script, [keys.REVOKED, keys.REVOKED_JOURNAL], args))[0])


def _pairs(answer: object) -> dict[str, str]:
    if isinstance(answer, Mapping):
        return {str(name): str(value) for name, value in answer.items()}
    flat = list(answer) if isinstance(answer, list | tuple) else []
    return {str(name): str(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}
