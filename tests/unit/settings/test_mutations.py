"""Hundreds of changed configurations: each is refused with SettingsError, or means what its text says.

What a text says is found out by a second, independent reading: PyYAML's BaseLoader, for which every word is text.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.pricing.rates import FlatRate, PixelRate, PixelStepRate, StepTableRate
from gateway.settings import Settings, SettingsError
from gateway.units import Credits
from tests.unit.settings.files import TEXTS, load, write

KINDS: dict[type, str] = {
    PixelStepRate: "pixel_step",
    PixelRate: "pixel",
    StepTableRate: "step_table",
    FlatRate: "flat",
}

# Each takes the place of every single value of every file in turn.
NASTY = [
    *("no", "on", "NULL", "010", "0x10", "1e3", "1_000", "12:30", "1O00", "25s", "2026-01-01", "+1", ".inf", "-1"),
    *("1" * 400, "9" * 30, "[]", "{}", "[x]", "{x: 1}", "*x", "&x 1", "!!int 1", '""', '"1"', "'no'", "null", ""),
    *('"\\0"', '"\\ud800"', '"\\UFFFFFFFF"', "\t1", "<<", "%", "true", "1", "1.5", "x" * 2000),
]


def same(text: object, value: object) -> bool:
    """Whether `value` is what the words of `text` say."""
    if isinstance(text, dict | list):
        return not text and not value
    words = str(text)
    if value is None or isinstance(value, bool):
        return words in {None: ("", "~", "null"), True: ("true",), False: ("false",)}[value]
    if isinstance(value, Credits):
        return re.fullmatch(r"[0-9.]+", words) is not None and Decimal(words) * 1000 == value.millicredits
    if isinstance(value, int | float | Decimal):
        return Decimal(words) == Decimal(str(value))
    return words == str(value.value if isinstance(value, Enum) else value)


def leaves(told: object, value: object, where: str = "") -> Iterator[tuple[str, object, object]]:
    """Every single value of the second reading, beside what the settings hold in its place."""
    if isinstance(told, dict) and told:
        for key, below in told.items():
            inner = value[key] if isinstance(value, dict) else getattr(value, key)
            yield from leaves(below, inner, f"{where}.{key}")
    elif isinstance(told, list) and told:
        assert isinstance(value, tuple)
        assert len(value) == len(told)
        for index, below in enumerate(told):
            yield from leaves(below, value[index], f"{where}[{index}]")
    else:
        yield where, told, value


def rate_says(rate: object, told: dict[str, object]) -> bool:
    """Whether a built rate is the one of the second reading."""
    table = dict(getattr(rate, "table", ()))
    rows = told.get("table", {})
    assert isinstance(rows, dict)
    numbers = {key: word for key, word in told.items() if key not in ("kind", "table")}
    return (
        KINDS[type(rate)] == told["kind"]
        and {int(steps): Decimal(row) for steps, row in rows.items()} == table
        and all(same(word, getattr(rate, key)) for key, word in numbers.items())
    )


def tariff_says(settings: Settings, told: dict[str, dict[str, dict[str, object]]]) -> bool:
    """Whether the compiled tariff is the one of the second reading."""
    assert same(told["version"], settings.tariff.version)
    for name, words in told["methods"].items():
        method = settings.tariff.methods[name]
        for key, word in words.items():
            if key in ("rate", "lora", "upscale") and getattr(method, key) is not None:
                assert rate_says(getattr(method, key), told["rates"][str(word)])
            elif key == "verbs":
                assert isinstance(word, list)
                assert method.verbs == frozenset(word)
            elif key != "options":
                assert same(word, getattr(method, key))
    return [e.credits for e in settings.tariff.examples] == [int(str(e["credits"])) for e in told["examples"]]  # type: ignore[index]  # read as dicts


def judge(directory: Path, name: str, text: str) -> bool:
    """Whether the changed file is loaded. Anything but a refusal or the right meaning fails."""
    changed = write(directory, **{name.removesuffix(".yaml"): text})
    try:
        settings = load(changed)
    except SettingsError as error:
        refused = error.faults
    else:
        refused = ()
    if refused:
        assert all(fault.message and fault.message != "is not valid" for fault in refused)
        return False
    told = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - BaseLoader builds nothing but text
    if name == "tariff.yaml":
        assert tariff_says(settings, told)
    else:
        for where, words, value in leaves(told, settings):
            assert same(words, value), where
    return True


def places(text: str) -> list[tuple[int, int]]:
    """Where the single values of `text` begin and end."""
    pending, found = [yaml.compose(text, Loader=yaml.BaseLoader)], []
    while pending:
        node = pending.pop()
        if isinstance(node, yaml.ScalarNode):
            found.append((node.start_mark.index, node.end_mark.index))
        elif isinstance(node, yaml.MappingNode):
            pending += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            pending += node.value
    return found


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("nasty", NASTY)
def test_every_value_replaced_is_refused_or_means_what_it_says(tmp_path: Path, name: str, nasty: str) -> None:
    text = TEXTS[name]
    assert judge(tmp_path, name, text), "what is changed here must be sound before"
    for begins, ends in places(text):
        judge(tmp_path, name, text[:begins] + nasty + text[ends:])


_FILES = st.sampled_from(sorted(TEXTS))
_PIECES = st.one_of(
    st.sampled_from([*NASTY, "\n", "  ", "- ", ": ", "#", "---\n", "{", "]", ", "]), st.text(max_size=6)
)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, str]:
    """A file with one to three places cut out, filled in, doubled or swapped."""
    name = draw(_FILES)
    text = TEXTS[name]
    for _ in range(draw(st.integers(1, 3))):
        begins = draw(st.integers(0, len(text)))
        ends = draw(st.integers(begins, min(len(text), begins + 20)))
        filling = draw(st.one_of(_PIECES, st.just(text[begins:ends] * 2), st.just(text[begins:ends].swapcase())))
        text = text[:begins] + filling + text[ends:]
    # Half a surrogate cannot be written to a file at all, and the mark is ours.
    return name, re.sub(r"[\ud800-\udfff§]", "", text)


@given(mutated())
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=400)
def test_any_mutation_is_refused_or_means_what_it_says(tmp_path: Path, mutation: tuple[str, str]) -> None:
    name, text = mutation
    judge(tmp_path, name, text)


@pytest.mark.parametrize("name", TEXTS)
def test_what_changes_no_meaning_changes_nothing(tmp_path: Path, name: str) -> None:
    plain = load(write(tmp_path))
    text = TEXTS[name]
    harmless = [
        text.replace("\n", "\r\n"),
        "# a remark\n\n" + text.replace("\n", "  # a remark\n"),
        "---\n" + text + "...\n",
        "\ufeff" + text,
    ]
    for again in harmless:
        assert load(write(tmp_path, **{name.removesuffix(".yaml"): again})) == plain
