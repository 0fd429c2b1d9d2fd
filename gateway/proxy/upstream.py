"""The back door: the only file that speaks to the upstream, and the only one that opens the master key.

Rule 1: one call of `forward` puts at most one request on the wire. No redirect is followed, nothing is sent again.
Rule 2: only `UpstreamUnreachable` says that nothing was sent; doubt is `UpstreamUnanswered`.
Rule 3: no exception of another library leaves, not even as the context of ours: its frames hold the key.
Rule 4: what goes out is an allow-list and the key; no cookie, no field of the client library's own making.
"""

import asyncio
import io
import re
import ssl
from pathlib import Path

import aiohttp

from gateway.errors import UpstreamError, UpstreamUnanswered
from gateway.messages import Call, Fields, Flavour, Reply
from gateway.proxy.base_url import checked_base_url, target
from gateway.proxy.body import Body
from gateway.proxy.charges import account, api_reached, reported
from gateway.proxy.master_key import MasterKey
from gateway.proxy.voyage import VOYAGE, Connector, PublicResolver, Voyage, only_once, pool_watch

# The fields of a client's request that the upstream may see.
FORWARDED = frozenset({"accept", "content-type"})

# Below the idle time of common front ends (60 s and more), so that we close first.
KEEPALIVE_S = 15.0

_KEY_FIELD = {Flavour.DIRECT: "X-Dezgo-Key", Flavour.RAPIDAPI: "X-RapidAPI-Key"}
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


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
        self._key = key
        self._connect_timeout_s = connect_timeout_s
        self._head_timeout_s = head_timeout_s
        self._read_timeout_s = read_timeout_s
        self._total_timeout_s = total_timeout_s
        self._connections_max = connections_max
        self._ca_file = ca_file
        self._allow_private = allow_private
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Make the pool; connects nowhere yet. Raises OSError for an unreadable `ca_file`."""
        self._session = aiohttp.ClientSession(
            connector=Connector(
                limit=self._connections_max,
                keepalive_timeout=KEEPALIVE_S,
                ssl=_tls(self._ca_file),
                resolver=None if self._allow_private else PublicResolver(),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=_AUTOMATIC,
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_timeout_s),
            trace_configs=[pool_watch()],
            middlewares=(only_once,),
            max_field_size=8190,
            max_headers=128,
        )

    async def close(self) -> None:
        """Close every connection; calls on their way end as unanswered. Safe to call again."""
        if self._session is not None:
            await self._session.close()

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
        voyage = Voyage()
        VOYAGE.set(voyage)
        started_s = asyncio.get_running_loop().time()
        ends_s = started_s + self._total_timeout_s
        try:
            async with asyncio.timeout_at(min(started_s + self._head_timeout_s, ends_s)):
                response = await self._request(call)
        except asyncio.CancelledError:
            if not _is_cancelled():  # the pool was closed over one who waited in it
                return voyage.failure(aiohttp.ClientConnectionError())
        except Exception as error:  # noqa: BLE001 - whatever it is, only its meaning leaves
            return voyage.failure(error)
        else:
            return self._reply(response, _Flow(response, voyage, self._read_timeout_s, ends_s))
        raise asyncio.CancelledError  # a fresh one: the other's traceback shows frames that hold the key

    async def _request(self, call: Call) -> aiohttp.ClientResponse:
        if self._session is None:
            raise aiohttp.ClientConnectionError
        return await self._session.request(
            call.verb,
            target(self._base, call.path, call.query),
            headers=self._outward(call.fields),
            # Not bytes: those would be written in one go, with a warning above 1 MiB.
            data=io.BytesIO(call.body) if call.body else None,
            allow_redirects=False,
        )

    def _outward(self, fields: Fields) -> list[tuple[str, str]]:
        named = {name.strip().lower() for key, value in fields if key == "connection" for name in value.split(",")}
        allowed = [(name, value) for name, value in fields if name in FORWARDED and name not in named]
        own = [("Accept-Encoding", "identity"), (_KEY_FIELD[self._flavour], self._key.open())]
        if self._flavour is Flavour.RAPIDAPI:
            own.append(("X-RapidAPI-Host", self._base.host_port_subcomponent or ""))
        return allowed + own

    def _reply(self, response: aiohttp.ClientResponse, flow: "_Flow") -> Reply | UpstreamError:
        raw = response.raw_headers
        if not 200 <= response.status <= 599 or any(_CONTROL.search(value) for _, value in raw):  # noqa: PLR2004
            flow.end()
            return UpstreamUnanswered("unreadable")
        kind = response.headers.get("content-type", "").lower()
        body = Body(
            read=flow.read, watch=self._key.watch(thorough=not kind.startswith(("image/", "video/"))), end=flow.end
        )
        fields = tuple((self._key.shown(name).lower(), self._key.shown(value)) for name, value in raw)
        charge = reported(self._flavour, fields)
        return Reply(
            status=response.status,
            fields=fields,
            body=body,
            reported=charge.credits,
            malformed=charge.malformed,
            api_reached=api_reached(self._flavour, fields),
            account=account(self._flavour, fields),
            body_bytes=response.content_length,
            leaking=any(self._key.found_in(part) for field in raw for part in field),
            close=body.close,
        )


class _Flow:
    """One answer as it comes in: what `Body` reads from."""

    def __init__(self, response: aiohttp.ClientResponse, voyage: Voyage, read_timeout_s: float, ends_s: float) -> None:
        self._response = response
        self._voyage = voyage
        self._read_timeout_s = read_timeout_s
        self._ends_s = ends_s
        if voyage.lost is not None:
            voyage.lost.add_done_callback(self._on_lost)

    async def read(self) -> bytes | UpstreamError:
        """The next bytes, none at a whole body's end, or what went wrong."""
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._ends_s:
            return UpstreamUnanswered("timeout")
        try:
            async with asyncio.timeout_at(min(now_s + self._read_timeout_s, self._ends_s)):
                piece = await self._response.content.readany()
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
        if self._voyage.lost is not None:
            self._voyage.lost.remove_done_callback(self._on_lost)
        self._response.close()

    def _framed(self) -> bool:
        """Whether the answer itself says where it ends; else a clean end of the connection is all there is."""
        fields = self._response.headers
        return "content-length" in fields or "chunked" in fields.get("transfer-encoding", "").lower()

    def _on_lost(self, _: "asyncio.Future[None]") -> None:
        """Wake a reader whom the client library leaves waiting: it does after garbage in a chunked body."""
        content = self._response.content
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientError())


def _tls(ca_file: Path | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True  # verified, against the system's authorities
    tls = ssl.create_default_context(cafile=ca_file)
    tls.set_alpn_protocols(["http/1.1"])
    return tls


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
