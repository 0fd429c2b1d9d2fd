"""Files of an export: every row in every kind of file, and a file that is there whole or not at all."""

import csv
import importlib
import json
import stat
import sys
from pathlib import Path

import pytest

from gateway.commands.exporting import row
from gateway.commands.offline import Refused
from gateway.commands.tables import COLUMNS, KINDS, Row, table
from gateway.ledger.journal import Entry
from tests.tools import need_package

PLACES = "tenant/total|0| each:a%2Cb/day|1000|2000"
ENTRIES = (
    (Entry("1700000000000-0", {"op": "hold", "id": "h", "amount": "19000", "path": "t/-/-", "budgets": PLACES}), 0),
    (
        Entry(
            "1700000000001-3",
            {
                "op": "refund",
                "id": "o",
                "of": "h",
                "amount": "5",
                "charged": "18995",
                "flag": "confirmed",
                "path": "t/-/-",
                "budgets": PLACES,
                "actor": "kim",
                "reason": 'said "no", twice; größer',
            },
        ),
        -5,
    ),
    (
        Entry(
            "1700000000002-0",
            {
                "op": "opening",
                "id": "1-0",
                "entries": "2",
                "amount": "7",
                "budgets": PLACES,
                "spent": "7 0",
                "held": "0 3",
                "granted": ";5|9 1|",
            },
        ),
        7,
    ),
    (Entry("1700000000002-1", {"op": "grant", "id": "g", "amount": "9", "until": "", "budgets": "a|0|"}), 0),
)
ROWS: list[Row] = [row(entry, moved) for entry, moved in ENTRIES]


def test_a_row_has_a_value_for_every_column_and_numbers_where_they_belong() -> None:
    for found in ROWS:
        assert found.keys() == COLUMNS.keys()
        assert all(value is None or isinstance(value, COLUMNS[name]) for name, value in found.items())
    first, refund, opening, grant = ROWS
    assert (first["at"], first["amount_millicredits"], first["charged_millicredits"]) == (
        "2023-11-14T22:13:20.000Z",
        19_000,
        None,
    )
    assert (refund["spent_change_millicredits"], refund["charged_millicredits"]) == (-5, 18_995)
    assert (opening["entries"], opening["granted"], grant["until_ms"]) == (2, ";5|9 1|", None)


def read(path: Path, kind: str) -> list[dict[str, object]]:
    """The rows of a file, None where a value is missing."""
    if kind == "parquet":
        found: list[dict[str, object]] = importlib.import_module("pyarrow.parquet").read_table(path).to_pylist()
        return found
    with path.open(encoding="utf-8", newline="") as stream:
        if kind == "jsonl":
            return [dict.fromkeys(COLUMNS) | json.loads(line) for line in stream]
        rows = list(csv.DictReader(stream))
    return [{name: COLUMNS[name](text) if text else None for name, text in one.items()} for one in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_is_read_back_to_the_millicredit(tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        need_package("pyarrow")
    path = tmp_path / "out"
    with table(path, kind) as write:
        write(ROWS[:1])
        write(ROWS[1:])
    expected = [dict(one) for one in ROWS]
    if kind == "csv":  # where nothing and an empty text are the same
        expected = [{name: value if value != "" else None for name, value in one.items()} for one in expected]
    assert read(path, kind) == expected
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_journal_with_nothing_in_it_is_a_file_with_no_rows(tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        need_package("pyarrow")
    with table(tmp_path / "out", kind):
        pass
    assert read(tmp_path / "out", kind) == []


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_export_that_fails_leaves_no_file(tmp_path: Path, kind: str) -> None:
    with pytest.raises(AttributeError), table(tmp_path / "out", kind) as write:
        write([*ROWS, None])  # type: ignore[list-item]  # what makes it fail
    assert list(tmp_path.iterdir()) == []


def test_an_export_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("books")
    with pytest.raises(Refused, match="overwrites nothing"), table(path, "csv"):
        pass
    assert path.read_text() == "books"


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be written"), table(tmp_path / "no" / "out", "csv"):
        pass


def test_parquet_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Refused, match=r"dezgo-gateway\[parquet\]"), table(tmp_path / "out", "parquet"):
        pass
    assert list(tmp_path.iterdir()) == []
