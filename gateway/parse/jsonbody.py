"""JSON bodies: one object in UTF-8. Numbers stay as written; duplicate members stay visible."""

import json
import re
from typing import NoReturn

from gateway.errors import BadBody
from gateway.parse.buffer import Source
from gateway.parse.fields import FIELDS_MAX, Fields, Number

DEPTH_MAX = 8
COMMAS_MAX = 10_000
NUMBER_CHARS_MAX = 128

# More brackets and strings than this cannot stand in JSON of so few commas and so little depth.
_TOKENS_MAX = COMMAS_MAX * (2 * DEPTH_MAX + 3)

# An unterminated string matches to the end, so that no quote is looked at twice.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def _number(text: str) -> Number:
    if len(text) > NUMBER_CHARS_MAX:
        raise ValueError
    return Number(text)


def _constant(_: str) -> NoReturn:
    raise ValueError


# Objects become tuples of pairs and arrays lists: the two stay apart, and no member is lost to a later one.
_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_int=_number, parse_float=_number, parse_constant=_constant)


def read_json(body: Source) -> Fields:
    """The members of the one JSON object in `body`, duplicates included.

    Raises:
        BadBody: no such object in UTF-8 without a byte order mark; NaN or Infinity; nested deeper than 8 levels; more
            than 128 members or 10,000 commas; a number of more than 128 characters.
    """
    if body.count(b",") > COMMAS_MAX:
        raise BadBody("the JSON has too many members")
    try:
        text = body.decode()
        if body.count(b"{") + body.count(b"[") > DEPTH_MAX:
            _refuse_depth(text)
        members = _DECODER.decode(text)
    except ValueError:
        raise BadBody("the body is not JSON in UTF-8") from None
    if type(members) is not tuple:
        raise BadBody("the JSON must be an object")
    if len(members) > FIELDS_MAX:
        raise BadBody("the JSON has too many members")
    return Fields(members)


def _refuse_depth(text: str) -> None:
    """Raise BadBody for deep nesting, before a recursive reader meets it."""
    depth = 0
    for count, token in enumerate(_STRING_OR_BRACKET.finditer(text)):
        first = text[token.start()]
        if first in "[{":
            depth += 1
        elif first != '"':
            depth -= 1
        if depth > DEPTH_MAX or count > _TOKENS_MAX:
            raise BadBody(f"the JSON is nested deeper than {DEPTH_MAX} levels or has too many members")
