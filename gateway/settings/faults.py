"""Faults: what is wrong with a configuration, said so that it can be mended at once.

Wall 8 holds here too: a fault names keys, places and what was expected, never a configured value. Somebody
may have pasted a secret where none belongs.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic_core import PydanticCustomError

# The way from the root of a file to one of its values: keys and list indexes.
Trail = tuple[str | int, ...]

# Where a fault of an overriding environment variable is said to stand.
ENVIRONMENT = "environment"

_SHOWN_CHARACTERS_MAX = 64
_LISTED_KEYS_MAX = 12
_HARMLESS = re.compile(r"[A-Za-z0-9_./-]{1,64}")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and where.

    Attributes:
        file: the file's path, or `environment` for an overriding variable.
        line: counted from 1; 0 when there is no place, as for a missing file.
        column: counted from 1; 0 when there is no place.
        where: dotted key path, such as `identity.issuers[0].keys[0].kid`; empty for the whole file.
        message: what is wrong.
        hint: what to do about it, or empty.
    """

    file: str
    line: int
    column: int
    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """One line: `file:line:column: where: message (hint)`."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        hint = f" ({self.hint})" if self.hint else ""
        return ": ".join(part for part in (place, self.where, self.message) if part) + hint


class SettingsError(Exception):
    """The configuration is not served. `faults` lists everything found in all files, in reading order."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        super().__init__()
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


def refuse(message: str, hint: str = "", at: Trail = ()) -> PydanticCustomError:
    """What a model's validator raises: our own words, and `at`, the way from the model to the culprit."""
    # The braces are pydantic's templates; our words go in as values, so that theirs stay words.
    return PydanticCustomError("refused", "{words}", {"words": message, "hint": hint, "at": at})


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint for an unknown name: the nearest known one, else the known ones, else nothing."""
    names = sorted(known)
    near = difflib.get_close_matches(name[:_SHOWN_CHARACTERS_MAX], names, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    listed = ", ".join(names[:_LISTED_KEYS_MAX])
    more = ", …" if len(names) > _LISTED_KEYS_MAX else ""
    return f"known here: {listed}{more}" if names else ""


def spell(trail: Trail) -> str:
    """`trail` as people write it. Keys that are not plain words are clipped and escaped."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{_shown(step)}" for step in trail]
    return "".join(parts).removeprefix(".")


def _shown(key: str) -> str:
    if _HARMLESS.fullmatch(key):
        return key
    return f'"{ascii(key[:_SHOWN_CHARACTERS_MAX])[1:-1]}"'
