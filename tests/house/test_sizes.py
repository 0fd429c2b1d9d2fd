"""Sizes, held as ratchets: small files and functions, one subject each."""

from statistics import median

from tests.house.source import GATEWAY, ROOT, code_functions, files, module

FILE_LINES_MAX = 350
FUNCTION_LINES_MAX = 50
FUNCTION_MEDIAN_BELOW = 10


def test_no_file_is_long() -> None:
    tests = sorted((ROOT / "tests").rglob("*.py"))
    long = {str(path.relative_to(ROOT)): n for path in (*files(), *tests) if (n := _lines(path)) > FILE_LINES_MAX}
    assert not long


def _lines(path: object) -> int:
    from pathlib import Path

    assert isinstance(path, Path)
    return len(path.read_text("utf-8").splitlines())


def test_no_function_is_long() -> None:
    found = [item for path in files() for item in code_functions(path)]
    assert len(found) > 300
    assert not {name: length for name, length in found if length > FUNCTION_LINES_MAX}


def test_half_of_all_functions_are_very_short() -> None:
    lengths = [length for path in files() for _, length in code_functions(path)]
    assert median(lengths) < FUNCTION_MEDIAN_BELOW


def test_every_file_says_what_it_is() -> None:
    import ast

    from tests.house.source import tree

    assert not [module(path) for path in files() if not ast.get_docstring(tree(path))]
    assert (GATEWAY / "py.typed").exists()
