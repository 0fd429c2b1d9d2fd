"""A whole gateway over a store in trouble: nothing goes upstream unheld, what went there is booked, it recovers alone.

The faults are rows of the ledger's own table; its codes are what metrics show.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger.checks import UnsafeStoreError
from gateway.units import Credits
from tests.contract.faults import BOOKED, FAULTS, Fault
from tests.e2e.test_metrics import ready, samples, total
from tests.e2e.world import World, until, world
from tests.servers.node import Node, bundled_program, node

NAMES = (
    "killed, and started again on its data",
    "silent (SIGSTOP)",
    "out of memory",
    "disk full",
    "a read-only replica now, under the same address",
    "has forgotten the scripts",
)
CHOSEN = [fault for fault in FAULTS if fault.name in NAMES]


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Node]:
    """A store of the test's own."""
    with node(bundled_program(), tmp_path / "node") as made:
        yield made


@asynccontextmanager
async def world_on(one: Node, directory: Path) -> AsyncIterator[World]:
    directory.mkdir()  # noqa: ASYNC240 - a moment
    async with world(directory, one.url, secrets.token_hex(4)) as here:
        yield here


def test_every_chosen_row_stands_in_the_table() -> None:
    assert sorted(fault.name for fault in CHOSEN) == sorted(NAMES)


@pytest.mark.parametrize("fault", CHOSEN, ids=lambda fault: fault.name.replace(" ", "_"))
async def test_a_store_in_trouble_lets_no_call_upstream_loses_none_that_is_there_and_is_used_again(
    fault: Fault, one: Node, tmp_path: Path
) -> None:
    assert fault.strike is not None
    async with world_on(one, tmp_path / "world") as here:
        assert (await here.generate()).status == 200
        await here.settled()
        here.simulator.faults.next("slow:0.5")
        under_way = asyncio.create_task(here.generate())
        await until(lambda: here.simulator.received.counts.total() == 2)
        with fault.strike(one):
            while_struck = await here.generate()
            # Its client is answered; the settle follows when it can.
            assert (await under_way).status == 200
            await _as_the_row_says(here, fault, while_struck.status)
            if while_struck.status != 200:
                problem = while_struck.json()
                assert (while_struck.status, problem["reason"]) == (503, "ledger_unavailable")
                assert int(while_struck.fields["retry-after"]) > 0
        await recovered(here)
        (balance,) = await here.balances()
        taken = here.simulator.book.total_millicredits
        assert (balance.spent.millicredits, balance.held) == (taken, Credits.ZERO)
        assert (await here.audit()).differences == ()


async def _as_the_row_says(here: World, fault: Fault, status: int) -> None:
    found = await samples(here)
    asked = here.simulator.received.counts.total()
    if fault.hold == ("held",):
        assert (status, asked) == (200, 3)
        return
    assert (status, asked) == (503, 2)
    assert sum(total(found, "ledger_errors_total", code=code) for code in fault.hold) >= 1
    assert await ready(here) == (503, ["ledger"]) or fault.settle == BOOKED
    if fault.settle != BOOKED:
        await until(lambda: here.running.settler.under_way > 0)
        assert total(await samples(here), "settles_under_way") >= 1


async def recovered(here: World) -> None:
    """Wait until a call is answered, at most so long."""
    async with asyncio.timeout(20):
        while (await here.generate()).status != 200:  # noqa: ASYNC110 - only a call can tell
            await asyncio.sleep(0.1)
    assert await ready(here) == (200, [])


async def test_a_gateway_that_finds_no_store_does_not_start(tmp_path: Path) -> None:
    nobody = Node(bundled_program(), tmp_path / "node")
    with pytest.raises(LedgerUnavailable) as refused:
        async with world_on(nobody, tmp_path / "world"):
            raise AssertionError("it started")
    assert refused.value.code == "connection"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--maxmemory-policy", "allkeys-lru"), "noeviction"),
        (("--maxmemory-policy", "volatile-ttl"), "noeviction"),
        (("--appendonly", "no"), "disk"),
    ],
    ids=lambda said: str(said)[-15:],
)
async def test_a_gateway_does_not_start_on_a_store_that_may_forget(
    tmp_path: Path, options: tuple[str, ...], word: str
) -> None:
    with node(bundled_program(), tmp_path / "node", *options) as forgetful, pytest.raises(UnsafeStoreError, match=word):
        async with world_on(forgetful, tmp_path / "world"):
            raise AssertionError("it started")
