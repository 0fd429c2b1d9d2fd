"""Redaction: what must not be read in a line, and how to find it in its other spellings. Pure."""

import base64
import json
import re
from collections.abc import Callable
from urllib.parse import quote

HIDDEN = "***"

HoldsSecret = Callable[[bytes], bool]

# Shorter ones would be found by chance in what is not theirs; they are hidden in their plain spelling only.
_SPELT_FROM = 8

_KEY = re.compile(r"DEZGO-[0-9A-F]{16,}")

# What those two begin with.
_SIGNS = (b"DEZGO-", b"eyJ")

# Bounded, because a scan for the end starts at every `eyJ`.
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_=-]{2,4096}\.[A-Za-z0-9_=-]+(?:\.[A-Za-z0-9_=-]*)?")


class Redaction:
    """Hides secrets: those it is told of, and what looks like a Dezgo key or a JWT.

    Args:
        secrets: hidden plain, reversed, as hex, base64, percent-encoded, and as JSON writes them.
        holds_secret: asked last; bytes it answers True for are hidden whole.
    """

    def __init__(self, secrets: tuple[str, ...] = (), holds_secret: HoldsSecret | None = None) -> None:
        found = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
        self._take(found)
        self._holds_secret = holds_secret

    def _take(self, spellings: set[str]) -> None:
        self._spellings = _longest_first(spellings)
        # In lines, which are ASCII, others cannot stand.
        self._signs = (*(spelling.encode() for spelling in self._spellings if spelling.isascii()), *_SIGNS)

    def also(self, secret: str) -> "Redaction":
        """The same, and `secret` is hidden too."""
        more = Redaction((secret,), self._holds_secret)
        more._take({*self._spellings, *more._spellings})
        return more

    def is_needed(self, line: bytes) -> bool:
        """Whether there may be anything to hide in `line`, which is ASCII."""
        for sign in self._signs:
            if line.find(sign) >= 0:  # half of what `in` costs: that asks first whether `sign` is a number
                return True
        return self._holds_secret is not None and self._holds_secret(line)

    def __call__(self, text: str) -> str:
        """`text` with `***` in the place of every secret."""
        for spelling in self._spellings:
            if spelling in text:
                text = text.replace(spelling, HIDDEN)
        if "DEZGO-" in text:
            text = _KEY.sub(HIDDEN, text)
        if "eyJ" in text:
            text = _TOKEN.sub(HIDDEN, text)
        if self._holds_secret is not None and self._holds_secret(text.encode("utf-8", "replace")):
            return HIDDEN
        return text

    def __repr__(self) -> str:
        return f"Redaction({HIDDEN})"


def _longest_first(spellings: set[str]) -> tuple[str, ...]:
    """In an order in which what is left of one never keeps another from being found."""
    return tuple(sorted(spellings, key=lambda spelling: (-len(spelling), spelling)))


def _spellings(secret: str) -> set[str]:
    as_json = json.dumps(secret)[1:-1]
    if len(secret) < _SPELT_FROM:
        return {secret, as_json}
    plain = secret.encode("utf-8", "replace")
    every_byte = "".join(f"%{byte:02X}" for byte in plain)
    found = {secret, secret[::-1], as_json, json.dumps(secret[::-1])[1:-1], plain.hex(), plain.hex().upper()}
    found |= {quote(plain, safe=""), quote(plain, safe="").lower(), every_byte, every_byte.lower()}
    for before in range(3):
        found |= _in_base64(plain, before)
    return found


def _in_base64(plain: bytes, before: int) -> set[str]:
    """The characters of base64 that depend on `plain` alone, when `before` bytes (modulo 3) stand in front of it."""
    first, last = -(-before * 8 // 6), (before + len(plain)) * 8 // 6
    padded = bytes(before) + plain
    return {encode(padded)[first:last].decode("ascii") for encode in (base64.b64encode, base64.urlsafe_b64encode)}
