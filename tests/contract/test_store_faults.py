"""Whatever happens to the store: a hold says why it is refused, no settle is lost, and all goes on by itself."""

from pathlib import Path as FilePath

import pytest

from gateway.ledger.store import Store
from tests.contract.calling import calling, until
from tests.contract.faults import BOOKED, DEADLINE_S, FAULTS, Fault
from tests.servers.node import Node, bundled_program, free_port, node
from tests.tools import need_tool

TESTS = FilePath(__file__).parents[1]
STRUCK = [fault for fault in FAULTS if fault.strike is not None]


def store(url: str) -> Store:
    return Store(url, deadline_s=DEADLINE_S)


@pytest.fixture(params=["valkey", "redis"])
def program(request: pytest.FixtureRequest) -> str:
    """Each server program in turn."""
    return bundled_program() if request.param == "valkey" else need_tool("redis-server")


@pytest.mark.parametrize("fault", STRUCK, ids=lambda fault: fault.name.replace(" ", "_"))
async def test_under_each_fault_holds_say_so_settles_are_kept_and_the_books_are_exact_afterwards(
    fault: Fault, program: str, tmp_path: FilePath
) -> None:
    assert fault.strike is not None
    with node(program, tmp_path / "node") as one:
        async with calling(store(one.url), tmp_path / "spool") as caller:
            before = await caller.hold("before")
            with fault.strike(one):
                said = await caller.call("meanwhile", 2)
                caller.settle(before, 5)
                if fault.settle == BOOKED:
                    await caller.until_booked()
                else:
                    await until(lambda: caller.spool.holds(before.hold_id))
            assert said in fault.hold
            await caller.succeeds()
            await caller.assert_exact()


def test_the_document_has_the_rows_of_the_table() -> None:
    lines = (TESTS.parent / "docs" / "store-faults.md").read_text("utf-8").splitlines()
    said = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    assert said == [["the store", "a hold says", "settles meanwhile", "afterwards"], *(f.cells() for f in FAULTS)]


def test_every_row_is_struck_or_names_a_test_that_exists() -> None:
    written = "".join(path.read_text("utf-8") for path in TESTS.rglob("test_*.py"))
    for fault in FAULTS:
        assert (fault.strike is None) == bool(fault.shown_by), fault.name
        assert fault.strike is not None or f"def {fault.shown_by}(" in written, fault.name


async def test_a_store_that_is_down_at_the_start_is_used_once_it_is_up(program: str, tmp_path: FilePath) -> None:
    one = Node(program, tmp_path / "node", port=free_port())
    try:
        async with calling(store(one.url), tmp_path / "spool") as caller:
            assert await caller.call("early", 2) == "connection"
            one.start()
            await caller.succeeds()
            await caller.assert_exact()
    finally:
        one.kill()
