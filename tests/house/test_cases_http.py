"""The table of HTTP cases is whole, and every test it names exists."""

import re

from tests.house.source import ROOT

TABLE = (ROOT / "docs" / "cases-http.md").read_text("utf-8")
ROWS = [line.strip("|").split(" | ") for line in TABLE.splitlines() if re.match(r"\| (HD|OP)\d\d ", line)]


def test_every_case_of_headers_and_transport_has_one_row() -> None:
    ids = [row[0].split()[0] for row in ROWS]
    assert len(set(ids)) == len(ids)
    assert {f"HD{number:02d}" for number in range(1, 29)} <= set(ids)


def test_every_row_says_what_happens_and_names_tests_that_exist() -> None:
    known = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        known |= set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE))
    for row in ROWS:
        assert len(row) == 3, row[0]
        named = re.findall(r"`(test_\w+)`", row[2])
        assert named, row[0]
        assert set(named) <= known, set(named) - known
