"""Plain: the short way to a line, for events in which nothing needs taming. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

ITEMS_MAX = 64
VALUE_CHARACTERS_MAX = 256

_WHOLE = 2**63

# Names of lines are few, and come again with each line, mostly with values of the same kinds.
_SHAPES_KEPT = 1_024

_SPELT = {str: '"%s"', bool: "%s", int: "%d", float: "%r"}


@dataclass(frozen=True, slots=True)
class _Shape:
    """How values of certain kinds are written under certain names.

    Attributes:
        form: the line, a place for each value.
        texts, truths, wholes, floats: at which places these kinds stand.
    """

    form: str
    texts: tuple[int, ...]
    truths: tuple[int, ...]
    wholes: tuple[int, ...]
    floats: tuple[int, ...]


def plainly(*parts: Mapping[Any, Any]) -> str | None:
    """`parts` as one line, just as JSON has it, when nothing in them needs taming; else None. Names differ."""
    names: list[Any] = []
    values: list[Any] = []
    for part in parts:
        names += part
        values += part.values()
    shape = _shape(tuple(names), tuple(map(type, values)))
    if shape is None or not _are_plain([values[at] for at in shape.texts]):
        return None
    for at in shape.wholes:
        if not -_WHOLE < values[at] < _WHOLE:
            return None
    for at in shape.floats:
        if not math.isfinite(values[at]):
            return None
    for at in shape.truths:
        values[at] = "true" if values[at] else "false"
    return shape.form % tuple(values)


@lru_cache(maxsize=_SHAPES_KEPT)
def _shape(names: tuple[object, ...], kinds: tuple[type, ...]) -> _Shape | None:
    """How such a line is written; None when a name or a kind needs taming, or there are too many."""
    known = [name for name in names if type(name) is str]
    if len(known) < len(names) or len(names) > ITEMS_MAX or not _are_plain(known) or not _SPELT.keys() >= {*kinds}:
        return None
    members = [f'"{name}": '.replace("%", "%%") + _SPELT[kind] for name, kind in zip(known, kinds, strict=True)]
    at = {wanted: tuple(place for place, kind in enumerate(kinds) if kind is wanted) for wanted in _SPELT}
    return _Shape(f"{{{', '.join(members)}}}", at[str], at[bool], at[int], at[float])


def _are_plain(texts: list[str]) -> bool:
    """Whether all of them can be written as they stand, asked of all at once: printable ASCII that JSON spells so."""
    if not texts:
        return True
    text = "".join(texts)
    plain = text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
    return plain and max(map(len, texts)) <= VALUE_CHARACTERS_MAX
