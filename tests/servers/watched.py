"""Watched: a primary, its replicas, and real Sentinels that promote one of them when the primary is gone."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.line import Line, SaidNoError
from tests.servers.node import Node, node
from tests.servers.waiting import wait_until

NAME = "ledger"


class Sentinel(Node):
    """One Sentinel. It knows no users of the tests."""

    def command(self) -> list[str]:
        """How it is started: everything stands in its file, which it writes itself later on."""
        return [self.program, str(self.folder / "sentinel.conf"), "--sentinel"]

    def line(self, *, within_s: float = 5.0) -> Line:
        """As `Node.line`, without a login."""
        return Line(self.port, within_s=within_s, known=False)

    def believes(self) -> dict[str, str]:
        """What it thinks of the primary; empty when it does not say."""
        said = self.says("SENTINEL", "MASTER", NAME)
        return dict(zip(said[::2], said[1::2], strict=True)) if said else {}


@dataclass
class Watched:
    """Some nodes, the first of which begins as the primary, and their Sentinels."""

    nodes: list[Node]
    sentinels: list[Sentinel]

    @property
    def url(self) -> str:
        """Where a client asks for the primary."""
        places = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{places}/{NAME}?db=0"

    @property
    def primary(self) -> Node:
        """Whom the first Sentinel that lives names."""
        for sentinel in self.sentinels:
            if said := sentinel.says("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME):
                return next(one for one in self.nodes if one.port == int(said[1]))
        raise AssertionError("no Sentinel answers")

    def promoted(self, instead_of: Node, *, within_s: float = 30.0) -> Node:
        """Wait until the Sentinels name another primary, and it is one."""
        wait_until(
            lambda: self.primary is not instead_of and self.primary.is_primary,
            "the Sentinels to promote a replica",
            within_s=within_s,
        )
        return self.primary

    def fail_over(self) -> None:
        """Ask for an orderly failover. Raises SaidNoError when none is possible."""
        self.sentinels[0].ask("SENTINEL", "FAILOVER", NAME)


@contextmanager
def watched(
    program: str, folder: Path, *options: str, replicas: int = 1, sentinels: int = 3, down_after_ms: int = 500
) -> Iterator[Watched]:
    """A watched primary with replicas in sync, from when every Sentinel knows all until the block ends."""
    with ExitStack() as held:
        nodes = [held.enter_context(node(program, folder / f"node{n}", *options)) for n in range(1 + replicas)]
        for replica in nodes[1:]:
            replica.follow(nodes[0].port)
            nodes[0].followed()
        watching = [Sentinel(program, folder / f"sentinel{n}") for n in range(sentinels)]
        for sentinel in watching:
            held.callback(sentinel.kill)
            _write(sentinel, nodes[0].port, quorum=sentinels // 2 + 1, down_after_ms=down_after_ms)
            sentinel.start()
            _hurry(sentinel)
        for sentinel in watching:
            wait_until(
                lambda each=sentinel: _knows(each, replicas, sentinels - 1),  # type: ignore[misc]
                "the Sentinels to know each other",
                within_s=50,  # one that was kept waiting for two seconds trusts nothing for the next thirty
            )
        yield Watched(nodes, watching)


def _write(sentinel: Sentinel, primary: int, *, quorum: int, down_after_ms: int) -> None:
    lines = (
        f"port {sentinel.port}",
        "bind 127.0.0.1",
        f"dir {sentinel.folder}",
        f"sentinel monitor {NAME} 127.0.0.1 {primary} {quorum}",
        f"sentinel down-after-milliseconds {NAME} {down_after_ms}",
        f"sentinel failover-timeout {NAME} 3000",
        f"sentinel parallel-syncs {NAME} 1",
    )
    sentinel.folder.mkdir(parents=True)
    (sentinel.folder / "sentinel.conf").write_text("\n".join(lines) + "\n")


def _hurry(sentinel: Sentinel) -> None:
    """Let it ask and tell every 200 ms instead of every 10 and 2 s, where its version can be told."""
    try:
        sentinel.ask("SENTINEL", "DEBUG", "INFO-PERIOD", 200, "PUBLISH-PERIOD", 200, "ASK-PERIOD", 200)
    except SaidNoError:
        return


def _knows(sentinel: Sentinel, replicas: int, others: int) -> bool:
    said = sentinel.believes()
    return said.get("num-slaves") == str(replicas) and said.get("num-other-sentinels") == str(others)
