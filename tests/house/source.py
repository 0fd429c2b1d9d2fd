"""The house as its tests see it: source files, what they import, and how long things are."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
GATEWAY = ROOT / "gateway"


def files() -> list[Path]:
    """Every Python file of the package."""
    return sorted(GATEWAY.rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    """The parsed file."""
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def module(path: Path) -> str:
    """The module name of a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Every module a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            # `from gateway.ledger import keys` names a module in its second half.
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Every function's name and length in lines, docstring included."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            yield f"{module(path)}.{node.name}", node.end_lineno - node.lineno + 1


def code_functions(path: Path) -> Iterator[tuple[str, int]]:
    """As `functions`, without docstrings: how much there is to follow."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            documented = ast.get_docstring(node, clean=False)
            yield (
                f"{module(path)}.{node.name}",
                node.end_lineno - node.lineno + 1 - (documented.count("\n") + 1 if documented else 0),
            )
