"""Totals: what several processes of one gateway have counted, told as if it were one.

1. A counter is the sum over the living and all that have died: it never goes back while the gateway lives.
2. A gauge is what `WAYS` says of it: nothing is added up that cannot be.
3. What budgets stand at comes from the ledger, once, as in `counting`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry
from prometheus_client.core import HistogramMetricFamily, Metric

from gateway import __version__
from gateway.ledger.budget import Balance
from gateway.ledger.open_holds import OpenHolds
from gateway.metrics import account, bounds, counting, tokens
from gateway.metrics.crew import CREW_SERIES, Crew, crew_families
from gateway.metrics.exposing import Shown, one, read, summed
from gateway.metrics.series import Series
from gateway.metrics.snapshots import Snapshot, all_spreads, all_sums
from gateway.metrics.standings import STANDING_SERIES, Standings
from gateway.metrics.tallies import Closed, cumulated
from gateway.metrics.writing import Writer

# (value, since when it is that) of each process that knows it -> what is shown of all of them.
Way = Callable[[Sequence[tuple[float, float]]], float]


def _newest(found: Sequence[tuple[float, float]]) -> float:
    """What changed last: who heard something newer than all others."""
    return max(found, key=lambda one: one[1])[0]


def _added(found: Sequence[tuple[float, float]]) -> float:
    return sum(value for value, _ in found)


def _most(found: Sequence[tuple[float, float]]) -> float:
    return max(value for value, _ in found)


def _least(found: Sequence[tuple[float, float]]) -> float:
    return min(value for value, _ in found)


WAYS: Mapping[Series, Way] = {
    counting.UNDER_WAY: _added,
    counting.ON_DISK: _added,
    counting.QUEUED: _added,
    counting.LOOP_LAG: _most,
    bounds.CONNECTIONS: _added,
    bounds.IN_MEMORY: _added,
    bounds.ON_DISK: _added,
    tokens.ENTRIES: _added,
    counting.REGRESSED: _most,  # every process finds the same tenants
    counting.KEYS_AGE: _most,
    counting.LEDGER_UP: _least,
    account.ACCOUNT_LEFT: _newest,
    account.ACCOUNT_LIMIT: _newest,
    account.ACCOUNT_RESET: _newest,
    account.OVERSOLD: _newest,
    account.ACCOUNT_DRAWN: _added,
    account.ACCOUNT_SHUT: _most,
    account.PROMISED: _most,
    account.PRICE: _most,
}

# What the processes of one gateway cannot tell from one another's calls: without a value, not with a wrong one.
UNKNOWN = (account.FOREIGN,)


@dataclass(frozen=True, slots=True)
class Seen:
    """All that is there to be told.

    Attributes:
        crew: how the workers stand.
        living: what each of them has counted.
        dead: what those before them had.
    """

    crew: Crew
    living: tuple[Snapshot, ...]
    dead: Snapshot


class Totals:
    """Everything one gateway of several processes tells Prometheus.

    Args:
        look: all there is, at every scrape; called in the scrape's thread.
        tenants: configured tenants: the first are shown under their own names.
        tenants_max: as of `Metrics`.
    """

    def __init__(self, look: Callable[[], Seen], *, tenants: Iterable[str], tenants_max: int = 200) -> None:
        self._look = look
        self._tenant = Closed(tuple(tenants), room_for=tenants_max)
        self._standings = Standings(self.shows)
        self._write = Writer()
        self._registry = CollectorRegistry()
        self._registry.register(Shown(self._families))

    def shows(self, tenant: str) -> bool:
        """Whether `tenant` is shown under its own name."""
        return self._tenant.known(tenant) == tenant

    def set_balances(
        self, balances: Iterable[tuple[str, Balance]], holds: Mapping[str, OpenHolds] = MappingProxyType({})
    ) -> None:
        """See `Metrics.set_balances`."""
        self._standings.set(balances, holds)

    def render(self) -> tuple[bytes, str]:
        """The exposition and its content type. Safe in a thread of its own."""
        return self._write(self._registry.collect()), CONTENT_TYPE_LATEST

    def _families(self) -> Iterator[Metric]:
        seen = self._look()
        for series in counting.CATALOGUE:
            if series not in (*STANDING_SERIES, *CREW_SERIES, counting.BUILD):
                yield _family(series, seen)
        yield from self._standings.families()
        yield from crew_families(seen.crew)
        yield one(counting.BUILD, 1.0, __version__)


def _family(series: Series, seen: Seen) -> Metric:
    everybody = (seen.dead, *seen.living)
    if series in UNKNOWN:
        return read(series, None)
    if series.kind == "histogram":
        family = HistogramMetricFamily(series.name, series.says, labels=series.labels)
        for labels, (counts, total) in all_spreads(everybody, series.name).items():
            family.add_metric(labels, list(cumulated(series.bounds_s, counts)), total)
        return family
    if series.kind == "gauge" or series in counting.READ_COUNTERS:
        way, asked = (WAYS[series], seen.living) if series.kind == "gauge" else (_added, everybody)
        found = [one.readings[series.name] for one in asked if series.name in one.readings]
        return read(series, way(found) if found else None)
    sums = all_sums(everybody, series.name)
    return summed(series, [(labels, amount / series.per_unit) for labels, amount in sums.items()])
