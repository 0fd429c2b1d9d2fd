"""Metrics: Receipt -> Prometheus. The only file that knows prometheus_client.

1. Label values come from closed sets; a tenant beyond `tenants_max` is `other`.
2. What budgets stand at comes from the ledger, never from this process: without a fresh reading the series are absent.
3. Nothing here may fail a request.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry
from prometheus_client.core import HistogramMetricFamily, Metric

from gateway import __version__
from gateway.account.findings import Compared, Finding, Foreign
from gateway.account.guard import SharedAccount
from gateway.errors import GatewayError
from gateway.ledger.budget import Balance
from gateway.ledger.contract import Settlement, State
from gateway.ledger.open_holds import OpenHolds
from gateway.metrics.account import ACCOUNT_SERIES, FOREIGN, MISMATCH, WEIGHED, account_readings
from gateway.metrics.bounds import BOUNDS_SERIES, ENDED, REFUSED, bounds_readings
from gateway.metrics.crew import CREW_SERIES, Crew, crew_families
from gateway.metrics.exposing import Shown, one, read, summed, value_of
from gateway.metrics.series import PREFIX as PREFIX  # noqa: PLC0414 - handed on to whoever reads an exposition
from gateway.metrics.series import Reading, Series
from gateway.metrics.series import counter as _counter
from gateway.metrics.series import credits as _credits
from gateway.metrics.series import gauge as _gauge
from gateway.metrics.series import seconds as _seconds
from gateway.metrics.snapshots import Snapshot
from gateway.metrics.spenders import SPENDER_SERIES, Spenders
from gateway.metrics.standings import STANDING_SERIES, Standings
from gateway.metrics.tallies import OTHER, Closed, Spread, Tally
from gateway.metrics.tokens import TOKEN_READ, TOKEN_SERIES, TokenCache, token_readings
from gateway.metrics.writing import Writer
from gateway.receipt import Receipt
from gateway.units import Credits, Flag

# Seconds. An image takes from half a second to a minute; a refusal a few milliseconds.
_IMAGE_S = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
_LONG_S = (0.005, 0.025, *_IMAGE_S)
_SHORT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

# The state of a hold the store had lost, and whose charge was booked all the same.
RECOVERED = "recovered"

_OUTCOMES = ("served", "refused", "failed", "dry_run", "replayed")
_STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_STATUSES = range(100, 600)
_LEDGER_REASONS = ("ledger_unavailable", "ledger_poisoned", "ledger_missing", "ledger_regressed")
_LEDGER_CODES = (
    *("timeout", "connection", "stalled", "loading", "readonly", "oom", "misconfigured", "replicas", "busy", "auth"),
    *("cluster", "clock", "error", "poisoned", "missing", "regressed"),
)

CHARGED = _credits("credits_charged_total", "Credits calls were charged.", "tenant", "method", "flag")
QUOTED = _credits("credits_quoted_total", "Quoted credits of calls that were held.", "tenant", "method")
OVERRUN = _credits("credits_overrun_total", "Credits charged above what was held.", "tenant")
DRIFT = _credits(
    "quote_drift_credits_total", "Credits charged by the upstream over or under the quote.", "method", "direction"
)
COMPARED = _counter("quote_comparisons_total", "Quotes compared with what the upstream charged.", "method", "direction")
REQUESTS = _counter("requests_total", "Requests that ended.", "route", "outcome", "status_class")
REFUSALS = _counter("refusals_total", "Requests that ended in an error of the gateway's.", "reason", "tenant")
ANSWERS = _counter("upstream_responses_total", "Answers of the upstream.", "status")
GONE = _counter("client_gone_total", "Clients that left before their answer was complete.")
LEDGER_ERRORS = _counter("ledger_errors_total", "Calls to the ledger that gave no usable answer.", "code")
LEDGER_UP = _gauge("ledger_up", "Whether the last call to the ledger was answered, 0 or 1.")
SETTLED = _counter(
    "settlements_total", "Ends of holds; `recovered` of those the store had lost, `unknown` of none.", "state", "flag"
)
STUCK = _counter("settles_given_up_total", "Ends of holds that were given up and left to expire.")
SPOOL_FAULTS = _counter("spool_faults_total", "Ends of holds that could not be written to disk, or read from it.")
MARK_FAULTS = _counter("mark_faults_total", "Marks against a forgetful store that could not be written to disk.")
REGRESSIONS = _counter("ledger_regressions_total", "Losses found: the store had forgotten entries of a tenant.")
FAULTS = _counter("metrics_errors_total", "Receipts that could not be counted.")
LOG_DROPS = _counter("log_lines_dropped_total", "Log lines that could not be written.")
REQUEST_S = _seconds("request_duration_seconds", "Seconds from arrival to end.", _LONG_S, "method", "outcome")
UPSTREAM_S = _seconds("upstream_duration_seconds", "Seconds the upstream took.", _IMAGE_S, "method")
QUEUED_S = _seconds("queue_wait_seconds", "Seconds a call waited for its turn; of those that had to.", _LONG_S)
HOLD_S = _seconds("hold_duration_seconds", "Seconds a hold took.", _SHORT_S)
OVERHEAD_S = _seconds(
    "overhead_seconds", "Seconds a forwarded call took besides the upstream's and its wait for its turn.", _SHORT_S
)
UNDER_WAY = _gauge("settles_under_way", "Ends of holds that are not booked yet.")
ON_DISK = _gauge("settles_on_disk", "Ends of holds that wait on disk until the store takes them.")
QUEUED = _gauge("calls_queued", "Calls that wait for their turn upstream.")
REGRESSED = _gauge("ledger_regressed_tenants", "Tenants with entries forgotten, and neither booked again nor accepted.")
KEYS_AGE = _gauge("identity_keys_age_seconds", "Seconds since the oldest key set in hand was fetched; absent without.")
LOOP_LAG = _gauge("event_loop_lag_seconds", "The latest that the event loop came within the last minute, seconds.")
BUILD = _gauge("build_info", "Always 1; says which version runs.", "version")

CATALOGUE: tuple[Series, ...] = (
    *(CHARGED, QUOTED, OVERRUN, DRIFT, COMPARED, REQUESTS, REFUSALS, ANSWERS, GONE, LEDGER_ERRORS, SETTLED, STUCK),
    *(SPOOL_FAULTS, MARK_FAULTS, REGRESSIONS, FAULTS, LOG_DROPS, REQUEST_S, UPSTREAM_S, QUEUED_S, HOLD_S, OVERHEAD_S),
    *SPENDER_SERIES,
    *STANDING_SERIES,
    *(*TOKEN_SERIES, *ACCOUNT_SERIES, *BOUNDS_SERIES, LEDGER_UP, QUEUED, UNDER_WAY, ON_DISK, REGRESSED, KEYS_AGE),
    *(LOOP_LAG, *CREW_SERIES, BUILD),
)

# Counters that others keep and a scrape reads.
READ_COUNTERS = (LOG_DROPS, SPOOL_FAULTS, MARK_FAULTS, REFUSED, ENDED, *TOKEN_READ)


class Metrics:
    """Everything this process tells Prometheus, in a registry of its own.

    Args:
        methods: the tariff's method names.
        routes: the routes' names.
        tenants: configured tenants: the first to be shown under their own names.
        tenants_max: how many tenants are shown apart; all others are `other`.
        users: show what users were charged, a bounded number of them by name.
    """

    def __init__(
        self,
        *,
        methods: Iterable[str],
        routes: Iterable[str],
        tenants: Iterable[str] = (),
        tenants_max: int = 200,
        users: bool = True,
    ) -> None:
        self._method = Closed(tuple(methods))
        self._route = Closed(tuple(routes))
        self._tenant = Closed(tuple(tenants), room_for=tenants_max)
        self._reason = Closed((*_reasons(GatewayError), "cancelled"))
        self._outcome, self._class = Closed(_OUTCOMES), Closed(_STATUS_CLASSES)
        self._flag, self._state, self._code = Closed(tuple(Flag)), Closed((*State, RECOVERED)), Closed(_LEDGER_CODES)
        self._tallies = {
            series: Tally(len(series.labels), per_unit=series.per_unit)
            for series in CATALOGUE
            if series.kind == "counter" and series not in (*READ_COUNTERS, *CREW_SERIES)
        }
        self._spreads = {
            series: Spread(len(series.labels), bounds=series.bounds_s)
            for series in CATALOGUE
            if series.kind == "histogram"
        }
        self._spenders = Spenders(self._tallies, self._spreads, users=users)
        self._standings = Standings(self.shows)
        self._readings: dict[Series, Reading] = {}
        self._write = Writer()
        self._registry = CollectorRegistry()
        self._registry.register(Shown(self._families))

    def record(self, receipt: Receipt) -> None:
        """Count one request. Never raises."""
        try:
            self._answered(receipt)
            self._paid(receipt)
            self._timed(receipt)
            self._upstream(receipt)
        except Exception:  # noqa: BLE001 - a request never fails because it could not be counted
            self._tallies[FAULTS].add()

    def settled(self, settlement: Settlement) -> None:
        """Count the end of a hold, unless it had ended before; one of a lost hold too. Never raises."""
        if settlement.applied or settlement.state is State.UNKNOWN:
            state = RECOVERED if settlement.recovered else settlement.state
            self._tallies[SETTLED].add((self._state(state), self._flag(settlement.flag)))

    def regressed(self) -> None:
        """Count a loss that was found."""
        self._tallies[REGRESSIONS].add()

    def stuck(self) -> None:
        """Count an end of a hold that was given up."""
        self._tallies[STUCK].add()

    def ledger_error(self, code: str) -> None:
        """Count a call to the ledger that gave no usable answer, made beside the requests."""
        self._tallies[LEDGER_ERRORS].add((self._code(code),))

    def account(self, finding: Finding) -> None:
        """Count what was found of the shared account."""
        if isinstance(finding, Foreign):
            self._tallies[FOREIGN].add((), finding.credits.millicredits)
        elif isinstance(finding, Compared):
            self._tell(finding.difference, self._method(finding.method), counted=WEIGHED, summed=MISMATCH)

    def shows(self, tenant: str) -> bool:
        """Whether `tenant` is shown under its own name, now or as soon as something of it is counted."""
        return self._tenant(tenant) == tenant

    def set_balances(
        self, balances: Iterable[tuple[str, Balance]], holds: Mapping[str, OpenHolds] = MappingProxyType({})
    ) -> None:
        """Show these budgets (tenant, balance), and open holds by tenant, from now on, and no others.

        None at all, when the ledger cannot be read: no number is better than an old one. Tenants that are not shown
        apart are left out: their budgets cannot be added up.
        """
        self._standings.set(balances, holds)

    def watch(
        self,
        *,
        settles_under_way: Reading,
        settles_on_disk: Reading = lambda: 0,
        spool_faults: Reading = lambda: 0,
        mark_faults: Reading = lambda: 0,
        tenants_regressed: Reading = lambda: 0,
        log_lines_dropped: Reading,
    ) -> None:
        """Read these at every scrape; called in the scrape's thread."""
        self._readings |= {
            UNDER_WAY: settles_under_way,
            ON_DISK: settles_on_disk,
            SPOOL_FAULTS: spool_faults,
            MARK_FAULTS: mark_faults,
            REGRESSED: tenants_regressed,
            LOG_DROPS: log_lines_dropped,
        }

    def watch_store(self, *, up: Callable[[], bool]) -> None:
        """Read at every scrape whether the ledger's store answers."""
        self._readings[LEDGER_UP] = up

    def watch_queue(self, *, waiting: Reading) -> None:
        """Read at every scrape how many calls wait for their turn."""
        self._readings[QUEUED] = waiting

    def watch_keys(self, *, age_s: Reading) -> None:
        """Read at every scrape how old the identity providers' key sets are."""
        self._readings[KEYS_AGE] = age_s

    def watch_loop(self, *, lag_s: Reading) -> None:
        """Read at every scrape how late the event loop comes."""
        self._readings[LOOP_LAG] = lag_s

    def watch_tokens(self, cache: TokenCache) -> None:
        """Read at every scrape how well the verified tokens are remembered."""
        self._readings |= token_readings(cache)

    def watch_account(self, account: SharedAccount, *, promised: Credits, usd_per_credit: float) -> None:
        """Read the shared account at every scrape, what is `promised` to all tenants, and what a credit costs."""
        self._readings |= account_readings(account, promised, usd_per_credit)

    def watch_bounds(self, **readings: Reading) -> None:
        """Read at every scrape what is held of clients; see `bounds_readings`."""
        self._readings |= bounds_readings(**readings)

    def render(self) -> tuple[bytes, str]:
        """The exposition and its content type. Safe in a thread of its own."""
        return self._write(self._registry.collect()), CONTENT_TYPE_LATEST

    def snapshot(self, now_s: float) -> Snapshot:
        """All that is counted here, for a process that adds up several; what comes from the ledger is left out."""
        read_now = {series.name: value_of(reading) for series, reading in self._readings.items()}
        return Snapshot(
            {series.name: tally.sums() for series, tally in self._tallies.items()},
            {series.name: spread.distributions() for series, spread in self._spreads.items()},
            {name: (value, now_s) for name, value in read_now.items() if value is not None},
        )

    # --- one receipt ---------------------------------------------------------------------------------------

    def _answered(self, receipt: Receipt) -> None:
        outcome = self._outcome(receipt.outcome)
        status_class = None if receipt.status is None else f"{receipt.status // 100}xx"
        self._tallies[REQUESTS].add((self._route(receipt.route), outcome, self._class(status_class)))
        if receipt.reason != "ok":
            self._tallies[REFUSALS].add((self._reason(receipt.reason), self._of(receipt)))
        if receipt.reason in _LEDGER_REASONS:
            self._tallies[LEDGER_ERRORS].add((self._code(receipt.code),))
        if receipt.client_gone or receipt.reason == "client_gone":
            self._tallies[GONE].add()

    def _of(self, receipt: Receipt) -> str:
        """The tenant's label. A name nobody configured takes no room from those that have budgets."""
        if receipt.reason == "tenant_unknown" and receipt.tenant is not None:
            return self._tenant.known(receipt.tenant)
        return self._tenant(receipt.tenant)

    def _paid(self, receipt: Receipt) -> None:
        if receipt.held is None:
            return
        tenant, method = self._of(receipt), self._method(receipt.method)
        if receipt.quoted is not None:
            self._tallies[QUOTED].add((tenant, method), receipt.quoted.millicredits)
        if receipt.charged:
            labels = (tenant, method, self._flag(receipt.flag))
            self._tallies[CHARGED].add(labels, receipt.charged.millicredits)
        if receipt.overrun:
            self._tallies[OVERRUN].add((tenant,), receipt.overrun.millicredits)
        self._spenders.charged(receipt, tenant, method)
        drift = receipt.drift
        if drift is not None:
            self._tell(drift, method, counted=COMPARED, summed=DRIFT)

    def _tell(self, difference: Credits, method: str, *, counted: Series, summed: Series) -> None:
        direction = "over" if difference.millicredits > 0 else "under" if difference else "equal"
        self._tallies[counted].add((method, direction))
        if difference:
            self._tallies[summed].add((method, direction), abs(difference.millicredits))

    def _timed(self, receipt: Receipt) -> None:
        method = self._method(receipt.method)
        upstream_s = receipt.upstream_head_s if receipt.upstream_s is None else receipt.upstream_s
        if receipt.total_s is not None:
            self._spreads[REQUEST_S].observe((method, self._outcome(receipt.outcome)), receipt.total_s)
        if receipt.hold_s is not None:
            self._spreads[HOLD_S].observe((), receipt.hold_s)
        if receipt.queued_s is not None:
            self._spreads[QUEUED_S].observe((), receipt.queued_s)
        if upstream_s is not None:
            self._spreads[UPSTREAM_S].observe((method,), upstream_s)
            if receipt.total_s is not None:
                overhead_s = max(0.0, receipt.total_s - upstream_s - (receipt.queued_s or 0.0))
                self._spreads[OVERHEAD_S].observe((), overhead_s)
                self._spenders.timed(self._of(receipt), upstream_s, overhead_s)

    def _upstream(self, receipt: Receipt) -> None:
        if receipt.upstream_status is not None:
            known = receipt.upstream_status in _STATUSES
            self._tallies[ANSWERS].add((str(receipt.upstream_status) if known else OTHER,))

    # --- one scrape ----------------------------------------------------------------------------------------

    def _families(self) -> Iterator[Metric]:
        for series, tally in self._tallies.items():
            yield summed(series, tally.shown())
        for series, spread in self._spreads.items():
            family = HistogramMetricFamily(series.name, series.says, labels=series.labels)
            for labels, buckets, total in spread.shown():
                family.add_metric(labels, buckets, total)
            yield family
        yield from self._standings.families()
        for series, reading in self._readings.items():
            yield read(series, value_of(reading))
        yield from crew_families(Crew())
        yield one(BUILD, 1.0, __version__)


def _reasons(kind: type[GatewayError]) -> tuple[str, ...]:
    """Every reason an error can give: the closed set of that label."""
    found = {kind.reason: None}
    for narrower in kind.__subclasses__():
        found |= dict.fromkeys(_reasons(narrower))
    return tuple(found)
