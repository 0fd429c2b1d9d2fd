"""The back door: the only file that speaks to the upstream, and the only one that opens the master key.

Rule 1: one call of `forward` puts at most one request on the wire. No redirect is followed, nothing is sent again.
Rule 2: only `UpstreamUnreachable` says that nothing was sent; doubt is `UpstreamUnanswered`.
Rule 3: no exception of another library leaves, not even as the context of ours: its frames hold the key.
Rule 4: what goes out is an allow-list and the key; no cookie, no field of the client library's own making.
"""

import asyncio
import itertools
import re
import ssl
from functools import lru_cache
from pathlib import Path

import aiohttp

from gateway.errors import UpstreamError, UpstreamUnanswered, UpstreamUnreachable
from gateway.headers import holds_control
from gateway.messages import Call, Fields, Flavour, Reply
from gateway.proxy.base_url import checked_base_url
from gateway.proxy.body import Body
from gateway.proxy.charges import account, api_reached, reported
from gateway.proxy.master_key import MasterKey
from gateway.proxy.passage import Answer, Passage
from gateway.proxy.voyage import VOYAGE, Connector, PublicResolver, Voyage

# The fields of a client's request that the upstream may see, and our own word for its place in a trace.
FORWARDED = frozenset({"accept", "content-type", "traceparent", "tracestate"})

# Below the idle time of common front ends (60 s and more), so that we close first.
KEEPALIVE_S = 15.0

_KEY_FIELD = {Flavour.DIRECT: "X-Dezgo-Key", Flavour.RAPIDAPI: "X-RapidAPI-Key"}

# What would end a part of the head's first line.
_NO_TARGET = re.compile(r"[\x00-\x20\x7f]")

# Starts of heads that are remembered: most callers send the same fields with each call.
_STARTS_KEPT = 128

# Between the parts of a head that are searched at once; in no key, and no control character.
_BETWEEN = b"\xff"


class Upstream:
    """Sends calls to the one upstream.

    Args:
        flavour: decides key field and money fields.
        base_url: `https://host[:port]`, nothing more.
        key: the master key.
        connect_timeout_s: for a free connection, the name, TCP and TLS together.
        head_timeout_s: until the answer's head is there, from the start.
        read_timeout_s: between two pieces of an answer's body.
        total_timeout_s: until the body's end, from the start.
        connections_max: connections open at once; further calls wait for one.
        allow_http: accept `http://`.
        allow_private: accept a loopback or private address, in the URL or behind its name.
        ca_file: PEM file of the authorities to trust instead of the system's.

    Raises:
        ValueError: `base_url` is not one. The message does not repeat it.
    """

    def __init__(
        self,
        *,
        flavour: Flavour,
        base_url: str,
        key: MasterKey,
        connect_timeout_s: float,
        head_timeout_s: float,
        read_timeout_s: float,
        total_timeout_s: float,
        connections_max: int,
        allow_http: bool = False,
        allow_private: bool = False,
        ca_file: Path | None = None,
    ) -> None:
        self._flavour = flavour
        self._base = checked_base_url(base_url, allow_http=allow_http, allow_private=allow_private)
        self._host = self._base.host_port_subcomponent or ""
        self._key = key
        self._connect_timeout_s = connect_timeout_s
        self._head_timeout_s = head_timeout_s
        self._read_timeout_s = read_timeout_s
        self._total_timeout_s = total_timeout_s
        self._connections_max = connections_max
        self._ca_file = ca_file
        self._allow_private = allow_private
        self._passage: Passage | None = None

    async def start(self) -> None:
        """Make the pool; connects nowhere yet. Raises OSError for an unreadable `ca_file`."""
        connector = Connector(
            limit=self._connections_max,
            keepalive_timeout=KEEPALIVE_S,
            ssl=_tls(self._ca_file),
            resolver=None if self._allow_private else PublicResolver(),
        )
        self._passage = Passage(self._base, connector, connect_timeout_s=self._connect_timeout_s)

    async def close(self) -> None:
        """Close every connection; calls on their way end as unanswered. Safe to call again."""
        if self._passage is not None:
            await self._passage.close()

    async def forward(self, call: Call) -> Reply:
        """Send `call` once and return its answer's head; the body comes as it arrives.

        The reply must be closed. Redirects are returned like any other answer.

        Raises:
            UpstreamUnreachable: nothing was sent. `code`: `connect`, `dns`, `tls`, `timeout` or `pool`.
            UpstreamUnanswered: it may have been done. `code`: `timeout`, `reset`, `cut` or `unreadable`.
                The reply's body raises it too, and `UpstreamLeak` before a byte of the master key would pass.
        """
        answer = await self._send(call)
        if isinstance(answer, UpstreamError):
            raise answer  # here, and not where it was found: see rule 3
        return answer

    async def _send(self, call: Call) -> Reply | UpstreamError:
        start = _start(call.verb, call.path, call.query, call.fields)
        if start is None:
            return UpstreamUnreachable("connect")  # nothing was sent, nor could it be
        voyage = Voyage()
        VOYAGE.set(voyage)
        started_s = asyncio.get_running_loop().time()
        ends_s = started_s + self._total_timeout_s
        try:
            async with asyncio.timeout_at(min(started_s + self._head_timeout_s, ends_s)):
                answer = await self._request(start, call)
        except asyncio.CancelledError:
            if not _is_cancelled():  # the pool was closed over one who waited in it
                return voyage.failure(aiohttp.ClientConnectionError())
        except Exception as error:  # noqa: BLE001 - whatever it is, only its meaning leaves
            return voyage.failure(error)
        else:
            return self._reply(answer, _Flow(answer, voyage, self._read_timeout_s, ends_s))
        raise asyncio.CancelledError  # a fresh one: the other's traceback shows frames that hold the key

    async def _request(self, start: str, call: Call) -> Answer:
        """Complete the head, by the key too, and send it. Its frame is never shown: see `_send`."""
        if self._passage is None:
            raise aiohttp.ClientConnectionError
        line, _, fields = start.partition("\r\n")
        key = f"Accept-Encoding: identity\r\n{_KEY_FIELD[self._flavour]}: {self._key.open()}\r\n"
        if self._flavour is Flavour.RAPIDAPI:
            key += f"X-RapidAPI-Host: {self._host}\r\n"
        length = f"Content-Length: {len(call.body)}\r\n" if call.body or call.verb != "GET" else ""
        head = f"{line}\r\nHost: {self._host}\r\n{fields}{key}{length}\r\n"
        return await self._passage.ask(head.encode(), call.body)

    def _reply(self, answer: Answer, flow: "_Flow") -> Reply | UpstreamError:
        raw = answer.fields
        joined = _BETWEEN.join(itertools.chain.from_iterable(raw))
        if not 200 <= answer.status <= 599 or holds_control(_as_text(joined)):  # noqa: PLR2004
            flow.end()
            return UpstreamUnanswered("unreadable")
        kind = answer.headers.get("content-type", "").lower()
        watch = self._key.watch(thorough=not kind.startswith(("image/", "video/")))
        body = Body(read=flow.read, watch=watch, end=flow.end, there=flow.there)
        leaking = self._key.found_in(joined)
        shown = self._key.shown if leaking else _as_text
        fields = tuple([(shown(name).lower(), shown(value)) for name, value in raw])
        charge = reported(self._flavour, fields)
        return Reply(
            status=answer.status,
            fields=fields,
            body=body,
            reported=charge.credits,
            malformed=charge.malformed,
            api_reached=api_reached(self._flavour, fields),
            account=account(self._flavour, fields),
            body_bytes=answer.length,
            leaking=leaking,
            close=body.close,
        )


@lru_cache(maxsize=_STARTS_KEPT)
def _start(verb: str, path: str, query: str, sent: Fields) -> str | None:
    """What comes from the caller: request line and fields, each with its end; None where one would not stay a line."""
    wishes = [value for name, value in sent if name == "connection"]
    one_hop = {name.strip().lower() for name in ",".join(wishes).split(",")} if wishes else ()
    lines = [f"{name}: {value}" for name, value in sent if name in FORWARDED and name not in one_hop]
    target = f"{path}?{query}" if query else path
    start = "".join([f"{verb} {target} HTTP/1.1\r\n", *[f"{line}\r\n" for line in lines]])
    if _NO_TARGET.search(target) or holds_control("".join(lines)) or not _is_text(start):
        return None
    return start


def _is_text(text: str) -> bool:
    """Whether UTF-8 can spell it: half a surrogate pair is no text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_text(piece: bytes) -> str:
    return piece.decode("latin-1")


class _Flow:
    """One answer as it comes in: what `Body` reads from."""

    def __init__(self, answer: Answer, voyage: Voyage, read_timeout_s: float, ends_s: float) -> None:
        self._answer = answer
        self._voyage = voyage
        self._read_timeout_s = read_timeout_s
        self._ends_s = ends_s
        self._over = False
        self._read_bytes = 0
        # Of a body in the upstream's own chunks, however small, those that are there go on together.
        self._next = _as_it_came if answer.length is not None else _all_there
        if voyage.lost is not None:
            voyage.lost.add_done_callback(self._on_lost)

    def there(self) -> int:
        """How many bytes are there and have not been read."""
        return self._answer.content.total_bytes - self._read_bytes

    async def read(self) -> bytes | UpstreamError:
        """The next bytes, none at a whole body's end, or what went wrong."""
        content = self._answer.content
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._ends_s:
            return UpstreamUnanswered("timeout")
        if self._read_bytes == self._answer.length and content.is_eof():
            return b""  # every answer's case: as announced
        if self._over:
            return UpstreamUnanswered("reset")
        try:
            if content.is_eof() or self.there():
                piece = await self._next(content)
            else:  # only what has to be waited for needs a deadline
                async with asyncio.timeout_at(min(now_s + self._read_timeout_s, self._ends_s)):
                    piece = await self._next(content)
            self._read_bytes += len(piece)
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, only its meaning leaves
            return self._voyage.failure(error)
        else:
            torn = not piece and not self._framed() and self._voyage.torn()
            return UpstreamUnanswered("cut") if torn else piece
        raise asyncio.CancelledError  # a fresh one, as in `_send`

    def end(self) -> None:
        """Give the connection up: back to the pool when the body is in, else closed. Safe to call again."""
        self._over = True
        if self._voyage.lost is not None:
            self._voyage.lost.remove_done_callback(self._on_lost)
        self._answer.close()

    def _framed(self) -> bool:
        """Whether the answer itself says where it ends; else a clean end of the connection is all there is."""
        fields = self._answer.headers
        return "content-length" in fields or "chunked" in fields.get("transfer-encoding", "").lower()

    def _on_lost(self, _: "asyncio.Future[None]") -> None:
        """Wake a reader whom the client library leaves waiting: it does after garbage in a chunked body."""
        content = self._answer.content
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientError())


async def _as_it_came(content: aiohttp.StreamReader) -> bytes:
    """The next bytes, not joined with those behind them; none at the end."""
    piece = b""
    while not piece and (content.exception() is not None or not content.at_eof()):
        piece, _ = await content.readchunk()
    return piece


async def _all_there(content: aiohttp.StreamReader) -> bytes:
    """All bytes that are there, or the next ones; none at the end."""
    return await content.readany()


def _tls(ca_file: Path | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True  # verified, against the system's authorities
    tls = ssl.create_default_context(cafile=ca_file)
    tls.set_alpn_protocols(["http/1.1"])
    return tls


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
