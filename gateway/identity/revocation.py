"""Revoked tokens, looked up in memory: no request waits for the store.

1. One short question per `poll_s` asks whether the list has changed; only then it is read.
2. A copy that was not confirmed for `stale_max_s` is no copy: nobody is believed until the store answers again.
3. A token that does not say when it was issued counts as old.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.errors import IdentityUnavailable, Unauthenticated
from gateway.identity.principal import Principal
from gateway.revocations import Reach, Revocation, RevocationList

# Before the first good answer a gateway takes no calls, so it asks again sooner than it does later on.
_FIRST_PAUSES_S = (0.05, 0.1, 0.2, 0.4)


class Source(Protocol):
    """Where the list is kept. Both may raise anything; the list in hand then ages."""

    async def version(self) -> str:
        """Which version it has."""
        ...

    async def read(self) -> RevocationList:
        """All of it."""
        ...


@dataclass(slots=True)
class _Tenant:
    """One tenant's revocations by reach; each with its end, ms since the epoch, None for never."""

    all: list[int | None] = field(default_factory=list)
    before: list[tuple[int, int | None]] = field(default_factory=list)
    tokens: dict[str, int | None] = field(default_factory=dict)

    def take(self, revocation: Revocation) -> None:
        ends = revocation.until_ms
        if revocation.reach is Reach.TOKEN:
            self.tokens[revocation.token_id] = ends
        elif revocation.before_ms is not None:
            self.before.append((revocation.before_ms, ends))
        else:
            self.all.append(ends)

    def means(self, token_id: str | None, issued_ms: float | None, now_ms: float) -> bool:
        if any(_lasts(ends, now_ms) for ends in self.all):
            return True
        if any(_lasts(ends, now_ms) and (issued_ms is None or issued_ms < before) for before, ends in self.before):
            return True
        return token_id in self.tokens and _lasts(self.tokens[token_id], now_ms)


def _lasts(ends_ms: int | None, now_ms: float) -> bool:
    return ends_ms is None or now_ms < ends_ms


class RevocationWatch:
    """A copy of the list, kept fresh by a task of its own between `start` and `close`.

    Attributes:
        failure: what the last look failed with, a class name; None after a good one.
    """

    def __init__(
        self,
        source: Source,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        poll_s: float = 0.5,
        stale_max_s: float = 5.0,
    ) -> None:
        """Ask nothing yet.

        Args:
            source: where the list is kept.
            clock: seconds that only grow.
            wall_clock: seconds since the epoch; says which revocations have lapsed.
            sleep: how the task waits.
            poll_s: seconds between two questions.
            stale_max_s: how old the last good answer may be.
        """
        self._source, self._clock, self._wall_clock, self._sleep = source, clock, wall_clock, sleep
        self._poll_s, self._stale_max_s = poll_s, stale_max_s
        self._version: str | None = None
        self._confirmed_s: float | None = None
        self._tenants: dict[str, _Tenant] = {}
        self._keeper: asyncio.Task[None] | None = None
        self.failure: str | None = None

    async def start(self) -> None:
        """Read the list, trying a few times, and keep it fresh from now on.

        While the store is away nobody is believed; it is no error.
        """
        if self._keeper is None:
            await self.look()
            for pause_s in _FIRST_PAUSES_S:
                if self._confirmed_s is not None:
                    break
                await self._sleep(pause_s)
                await self.look()
            self._keeper = asyncio.create_task(self._keep(), name="revocations")

    async def close(self) -> None:
        """End the task; the copy in hand ages."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    def is_current(self) -> bool:
        """Whether the copy in hand was confirmed lately."""
        return self._confirmed_s is not None and self._clock() - self._confirmed_s < self._stale_max_s

    def refuse(self, principal: Principal, *, issued_at: float | None) -> None:
        """Let a caller pass whose token is not revoked. Never waits.

        Args:
            principal: as the verified token says.
            issued_at: the token's `iat`, seconds since the epoch, or None.

        Raises:
            Unauthenticated: `jwt_revoked`.
            IdentityUnavailable: nobody knows what is revoked now.
        """
        if not self.is_current():
            raise IdentityUnavailable
        tenant = self._tenants.get(principal.tenant)
        if tenant is None:
            return
        issued_ms = None if issued_at is None else issued_at * 1000
        if tenant.means(principal.token_id, issued_ms, self._wall_clock() * 1000):
            raise Unauthenticated("jwt_revoked")

    async def look(self) -> None:
        """Ask once, and read the list if it has changed. Never raises."""
        # The answer is as old as the question.
        asked_s = self._clock()
        try:
            if self._version is None or await self._source.version() != self._version:
                self._take(await self._source.read())
        except Exception as fault:  # noqa: BLE001 - whatever the store does, the copy in hand ages and looking goes on
            self.failure = type(fault).__name__
        else:
            self.failure, self._confirmed_s = None, asked_s

    def _take(self, found: RevocationList) -> None:
        self._tenants = _by_tenant(found.revocations)
        self._version = found.version

    async def _keep(self) -> None:
        while True:
            await self._sleep(self._poll_s)
            await self.look()


def _by_tenant(revocations: Iterable[Revocation]) -> dict[str, _Tenant]:
    tenants: dict[str, _Tenant] = {}
    for revocation in revocations:
        tenants.setdefault(revocation.tenant, _Tenant()).take(revocation)
    return tenants
