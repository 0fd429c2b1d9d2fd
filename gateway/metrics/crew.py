"""The series of the processes that make up one gateway. One that serves alone is a crew of one."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import Metric

from gateway.metrics.exposing import gauged, one, summed
from gateway.metrics.series import Series, counter, gauge

WORKERS = gauge("workers", "Processes that take calls: how many there shall be, how many are ready.", "state")
RESTARTS = counter("worker_restarts_total", "Workers that took the place of one that had ended.")
SILENCE = gauge("worker_silence_seconds", "Seconds since the longest silent worker told its numbers.")

CREW_SERIES: tuple[Series, ...] = (WORKERS, RESTARTS, SILENCE)


@dataclass(frozen=True, slots=True)
class Crew:
    """How the workers of a gateway stand.

    Attributes:
        wanted: how many there shall be.
        ready: how many take calls and can judge them.
        restarts: how many took the place of another.
        silence_s: how old the oldest numbers shown are.
    """

    wanted: int = 1
    ready: int = 1
    restarts: int = 0
    silence_s: float = 0.0


def crew_families(crew: Crew) -> Iterator[Metric]:
    """The series of `crew`."""
    yield gauged(WORKERS, [(("wanted",), crew.wanted), (("ready",), crew.ready)])
    yield summed(RESTARTS, [((), crew.restarts)])
    yield one(SILENCE, crew.silence_s)
