"""The lossy line between clients and store, as a process of its own: eats replies and cuts connections."""

import asyncio
import contextlib
import time
from multiprocessing.connection import Connection

import uvloop

from tests.faults.plans import Fault, Kind, Seeded
from tests.faults.proxy import FaultProxy

# Besides the replies that are eaten, connections that end within a reply.
_CUTS = {Fault(Kind.CUT, at=at): 0.0001 for at in (1, 7, 20)}


def faults(lost: float, silent: float) -> dict[Fault, float]:
    """The chances of everything that goes wrong on a line that eats this part of all replies.

    Of those eaten, the part `silent` is eaten in silence: the client waits for it until its deadline. With the others
    its connection ends.
    """
    if not lost:
        return {}
    return {Fault(Kind.EAT): lost * silent, Fault(Kind.CUT, at=0): lost * (1 - silent), **_CUTS}


def serve(upstream: str, chances: dict[Fault, float], seed: int, parent: Connection) -> None:
    """Stand between `upstream` and whoever comes, until the parent says so or is gone.

    Args:
        upstream: the store's URL.
        chances: of what goes wrong.
        seed: where it does.
        parent: told the URL first, then a dict of counts for everything it sends; None ends.
    """
    plan = Seeded(seed, chances)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(FaultProxy(upstream, plan), parent))


async def _serve(proxy: FaultProxy, parent: Connection) -> None:
    loop = asyncio.get_running_loop()
    async with proxy:
        parent.send(proxy.url)
        with contextlib.suppress(EOFError, OSError):
            while await loop.run_in_executor(None, parent.recv) is not None:
                parent.send({**proxy.counts, "cpu_ms": round(time.process_time() * 1_000)})
