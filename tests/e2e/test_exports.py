"""Export and trim from the command line, beside a gateway that serves: the sums are the ledger's and the upstream's."""

import csv
import importlib
import json
from pathlib import Path

import pytest

from gateway.ledger.adjustment import REFUSALS
from gateway.units import Credits
from tests.e2e.desk import WHO, Desk, three_calls
from tests.e2e.world import World
from tests.tools import need_package


def changes(path: Path, kind: str) -> list[int]:
    """What each entry of a file moved `spent` by, in millicredits."""
    name = "spent_change_millicredits"
    if kind == "parquet":
        found: list[int] = importlib.import_module("pyarrow.parquet").read_table(path)[name].to_pylist()
        return found
    with path.open(encoding="utf-8", newline="") as stream:
        if kind == "jsonl":
            return [json.loads(line)[name] for line in stream]
        return [int(row[name]) for row in csv.DictReader(stream)]


def there(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
async def test_an_export_adds_up_to_the_ledger_and_to_the_upstreams_own_book(
    desk: Desk, here: World, tmp_path: Path, kind: str
) -> None:
    if kind == "parquet":
        need_package("pyarrow")
    here.simulator.faults.next("price:1.1", "price:0.5")
    for _ in range(4):
        await here.generate()
    await here.settled()
    out = tmp_path / f"books.{kind}"
    ran = await desk("export", "--format", kind, "--out", str(out))
    (balance,) = await here.balances()
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == f"8 entries, {balance.spent} credits spent, in {out.name}\n"
    assert Credits(sum(changes(out, kind))) == balance.spent
    assert here.simulator.book.total_millicredits == balance.spent.millicredits


async def test_what_was_exported_is_trimmed_and_all_goes_on_as_before(desk: Desk, here: World, tmp_path: Path) -> None:
    await three_calls(here)
    (doubtful,) = await desk.holds("--uncertain")
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    ran = await desk("export", "--out", str(first), "--trim")
    assert (ran.status, ran.out.splitlines()[1]) == (0, "6 entries trimmed"), ran.err
    assert await desk.holds() == []
    audit = await here.audit()
    assert (audit.entries, audit.spent, audit.differences) == (1, Credits.whole(57), ())
    # Its entries are in the file now, its record is still remembered.
    assert (await desk("refund", str(doubtful["hold"]), *WHO)).status == 0
    await here.generate()
    await here.settled()
    assert (await desk("export", "--out", str(second))).status == 0
    assert sum(changes(first, "jsonl")) == 57_000
    assert changes(second, "jsonl") == [57_000, -19_000, 0, 19_000]
    assert (await desk("audit")).status == 0


async def test_only_what_was_exported_can_be_trimmed(desk: Desk, here: World, tmp_path: Path) -> None:
    await three_calls(here)
    third = str((await desk.holds())[2]["at"])
    for words in (("--before", third), ("--before", third, "--retention", "1")):
        refused = await desk("trim", *words)
        assert (refused.status, refused.out, refused.err) == (1, "", REFUSALS["kept"] + "\n")
    assert (await desk("trim", "--retention", "1")).out == "0 entries trimmed\n"
    ran = await desk("export", "--out", str(tmp_path / "a.csv"), "--format", "csv", "--before", third)
    assert ran.status == 0
    exported = len(changes(tmp_path / "a.csv", "csv"))
    assert exported >= 4
    assert (await desk("trim", "--before", third)).out == f"{exported} entries trimmed\n"
    assert len(await desk.holds()) == 1
    assert (await here.audit()).spent == Credits.whole(57)
    assert (await desk("trim", "--before", "2100-01-01T00:00:00Z")).status == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("export", "--format", "xml", "--out", "OUT"), "--format is one of csv, jsonl, parquet"),
        (("export", "--out", "OUT/no/where"), "cannot be written"),
        (("export", "--out", "OUT", "--before", "soon"), "2026-11-30T00:00:00Z"),
        (("trim",), "say what may go"),
        (("trim", "--before", "soon"), "2026-11-30T00:00:00Z"),
        (("trim", "--retention", "0"), "--retention"),
    ],
)
async def test_what_was_asked_wrongly_is_said_and_nothing_is_written(
    desk: Desk, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    before = there(tmp_path)
    ran = await desk(*(word.replace("OUT", str(tmp_path / "out")) for word in words))
    assert (ran.status, ran.out, says in ran.err) == (2, "", True)
    assert there(tmp_path) == before
