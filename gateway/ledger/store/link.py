"""Link: one store at one address, connected when it is needed and again when it was lost. Says no at once meanwhile."""

import asyncio
import random
import ssl
from dataclasses import dataclass

import hiredis

from gateway.errors import LedgerUnavailable
from gateway.ledger.store.address import Address, StoreUrl
from gateway.ledger.store.trouble import classified
from gateway.ledger.store.wire import Wire, Words

# Between two attempts to connect that fail; jittered, so that not all gateways come back at the same instant.
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 1.0


@dataclass(frozen=True, slots=True)
class Dialling:
    """How stores are connected to.

    Attributes:
        url: who we are to them, and which database.
        deadline_s: for a connection, its introduction included, and for each call.
        replicas: as `Wire`.
        tls: None for connections in the clear.
    """

    url: StoreUrl
    deadline_s: float
    replicas: int = 0
    tls: ssl.SSLContext | None = None

    async def dial(self, address: Address, wire: Wire) -> None:
        """Connect `wire` and introduce ourselves. Raises OSError, LedgerUnavailable."""
        loop = asyncio.get_running_loop()
        if address.port:
            await loop.create_connection(lambda: wire, address.host, address.port, ssl=self.tls)
        else:
            await loop.create_unix_connection(lambda: wire, address.host)
        for words in self._introduction():
            answer = await wire.plain(words)
            if isinstance(answer, hiredis.ReplyError):
                raise classified(str(answer))

    def _introduction(self) -> list[Words]:
        url = self.url
        said: list[Words] = []
        if url.password is not None:
            said.append(("AUTH", url.user, url.password) if url.user else ("AUTH", url.password))
        if url.database:
            said.append(("SELECT", url.database))
        return said


class Link:
    """The way to one address. Owns its connection and the attempt to make one."""

    def __init__(self, address: Address, dialling: Dialling) -> None:
        self.address = address
        self._dialling = dialling
        self._wire: Wire | None = None
        self._attempt: asyncio.Task[Wire] | None = None
        self._failed = 0
        self._code = "connection"
        self._again_s = 0.0
        self._closed = False

    @property
    def wire(self) -> Wire | None:
        """The open connection, if there is one."""
        return self._wire

    async def connected(self) -> Wire:
        """The open connection, or a new one.

        Raises:
            LedgerUnavailable: not sent: the attempt failed, or one did a moment ago.
        """
        if self._wire is not None:
            return self._wire
        if self._attempt is None:
            if self._closed or asyncio.get_running_loop().time() < self._again_s:
                raise LedgerUnavailable(self._code, sent=False)
            self._attempt = asyncio.create_task(self._connect())
            self._attempt.add_done_callback(_seen)
        # Whoever asked first may be cancelled; the others still wait for the same attempt.
        return await asyncio.shield(self._attempt)

    async def _connect(self) -> Wire:
        wire = Wire(deadline_s=self._dialling.deadline_s, replicas=self._dialling.replicas, lost=self._lost)
        try:
            async with asyncio.timeout(self._dialling.deadline_s):
                await self._dialling.dial(self.address, wire)
            wire.refuse_closed()  # it may have been lost again before anybody could ask anything
        except BaseException as error:
            wire.abort()
            code = error.code if isinstance(error, LedgerUnavailable) else _code(error)
            self._put_off(code)
            if isinstance(error, OSError | LedgerUnavailable):  # a timeout is an OSError
                raise LedgerUnavailable(code, sent=False) from None
            raise
        finally:
            self._attempt = None
        self._wire, self._failed, self._code = wire, 0, "connection"
        return wire

    def _put_off(self, code: str) -> None:
        wait_s = min(_FIRST_WAIT_S * 2**self._failed, _LONGEST_WAIT_S)
        self._failed = min(self._failed + 1, 10)
        self._code = code
        # Not for secrecy: gateways that lost the same store shall not all come back at once.
        self._again_s = asyncio.get_running_loop().time() + wait_s * random.uniform(0.5, 1.0)  # noqa: S311

    def _lost(self) -> None:
        self._wire = None

    def drop(self, code: str) -> None:
        """Give up a connection to a store that cannot serve, for `code`; after a pause, a call makes a new one."""
        if self._wire is not None:
            wire, self._wire = self._wire, None
            wire.abort()
            self._put_off(code)

    async def close(self) -> None:
        """Close for good."""
        self._closed = True
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.gather(self._attempt, return_exceptions=True)
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.abort()
            await wire.closed.wait()


def _seen(attempt: "asyncio.Task[Wire]") -> None:
    """Failures are told to whoever asks; an attempt that nobody waits for any more fails in silence."""
    if not attempt.cancelled():
        attempt.exception()


def _code(error: BaseException) -> str:
    return "timeout" if isinstance(error, TimeoutError) else "connection"
