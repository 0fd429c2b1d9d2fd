"""Model: which of the upstream's models a body names.

It changes no price, so nothing is ever refused for it: what is no plain name is no name. It is shown in log lines and
metrics, so the alphabet is a strict one.
"""

import re

from gateway.parse.fields import Fields, Number, Part, Value
from gateway.parse.formbody import decoded

MODEL = "model"
MODEL_CHARS_MAX = 64

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MODEL_CHARS_MAX - 1}}}", re.ASCII)


def model_in(fields: Fields) -> str | None:
    """The model named, once and in 1 to 64 of `[A-Za-z0-9._-]`; None for none, several, or anything else."""
    named = [value for name, value in fields.read if name == MODEL]
    said = _plain(named[0]) if len(named) == 1 else None
    return said if said is not None and _NAME.fullmatch(said) else None


def _plain(value: Value) -> str | None:
    if isinstance(value, str):
        # A number is no name.
        return None if isinstance(value, Number) else value
    if isinstance(value, bytes):
        return decoded(value) if len(value) <= MODEL_CHARS_MAX else None
    if isinstance(value, Part) and value.filename is None and len(value.content) <= MODEL_CHARS_MAX:
        return str(value.content, "ascii", "replace")
    return None
