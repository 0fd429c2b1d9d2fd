"""The gate: who waits is told in time, whatever happens, and no turn is lost or given twice."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gateway.errors import GatewayError, Overloaded
from gateway.turns.gate import OPEN, RETRY_S_MAX, Gate
from gateway.units import Credits

ONE = Credits.whole(1)


@dataclass
class Client:
    """Leaves when it is told to."""

    left: Callable[[], None] | None = None
    watched: int = 0

    def watch(self, left: Callable[[], None] | None) -> None:
        self.left = left
        self.watched += 1


@dataclass
class Calls:
    """Calls at a gate: each runs until it is let go."""

    gate: Gate
    began: list[str] = field(default_factory=list)
    waited_s: dict[str, float | None] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[str]] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    goes_on: dict[str, asyncio.Event] = field(default_factory=dict)

    async def come(self, name: str, tenant: str | None = None) -> None:
        """Let a call arrive, and get as far as it can."""
        self.clients[name], self.goes_on[name] = Client(), asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._one(name, tenant or name.partition("-")[0]))
        await settled()

    async def _one(self, name: str, tenant: str) -> str:
        try:
            with self.gate.enter(tenant, ONE) as turn:
                try:
                    await turn.come(self.clients[name])
                finally:
                    self.waited_s[name] = turn.waited_s
                self.began.append(name)
                await self.goes_on[name].wait()
        except Overloaded as refused:
            return refused.code
        except GatewayError as refused:
            return refused.reason
        return "served"

    async def end(self, name: str) -> str:
        self.goes_on[name].set()
        return await self.said(name)

    async def said(self, name: str) -> str:
        async with asyncio.timeout(5):
            said = await self.tasks[name]
        await settled()
        return said


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def calls(
    *, at_once: int = 1, waiting_max: int = 10, wait_s: float = 60.0, clock_s: Callable[[], float] = time.monotonic
) -> Calls:
    return Calls(Gate(at_once=at_once, waiting_max=waiting_max, wait_s=wait_s, clock_s=clock_s))


async def test_calls_beyond_those_at_once_wait_and_go_when_one_ends() -> None:
    some = calls(at_once=2)
    for name in ("ann-1", "ann-2", "ann-3", "bob-1"):
        await some.come(name)
    assert some.began == ["ann-1", "ann-2"]
    assert (some.gate.running, some.gate.waiting) == (2, 2)
    assert some.waited_s["ann-1"] is None
    assert await some.end("ann-2") == "served"
    assert await some.end("ann-1") == "served"
    assert some.began == ["ann-1", "ann-2", "ann-3", "bob-1"]
    assert some.waited_s["bob-1"] is not None
    assert [await some.end(name) for name in ("ann-3", "bob-1")] == ["served"] * 2
    assert (some.gate.running, some.gate.waiting) == (0, 0)


async def test_who_finds_no_place_is_told_at_once_and_waits_for_nothing() -> None:
    some = calls(waiting_max=1)
    for name in ("ann-1", "ann-2", "ann-3"):
        await some.come(name)
    assert some.tasks["ann-3"].done()
    assert await some.said("ann-3") == "full"
    assert "ann-3" not in some.waited_s
    for name in ("ann-1", "ann-2"):
        await some.end(name)


async def test_who_lost_the_place_to_another_tenant_is_told_at_once() -> None:
    some = calls(waiting_max=4)
    for name in ("flood-1", "flood-2", "flood-3", "flood-4"):
        await some.come(name)
    assert await some.said("flood-4") == "full"
    for name in ("quiet-1", "late-1", "fourth-1"):
        await some.come(name)
    assert await some.said("flood-3") == "displaced"
    served = ("flood-1", "flood-2", "quiet-1", "late-1", "fourth-1")
    for name in served:
        some.goes_on[name].set()
    assert [await some.said(name) for name in served] == ["served"] * 5


async def test_who_lost_the_place_before_waiting_for_the_turn_is_told_when_it_comes_to_wait() -> None:
    gate = Gate(at_once=1, waiting_max=4, wait_s=60)
    with gate.enter("flood", ONE), gate.enter("flood", ONE), gate.enter("flood", ONE) as last:
        others = [gate.enter(tenant, ONE) for tenant in ("quiet", "late", "third")]
        with pytest.raises(Overloaded) as refused:
            await last.come(Client())
        assert refused.value.code == "displaced"
        for entered in others:
            with entered:
                pass
    assert (gate.running, gate.waiting) == (0, 0)


async def test_a_turn_that_comes_before_it_is_waited_for_is_not_waited_for() -> None:
    gate = Gate(at_once=1, waiting_max=2, wait_s=60)
    with gate.enter("ann", ONE):
        entered = gate.enter("bob", ONE)
    client = Client()
    with entered as turn:
        await turn.come(client)
        assert (turn.waited_s, client.watched, gate.running) == (None, 0, 1)
    assert gate.running == 0


async def test_the_wait_is_limited_and_the_place_is_free_afterwards() -> None:
    some = calls(wait_s=0.02)
    await some.come("ann-1")
    await some.come("ann-2")
    assert await some.said("ann-2") == "waited"
    assert some.gate.waiting == 0
    assert await some.end("ann-1") == "served"


async def test_a_client_that_leaves_while_it_waits_frees_its_place_at_once() -> None:
    some = calls()
    for name in ("ann-1", "ann-2", "ann-3"):
        await some.come(name)
    left = some.clients["ann-2"].left
    assert left is not None
    left()
    assert await some.said("ann-2") == "client_gone"
    assert some.gate.waiting == 1
    left()  # once more, too late
    await some.end("ann-1")
    assert some.began == ["ann-1", "ann-3"]
    assert some.clients["ann-3"].left is None  # nobody listens once it is its turn
    await some.end("ann-3")


@pytest.mark.parametrize("steps", range(6))
async def test_a_call_cancelled_anywhere_leaves_its_turn_to_the_next(steps: int) -> None:
    some = calls()
    await some.come("ann-1")
    await some.come("bob-1")
    await some.come("cid-1")
    some.goes_on["ann-1"].set()
    for _ in range(steps):
        await asyncio.sleep(0)
    some.tasks["bob-1"].cancel()
    await asyncio.gather(some.tasks["bob-1"], return_exceptions=True)
    assert await some.said("ann-1") == "served"
    assert await some.end("cid-1") == "served"
    assert (some.gate.running, some.gate.waiting) == (0, 0)


async def test_a_turn_that_comes_at_the_last_moment_is_taken() -> None:
    some = calls(wait_s=0.01)
    await some.come("ann-1")
    await some.come("bob-1")

    def late() -> None:
        """Hand the turn on in the very step in which the wait ends."""
        some.goes_on["ann-1"].set()

    asyncio.get_running_loop().call_later(0.01, late)
    assert await some.said("ann-1") == "served"
    some.goes_on["bob-1"].set()
    assert await some.said("bob-1") in ("served", "waited")
    assert (some.gate.running, some.gate.waiting) == (0, 0)


async def test_who_would_wait_in_vain_is_told_at_once_once_it_is_known_what_calls_take() -> None:
    now_s = 0.0
    some = calls(wait_s=15.0, clock_s=lambda: now_s)
    await some.come("ann-1")
    assert some.gate.expected_s("ann") is None
    now_s = 10.0
    await some.end("ann-1")
    await some.come("ann-2")
    await some.come("ann-3")  # 10 s
    assert some.gate.expected_s("ann") == 20.0
    await some.come("ann-4")
    assert await some.said("ann-4") == "hopeless"
    await some.end("ann-2")
    await some.end("ann-3")


async def test_a_guess_never_leaves_a_turn_unused() -> None:
    """However long calls take: as many may wait as can go at once."""
    now_s = 0.0
    some = calls(wait_s=1.0, clock_s=lambda: now_s)
    await some.come("ann-1")
    now_s = 100.0
    await some.end("ann-1")
    await some.come("ann-2")
    await some.come("ann-3")
    assert some.gate.waiting == 1
    await some.come("ann-4")
    assert await some.said("ann-4") == "hopeless"
    await some.end("ann-2")
    assert await some.end("ann-3") == "served"


async def test_the_time_to_come_back_is_what_the_queue_is_thought_to_take() -> None:
    now_s = 0.0
    gate = Gate(at_once=2, waiting_max=8, wait_s=1_000, clock_s=lambda: now_s)
    with gate.enter("ann", ONE) as turn:
        await turn.come(Client())
        now_s = 9.0
    with gate.enter("ann", ONE), gate.enter("ann", ONE):
        waiting = [gate.enter("ann", ONE) for _ in range(4)]
        with pytest.raises(Overloaded) as refused:
            gate.enter("ann", ONE)
        assert refused.value.retry_after_s == 23  # five calls of 9 s, two at a time
        for entered in waiting:
            with entered:
                pass
    assert 1 <= refused.value.retry_after_s <= RETRY_S_MAX


async def test_once_it_drains_nobody_waits_any_longer_and_nobody_begins_to() -> None:
    gate = Gate(at_once=1, waiting_max=10, wait_s=60, drain_s=0.01)
    some = Calls(gate)
    await some.come("ann-1")
    await some.come("bob-1")
    gate.drain()
    assert await some.said("bob-1") == "draining"
    await some.come("bob-2")
    assert await some.said("bob-2") == "draining"
    assert await some.end("ann-1") == "served"
    await some.come("bob-3")  # a turn that is free is taken still
    assert await some.end("bob-3") == "served"


async def test_until_half_of_the_drain_is_over_turns_still_come() -> None:
    gate = Gate(at_once=1, waiting_max=10, wait_s=60, drain_s=60)
    some = Calls(gate)
    await some.come("ann-1")
    await some.come("bob-1")
    gate.drain()
    await some.end("ann-1")
    assert await some.end("bob-1") == "served"


async def test_without_a_gate_it_is_always_everybodys_turn() -> None:
    client = Client()
    with OPEN.enter("ann", ONE) as one, OPEN.enter("ann", ONE) as other:
        await one.come(client)
        await other.come(client)
        assert (one.waited_s, OPEN.waiting, client.watched) == (None, 0, 0)
    OPEN.drain()


async def test_however_many_come_and_go_never_more_run_at_once_and_all_are_served_or_told() -> None:
    gate = Gate(at_once=3, waiting_max=20, wait_s=5)
    running = most = 0
    said: list[str] = []

    async def one(number: int) -> None:
        nonlocal running, most
        try:
            with gate.enter(f"tenant-{number % 7}", Credits(1 + number % 11)) as turn:
                await turn.come(Client())
                running += 1
                most = max(most, running)
                await asyncio.sleep(0.0001 * (number % 5))
                running -= 1
                said.append("served")
        except Overloaded as refused:
            said.append(refused.code)

    for first in range(0, 600, 30):
        await asyncio.gather(*(one(number) for number in range(first, first + 30)))
    assert most == 3
    assert len(said) == 600
    assert set(said) <= {"served", "full", "displaced"}
    assert (gate.running, gate.waiting) == (0, 0)
