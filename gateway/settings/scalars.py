"""Scalars: what one unquoted word of a configuration means, decided by one short rule instead of YAML 1.1's.

Rule 1: whole numbers, decimals, `true`, `false` and null are what they look like. Decimals stay exact.
Rule 2: what another YAML reader would take for something else (`no`, `010`, `1e3`, `12:30`) is refused.
Rule 3: everything else is text. Quoted words are always text and never come here.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

# Longer figures mean nothing here, and bound the work of reading them.
_DIGITS_MAX = 30

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+", re.ASCII)
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", re.ASCII)
_LIKE_A_NUMBER = re.compile(r"[+-]?\.?[0-9]|[+-]?\.(?:inf|nan)\b", re.IGNORECASE | re.ASCII)

_TRUTHS = frozenset({"y", "yes", "true", "on", "n", "no", "false", "off"})
_QUOTES = "put it in quotes when text is meant"


@dataclass(frozen=True, slots=True)
class Surprise:
    """A word with two readings, which is why it has none here."""

    message: str
    hint: str


Scalar = str | int | Decimal | bool | None

_WORDS: dict[str, Scalar] = {"": None, "~": None, "null": None, "true": True, "false": False}

# The first shape that fits names what is wrong; the last one always fits.
_SURPRISES: tuple[tuple[str, str, str], ...] = (
    (r"[+-]?0[0-9_]+", "a leading zero makes this octal for some readers", "write it without the zero"),
    (r"[+-]?0[xob][0-9a-f_]+", "only decimal numbers are read", "write it in decimal digits"),
    (r"[+-]?[0-9][0-9_]*(?:\.[0-9_]*)?", "only digits and one point make a number", "write plain digits"),
    (r"[+-]?[0-9.]+e[+-]?[0-9]+", "a number with an exponent is read in two ways", "write all its digits"),
    (r"[+-]?[0-9]+(?::[0-9]+)+(?:\.[0-9]*)?", "some readers count this in sixties", "write the plain number"),
    (r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*", "some readers make a date of this", "put it in quotes"),
    (r"[+-]?[0-9.]*[ilo][0-9ilo.]*", "a letter stands among the digits", "write digits only"),
    (
        r"[+-]?[0-9][0-9.]* ?[a-zµ%]+",
        "a number stands alone, without a unit",
        "the end of the key names the unit (_s: seconds, bytes, pixels)",
    ),
    (r".*", "this begins like a number and is none", "write plain digits"),
)


def plain(word: str) -> Scalar | Surprise:
    """What the unquoted `word` means: a value, or the reason why it has no single meaning."""
    if word in _WORDS:
        return _WORDS[word]
    if word.lower() in _TRUTHS:
        return Surprise("some readers take this for a truth value", f"write true or false, or {_QUOTES}")
    if word.lower() == "null":
        return Surprise("nothing is written `null`", f"write null, or {_QUOTES}")
    if _LIKE_A_NUMBER.match(word):
        return _number(word)
    return word


def _number(word: str) -> Scalar | Surprise:
    if len(word) > _DIGITS_MAX and (_WHOLE.fullmatch(word) or _DECIMAL.fullmatch(word)):
        return Surprise(f"a number has at most {_DIGITS_MAX} digits", _QUOTES)
    if _WHOLE.fullmatch(word):
        return int(word)
    if _DECIMAL.fullmatch(word):
        return Decimal(word)
    if _ADDRESS.fullmatch(word):
        return word
    return next(
        Surprise(message, hint if _QUOTES in hint or "quotes" in hint else f"{hint}, or {_QUOTES}")
        for shape, message, hint in _SURPRISES
        if re.fullmatch(shape, word, re.IGNORECASE | re.ASCII | re.DOTALL)
    )
