"""Cluster: three primaries with a replica each, every slot covered, formed by the commands of the nodes themselves."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers.line import SaidNoError
from tests.servers.node import Node
from tests.servers.waiting import wait_until

SLOTS: Final = 16_384
NODE_TIMEOUT_MS: Final = 1_000
_FAILOVER_TRIES: Final = 4

# Validity factor 0: a replica stands for election however old its data is, also when it has none yet. So nothing may
# be killed before the links are up; `formed` waits for them.
OPTIONS: Final = (
    *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"),
    *("--cluster-node-timeout", str(NODE_TIMEOUT_MS), "--cluster-replica-validity-factor", "0"),
    *("--cluster-require-full-coverage", "no", "--cluster-allow-replica-migration", "no"),
)


@dataclass
class Cluster:
    """The nodes: at first `primaries` primaries, then a replica of each in the same order."""

    nodes: list[Node]
    primaries: int

    @property
    def url(self) -> str:
        """Where clients begin: every node."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def alive(self) -> list[Node]:
        """The nodes that run."""
        return [node for node in self.nodes if node.alive]

    def slot(self, key: str) -> int:
        """The slot of a key."""
        return int(self.alive()[0].ask("CLUSTER", "KEYSLOT", key))

    def ids(self) -> dict[int, str]:
        """Each node's own name, by port."""
        return {node.port: str(node.ask("CLUSTER", "MYID")) for node in self.alive()}

    def owner(self, slot: int, *, said_by: Node | None = None) -> Node:
        """The primary of a slot. Nodes may disagree for a while; `said_by` is whom to believe."""
        for first, last, primary, *_ in (said_by or self.alive()[0]).ask("CLUSTER", "SLOTS"):
            if int(first) <= slot <= int(last):
                return self._by_port(int(primary[1]))
        raise AssertionError("nobody serves the slot")

    def replica(self, slot: int) -> Node:
        """A replica of a slot's primary, once the others know of one."""
        found: list[int] = []

        def known() -> bool:
            for first, last, _, *replicas in self.alive()[0].ask("CLUSTER", "SLOTS"):
                if int(first) <= slot <= int(last):
                    found.extend(int(replica[1]) for replica in replicas)
            return bool(found)

        wait_until(known, "a replica of the slot's primary")
        return self._by_port(found[0])

    def _by_port(self, port: int) -> Node:
        return next(node for node in self.nodes if node.port == port)

    def fail_over(self, slot: int) -> Node:
        """Let the slot's replica take over in order, and wait until all nodes know it."""
        replica = self.replica(slot)
        for _ in range(_FAILOVER_TRIES):
            # One that the primary does not grant in time is dropped by the replica, and may be asked for again.
            with suppress(SaidNoError):
                replica.ask("CLUSTER", "FAILOVER")
            with suppress(AssertionError):
                wait_until(lambda: self._agreed(slot) == replica.port, "the failover", within_s=6)
                return replica
        raise AssertionError("the replica did not take over")

    def _agreed(self, slot: int) -> int | None:
        """The port of the slot's primary, when all nodes name the same."""
        named = {self._named(slot, node) for node in self.alive()}
        return named.pop() if len(named) == 1 else None

    def move_at_once(self, slot: int, target: Node) -> None:
        """Move a slot in one step, where the program can (Valkey 9), and wait until all nodes know."""
        self.owner(slot).ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", self.ids()[target.port])
        wait_until(lambda: self._agreed(slot) == target.port, "the slot to move", within_s=30)

    def promoted(self, slot: int, instead_of: Node, *, within_s: float = 30.0) -> Node:
        """Wait until all nodes that run name another primary of the slot, and serve it."""

        def agreed() -> bool:
            named = {self._named(slot, node) for node in self.alive() if node is not instead_of}
            return len(named) == 1 and None not in named and named != {instead_of.port}

        wait_until(agreed, "a replica of the cluster to be promoted", within_s=within_s)
        others = [node for node in self.alive() if node is not instead_of]
        return self.owner(slot, said_by=others[0])

    def _named(self, slot: int, by: Node) -> int | None:
        for first, last, primary, *_ in by.says("CLUSTER", "SLOTS") or ():
            if int(first) <= slot <= int(last):
                return int(primary[1])
        return None

    def whole(self, *, within_s: float = 30.0) -> None:
        """Wait until every node runs, sees all slots served, and every primary has a replica in sync."""
        for node in self.nodes:
            wait_until(lambda each=node: _is_well(each), f"port {node.port} to be well", within_s=within_s)  # type: ignore[misc]


def _is_well(node: Node) -> bool:
    said = str(node.says("CLUSTER", "INFO"))
    if "cluster_state:ok" not in said or f"cluster_slots_ok:{SLOTS}" not in said:
        return False
    replication = node.info("replication")
    if replication["role"] == "master":
        return "state=online" in replication.get("slave0", "")
    return replication["master_link_status"] == "up"


@dataclass
class SlotMove:
    """One slot on its way from one primary to another, step by step, under the eyes of clients.

    Between `begin` and `end` the source answers ASK for keys that have left, and TRYAGAIN for a command with keys on
    both sides.
    """

    cluster: Cluster
    slot: int
    source: Node
    target: Node

    def begin(self) -> None:
        """Declare it on both sides."""
        ids = self.cluster.ids()
        self.target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", ids[self.source.port])
        self.source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", ids[self.target.port])

    def carry(self, most: int = 1_000_000) -> int:
        """Carry keys over, at most so many; returns how many."""
        keys = [str(key) for key in self.source.ask("CLUSTER", "GETKEYSINSLOT", self.slot, most)]
        if keys:
            self.source.ask("MIGRATE", "127.0.0.1", self.target.port, "", 0, 5000, "KEYS", *keys)
        return len(keys)

    def end(self) -> None:
        """Give the slot to the target, the target told first, and wait until every node knows."""
        target = self.cluster.ids()[self.target.port]
        others = [node for node in self.cluster.alive() if node not in (self.target, self.source)]
        for node in (self.target, self.source, *others):
            if node.is_primary:
                node.ask("CLUSTER", "SETSLOT", self.slot, "NODE", target)
        wait_until(
            lambda: self.cluster._agreed(self.slot) == self.target.port,
            "all nodes to know the slot's new place",
        )


@contextmanager
def cluster(program: str, folder: Path, *options: str, primaries: int = 3) -> Iterator[Cluster]:
    """A whole cluster, with one replica of each primary, for as long as the block lasts."""
    with ExitStack() as held:
        nodes: list[Node] = []
        for n in range(primaries * 2):
            nodes.append(Node(program, folder / f"node{n}", *OPTIONS, *options))
            held.callback(nodes[-1].kill)
            nodes[-1].launch()
        for node in nodes:
            node.ready()
        made = Cluster(nodes, primaries)
        _form(made)
        yield made


def _form(made: Cluster) -> None:
    leading, following = made.nodes[: made.primaries], made.nodes[made.primaries :]
    for n, node in enumerate(leading):
        first, last = SLOTS * n // made.primaries, SLOTS * (n + 1) // made.primaries - 1
        node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
    for n, node in enumerate(made.nodes, start=1):
        node.ask("CLUSTER", "SET-CONFIG-EPOCH", n)
    for node in made.nodes[1:]:
        node.ask("CLUSTER", "MEET", "127.0.0.1", made.nodes[0].port)
    ids = made.ids()
    for node in made.nodes:
        wait_until(lambda each=node: _knows_all(each, ids), "the nodes to meet")  # type: ignore[misc]
    for replica, primary in zip(following, leading, strict=True):
        replica.ask("CLUSTER", "REPLICATE", ids[primary.port])
    made.whole()
    wait_until(lambda: all(_replicas_seen(node) == made.primaries for node in made.nodes), "all to know the replicas")


def _knows_all(node: Node, ids: dict[int, str]) -> bool:
    said = str(node.says("CLUSTER", "NODES"))
    return all(one in said for one in ids.values()) and "handshake" not in said


def _replicas_seen(node: Node) -> int:
    return sum(" slave " in line or ",slave " in line for line in str(node.says("CLUSTER", "NODES")).splitlines())
