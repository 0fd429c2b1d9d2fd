"""Tables: journal entries as rows of a file, in CSV, JSON lines or Parquet. A file is there whole or not at all."""

import csv
import importlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from gateway.commands.offline import Refused

Row = Mapping[str, str | int | None]
Write = Callable[[Sequence[Row]], None]

# Every column and its kind. Amounts are whole millicredits (1 credit = 1000), so that sums are exact.
# `spent_change` is what the entry moved `spent` by: its sum over all rows is what was spent in all.
COLUMNS: Final[Mapping[str, type]] = {
    "entry": str,
    "at": str,
    "op": str,
    "id": str,
    "of": str,
    "path": str,
    "amount_millicredits": int,
    "charged_millicredits": int,
    "spent_change_millicredits": int,
    "flag": str,
    "until_ms": int,
    "actor": str,
    "reason": str,
    "changed": str,
    "budgets": str,
    "entries": int,
    "spent": str,
    "held": str,
    "granted": str,
}


@contextmanager
def table(path: Path, kind: str) -> Iterator[Write]:
    """Write rows to a new file; it appears under its name, readable by its owner alone, when the block ends well.

    Raises:
        Refused: the file exists, cannot be written, or `kind` needs a package that is not installed.
    """
    part = path.with_name(f"{path.name}.part")
    if path.exists():
        raise Refused(f"{path.name} exists: an export overwrites nothing")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            with KINDS[kind](stream) as write:
                yield write
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
        _keep(path.parent)
    except OSError as error:
        raise Refused(f"{path.name} cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def _keep(folder: Path) -> None:
    """A name is only kept once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _csv(stream: IO[bytes]) -> Iterator[Write]:
    writer = csv.DictWriter(_Text(stream), COLUMNS, lineterminator="\n")
    writer.writeheader()
    yield writer.writerows


@contextmanager
def _jsonl(stream: IO[bytes]) -> Iterator[Write]:
    def write(rows: Sequence[Row]) -> None:
        for row in rows:
            said = {name: value for name, value in row.items() if value is not None}
            stream.write(json.dumps(said).encode("ascii") + b"\n")

    yield write


@contextmanager
def _parquet(stream: IO[bytes]) -> Iterator[Write]:
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise Refused("Parquet needs the package pyarrow: pip install 'dezgo-gateway[parquet]'") from None
    kinds: dict[type, Any] = {str: arrow.string(), int: arrow.int64()}
    schema = arrow.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    with parquet.ParquetWriter(stream, schema) as writer:
        yield lambda rows: writer.write_table(arrow.Table.from_pylist(list(rows), schema=schema))


class _Text:
    """What `csv` writes to: text that becomes UTF-8."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text`."""
        return self._stream.write(text.encode("utf-8"))


KINDS: Final = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}
