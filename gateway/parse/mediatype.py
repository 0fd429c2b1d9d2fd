"""Media types: what a Content-Type says, read strictly."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from gateway.errors import BadBody, UnsupportedMediaType

_CHARSETS = frozenset({"utf-8", "utf8"})

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - HTTP's word for a word, not a secret
_TYPE = re.compile(rf"[ \t]*({_TOKEN}/{_TOKEN})", re.ASCII)
_PARAMETER = re.compile(rf'[ \t]*;[ \t]*(?:({_TOKEN})=(?:({_TOKEN})|"([ !#-\[\]-~]*)"))?', re.ASCII)
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}", re.ASCII)


class Encoding(Enum):
    """The three ways to write parameters into a body."""

    JSON = "application/json"
    FORM = "application/x-www-form-urlencoded"
    MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class MediaType:
    """One readable media type: lower-case type, lower-case parameter names, values as written."""

    name: str
    parameters: dict[str, str]

    @property
    def is_utf8(self) -> bool:
        """Whether it names no charset but UTF-8."""
        return self.parameters.get("charset", "utf-8").lower() in _CHARSETS


# What nearly every client sends needs no further look.
_COMMON = {
    "application/json": (Encoding.JSON, ""),
    "application/x-www-form-urlencoded": (Encoding.FORM, ""),
}
_ENCODINGS = {encoding.value: encoding for encoding in Encoding}


def read_encoding(values: Sequence[str]) -> tuple[Encoding, str]:
    """The one encoding a request declares, and the multipart boundary (empty for the other two).

    Args:
        values: the values of all Content-Type fields.

    Raises:
        UnsupportedMediaType: none, several, an unreadable or another type, or a charset other than UTF-8.
        BadBody: multipart without a legal boundary.
    """
    if len(values) != 1:
        raise UnsupportedMediaType("exactly one Content-Type is needed")
    known = _COMMON.get(values[0])
    if known is not None:
        return known
    media = read_media_type(values[0])
    if media is None or media.name not in _ENCODINGS:
        raise UnsupportedMediaType(f"the Content-Type must be one of {', '.join(_ENCODINGS)}")
    if not media.is_utf8:
        raise UnsupportedMediaType("the charset must be utf-8")
    encoding = _ENCODINGS[media.name]
    return encoding, _boundary(media) if encoding is Encoding.MULTIPART else ""


def read_media_type(text: str) -> MediaType | None:
    """`text` as a media type, or None when it is none that all readers read alike."""
    found = _TYPE.match(text)
    if found is None:
        return None
    parameters: dict[str, str] = {}
    for name, value in _parameters(text.rstrip(" \t"), found.end()):
        # `charset*=` and `charset*0=` are further spellings of `charset=` to some readers.
        if name is None or name in parameters or "*" in name:
            return None
        parameters[name] = value
    return MediaType(found[1].lower(), parameters)


def _parameters(text: str, at: int) -> Iterator[tuple[str | None, str]]:
    """Each parameter from `at` on; a None instead of a name where `text` is unreadable."""
    while at < len(text):
        found = _PARAMETER.match(text, at)
        if found is None:
            yield None, ""
            return
        at = found.end()
        if found[1] is not None:
            yield found[1].lower(), found[2] if found[2] is not None else found[3]


def _boundary(media: MediaType) -> str:
    boundary = media.parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise BadBody("the multipart boundary is missing or not 1 to 70 legal characters")
    return boundary
