"""Showing: commands that run until Ctrl-C or print what they find, as coroutines."""

import asyncio
import contextlib

from rich.console import Console

from gateway.build import budget_book
from gateway.commands.books import opened_store
from gateway.commands.demo import crowd, demo, greeting, token
from gateway.commands.serving import until_signal
from gateway.commands.traffic import Traffic, show
from gateway.errors import LedgerPoisoned
from gateway.ledger.redis import RedisLedger
from gateway.settings import Settings
from gateway.simulator import SimulatorSettings, start_simulator


async def show_demo(*, port: int, ops_port: int, traffic: bool) -> None:
    """Run the demo until a signal. Raises as `App.running`."""
    console = Console(highlight=False, soft_wrap=True)
    async with demo(port=port, ops_port=ops_port) as running:
        console.print(greeting(running), markup=False)
        if not traffic:
            await until_signal()
            return
        await _shown(Traffic(running.environment["GATEWAY_URL"], running.tokens, running.crowd), console)


async def send_traffic(settings: Settings, *, url: str, calls_per_s: float) -> None:
    """Call the gateway at `url` as every tenant of `settings`, until a signal; one that is away is tried again."""
    tokens = {tenant: token(settings, tenant) for tenant in settings.tenants}
    calls = Traffic(url.rstrip("/"), tokens, crowd(settings), calls_per_s=calls_per_s)
    await _shown(calls, Console(highlight=False, soft_wrap=True))


async def _shown(calls: Traffic, console: Console) -> None:
    """Send and show until a signal."""
    tasks = [asyncio.create_task(calls.run()), asyncio.create_task(show(calls, console))]
    stop = asyncio.create_task(until_signal())
    # Whatever ends first, a signal or a fault, ends all three.
    await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, stop):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)


async def simulated(settings: SimulatorSettings, *, host: str, port: int) -> None:
    """Run the simulator alone until a signal. Raises OSError when the port is taken."""
    simulator = await start_simulator(settings, host, port)
    try:
        Console(highlight=False).print(f"simulating {settings.flavour} at {simulator.url}, books at /_simulator/book")
        await until_signal()
    finally:
        await simulator.stop()


async def audited(settings: Settings, sound: list[bool]) -> None:
    """Audit every configured tenant and print what was found; one verdict a tenant goes to `sound`.

    Raises:
        LedgerUnavailable, EmbeddedStoreError: the store cannot be read.
    """
    console = Console(highlight=False, soft_wrap=True)
    async with opened_store(settings) as store:
        ledger = RedisLedger(store, budget_book(settings.tenants), hold_ttl_ms=1)
        for tenant in settings.tenants:
            try:
                audit = await ledger.audit(tenant)
            except LedgerPoisoned:
                sound.append(False)
                console.print(f"{tenant}: the journal cannot be counted: an entry, or the key, is none of the ledger's")
                continue
            sound.append(not audit.differences)
            verdict = "agrees" if not audit.differences else f"DIFFERS in {len(audit.differences)} places"
            console.print(
                f"{tenant}: {audit.entries} entries, {audit.balances} balances, {audit.spent} credits: {verdict}"
            )
            for difference in audit.differences:
                kept = f"journal {difference.counted}, stored {difference.stored}"
                console.print(f"  {difference.balance} {difference.field}: {kept}", markup=False)
