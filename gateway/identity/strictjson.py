"""JSON objects that every reader understands alike, or not at all.

1. Pure: bytes in, a dict out, and no exception but `NotStrict`.
2. Work is linear in the length; nothing recurses before the depth is known to be bounded.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import NoReturn

DEPTH_MAX = 16
DIGITS_MAX = 20

# The second branch lets an unterminated string match to the end, so that no quote is looked at twice.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(eq=False)
class NotStrict(ValueError):
    """Not one JSON object with one meaning. `problem` is `form`, `duplicate` or `number`; no value is kept."""

    problem: str

    def __str__(self) -> str:
        return self.problem


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrict("duplicate")
    return members


def _whole(digits: str) -> int:
    if len(digits) > DIGITS_MAX:
        raise NotStrict("number")
    return int(digits)


def _fraction(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotStrict("number")
    return number


def _constant(_: str) -> NoReturn:
    raise NotStrict("number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_whole, parse_float=_fraction, parse_constant=_constant
)


def read_object(raw: bytes) -> dict[str, object]:
    """Read `raw` as one JSON object in UTF-8.

    Raises:
        NotStrict: `form` for anything that is not such an object, is nested deeper than 16 levels, or holds half a
            surrogate pair; `duplicate` for a member named twice at any depth; `number` for NaN, Infinity, what
            overflows to it, and whole numbers of more than 20 digits.
    """
    text = _text(raw)
    if text is None or _too_deep(text):
        raise NotStrict("form")
    members = _decode(text)
    # What cannot be written as UTF-8 again would break a log line or a hash far from here.
    if not isinstance(members, dict) or (_SURROGATE.search(text) and not _encodable(members)):
        raise NotStrict("form")
    return members


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _decode(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except NotStrict:
        raise
    except ValueError:
        return None


def _too_deep(text: str) -> bool:
    depth = 0
    for bracket in _BRACKETS.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > DEPTH_MAX:
            return True
    return False


def _encodable(members: dict[str, object]) -> bool:
    try:
        json.dumps(members, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
