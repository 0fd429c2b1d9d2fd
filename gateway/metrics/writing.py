"""Writing: metric families -> the text format Prometheus reads, version 1.0.0. Pure but for its pauses.

At the caps there are some fifty thousand samples, written in a thread beside the requests. So labels are spelt once and
remembered, and the thread lets go of the interpreter every few hundred lines: nobody waits for all of them.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import Metric

from gateway.metrics.exposing import Samples

# Between two pauses; about a millisecond of work.
LINES_AT_ONCE = 1_000
PAUSE_S = 0.0002

# Labels that are remembered in their spelling. More than there can be at all caps: those that are gone do not add up.
SPELT_MAX = 100_000

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_ESCAPES_OF_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})

_Labels = tuple[str, ...]


class Writer:
    """Writes expositions. Safe in several threads at once.

    Args:
        pause: lets others have their turn, for some seconds.
    """

    def __init__(self, pause: Callable[[float], object] = time.sleep) -> None:
        self._pause = pause
        self._spelt: dict[tuple[_Labels, _Labels], str] = {}

    def __call__(self, families: Iterable[Metric]) -> bytes:
        """The exposition. Counters get their `_total` back, label names come in alphabetical order."""
        if len(self._spelt) > SPELT_MAX:
            self._spelt = {}
        lines: list[str] = []
        for family in families:
            name = f"{family.name}_total" if family.type == "counter" else family.name
            says = family.documentation.translate(_ESCAPES_OF_HELP)
            lines.append(f"# HELP {name} {says}\n# TYPE {name} {family.type}\n")
            for line in self._lines(family):
                lines.append(line)
                if len(lines) % LINES_AT_ONCE == 0:
                    self._pause(PAUSE_S)
        return "".join(lines).encode()

    def _lines(self, family: Metric) -> Iterator[str]:
        samples = family.samples
        if isinstance(samples, Samples):
            # The short way, without a sample in between.
            name, names = samples.series.name, samples.series.labels
            for values, value in samples.rows():
                yield f"{name}{self._labels(names, values)} {_number(value)}\n"
        else:
            for sample in samples:
                labels = self._labels(tuple(sample.labels), tuple(sample.labels.values()))
                yield f"{sample.name}{labels} {_number(sample.value)}\n"

    def _labels(self, names: _Labels, values: _Labels) -> str:
        said = self._spelt.get((names, values))
        if said is None:
            pairs = sorted(zip(names, values, strict=True))
            text = ",".join([f'{name}="{value.translate(_ESCAPES)}"' for name, value in pairs])
            said = self._spelt[names, values] = f"{{{text}}}" if pairs else ""
        return said


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
