"""Values: what a priced field must look like, kind by kind.

Empty text and JSON null mean "the default". An error names the field and what it must be, never the value.
"""

import re

from gateway.errors import BadParameter
from gateway.parse.fields import Number, Part, Value
from gateway.parse.formbody import decoded
from gateway.parse.mediatype import read_media_type

TEXT_BYTES_MAX = 4_096

Plain = str | bool | None

_WHOLE = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)

# `True` and `False` are what Python's form encoders make of a boolean.
_OFF: dict[Plain, bool] = dict.fromkeys((None, "", "false", "False", False), False)
_ON: dict[Plain, bool] = dict.fromkeys(("true", "True", True), True)
# A client that switches upscaling on with `true` is priced the dearer way.
_UPSCALE = _OFF | _ON | {"1": False, "2": True}
_OPTION = _OFF | _ON | {"0": False, "1": True}


def plain(name: str, value: Value) -> Plain:
    """The one plain value of the priced field `name`: text, a Number, a boolean or None.

    Raises:
        BadParameter: a list, an object, a file, or text that is coded, too long or no UTF-8.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, bytes):
        return _text_of_form(name, value)
    if isinstance(value, Part):
        return _text_of_part(name, value)
    raise BadParameter(name, "must be one plain value")


def whole(name: str, said: Plain, most: int) -> int | None:
    """A whole number from 1 to `most` in plain digits; None for the default. Raises BadParameter."""
    if said is None or said == "":
        return None
    if isinstance(said, bool) or not _WHOLE.fullmatch(said) or int(said) > most:
        raise BadParameter(name, f"must be a whole number from 1 to {most}")
    return int(said)


def upscaled(name: str, said: Plain) -> bool:
    """Whether `said` asks for upscaling. Raises BadParameter for anything but the known spellings."""
    if said not in _UPSCALE:
        raise BadParameter(name, "must be 1 or 2")
    return _UPSCALE[said]


def option(name: str, said: Plain) -> bool:
    """Whether `said` switches an option on. Raises BadParameter for anything but the known spellings."""
    if said not in _OPTION:
        raise BadParameter(name, "must be true or false")
    return _OPTION[said]


def lora(name: str, said: Plain) -> bool:
    """Whether `said` names a LoRA: any text does, even blank. Raises BadParameter for what is no text."""
    if isinstance(said, bool | Number):
        raise BadParameter(name, "must be text")
    return bool(said)


def _text_of_form(name: str, raw: bytes) -> str:
    # A bare semicolon ends the field for some readers.
    text = None if len(raw) > TEXT_BYTES_MAX or b";" in raw else decoded(raw)
    if text is None:
        raise BadParameter(name, "must be short percent-encoded UTF-8 text")
    return text


def _text_of_part(name: str, part: Part) -> str:
    if part.filename is not None or part.starred:
        raise BadParameter(name, "must be a plain form field, not a file")
    if part.shadowed:
        raise BadParameter(name, "must be a form field of one name")
    if len(part.content) > TEXT_BYTES_MAX:
        raise BadParameter(name, "must be short text")
    if part.content_type is not None:
        media = read_media_type(part.content_type)
        if media is None or media.name != "text/plain" or not media.is_utf8:
            raise BadParameter(name, "must be text/plain in utf-8")
    try:
        return str(part.content, "utf-8")
    except UnicodeDecodeError:
        raise BadParameter(name, "must be UTF-8 text") from None
