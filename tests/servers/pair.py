"""Pair: a primary and its replica, asynchronous as servers come, with a wire between them that can be cut."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.node import Node, node
from tests.servers.relay import Relay, relay


@dataclass
class Pair:
    """`wire` is what replication passes through, `front` what clients connect to: it leads to the primary.

    A wire that swallows is a black hole: primary and replica believe in each other for some seconds more, and nothing
    arrives.
    """

    primary: Node
    replica: Node
    wire: Relay
    front: Relay

    @property
    def url(self) -> str:
        """Where clients find whoever is the primary."""
        return f"redis://127.0.0.1:{self.front.port}/0"

    def promote(self) -> None:
        """What an operator does once the primary is gone: the replica leads, and clients are led to it."""
        self.replica.lead()
        self.front.lead_to(self.replica.port)

    def rejoin(self) -> None:
        """Let the dead primary come back as a replica of the one that was promoted."""
        self.primary.start("--replicaof", "127.0.0.1", str(self.replica.port))
        self.primary.linked()
        self.replica.followed()


@contextmanager
def pair(program: str, folder: Path, *options: str) -> Iterator[Pair]:
    """A pair in sync, for as long as the block lasts."""
    with (
        node(program, folder / "primary", *options) as primary,
        relay(primary.port) as wire,
        node(program, folder / "replica", *options) as replica,
        relay(primary.port) as front,
    ):
        replica.follow(wire.port)
        primary.followed()
        yield Pair(primary, replica, wire, front)
