"""Plain: the short way to a line, for events in which nothing needs taming. Pure."""

import math
import re
from collections.abc import Mapping
from typing import Any

ITEMS_MAX = 64
VALUE_CHARACTERS_MAX = 256

# What is written as it stands; it is searched for secrets with the whole line.
_PLAIN = re.compile(r"[ !#-\[\]-~]*").fullmatch
_WHOLE = 2**63

# Names of lines are few and come again with each line.
_NAMES_KEPT = 256
_LEADS: dict[str, str] = {}


def plainly(*parts: Mapping[Any, Any]) -> str | None:
    """`parts` as one line, just as JSON has it, when nothing in them needs taming; else None. Names differ."""
    said: list[str] = []
    texts: list[str] = []
    for part in parts:
        for name, value in part.items():
            lead = _lead(name)
            kind = type(value)
            if lead is None:
                return None
            if kind is str:
                texts.append(value)
                said.append(f'{lead}"{value}"')
            elif kind is bool:
                said.append(f"{lead}true" if value else f"{lead}false")
            elif (kind is int and -_WHOLE < value < _WHOLE) or (kind is float and math.isfinite(value)):
                said.append(f"{lead}{value!r}")
            else:
                return None
    return f"{{{', '.join(said)}}}" if len(said) <= ITEMS_MAX and _are_plain(texts) else None


def _lead(name: object) -> str | None:
    """What stands before the value of this name; None for one that is no plain text."""
    if type(name) is not str:
        return None
    known = _LEADS.get(name)
    if known is None and _are_plain([name]):
        known = f'"{name}": '
        if len(_LEADS) < _NAMES_KEPT:
            _LEADS[name] = known
    return known


def _are_plain(texts: list[str]) -> bool:
    """Whether all of them can be written as they stand: asked of all at once."""
    return not texts or (max(map(len, texts)) <= VALUE_CHARACTERS_MAX and _PLAIN("".join(texts)) is not None)
