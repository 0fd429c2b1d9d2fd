"""Snapshots: what one process has counted, for another to read; and how those of several make one.

Sums are kept in whole numbers, as they are counted: adding them up is exact. The caller keeps the processes apart; here
nothing is known of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.metrics.tallies import CHILDREN_MAX, OTHER, Labels

# Counts of the buckets, not cumulated, and the sum of all values.
Distribution = tuple[tuple[int, ...], float]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one process has counted up to a moment, or several have.

    Attributes:
        sums: by name of the series and label values.
        spreads: likewise.
        readings: what a scrape would read, with the moment since when it has read so: monotonic seconds, the same
            clock in all processes of a machine.
    """

    sums: Mapping[str, Mapping[Labels, int]] = field(default_factory=dict)
    spreads: Mapping[str, Mapping[Labels, Distribution]] = field(default_factory=dict)
    readings: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """In JSON's own types."""
        return {
            "sums": {
                name: [[*labels, amount] for labels, amount in found.items()] for name, found in self.sums.items()
            },
            "spreads": {
                name: [[*labels, counts, total] for labels, (counts, total) in found.items()]
                for name, found in self.spreads.items()
            },
            "readings": self.readings,
        }

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> "Snapshot":
        """What `as_json` made, after its way through JSON. Only ever given what this program wrote."""
        sums, spreads, readings = (said.get(name, {}) for name in ("sums", "spreads", "readings"))
        return cls(
            {name: {tuple(row[:-1]): row[-1] for row in rows} for name, rows in sums.items()},
            {name: {tuple(row[:-2]): (tuple(row[-2]), row[-1]) for row in rows} for name, rows in spreads.items()},
            {name: (row[0], row[1]) for name, row in readings.items()},
        )


def all_sums(snapshots: Iterable[Snapshot], name: str) -> dict[Labels, int]:
    """One series' sums over all of them; combinations beyond the bound of one process are counted together."""
    found: dict[Labels, int] = {}
    for snapshot in snapshots:
        for labels, amount in snapshot.sums.get(name, {}).items():
            key = _room(found, labels)
            found[key] = found.get(key, 0) + amount
    return found


def all_spreads(snapshots: Iterable[Snapshot], name: str) -> dict[Labels, Distribution]:
    """One series' distributions over all of them, bounded likewise."""
    found: dict[Labels, Distribution] = {}
    for snapshot in snapshots:
        for labels, (counts, total) in snapshot.spreads.get(name, {}).items():
            key = _room(found, labels)
            before = found.get(key, ((0,) * len(counts), 0.0))
            found[key] = tuple(map(sum, zip(before[0], counts, strict=True))), before[1] + total
    return found


def _room(found: Mapping[Labels, object], labels: Labels) -> Labels:
    return labels if labels in found or len(found) < CHILDREN_MAX else (OTHER,) * len(labels)


def together(snapshots: Iterable[Snapshot], counters: Iterable[str]) -> Snapshot:
    """Sums, spreads and `counters` among the readings, over all of them; other readings are left out."""
    kept = tuple(snapshots)
    sums = dict.fromkeys(name for one in kept for name in one.sums)
    spreads = dict.fromkeys(name for one in kept for name in one.spreads)
    read = {name: [one.readings[name] for one in kept if name in one.readings] for name in counters}
    return Snapshot(
        {name: all_sums(kept, name) for name in sums},
        {name: all_spreads(kept, name) for name in spreads},
        {name: (sum(v for v, _ in found), max(at for _, at in found)) for name, found in read.items() if found},
    )
