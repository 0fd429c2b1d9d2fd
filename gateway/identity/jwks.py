"""A provider's key set, kept fresh without ever being asked too often.

1. Speaks no HTTP: the fetch and the clock are handed in (`fetch.py` has the real one).
2. At most one fetch is under way, and at most one is started per cool-down, whatever arrives.
3. A failed fetch changes nothing: the last good set is used until it is older than `stale_max_s`.
4. A caller waits at most `wait_s`; the fetch it waited for goes on without it.
5. A large document is read beside the loop: a provider cannot make everybody wait.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.errors import IdentityUnavailable
from gateway.identity.jwk import Reading, read_jwks
from gateway.identity.keys import BadKey, KeySet

REFRESH_S_MAX = 300.0

# Documents up to this size are read in about a millisecond.
READ_ON_LOOP_BYTES_MAX = 16_384

# The background refresh comes before the set is due, so that no request meets a set that is.
_EARLY = 0.75


@dataclass(eq=False)
class FetchFailed(Exception):
    """No document. `code` is `timeout`, `connect`, `tls`, `redirect`, `status` or `too_large`."""

    code: str

    def __str__(self) -> str:
        return self.code


Fetch = Callable[[], Awaitable[bytes]]


class SetState(StrEnum):
    """How good the key set in hand is, for readiness: `stale` is degraded, `none` is not ready."""

    FRESH = "fresh"
    STALE = "stale"
    NONE = "none"


class JwksSource:
    """The current key set of one provider.

    With `start` a task of its own refreshes the set ahead of time and `close` ends it. Without, a caller who finds
    the set past `refresh_s` waits for its refresh; a removed key is refused within `refresh_s` either way.

    Attributes:
        generation: grows with every change of the set; what was verified under an older one is void.
        failure: why the last fetch failed: a `FetchFailed` code, `bad_keys` or `internal`; None after a good one.
        rejected: how many keys of the last good document were not usable.
    """

    def __init__(
        self,
        fetch: Fetch,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        refresh_s: float = REFRESH_S_MAX,
        cooldown_s: float = 30.0,
        stale_max_s: float = 86_400.0,
        wait_s: float = 1.0,
        fetch_timeout_s: float = 5.0,
    ) -> None:
        """Fetch nothing yet.

        Args:
            fetch: the document's bytes, or FetchFailed.
            clock: seconds that only grow.
            sleep: how the task of `start` waits.
            refresh_s: how old the set may get before it is asked for again.
            cooldown_s: the least time between the starts of two fetches.
            stale_max_s: how old the last good set may get before it is used no more.
            wait_s: how long a caller waits, counted from the start of the fetch.
            fetch_timeout_s: how long one fetch may take.

        Raises:
            ValueError: `refresh_s` outside (0, 300], `cooldown_s` above it, or a time not above 0.
        """
        if not 0 < refresh_s <= REFRESH_S_MAX:
            raise ValueError("refresh_s must be above 0 and at most 300")
        if min(cooldown_s, stale_max_s, wait_s, fetch_timeout_s) <= 0:
            raise ValueError("every time must be above 0")
        if cooldown_s > refresh_s:
            raise ValueError("cooldown_s must be at most refresh_s: it would keep removed keys in use")
        self._fetch, self._clock, self._sleep = fetch, clock, sleep
        self._refresh_s, self._cooldown_s, self._stale_max_s = refresh_s, cooldown_s, stale_max_s
        self._wait_s, self._fetch_timeout_s = wait_s, fetch_timeout_s
        self._keys: KeySet | None = None
        self._fetched_s = 0.0
        self._tried_s: float | None = None
        self._flight: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False
        self.generation = 0
        self.failure: str | None = None
        self.rejected = 0

    async def start(self) -> None:
        """Fetch once, waiting at most `wait_s`, and keep the set fresh from now on. Never raises for a bad fetch."""
        self._closed = False
        if self._keeper is None:
            await self._wait(self._join_or_begin())
            if not self._closed:
                self._keeper = asyncio.create_task(self._keep(), name="jwks-keeper")

    async def close(self) -> None:
        """End every task of this source and fetch no more; the set in hand stays."""
        self._closed = True
        tasks = [task for task in (self._keeper, self._flight) if task is not None]
        self._keeper = self._flight = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def state(self) -> SetState:
        """How good the set in hand is."""
        if self._usable() is None:
            return SetState.NONE
        return SetState.STALE if self._is_overdue() else SetState.FRESH

    def age_s(self) -> float | None:
        """Seconds since the set in hand was asked for; None without one."""
        return None if self._keys is None else self._clock() - self._fetched_s

    def in_hand(self) -> KeySet | None:
        """The set to judge by at once, or None when `current` must be awaited first."""
        if self._is_overdue() and (self.failure is None or self._may_begin()):
            return None
        return self._usable()

    async def current(self) -> KeySet:
        """The set to judge by; an overdue one is refreshed first. During an outage nobody waits for it.

        Raises:
            IdentityUnavailable: there is none, or the last good one is too old.
        """
        if self._is_overdue():
            flight = self._join_or_begin()
            if self.failure is None or self._usable() is None:
                await self._wait(flight)
        return self._usable_or_raise()

    async def after_unknown_kid(self) -> KeySet:
        """The set after the one refresh an unknown `kid` may cause; as it is while that is cooling down.

        Raises:
            IdentityUnavailable: as `current`.
        """
        await self._wait(self._join_or_begin())
        return self._usable_or_raise()

    def _is_overdue(self) -> bool:
        return self._keys is None or self._clock() - self._fetched_s >= self._refresh_s

    def _may_begin(self) -> bool:
        if self._closed:
            return False
        return self._tried_s is None or self._clock() - self._tried_s >= self._cooldown_s

    def _usable(self) -> KeySet | None:
        return self._keys if self._clock() - self._fetched_s < self._stale_max_s else None

    def _usable_or_raise(self) -> KeySet:
        keys = self._usable()
        if keys is None:
            raise IdentityUnavailable
        return keys

    def _join_or_begin(self) -> asyncio.Task[None] | None:
        if self._flight is not None and not self._flight.done():
            return self._flight
        if not self._may_begin():
            return None
        self._tried_s = self._clock()
        self._flight = asyncio.create_task(self._refresh(), name="jwks-fetch")
        return self._flight

    async def _wait(self, flight: asyncio.Task[None] | None) -> None:
        if flight is None:
            return
        # Neither a caller's end nor its deadline ends the fetch: others wait for the same one.
        # `wait_s` counts from its start: while a provider hangs, only the first callers wait.
        gone_s = 0.0 if self._tried_s is None else self._clock() - self._tried_s
        await asyncio.wait({flight}, timeout=max(0.0, self._wait_s - gone_s))

    async def _refresh(self) -> None:
        asked_s = self._clock()
        try:
            async with asyncio.timeout(self._fetch_timeout_s):
                reading = await _read(await self._fetch())
        except FetchFailed as failed:
            self.failure = failed.code
        except TimeoutError:
            self.failure = "timeout"
        except BadKey:
            self.failure = "bad_keys"
        except Exception:  # noqa: BLE001 - whatever a fetch does, the last good set stays and refreshing goes on
            self.failure = "internal"
        else:
            self.failure, self._fetched_s, self.rejected = None, asked_s, reading.rejected
            if reading.keys != self._keys:
                self._keys = reading.keys
                self.generation += 1

    async def _keep(self) -> None:
        while True:
            await self._sleep(self._cooldown_s if self.failure else self._refresh_s * _EARLY)
            flight = self._join_or_begin()
            if flight is not None:
                await asyncio.wait({flight}, timeout=self._fetch_timeout_s)


async def _read(document: bytes) -> Reading:
    return (
        read_jwks(document) if len(document) <= READ_ON_LOOP_BYTES_MAX else await asyncio.to_thread(read_jwks, document)
    )
