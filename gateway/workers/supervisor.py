"""The supervisor: forks the desk and the workers, and waits for what happens to them.

1. It has no loop and no thread, so that it may fork at any time: a process forked from it has all its code in memory
   already and serves within a moment.
2. It holds the sockets, the shared memory, and the counts of the dead: what must outlive every other process.
3. It decides nothing: `watch` does. It only does what is due.
"""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from gateway.ledger.embedded import EmbeddedStore
from gateway.logs.turns import SharedTurn
from gateway.metrics.snapshots import Snapshot
from gateway.settings import Settings
from gateway.workers.desk import Desk, attend
from gateway.workers.listening import Sockets, bound, port_of
from gateway.workers.pipes import Pipe, drained
from gateway.workers.seats import DESK, FIRST, LEAVING, ROLL, SERVING, Report, Roll
from gateway.workers.sharing import share_of
from gateway.workers.shelf import Shelf
from gateway.workers.watch import Watch
from gateway.workers.worker import LAME_DUCK, Seat, work

# Beyond what draining may take (each of its steps `shutdown.drain_s`): for the rest of a worker's way down.
_DOWN_S: Final = 10.0
_DRAINING_STEPS: Final = 3

# For the desk to stop the store, killing it included.
_DESK_DOWN_S: Final = 25.0

# Whoever has something to tell rings the bell; this is in case nobody could.
_LOOK_EVERY_S: Final = 5.0

_ENDING = (signal.SIGINT, signal.SIGTERM)

# Runs a coroutine to its end in this process.
Run = Callable[[Coroutine[Any, Any, None]], None]

# Runs what may fail, says what failed, and returns the exit status.
Guard = Callable[[Callable[[], None]], int]


@dataclass(slots=True)
class Family:
    """All that the processes of one gateway share.

    Attributes:
        front: sockets of each worker's place.
        back: sockets of the desk.
        lifeline: ends when the supervisor does.
        others: ends when supervisor and workers have.
        bell: a byte in it wakes the supervisor.
        free: slots nobody uses.
    """

    front: list[Sockets]
    back: Sockets
    shelf: Shelf
    turn: SharedTurn = field(default_factory=SharedTurn)
    lifeline: Pipe = field(default_factory=Pipe)
    others: Pipe = field(default_factory=Pipe)
    bell: Pipe = field(default_factory=Pipe)
    free: list[int] = field(default_factory=list)


def family(settings: Settings, workers: int) -> Family:
    """Everything that is shared by so many workers, before the first of them. Raises OSError: a port is taken."""
    back = bound(settings.ops.host, settings.ops.port, times=1)[0]
    front = bound(settings.listen.host, settings.listen.port, times=workers)
    # In each place one that serves, one that leaves, and now and then one more.
    slots = FIRST + 2 * workers + 2
    made = Family(front, back, Shelf(slots), free=list(range(FIRST, slots)))
    for end in made.bell.ends:
        os.set_blocking(end, False)
    return made


class Supervisor:
    """One gateway of several processes, from its start to its end.

    Args:
        settings: checked and with its secrets.
        workers: how many.
        run, guard: what a process of it runs in.
        started: told both ports, once, when all workers are ready.
        say: told in words what an operator should know of.
    """

    def __init__(
        self,
        settings: Settings,
        workers: int,
        *,
        run: Run,
        guard: Guard,
        started: Callable[[int, int], None],
        say: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._share = share_of(settings, workers)
        self._run = run
        self._guard = guard
        self._started = started
        self._say = say
        self._family = family(settings, workers)
        self._watch = Watch(workers)
        self._roll = Roll(workers)
        self._slots: dict[int, int] = {}
        self._desk = Watch(1)
        self._told = self._hopeless = False
        self._signals: list[int] = []

    def serve(self) -> int:
        """Serve until SIGTERM or SIGINT; returns the exit status."""
        self._tell()
        with self._signalled():
            while not self._signals and not self._hopeless:
                self._start_due()
                self._wait(self._wait_s())
                self._look()
            return self._end()

    # --- while it serves ------------------------------------------------------------------------------------

    def _start_due(self) -> None:
        now_s = time.monotonic()
        for _ in self._desk.due(now_s):
            self._family.shelf.put(DESK, Report(now_s).as_bytes())
            self._desk.started(0, self._fork(self._as_desk))
        # The store is there once the desk is, and a desk that was there once left it running.
        for place in self._watch.due(now_s) if self._desk.served else ():
            if self._family.free:
                self._start_worker(place, now_s)

    def _start_worker(self, place: int, now_s: float) -> None:
        slot = self._family.free.pop()
        self._family.shelf.put(slot, Report(now_s).as_bytes())
        pid = self._fork(lambda: self._as_worker(place, slot))
        self._slots[pid] = slot
        self._watch.started(place, pid)
        self._roll.living.append(slot)
        self._roll.restarts = self._watch.restarts
        self._tell()

    def _look(self) -> None:
        """What has happened: who has ended, who is ready, who leaves."""
        self._reap()
        now_s = time.monotonic()
        if Report.read(self._family.shelf.get(DESK)).state == SERVING:
            for pid in self._desk.pids:
                self._desk.ready(pid, now_s)
        for pid, slot in self._slots.items():
            state = Report.read(self._family.shelf.get(slot)).state
            if state == SERVING:
                self._watch.ready(pid, now_s)
            elif state == LEAVING:
                self._watch.left(pid, now_s)
        if self._watch.all_ready and not self._told:
            self._told = True
            self._started(port_of(self._family.front[0]), port_of(self._family.back))
        self._hopeless = self._watch.hopeless or (not self._desk.served and self._desk.failed > 0)

    def _reap(self) -> None:
        """Take note of all that have ended; orphans too, where this is the first process of a container."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
                pid, status = ended[0], os.waitstatus_to_exitcode(ended[1])
                if status and (pid in self._slots or pid in self._desk.pids):
                    how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
                    self._say(f"{'worker' if pid in self._slots else 'desk'} {pid} {how}")
                now_s = time.monotonic()
                self._desk.ended(pid, now_s)
                self._watch.ended(pid, now_s)
                self._bury(pid)

    def _bury(self, pid: int) -> None:
        slot = self._slots.pop(pid, None)
        if slot is not None:
            self._roll.bury(slot, Report.read(self._family.shelf.get(slot)))
            self._tell()
            self._family.free.append(slot)

    def _tell(self) -> None:
        if not self._family.shelf.put(ROLL, self._roll.as_bytes()):
            # Who lives must be known. Counters begin anew, as after any restart.
            self._roll.dead = Snapshot()
            self._family.shelf.put(ROLL, self._roll.as_bytes())

    def _wait_s(self) -> float:
        now_s = time.monotonic()
        may_start = self._desk.served and self._family.free  # else it waits for somebody's end
        waits = (self._watch.wait_s(now_s) if may_start else None, self._desk.wait_s(now_s))
        return min((wait for wait in waits if wait is not None), default=_LOOK_EVERY_S)

    def _wait(self, seconds: float) -> None:
        """Wait until something happens, or so long."""
        select.select([self._family.bell.reader], [], [], min(seconds, _LOOK_EVERY_S))
        drained(self._family.bell.reader)

    # --- the way down ---------------------------------------------------------------------------------------

    def _end(self) -> int:
        """Nobody is ready any more, no new calls; the workers end theirs; then the desk, and the store last."""
        self._roll.draining = True
        self._tell()
        if self._signals[:1] == [signal.SIGTERM]:
            # It comes from whoever runs many gateways, and needs time to notice; Ctrl-C from a person who waits.
            self._signal(self._slots, LAME_DUCK)
            self._gone(lambda: bool(self._slots), self._settings.shutdown.lame_duck_s)
        for sockets in self._family.front:
            for one in sockets:
                one.close()
        self._signal(self._slots, signal.SIGTERM)
        # From here on nobody shall live for this process's sake alone.
        self._family.others.close(self._family.others.writer)
        drain_s = _DRAINING_STEPS * self._settings.shutdown.drain_s + _DOWN_S
        in_time = self._gone(lambda: bool(self._slots), drain_s) and self._gone(
            lambda: bool(self._desk.pids), _DESK_DOWN_S
        )
        if not in_time:
            self._signal((*self._slots, *self._desk.pids), signal.SIGKILL)
        if self._hopeless:
            self._say("gave up: no process that was started came to serve")
        return 1 if self._hopeless or not in_time else 0

    def _gone(self, there: Callable[[], bool], within_s: float) -> bool:
        """Wait until they are gone; false when they are not in time. A second signal ends everything at once."""
        until_s = time.monotonic() + within_s
        while there() and time.monotonic() < until_s:
            if len(self._signals) > 1:
                self._signal((*self._slots, *self._desk.pids), signal.SIGKILL)
                os._exit(128 + self._signals[-1])
            self._wait(until_s - time.monotonic())
            self._reap()
        return not there()

    def _signal(self, pids: Sequence[int] | dict[int, int], number: int) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    # --- signals and forks ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _signalled(self) -> Any:
        """Note signals that end, and let every signal wake this process, for the length of a block."""
        for number in _ENDING:
            signal.signal(number, lambda said, _: self._signals.append(said))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._family.bell.writer, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number in (*_ENDING, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)

    def _fork(self, main: Callable[[], None]) -> int:
        """A process that runs `main` and ends; its id. It ignores SIGINT: a terminal sends that to all of them."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        former = signal.pthread_sigmask(signal.SIG_BLOCK, (*_ENDING, signal.SIGCHLD))
        try:
            pid = os.fork()
            if pid == 0:
                self._live(main, former)
            return pid
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)

    def _live(self, main: Callable[[], None], mask: set[int | signal.Signals]) -> NoReturn:
        """The whole life of a forked process: nothing of the supervisor's runs on in it."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGINT, LAME_DUCK):
                signal.signal(number, signal.SIG_IGN)
            for number in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self._family.lifeline.close(self._family.lifeline.writer)
            status = self._guard(main)
        finally:
            with contextlib.suppress(BaseException):
                sys.stderr.flush()
            os._exit(status)

    def _as_desk(self) -> None:
        here = self._family
        _call_it("gateway-desk")
        here.others.close(here.others.writer)
        _close_all(here.front)
        self._run(attend(self._settings, Desk(here.shelf, here.back, here.turn, here.bell.writer, here.others.reader)))

    def _as_worker(self, place: int, slot: int) -> None:
        here = self._family
        _call_it("gateway-worker")
        here.others.close(here.others.reader)
        _close_all([here.back, *(sockets for number, sockets in enumerate(here.front) if number != place)])
        store_url = EmbeddedStore(self._settings.ledger.data_dir / "store").url
        seat = Seat(here.shelf, slot, here.front[place], here.turn, store_url, here.bell.writer)
        self._run(work(self._share, seat, here.lifeline.reader))


def _call_it(name: str) -> None:
    """Let lists of processes show this one under its own name, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(name, "ascii")


def _close_all(sockets: Sequence[Sockets]) -> None:
    for some in sockets:
        for one in some:
            one.close()
