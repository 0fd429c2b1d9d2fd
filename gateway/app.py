"""App: the only place where parts meet. It builds them in order, starts them, and stops them in reverse.

A part that fails to start stops those already running. On the way down: first not ready, then no new calls, then the
running ones end and their holds are booked, and the store goes last.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TextIO

from gateway import doors
from gateway.account.guard import SharedAccount
from gateway.build import budget_book, redis_ledger, verifier
from gateway.exchange import Exchange
from gateway.failpoints import Failpoints
from gateway.identity.verify import Verifier
from gateway.jobs import StoredJobs
from gateway.ledger.checks import refuse_unsafe
from gateway.ledger.embedded import EmbeddedStore
from gateway.ledger.marks import Marks, kept_marks
from gateway.ledger.recovery import Recovery
from gateway.ledger.redis import RedisLedger, sweep_forever
from gateway.ledger.reviving import revive_forever
from gateway.ledger.settler import Settler
from gateway.ledger.spool import Spool
from gateway.ledger.store import Store
from gateway.logs.lines import Logs
from gateway.messages import Flavour
from gateway.metrics.loop_lag import LoopLag
from gateway.proxy.balance import balance_told_by
from gateway.proxy.master_key import MasterKey
from gateway.proxy.upstream import Upstream
from gateway.running import Running
from gateway.seat import Seat
from gateway.settings import SecretError, Settings
from gateway.settings.changes import SecretFile
from gateway.web.descriptors import raised_limit
from gateway.web.door import Door
from gateway.web.in_flight import InFlight
from gateway.web.routes import Routes
from gateway.web.server import refuse_unfit_parser
from gateway.witness import Witness

SWEEP_EVERY_S = 5.0
PROBE_EVERY_S = 1.0
REPLAY_EVERY_S = 5.0

# For ends the store does not take on the way down. They are on disk by then, and the next start books them.
BOOKED_WITHIN_S = 5.0


class App:
    """The parts of one gateway, while it runs.

    Args:
        settings: checked and with its secrets.
        log_stream: where log lines go.
        seat: of a worker among others; None for a gateway that is one process.
    """

    def __init__(self, settings: Settings, *, log_stream: TextIO, seat: Seat | None = None) -> None:
        key = settings.secrets.upstream_key
        if key is None:
            raise ValueError("a gateway needs its master key")
        self._settings = settings
        self._seat = seat
        self._routes = Routes(settings.tariff)
        self._book = budget_book(settings.tenants)
        self._metrics = doors.metrics(settings, self._routes, self._book)
        self._logs = Logs(
            level=settings.logs.level,
            stream=log_stream,
            secrets=settings.secrets.unprintable,
            turn=None if seat is None else seat.turn,
        )
        self._witness = Witness(self._metrics, self._logs, alone=seat is None)
        self._key = MasterKey(key.get_secret_value())
        self._embedded: EmbeddedStore | None = None
        self._failpoints = Failpoints(settings.failpoints)
        rules = settings.upstream
        self._account = SharedAccount(
            floor=rules.floor_credits, exhausted_s=rules.exhausted_s, found=self._witness.found, clock_s=time.monotonic
        )
        self._metrics.watch_account(self._account, promised=self._book.promised, usd_per_credit=rules.usd_per_credit)
        self._turns = doors.turns(settings)
        self._metrics.watch_queue(waiting=lambda: self._turns.waiting)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Running]:
        """Start everything, and stop it when the block is left.

        Raises:
            OSError: a port is taken, or a directory does not take the spool or large bodies.
            LedgerUnavailable, UnsafeStoreError, EmbeddedStoreError: the store cannot be used.
            UnfitParserError: this interpreter's HTTP parser is not the strict one.
        """
        refuse_unfit_parser()
        async with AsyncExitStack() as stack:
            self._logs.start()
            stack.callback(self._logs.stop)
            if self._seat is not None:
                await stack.enter_async_context(self._seat.telling(self._metrics))
            self._watch_key(stack)
            lag = LoopLag()
            self._metrics.watch_loop(lag_s=lambda: lag.worst_s)
            stack.push_async_callback(_ended, asyncio.create_task(lag.watch_forever()))
            if self._settings.failpoints:
                self._logs.event("failpoints_armed", names=sorted(self._settings.failpoints))
            store = await self._store(stack)
            marks = await stack.enter_async_context(kept_marks(self._settings.ledger.data_dir / "marks"))
            ledger = redis_ledger(self._settings, store, self._book, marks)
            await ledger.register()
            stack.push_async_callback(_ended, asyncio.create_task(self._sweep(ledger)))
            reviving = revive_forever(store, self._embedded, every_s=PROBE_EVERY_S, failed=self._witness.ledger_failed)
            stack.push_async_callback(_ended, asyncio.create_task(reviving))
            settler = await self._settler(stack, ledger, marks)
            who = verifier(self._settings.identity, self._settings.secrets.token_keys, store)
            await who.start()
            stack.push_async_callback(who.close)
            doors.watch_identity(self._metrics, who)
            upstream = doors.upstream(self._settings, self._key)
            await upstream.start()
            stack.push_async_callback(upstream.close)
            if self._settings.upstream.flavour is Flavour.DIRECT:
                stack.push_async_callback(_ended, asyncio.create_task(self._look_at_account(upstream)))
            running = Running(0, 0, ledger, settler, self._metrics)
            self._failpoints.arm(verifier=who, upstream=upstream)
            await self._open_doors(stack, running, store, who, upstream)
            yield running

    async def _open_doors(
        self, stack: AsyncExitStack, running: Running, store: Store, who: Verifier, upstream: Upstream
    ) -> None:
        settings, seat = self._settings, self._seat
        bodies = doors.in_flight(settings)
        stack.push_async_callback(bodies.disk.close)
        await bodies.disk.start()
        caps = doors.caps(settings, files=raised_limit())
        if caps.most < settings.listen.connections_max:
            self._logs.event("connections_lowered", wished=settings.listen.connections_max, most=caps.most)
        door = self._door(running, store, who, upstream, bodies)
        stack.push_async_callback(door.close)
        front = running.front = doors.front_listener(
            settings, door, caps=caps, refused=self._witness.finished, sockets=() if seat is None else seat.sockets
        )
        self._metrics.watch_bounds(**doors.readings(front, bodies))
        if seat is None:
            await self._open_back(stack, running, who)
        await front.start()
        stack.push_async_callback(front.stop)
        stack.callback(running.drain)
        stack.callback(self._turns.drain)
        running.port = front.port
        if seat is not None:
            seat.serving(lacks=lambda: ["identity"] * (not who.ready))
            stack.callback(seat.leaving)

    async def _open_back(self, stack: AsyncExitStack, running: Running, who: Verifier) -> None:
        ops = doors.ops(
            *(self._settings, running.ledger, self._book, self._metrics),
            lacks=lambda: ["draining"] * running.draining + ["identity"] * (not who.ready),
        )
        back = doors.back_listener(self._settings, ops, refused=self._witness.finished)
        await back.start()
        stack.push_async_callback(back.stop)
        running.ops_port = back.port

    def _door(self, running: Running, store: Store, who: Verifier, upstream: Upstream, bodies: InFlight) -> Door:
        settings = self._settings
        jobs = StoredJobs(store)
        exchange = Exchange(
            tariff=settings.tariff,
            ledger=running.ledger,
            settling=running.settler,
            upstream=upstream,
            jobs=jobs,
            account=self._account,
            turns=self._turns,
            hold_ceiling=settings.ledger.hold == "ceiling",
        )
        return Door(
            routes=self._routes,
            tariff=settings.tariff,
            verifier=who,
            exchange=exchange,
            ledger=running.ledger,
            jobs=jobs,
            flavour=settings.upstream.flavour,
            bounds=doors.bounds(settings),
            in_flight=bodies,
            front=doors.front(settings, self._routes),
            finished=self._witness.finished,
            broken=self._witness.broken,
        )

    async def _store(self, stack: AsyncExitStack) -> Store:
        rules = self._settings.ledger
        url = self._settings.secrets.ledger_url
        if url is not None:
            found = url.get_secret_value()
        elif self._seat is not None:
            found = self._seat.store_url
        else:
            self._embedded = EmbeddedStore(rules.data_dir / "store", fsync=rules.fsync)
            found = await self._embedded.start()
            stack.push_async_callback(self._embedded.stop)
        store = Store(
            found,
            deadline_s=rules.deadline_s,
            replicas=rules.replicas if rules.durability == "replicated" else 0,
            ca_file=rules.ca_file,
            told=self._witness.store_changed,
        )
        self._metrics.watch_store(up=lambda: store.trouble is None)
        stack.push_async_callback(store.close)
        if not rules.allow_unsafe_store:
            await refuse_unsafe(store)
        return store

    async def _settler(self, stack: AsyncExitStack, ledger: RedisLedger, marks: Marks) -> Settler:
        spool = Spool(self._settings.ledger.data_dir / "spool")
        await spool.start()
        self._failpoints.arm(ledger=ledger, spool=spool)
        stack.push_async_callback(spool.close)
        recovery = Recovery(ledger, found=self._witness.loss, settled=self._witness.settled)
        ledger.watch(recovery.doubted)
        stack.push_async_callback(recovery.close)
        settler = Settler(
            *(ledger, ledger, spool),
            settled=self._witness.settled,
            booked=recovery.booked,
            stuck=self._witness.stuck,
        )
        stack.push_async_callback(settler.drain, min(self._settings.shutdown.drain_s, BOOKED_WITHIN_S))
        stack.push_async_callback(_ended, asyncio.create_task(settler.replay_forever(every_s=REPLAY_EVERY_S)))
        self._metrics.watch(
            settles_under_way=lambda: settler.under_way,
            settles_on_disk=lambda: len(spool),
            spool_faults=lambda: spool.faults,
            mark_faults=lambda: marks.faults,
            tenants_regressed=lambda: recovery.regressed,
            log_lines_dropped=lambda: self._logs.dropped,
        )
        return settler

    # --- what runs beside the requests ---------------------------------------------------------------------

    def _watch_key(self, stack: AsyncExitStack) -> None:
        """Follow the master key's file, where it came from one: a new key needs no restart."""
        secrets = self._settings.secrets
        if secrets.upstream_key_file is not None and secrets.upstream_key is not None:
            file = SecretFile(secrets.upstream_key_file, known=secrets.upstream_key.get_secret_value())
            watch = file.watch(changed=self._key_changed, failed=self._key_unreadable)
            stack.push_async_callback(_ended, asyncio.create_task(watch))

    def _key_changed(self, text: str) -> None:
        self._logs.hide(text)
        try:
            self._key.renew(text)
        except ValueError:
            self._logs.event("master_key_unusable", hint="16 to 512 visible ASCII characters")
        else:
            self._logs.event("master_key_renewed")

    def _key_unreadable(self, error: SecretError) -> None:
        self._logs.event("master_key_unusable", problem=error.message, hint=error.hint)

    async def _sweep(self, ledger: RedisLedger) -> None:
        await sweep_forever(ledger, every_s=SWEEP_EVERY_S, failed=self._witness.ledger_failed)

    async def _look_at_account(self, upstream: Upstream) -> None:
        """Ask for the balance of an exhausted account: nobody's call would find it filled again above the floor."""
        while True:
            await asyncio.sleep(self._settings.upstream.exhausted_s)
            ticket = self._account.look()
            if ticket is not None:
                remaining = await balance_told_by(upstream)
                if remaining is not None:
                    self._account.looked(ticket, remaining)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
