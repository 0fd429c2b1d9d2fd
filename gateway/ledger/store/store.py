"""Store: the way to Redis or Valkey, be it one, a cluster, or a primary with sentinels. Every failure has a class.

Nothing is sent twice unless the store said that it did not run it: a script it does not know, a slot that moved. No
answer within the deadline is `LedgerUnavailable`: unknown, never "no"; only the caller knows whether it is safe to ask
again.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import hiredis

from gateway.errors import LedgerPoisoned, LedgerUnavailable
from gateway.ledger.store.address import Address, read_url
from gateway.ledger.store.link import Dialling, Link
from gateway.ledger.store.script import Script
from gateway.ledger.store.topology import topology_of
from gateway.ledger.store.trouble import LEADS_NOWHERE, UnknownScriptError, classified
from gateway.ledger.store.wire import Wire

# How often a call follows a slot that moved.
_REDIRECTS_MAX = 3

# Between two searches for where keys live, however much goes wrong.
_SEARCH_PAUSE_S = 0.2

# Around a question that is asked for the first time; see `_no_longer_certain`.
_CERTAIN = nullcontext()

# Commands whose first argument is no key: any node answers them.
_KEYLESS = frozenset({"PING", "TIME", "INFO", "CONFIG", "ECHO", "CLIENT", "DEBUG", "ROLE"})


# How a call is sent over a wire; the second argument as `asking` of `Wire`.
_Send = Callable[[Wire, bool], "asyncio.Future[Any]"]

_Words = tuple[str | int, ...]

# Who has answered, and what.
_Found = tuple[Link, Any]


class Store:
    """The stores behind one URL, one connection to each.

    Args:
        url: as `address.read_url`. Raises ValueError for any other.
        deadline_s: for one call; finding and connecting to the store, where needed, have the same once more.
        replicas: of a primary that must have what a script wrote before it is answered.
        ca_file: PEM file of the authorities to trust for `rediss://`; None takes the system's.
        told: called at each change: with the class of the trouble, and with None once calls are answered again.
    """

    def __init__(
        self,
        url: str,
        *,
        deadline_s: float,
        replicas: int = 0,
        ca_file: Path | None = None,
        told: Callable[[str | None], None] = lambda _: None,
    ) -> None:
        read = read_url(url)
        tls = ssl.create_default_context(cafile=ca_file) if read.tls else None
        self._deadline_s = deadline_s
        self._dialling = Dialling(read, deadline_s, replicas, tls)
        self._topology = topology_of(read, deadline_s=deadline_s, tls=tls)
        self._links: dict[Address, Link] = {}
        self._search: asyncio.Task[None] | None = None
        self._searched_s = float("-inf")
        self._search_from_s = float("-inf")
        self._told = told
        self._trouble: str | None = None
        self._closed = False

    @property
    def trouble(self) -> str | None:
        """The class of what went wrong last, until a call is answered again; None while all is well."""
        return self._trouble

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str]) -> list[Any]:
        """Run `script` once and return its answer. All keys live in one slot; the first says which.

        A store that does not know the script said so without running it, so it is sent again with its text.

        Raises:
            LedgerUnavailable: no answer, or an error one. It may have run, unless the error says that it was not sent.
            LedgerPoisoned: the script found a stored value it cannot trust; it wrote nothing.
        """
        words: _Words = ("EVALSHA", script.sha1, len(keys), *keys, *args)
        key, replicated = keys[0] if keys else None, not script.reads_only

        def send(wire: Wire, asking: bool) -> "asyncio.Future[Any]":  # noqa: FBT001 - as `_Send`
            return wire.script(words, replicated=replicated, asking=asking)

        answer: list[Any]
        try:
            answer = await self._ask(key, send)
        except UnknownScriptError:
            words = ("EVAL", script.text, *words[2:])
            with _no_longer_certain():
                answer = await self._ask(key, send)
        return answer

    def begin(self, script: Script, keys: Sequence[str], args: Sequence[str]) -> "asyncio.Future[Any] | None":
        """As `run`, for who does not wait; None where the way to the store is not open just now.

        The future resolves to what `is_answer` knows for an answer or an error. What an error means, or that the future
        raises LedgerUnavailable, is found out by asking again.
        """
        link = self._open_link(keys[0] if keys else None)
        if link is None or link.wire is None:
            return None
        words: _Words = ("EVALSHA", script.sha1, len(keys), *keys, *args)
        try:
            return link.wire.script(words, replicated=not script.reads_only)
        except LedgerUnavailable:
            return None

    def is_answer(self, found: Any) -> bool:
        """Whether this is an answer, and no error in its place."""
        if isinstance(found, hiredis.ReplyError):
            return False
        if self._trouble is not None:
            self._note(None)
        return True

    async def call(self, *words: str | int) -> Any:
        """Send one command and return its answer; errors as `run`. Its first argument is its key, if it has one."""
        key = str(words[1]) if len(words) > 1 and words[0] not in _KEYLESS else None
        return await self._ask(key, lambda wire, asking: wire.plain(words, asking=asking))

    async def everywhere(self, *words: str | int) -> list[Any]:
        """The answer of every primary to one command; raises as `run`, also when one of them does not answer."""
        if not self._topology.primaries():
            await self._find()
        return [
            await self._asked(address, lambda wire, asking: wire.plain(words, asking=asking), asking=False)
            for address in self._topology.primaries()
        ]

    # --- one call ----------------------------------------------------------------------------------------------

    async def _ask(self, key: str | None, send: _Send) -> Any:
        """Ask, straight away where the key's store is connected and answers; all else goes the long way."""
        link = self._open_link(key)
        if link is None or link.wire is None:
            return await self._long_way(key, send)
        try:
            answer = await send(link.wire, False)  # noqa: FBT003 - as `_Send`
        except LedgerUnavailable as error:
            self._doubt()
            await self._failed(error)
            raise
        return answer if self.is_answer(answer) else await self._long_way(key, send, (link, answer))

    def _open_link(self, key: str | None) -> Link | None:
        """The link to the key's store, if it is connected."""
        address = self._topology.of(key)
        self._look_again()
        link = self._links.get(address) if address is not None else None
        return None if link is None or link.wire is None else link

    async def _long_way(self, key: str | None, send: _Send, found: _Found | None = None) -> Any:
        """Ask, unless an error was `found` in the place of an answer just now, and make the best of it."""
        try:
            answer = await self._followed(key, send, found)
        except (LedgerPoisoned, UnknownScriptError):
            raise
        except LedgerUnavailable as error:
            await self._failed(error)
            raise
        if self._trouble is not None:
            self._note(None)
        return answer

    async def _failed(self, error: LedgerUnavailable) -> None:
        self._note(error.code)
        if not error.sent:
            # Refused without any wait: who asks again and again must not keep off what brings the store back.
            await asyncio.sleep(0)

    async def _followed(self, key: str | None, send: _Send, found: _Found | None) -> Any:
        """Ask where the key lives, and where that store says it does."""
        address, asking = found[0].address if found is not None else self._topology.of(key), False
        self._look_again()
        for redirects in range(_REDIRECTS_MAX):
            if address is None:
                await self._find()
                address = self._topology.of(key)
            if address is None:
                raise LedgerUnavailable("cluster", sent=False)
            with _no_longer_certain() if redirects else _CERTAIN:
                answer = self._judged(*found) if found else await self._asked(address, send, asking=asking)
            found = None
            elsewhere = _elsewhere(answer, address)
            if elsewhere is None:
                return answer
            word, slot, address = elsewhere
            asking = word == "ASK"
            if not asking:
                self._topology.moved(slot, address)
                self._doubt()
        raise LedgerUnavailable("cluster")

    async def _asked(self, address: Address, send: _Send, *, asking: bool) -> Any:
        """Ask once. A redirection is returned, every other error raised."""
        link = self._links.get(address) or self._link(address)
        try:
            wire = link.wire or await self._connected(link)
            answer = await send(wire, asking)
        except LedgerUnavailable:
            # Where there may be another one by now, look for it.
            self._doubt()
            raise
        return self._judged(link, answer)

    def _judged(self, link: Link, answer: Any) -> Any:
        """The answer, a redirection included; raises every other error."""
        if not isinstance(answer, hiredis.ReplyError) or str(answer).startswith(("MOVED ", "ASK ")):
            return answer
        found = classified(str(answer))
        if found.code in LEADS_NOWHERE:
            link.drop(found.code)
            self._doubt()
        raise found

    async def _connected(self, link: Link) -> Wire:
        async with _within(self._deadline_s):
            return await link.connected()

    def _link(self, address: Address) -> Link:
        if self._closed:
            raise LedgerUnavailable("connection", sent=False)
        link = self._links[address] = Link(address, self._dialling)
        return link

    def _note(self, code: str | None) -> None:
        if code != self._trouble:
            self._trouble = code
            self._told(code)

    # --- finding -----------------------------------------------------------------------------------------------

    def _look_again(self) -> None:
        """Beside the calls: whether keys still live where they are thought to."""
        if self._topology.believed_s is not None and asyncio.get_running_loop().time() >= self._search_from_s:
            self._begin_search()

    def _doubt(self) -> None:
        """Look again soon: something went wrong where keys were thought to live."""
        self._search_from_s = min(self._search_from_s, self._searched_s + _SEARCH_PAUSE_S)

    async def _find(self) -> None:
        """Find out where keys live; raises LedgerUnavailable, also when that failed a moment ago."""
        if self._topology.believed_s is None:
            return
        if self._search is None and asyncio.get_running_loop().time() < self._searched_s + _SEARCH_PAUSE_S:
            raise LedgerUnavailable("connection", sent=False)
        async with _within(self._deadline_s * 2):
            await asyncio.shield(self._begin_search())

    def _begin_search(self) -> "asyncio.Task[None]":
        """At most one search at a time, whoever asks for it."""
        if self._closed:
            raise LedgerUnavailable("connection", sent=False)
        if self._search is None:
            self._searched_s = asyncio.get_running_loop().time()
            self._search_from_s = self._searched_s + (self._topology.believed_s or 0.0)
            self._search = asyncio.create_task(self._topology.find())
            self._search.add_done_callback(self._found)
        return self._search

    def _found(self, search: "asyncio.Task[None]") -> None:
        self._search = None
        if not search.cancelled():
            search.exception()  # told to whoever waits for it

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        if self._search is not None:
            self._search.cancel()
            await asyncio.gather(self._search, return_exceptions=True)
        for link in self._links.values():
            await link.close()


@contextmanager
def _no_longer_certain() -> Iterator[None]:
    """Around a question that is asked once more after an error.

    An error bears no call's name: where answers get lost, it may have been meant for the call before, and this one may
    have run. So nobody can say any more that nothing was sent.
    """
    try:
        yield
    except LedgerUnavailable as error:
        error.sent = True
        raise


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """A deadline for what is done before anything is sent."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise LedgerUnavailable("timeout", sent=False) from None


def _elsewhere(answer: Any, asked: Address) -> tuple[str, int, Address] | None:
    """Which slot lives where, if that is the answer: `MOVED 3999 127.0.0.1:6381`; without a host, the one asked."""
    if not isinstance(answer, hiredis.ReplyError):
        return None
    word, _, rest = str(answer).partition(" ")
    slot, _, where = rest.partition(" ")
    host, _, port = where.rpartition(":")
    if not (slot.isdecimal() and port.isdecimal() and int(port)):
        raise classified(str(answer))
    return word, int(slot), Address(host or asked.host, int(port))
