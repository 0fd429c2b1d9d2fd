"""Every case of the catalogue has a row in `docs/cases.md`, and every test a row names exists."""

import ast
import re
from collections import Counter

import pytest

from tests.house.source import ROOT

# How many cases each letter has. Rows of further letters may stand there too.
CASES = {"ID": 26, "PM": 17, "IM": 9, "HD": 28}

_ROW = re.compile(r"^\| ([A-Z]{2}[0-9]{2}) \|(.*)\|(.*)\|(.*)\|$", re.MULTILINE)
ROWS = _ROW.findall((ROOT / "docs" / "cases.md").read_text("utf-8"))


def _existing() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(node.name)
    return found


EXISTING = _existing()


@pytest.mark.parametrize("letters", CASES)
def test_every_case_has_one_row(letters: str) -> None:
    times = Counter(case for case, *_ in ROWS if case.startswith(letters))
    assert times == Counter(f"{letters}{number:02d}" for number in range(1, CASES[letters] + 1))


@pytest.mark.parametrize(("case", "what", "here", "shown"), ROWS, ids=[row[0] for row in ROWS])
def test_every_row_says_what_happens_and_names_tests_that_exist(case: str, what: str, here: str, shown: str) -> None:
    names = re.findall(r"`(\w+)`", shown)
    assert names
    assert shown.strip() == ", ".join(f"`{name}`" for name in names)
    assert what.strip()
    assert here.strip()
    assert not [name for name in names if name not in EXISTING]
