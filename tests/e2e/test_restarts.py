"""Two gateways on one store are restarted in turn under load, as an orchestrator does: no client notices.

The long form is `python -m tests.bench restarts`; its figures are in docs/benchmarks.md.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from gateway.ledger.embedded import EmbeddedStore
from gateway.units import Credits
from tests.bench.restarts.fleet import Gateway, fleet
from tests.bench.restarts.rolling import books, restarts
from tests.e2e.test_streaming import MIB, large_answers

BODY = b'{"prompt": "a fox"}'


@pytest.mark.timeout(180)
async def test_no_call_fails_and_every_credit_is_booked_while_gateways_are_restarted(tmp_path: Path) -> None:
    found = await restarts(tmp_path, count=4, clients=8, lame_duck_s=1.0, seed=20261125)
    assert found.sound, found.as_json()
    assert len(found.exits) == 6
    assert found.answers["200"] > 100


@asynccontextmanager
async def dumb_client(gateway: Gateway, sent: bytes, *, answered: bool = False) -> AsyncIterator[None]:
    """Send these bytes, wait for the answer's first ones if there shall be any, and then do nothing more."""
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", gateway.port))
        await loop.sock_sendall(connection, sent)
        if answered:
            assert (await loop.sock_recv(connection, 12)).startswith(b"HTTP/1.1 200")
        yield


async def test_sigterm_ends_a_process_in_order_whatever_its_clients_leave_undone(tmp_path: Path) -> None:
    async with large_answers(16 * MIB) as large, EmbeddedStore(tmp_path / "store") as store:
        place = {"upstream": large.url, "store": store.url}
        async with fleet(tmp_path, lame_duck_s=0.2, drain_s=0.5, **place) as found, AsyncExitStack() as clients:
            gateway = found.gateways[0]
            head = f"POST /text2image HTTP/1.1\r\nHost: a\r\nX-Dezgo-Key: {found.token}\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
            whole = head.encode() + BODY
            for sent in (b"", whole[:40], whole[:-3]):
                await clients.enter_async_context(dumb_client(gateway, sent))
            await clients.enter_async_context(dumb_client(gateway, whole, answered=True))
            async with asyncio.timeout(15):
                await gateway.stop()
            assert gateway.exits == [0]
        audit, held = await books(store.url)
    assert not audit.differences
    assert (audit.spent, held) == (Credits.whole(19), 0)
