"""The proxy: takes connections on loopback, passes them on to a store, and harms what a plan tells it to harm.

Rules of this file: what no plan asks about passes unread, chunk by chunk; every connection and every late message is
owned and ends with the proxy; a reader that is slow slows its writer down.
"""

import asyncio
import contextlib
from collections import Counter, deque
from types import TracebackType
from typing import Self, cast
from urllib.parse import unquote, urlsplit

from tests.faults.framing import Framer
from tests.faults.plans import Fault, Kind, Plan, Side

CONNECTIONS_MAX = 4_096
EARLY_BYTES_MAX = 2**20
_STORE_WITHIN_S = 5.0

# Requests that count as exchanges; what a client says when it introduces itself passes.
COUNTED = (b"EVALSHA", b"EVAL")


class FaultProxy:
    """Stands between a client and the store at `upstream` (`redis://host:port` or `unix://path`).

    `url` is where clients connect to. `counts` says what was done: connections, exchanges, and each kind of fault.

    Args:
        upstream: the store.
        plan: what goes wrong; may be changed for the exchanges to come, while none is under way.
        counted: the commands that the plan is asked about; None for all, also when requests pass unread.
    """

    def __init__(self, upstream: str, plan: Plan | None = None, *, counted: tuple[bytes, ...] | None = COUNTED) -> None:
        self._upstream = upstream
        self.plan = plan
        self.counted = counted
        self.counts: Counter[str] = Counter()
        self.sizes: list[tuple[int, int]] = []  # bytes of request and reply of each exchange, when kept
        self.keep_sizes = False
        self.refusing = False
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._links)

    async def __aenter__(self) -> Self:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _End(Link(self), Side.REQUEST), "127.0.0.1", 0, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """End everything, and return when it has ended."""
        if self._server is not None:
            self._server.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.cut_all()
        async with asyncio.timeout(5):
            while self._links:  # noqa: ASYNC110 - each link takes itself off within a turn or two of the loop
                await asyncio.sleep(0)

    def cut_all(self) -> int:
        """Reset every connection at once; returns how many."""
        links = tuple(self._links)
        for link in links:
            link.reset()
        return len(links)

    def stall_all(self) -> None:
        """From now on nothing passes on any open connection."""
        for link in self._links:
            link.stalled = {Side.REQUEST, Side.REPLY}

    async def connect(self, end: "_End") -> None:
        """Open the connection to the store that belongs to `end`."""
        loop, parts = asyncio.get_running_loop(), urlsplit(self._upstream)
        async with asyncio.timeout(_STORE_WITHIN_S):
            if parts.scheme == "unix":
                await loop.create_unix_connection(lambda: end, unquote(parts.path))
            else:
                await loop.create_connection(lambda: end, parts.hostname or "127.0.0.1", parts.port or 6379)

    def spawn(self, work: "asyncio.Task[None]") -> None:
        """Own a task until it ends."""
        self._tasks.add(work)
        work.add_done_callback(self._tasks.discard)

    def admits(self, link: "Link") -> bool:
        """Take a new connection in, unless it has to be refused."""
        self.counts["connections"] += 1
        if self.refusing or len(self._links) >= CONNECTIONS_MAX:
            self.counts["refused"] += 1
            return False
        self._links.add(link)
        return True

    def gone(self, link: "Link") -> None:
        """A connection has ended."""
        self._links.discard(link)


class _End(asyncio.Protocol):
    """One end of a connection: what arrives here belongs to `side` of its exchanges."""

    def __init__(self, link: "Link", side: Side) -> None:
        self.link = link
        self.side = side
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.link.opened(self)

    def data_received(self, data: bytes) -> None:
        self.link.passes(self.side, data)

    def eof_received(self) -> bool:
        return self.link.ended(self.side)

    def pause_writing(self) -> None:
        self.link.slow(self, paused=True)

    def resume_writing(self) -> None:
        self.link.slow(self, paused=False)

    def connection_lost(self, error: Exception | None) -> None:
        self.link.lost()


class Link:
    """One client's connection and its own one to the store."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self.ends: dict[Side, _End] = {}
        self.stalled: set[Side] = set()
        self._ended: set[Side] = set()
        self._early = b""  # what came before the store was there
        self._framers = {side: Framer() for side in Side}
        self._late: dict[Side, deque[bytes] | None] = dict.fromkeys(Side)
        self._waiting: deque[Fault | None] = deque()  # for replies to come: what happens to each
        self._sent: deque[int] = deque()
        self._dead = False

    def opened(self, end: _End) -> None:
        """One end is there; with the client's, the store is called."""
        self.ends[end.side] = end
        if self._dead:
            self.reset()
        elif end.side is Side.REPLY:
            early, self._early = self._early, b""
            self._write(Side.REQUEST, early)
            if Side.REQUEST in self._ended:
                self._end_of(Side.REQUEST)
        elif self.proxy.admits(self):
            self.proxy.spawn(asyncio.get_running_loop().create_task(self._connect()))
        else:
            self.reset()

    async def _connect(self) -> None:
        try:
            await self.proxy.connect(_End(self, Side.REPLY))
        except OSError:  # a timeout is one
            self.reset()

    def passes(self, side: Side, chunk: bytes) -> None:
        """A chunk has arrived: pass it on, as far as the plan lets it."""
        if side in self.stalled or self._dead:
            return
        plan = self.proxy.plan
        if not self._read(side, plan):
            self._write(side, chunk)
            return
        try:
            messages = self._framers[side].feed(chunk)
        except ValueError:
            self.reset()
            return
        whole: list[bytes] = []
        for message in messages:
            fault = self._fault(side, message, plan)
            if fault is None:
                whole.append(message)
                continue
            self._write(side, b"".join(whole))
            whole.clear()
            self._harm(side, message, fault)
            if side in self.stalled or self._dead:
                return
        self._write(side, b"".join(whole))

    def _read(self, side: Side, plan: Plan | None) -> bool:
        """Whether messages of this direction are looked at: once begun, to the end of the connection."""
        if self.proxy.keep_sizes or self._framers[side].partial or (side is Side.REPLY and self._waiting):
            return True
        return plan is not None and (side is Side.REPLY or plan.requests)

    def _fault(self, side: Side, message: bytes, plan: Plan | None) -> Fault | None:
        """What happens to this message. A request asks for its reply as well, when requests are read."""
        if side is Side.REQUEST:
            return self._asked(message, plan)
        if self._waiting:
            fault = self._waiting.popleft()
            if self.proxy.keep_sizes and self._sent and (size := self._sent.popleft()):
                self.proxy.sizes.append((size, len(message)))
            return fault
        if plan is None or plan.requests:
            return None
        self.proxy.counts["exchanges"] += 1
        return plan.next()

    def _asked(self, message: bytes, plan: Plan | None) -> Fault | None:
        counted = self.proxy.counted is None or _word(message) in self.proxy.counted
        fault = plan.next() if plan is not None and counted else None
        self.proxy.counts["exchanges"] += counted
        if self.proxy.keep_sizes:
            self._sent.append(len(message) if counted else 0)
        if fault is not None and fault.side is Side.REQUEST:
            self._waiting.append(None)
            if fault.kind in (Kind.TWICE, Kind.ECHO):
                self._waiting.append(None if fault.answers > 1 else Fault(Kind.EAT))
            return fault
        self._waiting.append(fault)
        return None

    def _harm(self, side: Side, message: bytes, fault: Fault) -> None:
        self.proxy.counts[fault.kind] += 1
        self.proxy.counts[f"{side} {fault.kind}"] += 1
        head = message[: fault.at]
        match fault.kind:
            case Kind.EAT:
                self._write(side, head + (b"" if fault.size is None else message[fault.at + fault.size :]))
            case Kind.CUT:
                self._write(side, head)
                self.close()
            case Kind.HALF:
                self._write(side, head)
                self.stalled.add(side)
                self._end_of(side)
            case Kind.STALL:
                self._write(side, head)
                self.stalled.add(side)
            case Kind.DELAY:
                self._later(side, message, fault.seconds)
            case Kind.TWICE:
                self._write(side, message * 2)
            case Kind.ECHO:
                self._write(side, message)
                asyncio.get_running_loop().call_later(fault.seconds, self._write, side, message)

    def _later(self, side: Side, message: bytes, seconds: float) -> None:
        """Pass `message` on late; all that comes behind it waits, so that nothing overtakes."""
        line = self._late[side]
        if line is not None:
            line.append(message)
            return
        line = self._late[side] = deque([message])

        async def passed() -> None:
            await asyncio.sleep(seconds)
            self._late[side] = None
            self._write(side, b"".join(line))

        self.proxy.spawn(asyncio.get_running_loop().create_task(passed()))

    def _write(self, side: Side, chunk: bytes) -> None:
        """Give it to the other end of this direction, or put it in line behind what is late."""
        line, other = self._late[side], self.ends.get(Side.REPLY if side is Side.REQUEST else Side.REQUEST)
        if not chunk:
            return
        if line is not None:
            line.append(chunk)
        elif other is None or other.transport is None:
            self._early += chunk
            if len(self._early) > EARLY_BYTES_MAX:
                self.reset()
        elif not other.transport.is_closing():
            other.transport.write(chunk)

    def _end_of(self, side: Side) -> None:
        other = self.ends.get(Side.REPLY if side is Side.REQUEST else Side.REQUEST)
        if other is not None and other.transport is not None and not other.transport.is_closing():
            with contextlib.suppress(OSError):
                other.transport.write_eof()

    def ended(self, side: Side) -> bool:
        """A peer writes no more. The other is told, and may still write; when neither does, all has been said."""
        self._end_of(side)
        self._ended.add(side)
        if len(self._ended) == len(Side):
            self.close()
        return not self._dead

    def slow(self, end: _End, *, paused: bool) -> None:
        """A reader cannot keep up, or can again: the one who writes to it waits."""
        other = self.ends.get(Side.REPLY if end.side is Side.REQUEST else Side.REQUEST)
        if other is not None and other.transport is not None and not other.transport.is_closing():
            (other.transport.pause_reading if paused else other.transport.resume_reading)()

    def close(self) -> None:
        """End both halves after what was written has gone out."""
        self._finish(abort=False)

    def reset(self) -> None:
        """End both halves at once."""
        self._finish(abort=True)

    def _finish(self, *, abort: bool) -> None:
        self._dead = True
        for end in self.ends.values():
            if end.transport is not None:
                (end.transport.abort if abort else end.transport.close)()

    def lost(self) -> None:
        """One half has ended; so has the other."""
        self.close()
        self.proxy.gone(self)


def _word(request: bytes) -> bytes:
    """The command's name; empty for what is no request."""
    parts = request.split(b"\r\n", 3)
    return parts[2].upper() if len(parts) > 2 else b""
