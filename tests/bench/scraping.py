"""Scraping: how long the exposition takes when every cap is reached, and how long the loop waits meanwhile."""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from gateway.account.guard import SharedAccount
from gateway.commands.memory import look_for_cycles_rarely
from gateway.errors import GatewayError
from gateway.ledger.budget import Balance, Budget, BudgetBook, Rule, TeamBudgets, TenantBudgets
from gateway.ledger.contract import HoldId, Settlement, State
from gateway.ledger.embedded import EmbeddedStore
from gateway.ledger.open_holds import OpenHolds
from gateway.ledger.redis import RedisLedger
from gateway.ledger.store import Store
from gateway.ledger.window import Every, Span, Window
from gateway.metrics.counting import Metrics
from gateway.metrics.naming import MODELS_MAX
from gateway.metrics.refreshing import refresh
from gateway.metrics.standings import BALANCES_MAX
from gateway.receipt import Receipt
from gateway.units import Credits, Flag

TENANTS, METHODS, USERS = 200, 17, 60
BUDGETS = BALANCES_MAX // TENANTS

_RULES = (Rule(Credits.whole(1_000), Window(Every.MONTH)), Rule(Credits.whole(1_000), Window(Every.DAY)))

# Seconds between two looks of the loop at the clock.
TICK_S = 0.001


def reasons(kind: type[GatewayError] = GatewayError) -> set[str]:
    """Every reason of a refusal."""
    return {kind.reason}.union(*(reasons(narrower) for narrower in kind.__subclasses__()))


def full() -> Metrics:
    """Metrics at their caps: more tenants, users and models than are shown apart."""
    methods = tuple(f"method-{number}" for number in range(METHODS))
    names = tuple(f"tenant-{number}" for number in range(TENANTS))
    metrics = Metrics(methods=methods, routes=methods, tenants=names, tenants_max=TENANTS)
    for number, name in enumerate((*names, "one-too-many")):
        _spend(metrics, name, methods, number)
        for reason in reasons():
            metrics.record(Receipt("4f2a", 0.0, tenant=name, reason=reason, status=402, total_s=0.01))
    for state in State:
        metrics.settled(Settlement(HoldId("4f2a"), state, Credits.ZERO, Flag.CONFIRMED, applied=True))
    metrics.set_balances(
        [(name, _balance(f"user:{number}/month")) for name in names for number in range(BUDGETS)],
        dict.fromkeys(names, OpenHolds(3, 1_500)),
    )
    account = SharedAccount(floor=Credits.ZERO, exhausted_s=30.0, found=lambda _: None, clock_s=time.monotonic)
    metrics.watch_account(account, promised=Credits.whole(1_000_000), usd_per_credit=0.0001)
    return metrics


def _spend(metrics: Metrics, tenant: str, methods: tuple[str, ...], number: int) -> None:
    for user in range(USERS):
        for flag in Flag:
            metrics.record(
                Receipt(
                    "4f2a",
                    0.0,
                    route=methods[user % METHODS],
                    tenant=tenant,
                    user=f"user-{user}@example.com",
                    method=methods[user % METHODS],
                    model=f"model_{(number + user) % (2 * MODELS_MAX)}",
                    quoted=Credits.whole(181),
                    held=Credits.whole(181),
                    charged=Credits(181_250),
                    flag=flag,
                    saving=Credits.whole(150),
                    outcome="served",
                    status=200,
                    upstream_status=200,
                    hold_s=0.002,
                    upstream_s=0.1 * user,
                    total_s=0.1 * user + 0.003,
                )
            )


def _balance(name: str) -> Balance:
    budget = Budget(name, "user", Credits.whole(1_000), Window(Every.MONTH))
    return Balance(budget, Span(0, 10_000), Credits(12_345), Credits.whole(19), now_ms=4_500)


@dataclass(frozen=True, slots=True)
class Scraped:
    """What some scrapes took.

    Attributes:
        series, bytes: of one exposition.
        cpu_ms: one exposition, in the median of the thread's own time.
        refresh_ms: reading all balances and open holds from a store before it, in the median.
        median_ms, most_ms: an exposition as it is waited for.
        idle_ms, lag_ms: the longest that the loop waited beyond its tick, without and with a scrape.
    """

    series: int
    bytes: int
    cpu_ms: float
    refresh_ms: float
    median_ms: float
    most_ms: float
    idle_ms: float
    lag_ms: float


async def _refreshed(metrics: Metrics, rounds: int) -> float:
    """How long all balances and open holds take to be read from a store, in the median of some times."""
    teams = {f"team-{number}": TeamBudgets(_RULES) for number in range((BUDGETS - len(_RULES)) // len(_RULES))}
    book = BudgetBook({f"tenant-{number}": TenantBudgets(_RULES, teams=teams) for number in range(TENANTS)})
    took: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedStore(Path(folder) / "store") as running:
            store = Store(running.url, deadline_s=1.0)
            ledger = RedisLedger(store, book, hold_ttl_ms=900_000, once_kept_ms=86_400_000)
            for _ in range(rounds):
                began = time.perf_counter()
                await refresh(ledger, book, metrics)
                took.append(1_000 * (time.perf_counter() - began))
            await store.close()
    return median(took)


async def scrape(rounds: int) -> Scraped:
    """Scrape full metrics `rounds` times, in a thread as a gateway does."""
    look_for_cycles_rarely()  # as a gateway does before it serves
    metrics = full()
    text = metrics.render()[0]
    idle = await _lag(asyncio.sleep(0.5))
    took: list[float] = []
    cpu: list[float] = []
    lag = 0.0

    def render() -> None:
        began = time.thread_time()
        metrics.render()
        cpu.append(1_000 * (time.thread_time() - began))

    for _ in range(rounds):
        began = time.perf_counter()
        lag = max(lag, await _lag(asyncio.to_thread(render)))
        took.append(1_000 * (time.perf_counter() - began))
    series = sum(1 for line in text.splitlines() if not line.startswith(b"#"))
    figures = (median(cpu), await _refreshed(metrics, rounds), median(took), max(took), idle, lag)
    return Scraped(series, len(text), *(round(figure, 1) for figure in figures))


async def _lag(work: Any) -> float:
    """The longest in ms that the loop was late by while `work` was done."""
    task, most = asyncio.ensure_future(work), 0.0
    while not task.done():
        began = time.perf_counter()
        await asyncio.sleep(TICK_S)
        most = max(most, time.perf_counter() - began - TICK_S)
    await task
    return 1_000 * most
