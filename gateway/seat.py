"""Seat: what a gateway is handed that is one worker among others, and what it owes them."""

import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from gateway.logs.turns import Turn
from gateway.metrics.counting import Metrics


class Seat(Protocol):
    """One worker's place in a gateway of several processes, which has one operators' listener and one store."""

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """Where it takes calls."""
        ...

    @property
    def turn(self) -> Turn:
        """Its turn at the log."""
        ...

    @property
    def store_url(self) -> str:
        """The bundled store, which somebody else starts and stops."""
        ...

    def telling(self, metrics: Metrics) -> AbstractAsyncContextManager[None]:
        """Tell the others what is counted, for the length of a block, and once more at its end."""
        ...

    def serving(self, *, lacks: Callable[[], list[str]]) -> None:
        """Calls are taken from now on; `lacks` says what keeps them from being judged."""
        ...

    def leaving(self) -> None:
        """No more calls are taken from now on."""
        ...
