"""Load, in the view Operations: what waits for its turn, who works it off, and what clients hold."""

from grafana.build import panels as p
from grafana.build.panels import Panel, Query, Row
from grafana.build.queries import of, quantiles, total

_WANTED, _READY = of("workers", 'state="wanted"'), of("workers", 'state="ready"')
_HITS, _MISSES = (f"sum(rate({of(f'token_cache_{what}_total')}[$__rate_interval]))" for what in ("hits", "misses"))


QUEUE = Row(
    "Queue, workers and event loop",
    8,
    (
        Panel(
            "timeseries", "Waiting calls",
            "Calls that wait for their turn upstream (`upstream.calls_at_once`), over all gateways. Beyond `queue_max` "
            "they are refused.", p.COUNT,
            [Query(f"sum({of('calls_queued')})", "waiting")], 5, empty="no gateway is scraped", top=10,
        ),
        Panel(
            "timeseries", "Wait for a turn", "Of the calls that had to wait. Beyond `queue_wait_s` they are refused.",
            p.SECONDS, quantiles("queue_wait_seconds"), 6, empty="no call had to wait",
        ),
        Panel(
            "stat", "Workers", "Processes that shall take calls, and those that do, over all gateways. A gateway may "
            "be one process.", p.COUNT,
            [Query(f"sum({_WANTED})", "wanted"), Query(f"sum({_READY})", "ready")],
            4, empty="no gateway is scraped",
        ),
        Panel(
            "stat", "Worker troubles",
            "Workers that are missing now, and those that took the place of another in the range.", p.COUNT,
            [Query(f"sum({_WANTED}) - sum({_READY})", "missing"), total("worker_restarts_total", "replaced")],
            4, p.ANY_IS_ODD, "no gateway is scraped",
        ),
        Panel(
            "timeseries", "Event loop lag",
            "How late a gateway came to what was due, at worst within a minute.", p.SECONDS,
            [Query(f"max by (instance) ({of('event_loop_lag_seconds')})", "{{instance}}")], 5,
            ((None, p.GREEN), (0.5, p.RED)), "no gateway is scraped", top=0.6,
        ),
    ),
)  # fmt: skip

CLIENTS = Row(
    "Clients: connections, bodies, tokens",
    8,
    (
        Panel(
            "timeseries", "Open connections", "Of clients, over all gateways.", p.COUNT,
            [Query(f"sum({of('connections_open')})", "open")], 6, empty="no gateway is scraped", top=10,
        ),
        Panel(
            "timeseries", "Connections ended", "Refused: there was no room. Overdue: they had had their time.",
            p.PER_SECOND,
            [
                Query(f"sum(rate({of(f'connections_{what}_total')}[$__rate_interval]))", what)
                for what in ("refused", "overdue")
            ],
            6, empty="none", top=1,
        ),
        Panel(
            "timeseries", "Bodies under way", "Room that is set aside for bodies of requests, over all gateways.",
            p.BYTES,
            [
                Query(f"sum({of('bodies_memory_bytes')})", "in memory"),
                Query(f"sum({of('bodies_disk_bytes')})", "on disk"),
            ],
            6, empty="no gateway is scraped", top=1_048_576,
        ),
        Panel(
            "timeseries", "Tokens known", "Share of tokens that were known from an earlier request, not verified anew.",
            p.SHARE, [Query(f"{_HITS} / ({_HITS} + {_MISSES} > 0)", "known")], 6, empty="no calls", top=1,
        ),
    ),
)  # fmt: skip
