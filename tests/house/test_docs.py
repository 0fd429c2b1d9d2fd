"""Documents say what the code says: README's commands and tables, and the comments of the shipped configuration."""

import re
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from gateway import __version__
from gateway.logs.canonical import canonical
from gateway.metrics.counting import CATALOGUE
from gateway.problems import error_rows
from gateway.settings.sections import GatewayFile
from tests.house.source import ROOT
from tests.unit.logs.test_canonical import full_receipt

README = (ROOT / "README.md").read_text("utf-8")


def section(title: str) -> str:
    """The text of one `##` section."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.mark.parametrize(("title", "end"), [("Run it", "dezgo-gateway demo"), ("Test it", "pytest")])
def test_each_of_the_two_commands_is_one_line_in_one_block(title: str, end: str) -> None:
    (block,) = re.findall(r"```(\w*)\n(.*?)```", section(title), re.DOTALL)
    assert block[0] == "sh"
    (line,) = block[1].strip().splitlines()
    assert line.endswith(end)


def test_ci_runs_the_test_command_of_the_readme_in_strict_mode() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "STRICT_TOOLS=1" in script
    assert "## Test it" in script
    assert "README.md" in script


def rows(title: str) -> list[list[str]]:
    """All table rows of a section, cells stripped of code marks."""
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_error_table_is_the_codes_own() -> None:
    said = {(row[0], row[1]): row[2] for row in rows("For callers") if len(row) == 3 and row[0][0].isdigit()}
    assert said == {(status, reason): when for status, reason, when in error_rows()}


def test_the_metrics_table_is_the_codes_own() -> None:
    said = {row[0]: (row[1], row[3]) for row in rows("Operations") if row[0].startswith("dezgo_gateway_")}
    assert said == {series.name: (series.kind, series.says) for series in CATALOGUE}


def test_the_log_lines_fields_are_documented_in_their_order() -> None:
    text = (ROOT / "docs" / "log-line.md").read_text("utf-8")
    said = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE)
    assert said == list(canonical(full_receipt()))


def leaves(model: type[BaseModel], trail: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel) and name != "key":
            yield from leaves(kind, (*trail, name))
        else:
            yield (*trail, name)


def test_every_setting_stands_in_the_shipped_file_with_a_comment() -> None:
    shipped = (ROOT / "config" / "gateway.yaml").read_text("utf-8").splitlines()
    for trail in leaves(GatewayFile):
        lines = [line for line in shipped if re.match(rf"\s*{trail[-1]}:", line)]
        assert lines, trail
        assert any("#" in line for line in lines), trail


def test_the_version_is_said_once() -> None:
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_decisions_are_numbered_without_gaps_and_say_their_decision() -> None:
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [path.name[:4] for path in files] == [f"{number:04d}" for number in range(1, len(files) + 1)]
    for path in files:
        assert "**Decision.**" in path.read_text("utf-8"), path.name


def test_no_word_of_where_or_how_this_was_made() -> None:
    """No index addresses, no paths of a machine."""
    for path in [*ROOT.glob("requirements/*"), *ROOT.glob("*.toml"), *ROOT.glob("*.md"), ROOT / "Dockerfile"]:
        text = path.read_text("utf-8")
        assert not re.search(r"index-url|find-links|file://|/root/|/home/", text), path.name


def test_every_query_names_metrics_that_exist() -> None:
    names = {series.name for series in CATALOGUE}
    asked = set(re.findall(r"dezgo_gateway_\w+", (ROOT / "grafana" / "README.md").read_text("utf-8")))
    assert asked
    assert not {name for name in asked if name.removesuffix("_bucket") not in names}
