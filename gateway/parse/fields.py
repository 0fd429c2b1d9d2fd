"""Fields: what the three decoders hand over, as close to the wire as it came.

Nothing is converted before it is known to be priced, so an unpriced megabyte is never copied.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import BadBody
from gateway.values import value

# Some readers stop at so many fields without a word, and take defaults for the rest.
FIELDS_MAX = 128

_UTF8 = frozenset({b"utf-8", b"utf8"})


class Number(str):
    """A JSON number as it was written: reading it loses and rounds nothing."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body.

    Attributes:
        content: a view into the body.
        filename: of `filename=`, None when there is none.
        starred: there is a `filename*=`, which readers treat differently.
        content_type: the part's own Content-Type, None when there is none.
        shadowed: its header holds a second name for readers who merely search.
    """

    content: memoryview
    filename: str | None = None
    starred: bool = False
    content_type: str | None = None
    shadowed: bool = False


# JSON gives str, Number, bool, None, list and (for objects) tuple; a form gives bytes, still percent-encoded;
# multipart gives Part.
Value = str | bool | list[object] | tuple[object, ...] | bytes | Part | None

Field = tuple[str, Value]


@value(frozen=True, slots=True)
class Fields:
    """The fields of a body, at most 128, in order.

    Attributes:
        read: what every reader sees.
        shadows: names that only some readers would see; none of them may be a priced one.
    """

    read: Sequence[Field]
    shadows: Sequence[str] = ()


def refuse_other_charset(name: str, value: bytes) -> None:
    """Raise BadBody when `_charset_`, which tells some readers how to decode the rest, says other than UTF-8."""
    if name.startswith("_") and name.lower() == "_charset_" and value.lower() not in _UTF8:
        raise BadBody("the field _charset_ must say utf-8")
