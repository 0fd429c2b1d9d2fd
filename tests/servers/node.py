"""Node: one server process on a loopback port of its own, to be killed, stopped, and started on its data again."""

import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gateway.ledger import embedded
from tests.servers.line import PASSWORD, USER, Line, SaidNoError
from tests.servers.waiting import wait_until

START_WITHIN_S: Final = 15.0
_END_WITHIN_S: Final = 10.0

# Below the ports a kernel gives out by itself; a cluster's nodes also listen 10,000 above.
_PORTS: Final = range(12_000, 22_000)
_BUS_ABOVE: Final = 10_000

OPTIONS: Final = (
    *("--bind", "127.0.0.1", "--daemonize", "no", "--save", "", "--maxmemory-policy", "noeviction"),
    *("--appendonly", "yes", "--appendfsync", "everysec", "--enable-debug-command", "local"),
    *("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"),
    *("--user", USER, "on", f">{PASSWORD}", "~*", "&*", "+@all"),
)

# Becomes the server; the kernel shall send SIGKILL (9), which also ends a stopped process, when the starter's thread
# ends (PR_SET_PDEATHSIG is 1). A starter already dead sends nothing any more, hence the look at the parent.
_TETHER: Final = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, ctypes.c_ulong(9), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
if os.getppid() != int(sys.argv[1]):
    sys.exit("the starter is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


def bundled_program() -> str:
    """The path of the store that comes with the gateway."""
    return str(embedded._program())


def free_port() -> int:
    """A port nobody listens on, whose cluster bus port is free as well."""
    for port in random.sample(_PORTS, 200):
        if _is_free(port) and _is_free(port + _BUS_ABOVE):
            return port
    raise AssertionError("no free port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Node:
    """One server. Keeps its port and data directory over all its lives.

    Args:
        program: path of a Redis or Valkey server.
        folder: empty or with data; made when missing.
        options: added to `OPTIONS`, as on a command line.
    """

    def __init__(self, program: str, folder: Path, *options: str, port: int | None = None) -> None:
        self.program = program
        self.folder = folder
        self.port = port or free_port()
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where a client finds it."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process, dead or alive."""
        assert self._process is not None
        return self._process.pid

    def command(self) -> list[str]:
        """How it is started."""
        return [self.program, "--port", str(self.port), "--dir", str(self.folder), *OPTIONS, *self.options]

    def launch(self, *more: str) -> None:
        """Start the process, with `more` options for this life, and do not wait. It dies with the calling thread."""
        assert not self.alive
        self.folder.mkdir(parents=True, exist_ok=True)
        tether = [sys.executable, "-I", "-S", "-c", _TETHER, str(os.getpid())]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a server of this machine, with options from a table
                [*tether, *self.command(), *more],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                start_new_session=True,
            )

    def start(self, *more: str) -> None:
        """As `launch`, and wait until it answers."""
        self.launch(*more)
        self.ready()

    def ready(self, *, within_s: float = START_WITHIN_S) -> None:
        """Wait until it answers."""
        wait_until(self._answers, f"an answer of the server on port {self.port}", within_s=within_s)

    def _answers(self) -> bool:
        assert self.alive, f"the server ended: see server.log in {self.folder}"
        return bool(self.says("PING") == "PONG")

    def says(self, *words: str | int) -> Any:
        """As `ask`; None when it does not answer, or refuses."""
        try:
            return self.ask(*words, within_s=1.0)
        except (OSError, SaidNoError):
            return None

    def ask(self, *words: str | int, within_s: float = 5.0) -> Any:
        """One command, on a line of its own. Raises OSError, SaidNoError."""
        with self.line(within_s=within_s) as line:
            return line.ask(*words)

    def line(self, *, within_s: float = 5.0) -> Line:
        """A line for several commands; the caller closes it."""
        return Line(self.port, within_s=within_s)

    def info(self, section: str) -> dict[str, str]:
        """One section of INFO."""
        lines = str(self.ask("INFO", section)).splitlines()
        return {name: value for name, _, value in (line.partition(":") for line in lines if ":" in line)}

    def set(self, name: str, value: str | int) -> None:
        """CONFIG SET."""
        self.ask("CONFIG", "SET", name, value)

    def kill(self) -> None:
        """SIGKILL, and reap it. Also when it is stopped, or dead."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_END_WITHIN_S)

    def stop(self) -> None:
        """SIGTERM, which keeps everything, and wait for the end."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(_END_WITHIN_S)

    def pause(self) -> None:
        """SIGSTOP: silent, with all connections open."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def limit_files(self, size: int | None) -> None:
        """Let no file of it grow beyond `size` bytes, as a full disk would; None lifts the limit. Linux."""
        _, most = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY if size is None else size, most))

    @property
    def file_size(self) -> int:
        """Of the largest file it has written, in bytes."""
        return max(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def copy_to(self, place: Path) -> None:
        """Copy its data directory as it lies on disk."""
        shutil.copytree(self.folder, place)

    def put_back(self, place: Path) -> None:
        """Replace the data of a dead node by a copy."""
        assert not self.alive
        shutil.rmtree(self.folder)
        shutil.copytree(place, self.folder)

    # --- replication -----------------------------------------------------------------------------------------

    @property
    def is_primary(self) -> bool:
        """Whether it says so; false when it says nothing."""
        said = self.says("ROLE")
        return said is not None and said[0] == "master"

    def follow(self, port: int) -> None:
        """Become a replica of the node on `port`, and wait until the link is up."""
        self.ask("REPLICAOF", "127.0.0.1", port)
        self.linked()

    def linked(self, *, within_s: float = 15.0) -> None:
        """Wait until it is a replica in sync."""
        wait_until(self._is_linked, f"the replication link of port {self.port}", within_s=within_s)

    def _is_linked(self) -> bool:
        try:
            return self.info("replication").get("master_link_status") == "up"
        except ConnectionError:
            return False  # it hangs up on everybody when it takes another's data

    def followed(self, *, within_s: float = 15.0) -> None:
        """Wait until it counts a replica in sync: a little later than that replica itself."""

        def online() -> bool:
            found = self.info("replication")
            return any(name.startswith("slave") and "state=online" in value for name, value in found.items())

        wait_until(online, f"port {self.port} to see its replica", within_s=within_s)

    def lead(self) -> None:
        """Become a primary."""
        self.ask("REPLICAOF", "NO", "ONE")

    def caught_up(self, with_: "Node", *, within_s: float = 10.0) -> None:
        """Wait until it has all that the primary `with_` has."""
        wanted = int(with_.info("replication")["master_repl_offset"])
        wait_until(
            lambda: int(self.info("replication").get("slave_repl_offset", 0)) >= wanted,
            f"port {self.port} to catch up",
            within_s=within_s,
        )


@contextmanager
def node(program: str, folder: Path, *options: str) -> Iterator[Node]:
    """A node that runs for as long as the block lasts, whatever is done to it meanwhile."""
    made = Node(program, folder, *options)
    try:
        made.start()
        yield made
    finally:
        made.kill()
