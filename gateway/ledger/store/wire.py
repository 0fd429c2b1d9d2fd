"""Wire: one connection to one store, shared by all calls. What is asked within one turn of the loop is one write.

Rules of this file:

1. Nothing is ever sent twice. A call without an answer in time fails; whether it ran, nobody knows.
2. An answer reaches the call it belongs to, or none. Scripts end their answers with a word that names the call; any
   other command is followed by an ECHO of such a word. A lost answer fails its own call, one that comes twice is
   dropped, and an answer that fits nobody ends the connection.
3. A call that is cancelled or late keeps its place until its answer has passed by.
4. Where replicas are asked for, one WAIT stands behind all scripts of one write, and they are answered after it.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis

from gateway.errors import LedgerUnavailable

Words = Sequence[str | int]

# Calls under way on one connection; one more is refused. Bounds what waits in memory while a store does not read.
PENDING_MAX = 10_000

# A store that answers nothing for this many deadlines after one has passed is given up, and connected to anew.
_PATIENCE = 3

_NOTHING = object()


class _Asked:
    """One call that is under way. `future` is None for questions of the wire's own."""

    __slots__ = ("answer", "awaits", "deadline_s", "future", "nonce", "oks", "plain")

    def __init__(self, nonce: str, *, plain: bool, future: "asyncio.Future[Any] | None", deadline_s: float) -> None:
        self.nonce = nonce
        self.plain = plain
        self.future = future
        self.deadline_s = deadline_s
        self.oks = 0  # of what was sent before it for its sake
        self.answer: Any = _NOTHING
        self.awaits: list[_Asked] | None = None  # of a WAIT: those that are answered after it


class Wire(asyncio.Protocol):
    """One open connection.

    Args:
        deadline_s: for one call.
        replicas: how many must have what a replicated script wrote before it is answered; 0 for none.
        lost: told once that this connection is gone.
    """

    def __init__(self, *, deadline_s: float, replicas: int = 0, lost: Callable[[], None] = lambda: None) -> None:
        self._deadline_s = deadline_s
        self._replicas = replicas
        self._told_lost = lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace")
        self._pending: deque[_Asked] = deque()
        self._by_nonce: dict[str, _Asked] = {}
        self._watched: deque[_Asked] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._out: list[bytes] = []
        self._batch: list[_Asked] = []
        self._mark = f"~{secrets.token_hex(8)}:"
        self._count = 0
        self.closed = asyncio.Event()

    @property
    def open(self) -> bool:
        """Whether anything may be asked."""
        return self._transport is not None

    def refuse_closed(self) -> None:
        """Raises LedgerUnavailable, not sent, unless anything may be asked."""
        if self._transport is None:
            raise LedgerUnavailable("connection", sent=False)

    # --- asking ------------------------------------------------------------------------------------------------

    def script(self, words: Words, *, replicated: bool = False, asking: bool = False) -> "asyncio.Future[Any]":
        """Send the words of a script's call; the name of the call is added as its last argument.

        Resolves to the script's answer without that name, or to the `hiredis.ReplyError` that came instead.

        Args:
            words: `EVALSHA` or `EVAL`, and what follows.
            replicated: answer only once the replicas have it.
            asking: announce to a cluster's node that the slot is on its way there.

        Raises:
            LedgerUnavailable: here: nothing was sent. From the future: it may have run.
        """
        future = self._loop.create_future()
        asked = self._ask(future, plain=False, asking=asking)
        self._out.append(_packed(*words, asked.nonce))
        if replicated and self._replicas:
            self._batch.append(asked)
        return future

    def plain(self, words: Words, *, asking: bool = False) -> "asyncio.Future[Any]":
        """Send any other command; as `script`."""
        future = self._loop.create_future()
        asked = self._ask(future, plain=True, asking=asking)
        self._out.append(_packed(*words) + _packed("ECHO", asked.nonce))
        return future

    def _ask(self, future: "asyncio.Future[Any]", *, plain: bool, asking: bool) -> _Asked:
        pending = self._pending
        self.refuse_closed()
        if pending and pending[0].deadline_s <= self._loop.time():
            # Behind a call that is not answered, this one would not be either.
            self._suspect()
            raise LedgerUnavailable("stalled", sent=False)
        if len(pending) >= PENDING_MAX:
            raise LedgerUnavailable("busy", sent=False)
        asked = self._noted(plain=plain, future=future)
        self._watched.append(asked)
        if self._timer is None:
            self._timer = self._loop.call_at(asked.deadline_s, self._look)
        if asking:
            self._out.append(_packed("ASKING"))
            asked.oks = 1
        return asked

    def _noted(self, *, plain: bool, future: "asyncio.Future[Any] | None") -> _Asked:
        self._count += 1
        nonce = f"{self._mark}{self._count}"
        asked = _Asked(nonce, plain=plain, future=future, deadline_s=self._loop.time() + self._deadline_s)
        self._pending.append(asked)
        self._by_nonce[nonce] = asked
        if not self._out:
            self._loop.call_soon(self._flush)
        return asked

    def _flush(self) -> None:
        if self._transport is None or not self._out:
            return
        if self._batch:
            wait = self._noted(plain=True, future=None)
            wait.awaits, self._batch = self._batch, []
            for asked in wait.awaits:
                asked.awaits = []  # its answer is kept until the WAIT's
            within_ms = max(1, int(self._deadline_s * 500))
            self._out.append(_packed("WAIT", self._replicas, within_ms) + _packed("ECHO", wait.nonce))
        self._transport.write(b"".join(self._out))
        self._out.clear()

    # --- answers -----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take what the store sent."""
        reader = self._reader
        try:
            reader.feed(data)
            while (answer := reader.gets()) is not False:
                self._took(answer)
                if self._transport is None:
                    return
        except hiredis.ProtocolError:
            self.abort("error")

    def _took(self, answer: Any) -> None:
        last = answer[-1] if isinstance(answer, list) and answer else answer
        if not isinstance(last, str) or not last.startswith(self._mark):
            self._unnamed(answer)
            return
        asked = self._by_nonce.get(last)
        if asked is None:
            return  # it came twice
        while self._pending[0] is not asked:
            # Answers keep their order: those before it are lost.
            self._fail(self._popped(), "connection")
        self._popped()
        if not asked.plain:
            answer.pop()
            # What a script ran into, as `closing.lua` says it.
            self._answer(asked, hiredis.ReplyError(answer[1]) if answer[:1] == ["failed"] else answer)
        elif asked.answer is _NOTHING:
            self._fail(asked, "connection")
        else:
            self._answer(asked, asked.answer)

    def _unnamed(self, answer: Any) -> None:
        """An answer that does not say whose it is: of the oldest call, if it can be."""
        head = self._pending[0] if self._pending else None
        failed = isinstance(answer, hiredis.ReplyError)
        if head is not None and head.oks and not failed:
            head.oks -= 1
        elif head is not None and head.plain and head.answer is _NOTHING:
            head.answer = answer
        elif head is not None and failed:
            # Of a plain call: neither it nor its ECHO is answered; the first says why.
            self._answer(self._popped(), head.answer if head.plain else answer)
        else:
            self.abort("error")

    def _popped(self) -> _Asked:
        asked = self._pending.popleft()
        del self._by_nonce[asked.nonce]
        return asked

    def _answer(self, asked: _Asked, answer: Any) -> None:
        future = asked.future
        if future is None:
            self._answered_ours(asked, answer)
        elif asked.awaits is not None and not isinstance(answer, hiredis.ReplyError):
            asked.answer = answer
        elif not future.done():
            future.set_result(answer)

    def _answered_ours(self, asked: _Asked, answer: Any) -> None:
        """A question of the wire's own was answered: that of a stall, or how many replicas have what was written."""
        if asked.awaits is None:
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None
            return
        enough = isinstance(answer, int) and answer >= self._replicas
        for waiting in asked.awaits:
            if enough and waiting.answer is not _NOTHING and waiting.future is not None and not waiting.future.done():
                waiting.future.set_result(waiting.answer)
            else:
                self._fail(waiting, "replicas")

    def _fail(self, asked: _Asked, code: str) -> None:
        if asked.future is not None and not asked.future.done():
            asked.future.set_exception(LedgerUnavailable(code))
        for waiting in asked.awaits or ():
            self._fail(waiting, code)

    # --- time --------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Fail what is late; ask a store that owes an answer whether it is still there."""
        self._timer = None
        watched, now_s = self._watched, self._loop.time()
        while watched and (watched[0].deadline_s <= now_s or watched[0].future.done()):  # type: ignore[union-attr]
            self._fail(watched.popleft(), "timeout")
        if watched:
            self._timer = self._loop.call_at(watched[0].deadline_s, self._look)
        if self._pending and self._pending[0].deadline_s <= now_s:
            self._suspect()

    def _suspect(self) -> None:
        """Ask a store that owes an answer whether it is still there. Any answer of it tells what was lost."""
        if self._patience is None:
            self._patience = self._loop.call_later(self._deadline_s * _PATIENCE, self.abort, "timeout")
            asked = self._noted(plain=True, future=None)
            self._out.append(_packed("PING") + _packed("ECHO", asked.nonce))

    # --- the connection ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End: what is under way may or may not have run."""
        self._end("connection")
        self.closed.set()

    def abort(self, code: str = "connection") -> None:
        """Give the connection up at once; what is under way fails with `code`."""
        transport = self._transport
        self._end(code)
        if transport is not None:
            transport.abort()

    def _end(self, code: str) -> None:
        was_open, self._transport = self._transport is not None, None
        for timer in (self._timer, self._patience):
            if timer is not None:
                timer.cancel()
        while self._pending:
            self._fail(self._popped(), code)
        while self._watched:
            self._fail(self._watched.popleft(), code)
        self._out.clear()
        if was_open:
            self._told_lost()


def _packed(*words: str | int) -> bytes:
    # Its stub takes a tuple for one word.
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]
    return packed
