"""Plain: the short way to a line, for events in which nothing needs taming. Pure."""

import math
import re
from collections.abc import Mapping
from itertools import chain
from typing import Any

ITEMS_MAX = 64

# What is written as it stands: short, and searched for secrets with the whole line.
_PLAIN = re.compile(r"[ !#-\[\]-~]{0,256}").fullmatch
_WHOLE = 2**63


def plainly(*parts: Mapping[Any, Any]) -> str | None:
    """`parts` as one line, just as JSON has it, when nothing in them needs taming; else None. Names differ."""
    said: list[str] = []
    for name, value in chain.from_iterable([part.items() for part in parts]):
        kind = type(value)
        if type(name) is not str or not _PLAIN(name) or len(said) >= ITEMS_MAX:
            return None
        if kind is str and _PLAIN(value):
            said.append(f'"{name}": "{value}"')
        elif kind is bool:
            said.append(f'"{name}": {"true" if value else "false"}')
        elif (kind is int and -_WHOLE < value < _WHOLE) or (kind is float and math.isfinite(value)):
            said.append(f'"{name}": {value!r}')
        else:
            return None
    return f"{{{', '.join(said)}}}"
