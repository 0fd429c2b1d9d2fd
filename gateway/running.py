"""Running: a gateway that serves, as whoever started it sees it."""

import asyncio
from dataclasses import dataclass

from gateway.ledger.redis import RedisLedger
from gateway.ledger.settler import Settler
from gateway.metrics.counting import Metrics
from gateway.web.server import Listener


@dataclass(slots=True)
class Running:
    """A gateway that serves.

    Attributes:
        port, ops_port: where it listens.
        ledger: its ledger, for whoever started it.
        settler: ends its holds.
        front: the clients' listener, once it is open.
        draining: set on the way down.
    """

    port: int
    ops_port: int
    ledger: RedisLedger
    settler: Settler
    metrics: Metrics
    front: Listener | None = None
    draining: bool = False

    def drain(self) -> None:
        """From now on say that no new calls should be sent here."""
        self.draining = True

    async def lame_duck(self, for_s: float) -> None:
        """For `for_s` seconds say that no new calls should be sent here, and answer those that come all the same.

        Every answer ends its connection: whoever sends calls here finds another gateway before this one stops.
        """
        self.leave()
        await asyncio.sleep(for_s)

    def leave(self) -> None:
        """The beginning of it: not ready, and every answer ends its connection."""
        self.drain()
        if self.front is not None:
            self.front.leave()
