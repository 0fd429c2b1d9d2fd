"""Writing: metric families -> the text format Prometheus reads, version 1.0.0. Pure but for its pauses.

At the caps there are some fifty thousand samples, written in a thread beside the requests. So what is the same in many
lines is spelt once, and the thread lets go of the interpreter every few hundred lines: nobody waits for all of them.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import Metric

# Between two pauses; some milliseconds of work.
LINES_AT_ONCE = 1_000
PAUSE_S = 0.0002

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_ESCAPES_OF_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})


def written(families: Iterable[Metric], *, pause: Callable[[float], object] = time.sleep) -> bytes:
    """The exposition. Counters get their `_total` back, label names come in alphabetical order."""
    lines: list[str] = []
    spelt: dict[tuple[str, str], str] = {}
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        lines.append(f"# HELP {name} {family.documentation.translate(_ESCAPES_OF_HELP)}\n# TYPE {name} {family.type}\n")
        for sample in family.samples:
            lines.append(f"{sample.name}{_labels(sample.labels, spelt)} {_number(sample.value)}\n")
            if len(lines) % LINES_AT_ONCE == 0:
                pause(PAUSE_S)
    return "".join(lines).encode()


def _labels(labels: Mapping[str, str], spelt: dict[tuple[str, str], str]) -> str:
    if not labels:
        return ""
    pairs: list[str] = []
    for pair in sorted(labels.items()):
        said = spelt.get(pair)
        if said is None:
            said = spelt[pair] = f'{pair[0]}="{pair[1].translate(_ESCAPES)}"'
        pairs.append(said)
    return f"{{{','.join(pairs)}}}"


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
