"""Relay: a TCP wire to a server, which can swallow what passes, be cut, or lead to another server."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Relay:
    """Passes bytes between whoever connects to `port` and the server on `target`.

    Everything about sockets happens on a thread of its own, so that it goes on while a test waits.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.swallows = False
        self._open: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        assert self._up.wait(10)

    def stop(self) -> None:
        """Cut everything and listen no more."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    def lead_to(self, target: int) -> None:
        """Pass what comes from now on to another server; what is connected is cut."""
        self.target = target
        self.cut()

    def cut(self) -> None:
        """Hang up on both sides of every connection."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(10)

    async def _hang_up(self) -> None:
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        await self._over.wait()
        server.close()
        await self._hang_up()
        while self._open:  # noqa: ASYNC110 - each connection ends by itself, once it is aborted
            await asyncio.sleep(0.005)
        await server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        beyond: asyncio.StreamWriter | None = None
        try:
            there, beyond = await asyncio.open_connection("127.0.0.1", self.target)
            self._open.add(beyond)
            ways = [asyncio.create_task(self._pass(reader, beyond)), asyncio.create_task(self._pass(there, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass
        finally:
            for end in (writer, beyond):
                if end is not None:
                    end.transport.abort()
                    self._open.discard(end)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while read := await reader.read(65536):
                if not self.swallows:
                    writer.write(read)
                    await writer.drain()


@contextmanager
def relay(target: int) -> Iterator[Relay]:
    """A relay that listens for as long as the block lasts."""
    made = Relay(target)
    made.start()
    try:
        yield made
    finally:
        made.stop()
