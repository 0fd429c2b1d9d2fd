"""Urlencoded bodies. Names are decoded strictly; values stay encoded until they prove to be priced."""

import re
from collections.abc import Iterator
from urllib.parse import unquote_plus, unquote_to_bytes

from gateway.errors import BadBody
from gateway.parse.fields import FIELDS_MAX, Field, Fields, refuse_other_charset
from gateway.parse.names import NAME_CHARS_MAX

# Three escaped bytes, nine characters, is the longest way to write one of the longest legal name's characters.
_NAME_BYTES_MAX = NAME_CHARS_MAX * 9
_SEMICOLONS_MAX = 1_000

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_BLANKS = b" +\t\r\n\x00"
_OTHER_BODY = re.compile(rb"[ \t\r\n]*[{\[]")

_OTHER_ESCAPE = re.compile(rb"%(?!2[BbCcFf]|3[AaBbDd])")

# The escapes that base64 and the `data:` before it need.
_BASE64_ESCAPES = tuple(
    (escape, bytes([code])) for code in b"+/=:;," for escape in (b"%%%02X" % code, b"%%%02x" % code)
)


def read_form(body: bytes) -> Fields:
    """The fields of an urlencoded `body`, values still encoded.

    An English word that hides behind escapes stays as written: not every reader decodes names. The shadows are the
    names that a reader who also splits at `;` would see.

    Raises:
        BadBody: more than 128 fields or 1,000 semicolons; a NUL; a name that is too long, holds a raw control
            character, a broken escape or no UTF-8; a body that is really JSON or multipart.
    """
    if body.count(b"&") >= FIELDS_MAX or body.count(b";") >= _SEMICOLONS_MAX:
        raise BadBody("the form has too many fields")
    if b"\x00" in body or _OTHER_BODY.match(body):
        raise BadBody("the body is no form")
    pieces = [piece for piece in body.split(b"&") if piece]
    shadows = tuple(_shadows(pieces)) if b";" in body else ()
    return Fields([_field(piece) for piece in pieces], shadows)


def _field(piece: bytes) -> Field:
    raw, _, value = piece.partition(b"=")
    if len(raw) > _NAME_BYTES_MAX or _CONTROL.search(raw):
        raise BadBody("a field's name is too long or holds control characters")
    name = decoded(raw)
    if name is None:
        raise BadBody("a field's name is not percent-encoded UTF-8")
    refuse_other_charset(name, value)
    hidden = b"%" in raw and name.isascii() and name.isidentifier()
    return raw.decode() if hidden else name, value


def _shadows(pieces: list[bytes]) -> Iterator[str]:
    for piece in pieces:
        for raw in piece.split(b";")[1:]:
            name = raw.partition(b"=")[0].strip(_BLANKS)
            # Anything longer is prose: no reader folds it into the short name of a parameter.
            if len(name) <= _NAME_BYTES_MAX:
                yield unquote_plus(name.decode("utf-8", "replace"))


def decoded(raw: bytes) -> str | None:
    """The text behind percent-encoded `raw`; None for a broken escape or what is no UTF-8."""
    if b"%" in raw or b"+" in raw:
        if _BROKEN_ESCAPE.search(raw):
            return None
        raw = unquote_to_bytes(raw.replace(b"+", b" "))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def decoded_base64(raw: bytes) -> bytes:
    """Percent-encoded base64 `raw` with the escapes of base64 undone; whatever else was escaped stays, as no base64."""
    # A bare plus is a space here, and a bare semicolon may end the field: neither may come out as base64.
    if b"+" in raw or b";" in raw:
        return b" "
    if b"%" in raw and not _OTHER_ESCAPE.search(raw):
        for escape, character in _BASE64_ESCAPES:
            raw = raw.replace(escape, character)
    return raw
