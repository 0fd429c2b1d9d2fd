"""SECURITY.md names every promise once, and every test it names exists in the file it names."""

import ast
import re

import pytest

from tests.house.source import ROOT

TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
ROWS = re.findall(r"^\| (I[0-9]+) \|([^|]+)\|([^|]+)\|$", TEXT, re.MULTILINE)
PROMISES = 12

# Everything that is, or could be, a file or command of ours.
NAMED = re.findall(r"`((?:tests|docs)/[^`]*)`", TEXT)


def test_every_promise_has_one_row() -> None:
    assert [promise for promise, *_ in ROWS] == [f"I{number}" for number in range(1, PROMISES + 1)]


@pytest.mark.parametrize(("promise", "said", "shown"), ROWS, ids=[row[0] for row in ROWS])
def test_every_promise_is_said_and_names_tests_that_exist(promise: str, said: str, shown: str) -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", shown)
    assert named
    assert shown.strip() == ", ".join(f"`{path}::{name}`" for path, name in named)
    assert said.strip()
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        assert name in {function.name for function in functions}, f"{path}::{name}"


def test_every_other_file_it_names_is_there() -> None:
    assert NAMED
    for name in NAMED:
        assert (ROOT / name.partition("::")[0]).exists(), name
