"""What the tests of the back door share: a key, a call, and an upstream joined to a fake one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import UpstreamError
from gateway.messages import Call, Flavour, Reply
from gateway.proxy.master_key import MasterKey
from gateway.proxy.upstream import Upstream
from tests.fake_upstream import FakeUpstream, Turn, fake_upstream

KEY = "DEZGO-0123456789ABCDEFFEDCBA98765432100F1E2D3C4B5A69788796A5B4C3D2E1F0"


def call(
    verb: str = "POST",
    *,
    fields: tuple[tuple[str, str], ...] = (("content-type", "application/json"),),
    query: str = "",
    body: bytes = b'{"prompt": "a fox"}',
) -> Call:
    """A call as the hall makes it."""
    return Call(request_id="r1", verb=verb, path="/text2image", query=query, fields=fields, body=body)


@asynccontextmanager
async def upstream(
    base_url: str,
    *,
    flavour: Flavour = Flavour.DIRECT,
    connect_timeout_s: float = 30,
    head_timeout_s: float = 30,
    read_timeout_s: float = 30,
    total_timeout_s: float = 30,
    connections_max: int = 10,
    ca_file: Path | None = None,
    allow_private: bool = True,
) -> AsyncIterator[Upstream]:
    """A started upstream. No test waits for these deadlines unless it sets them."""
    made = Upstream(
        flavour=flavour,
        base_url=base_url,
        key=MasterKey(KEY),
        connect_timeout_s=connect_timeout_s,
        head_timeout_s=head_timeout_s,
        read_timeout_s=read_timeout_s,
        total_timeout_s=total_timeout_s,
        connections_max=connections_max,
        allow_http=True,
        allow_private=allow_private,
        ca_file=ca_file,
    )
    await made.start()
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def joined(*turns: Turn, flavour: Flavour = Flavour.DIRECT) -> AsyncIterator[tuple[FakeUpstream, Upstream]]:
    """A fake upstream and the back door that leads to it."""
    async with fake_upstream(*turns) as fake, upstream(fake.url, flavour=flavour) as door:
        yield fake, door


@dataclass(frozen=True)
class Outcome:
    """How one call ended: a reply and the body that could be read, or an error, or both."""

    reply: Reply | None
    body: bytes
    error: UpstreamError | None

    @property
    def ending(self) -> str:
        """`whole`, or the error's reason and code."""
        if self.error is None:
            return "whole"
        code = getattr(self.error, "code", "")
        return f"{self.error.reason} {code}".strip()


async def told(door: Upstream, asked: Call) -> Outcome:
    """Forward and read to the end. Anything but an UpstreamError fails the test."""
    try:
        reply = await door.forward(asked)
    except UpstreamError as error:
        return Outcome(None, b"", error)
    return await read(reply)


async def read(reply: Reply) -> Outcome:
    """Read a reply's body to its end, and close it."""
    body = bytearray()
    try:
        async for piece in reply.body:
            body += piece
    except UpstreamError as error:
        return Outcome(reply, bytes(body), error)
    finally:
        await reply.close()
    return Outcome(reply, bytes(body), None)


async def loop_turns() -> None:
    """Let the loop see what already lies in its sockets: over loopback, what was written or closed is there at once."""
    for _ in range(20):
        await asyncio.sleep(0)


async def answered(raw: bytes, *, then: str = "close", flavour: Flavour = Flavour.DIRECT) -> Outcome:
    """How a call ends that is answered with the bytes `raw`."""
    turn = Turn((raw,), then="reset" if then == "reset" else "close")
    async with joined(turn, flavour=flavour) as (_, door):
        return await told(door, call())
