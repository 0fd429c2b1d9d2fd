"""Seats: what each process of a gateway writes down for the others, and what it comes to.

The supervisor's slot holds the roll: who lives, and what those that died had counted. A worker's slot holds its report.
Roll and reports are read together: a worker that dies is taken off the roll in the same piece of bytes that adds its
counts to those of the dead, so nothing is told twice, or not at all.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.metrics.counting import READ_COUNTERS
from gateway.metrics.crew import Crew
from gateway.metrics.snapshots import Snapshot, together
from gateway.metrics.totals import Seen
from gateway.workers.shelf import Shelf

ROLL: Final = 0
DESK: Final = 1
FIRST: Final = 2

# Who has told nothing for so long is not counted as ready: it hangs.
SILENT_AFTER_S: Final = 5.0

STARTING: Final = "starting"
SERVING: Final = "serving"
LEAVING: Final = "leaving"

_COUNTERS: Final = tuple(series.name for series in READ_COUNTERS)
_LOOKS: Final = 5


@dataclass(frozen=True, slots=True)
class Report:
    """What a process tells of itself.

    Attributes:
        at_s: when; monotonic seconds.
        state: `starting`, `serving` or `leaving`.
        lacks: what keeps it from being ready.
        counted: so far.
    """

    at_s: float
    state: str = STARTING
    lacks: tuple[str, ...] = ()
    counted: Snapshot = field(default_factory=Snapshot)

    def as_bytes(self) -> bytes:
        """For the shelf."""
        counted = self.counted.as_json()
        return _spelt({"at": self.at_s, "state": self.state, "lacks": self.lacks, "counted": counted})

    @classmethod
    def read(cls, piece: bytes) -> "Report":
        """From the shelf; nothing there is a process that has told nothing yet."""
        said = json.loads(piece or b"{}")
        counted = Snapshot.of_json(said.get("counted", {}))
        return cls(said.get("at", 0.0), said.get("state", STARTING), tuple(said.get("lacks", ())), counted)


@dataclass(slots=True)
class Roll:
    """What the supervisor tells.

    Attributes:
        wanted: how many workers there shall be.
        living: the slots of those that live.
        restarts: how many took the place of another.
        draining: whether all of it is to end.
        dead: what those that died had counted.
    """

    wanted: int
    living: list[int] = field(default_factory=list)
    restarts: int = 0
    draining: bool = False
    dead: Snapshot = field(default_factory=Snapshot)

    def as_bytes(self) -> bytes:
        """For the shelf."""
        told = {"wanted": self.wanted, "living": self.living, "restarts": self.restarts, "draining": self.draining}
        return _spelt({**told, "dead": self.dead.as_json()})

    @classmethod
    def read(cls, piece: bytes) -> "Roll":
        """From the shelf."""
        said = json.loads(piece or b'{"wanted":0,"living":[],"restarts":0,"draining":false,"dead":{}}')
        dead = Snapshot.of_json(said["dead"])
        return cls(said["wanted"], said["living"], said["restarts"], said["draining"], dead)

    def bury(self, slot: int, report: Report) -> None:
        """Take a worker off the roll and keep what it had counted."""
        self.living.remove(slot)
        self.dead = together((self.dead, report.counted), _COUNTERS)


def _spelt(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, separators=(",", ":")).encode("ascii")


@dataclass(frozen=True, slots=True)
class Standing:
    """Roll and reports of one moment."""

    roll: Roll
    reports: Sequence[Report]
    now_s: float

    @property
    def crew(self) -> Crew:
        """How the workers stand."""
        oldest_s = min((report.at_s for report in self.reports), default=self.now_s)
        ready = sum(1 for report in self.reports if self._is_ready(report))
        return Crew(self.roll.wanted, ready, self.roll.restarts, max(0.0, self.now_s - oldest_s))

    @property
    def lacks(self) -> list[str]:
        """What keeps the gateway from being ready: that it ends, or that no worker is."""
        if self.roll.draining:
            return ["draining"]
        if self.crew.ready:
            return []
        told = {lack: None for report in self.reports if self._is_heard(report) for lack in report.lacks}
        return list(told) or ["workers"]

    @property
    def seen(self) -> Seen:
        """For `Totals`."""
        return Seen(self.crew, tuple(report.counted for report in self.reports), self.roll.dead)

    def _is_ready(self, report: Report) -> bool:
        return self._is_heard(report) and not report.lacks

    def _is_heard(self, report: Report) -> bool:
        return report.state == SERVING and self.now_s - report.at_s < SILENT_AFTER_S


def look(shelf: Shelf, now_s: float) -> Standing:
    """Roll and reports as they stand; again when somebody came or died meanwhile."""
    for _ in range(_LOOKS):
        piece = shelf.get(ROLL)
        roll = Roll.read(piece)
        reports = [Report.read(shelf.get(slot)) for slot in roll.living]
        if shelf.get(ROLL) == piece:
            break
    return Standing(roll, reports, now_s)
