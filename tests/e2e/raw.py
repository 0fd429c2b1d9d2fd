"""A peer on a raw socket: every byte of a request is the test's own, and every byte of the answer is looked at."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.e2e.world import World

DEADLINE_S = 15.0
_BODYLESS = frozenset({*range(100, 200), 204, 304})


@dataclass(frozen=True, slots=True)
class Wire:
    """One answer off the wire.

    Attributes:
        head: its first line and fields, as received.
        version: of HTTP, as the answer says.
        fields: by lower-case name; no name stands there twice.
        framing: how its body ended: `length`, `chunked`, `close` or `none`.
    """

    head: bytes
    version: str
    status: int
    fields: dict[str, str]
    framing: str
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Peer:
    """One connection. Every wait ends after `DEADLINE_S`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Write each piece on its own. A gateway that has closed already is no error: its answer may still be read."""
        for piece in pieces:
            try:
                self._writer.write(piece)
                async with asyncio.timeout(DEADLINE_S):
                    await self._writer.drain()
            except ConnectionError:
                return

    def send_no_more(self) -> None:
        """Close this half of the connection."""
        self._writer.write_eof()

    async def answer(self, verb: str = "POST") -> Wire:
        """The next answer; an interim one (1xx) is one of its own. Raises EOFError when there is none."""
        async with asyncio.timeout(DEADLINE_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
            lines = head.decode("ascii").split("\r\n")[:-2]
            version, status, _ = lines[0].split(" ", 2)
            pairs = [(name.lower(), value) for name, value in (line.split(": ", 1) for line in lines[1:])]
            assert len(dict(pairs)) == len(pairs), "a field stands there twice"
            framing, body = await self._body(dict(pairs), bodyless=int(status) in _BODYLESS or verb == "HEAD")
        return Wire(head, version, int(status), dict(pairs), framing, body)

    async def _body(self, fields: dict[str, str], *, bodyless: bool) -> tuple[str, bytes]:
        if bodyless:
            return "none", b""
        if "transfer-encoding" in fields:
            assert fields["transfer-encoding"] == "chunked"
            assert "content-length" not in fields
            return "chunked", await self._chunks()
        if "content-length" in fields:
            return "length", await self._reader.readexactly(int(fields["content-length"]))
        return "close", await self._reader.read()

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += await self._reader.readexactly(size)
            assert await self._reader.readexactly(2) == b"\r\n"
        assert await self._reader.readexactly(2) == b"\r\n"
        return body

    async def rest(self) -> bytes:
        """Whatever still comes until the gateway closes; a reset counts as closing."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await self._reader.read()
        except ConnectionError:
            return b""

    async def close(self) -> None:
        """Close the connection, however it stands."""
        self._writer.close()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._writer.wait_closed()
        except ConnectionError:
            pass


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Peer]:
    """A connection to a port of this machine."""
    async with asyncio.timeout(DEADLINE_S):
        peer = Peer(*await asyncio.open_connection("127.0.0.1", port, limit=2**20))
    try:
        yield peer
    finally:
        await peer.close()


async def told(here: World, *pieces: bytes, verb: str = "POST", then_eof: bool = False) -> Wire:
    """The answer to one message on a connection of its own; the canary sees it whole."""
    async with connected(here.running.port) as peer:
        await peer.send(*pieces)
        if then_eof:
            peer.send_no_more()
        answer = await peer.answer(verb)
    here.canary.look("raw answer", answer.head + answer.body)
    return answer


def message(  # one argument per line of a request
    here: World,
    body: bytes = b"",
    *fields: str,
    line: str = "POST /text2image HTTP/1.1",
    kind: str | None = "application/json",
    key: str | None = None,
    length: int | str | None = None,
) -> bytes:
    """A whole request: first line, Host, a good token unless `key` is given (empty for none), and the body's length.

    Args:
        here: whose token.
        body: follows the head.
        fields: further lines.
        line: the first line.
        kind: the Content-Type, None for none.
        key: another token.
        length: another Content-Length; empty for none.
    """
    token = here.token() if key is None else key
    head = [line, "Host: gateway.test", *fields]
    head += [f"X-Dezgo-Key: {token}"] if token else []
    head += [f"Content-Type: {kind}"] if kind is not None else []
    length = len(body) if length is None else length
    head += [f"Content-Length: {length}"] if length != "" else []
    return "\r\n".join([*head, "", ""]).encode("utf-8", "surrogateescape") + body


def chunks(body: bytes, size: int) -> list[bytes]:
    """`body` in chunked coding, each chunk `size` bytes."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"]


def assert_image(answer: Wire) -> None:
    """The answer is a whole PNG."""
    assert (answer.status, answer.fields["content-type"]) == (200, "image/png")
    assert answer.body.startswith(b"\x89PNG")
    assert answer.body.endswith(b"IEND\xaeB`\x82")
