"""Request bodies to named parameters, in the upstream's lenient spirit: all three encodings.

An empty string, JSON null and absence all mean "the default", so such fields are simply left out.
Of a repeated field the last one counts.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from email import policy
from email.parser import BytesParser
from email.utils import collapse_rfc2231_value
from itertools import islice
from urllib.parse import parse_qsl

_WHOLE = re.compile(r"(-?[0-9]{1,15})(?:\.0+)?", re.ASCII)
_YES = frozenset({"true", "1", "yes", "on"})
_FIELDS_MAX = 200
_DATA_URI = re.compile(r"data:[^,]{0,100},")


class UnreadableError(Exception):
    """A body or a parameter makes no sense; `detail` says which, in the upstream's style."""

    def __init__(self, detail: str, *, title: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.title = title


@dataclass(slots=True)
class Params:
    """What a request asks for: texts, and the raw bytes of multipart parts."""

    texts: dict[str, str] = field(default_factory=dict)
    parts: dict[str, bytes] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The text of `name`; empty when not said."""
        return self.texts.get(name, "")

    def has(self, name: str) -> bool:
        """Whether `name` says anything, as text or as a file."""
        return bool(self.texts.get(name) or self.parts.get(name))

    def whole(self, name: str) -> int | None:
        """The whole number in `name`; None when not said. Raises `UnreadableError`."""
        text = self.text(name).strip()
        if not text:
            return None
        found = _WHOLE.fullmatch(text)
        if found is None:
            raise UnreadableError(f"'{name}' must be a whole number")
        return int(found[1])

    def flag(self, name: str) -> bool:
        """Whether the switch `name` is on."""
        return self.text(name).strip().lower() in _YES

    def binary(self, name: str) -> bytes:
        """The bytes of an uploaded file, or of base64 text (a data URI's prefix is dropped).

        Raises:
            UnreadableError: text that is no base64.
        """
        if name in self.parts:
            return self.parts[name]
        try:
            return base64.b64decode(_without_prefix(self.text(name)) + "==")
        except binascii.Error:
            raise UnreadableError(f"'{name}' is not base64") from None


def _without_prefix(text: str) -> str:
    prefix = _DATA_URI.match(text)
    return text[prefix.end() :] if prefix else text


def read_params(content_type: str, body: bytes) -> Params:
    """The parameters in `body`; none at all for a content type that carries none.

    Raises:
        UnreadableError: the body does not follow its content type.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return _read_json(body)
    if kind == "application/x-www-form-urlencoded":
        return _read_form(body)
    if kind == "multipart/form-data":
        return _read_multipart(content_type, body)
    return Params()


def _read_json(body: bytes) -> Params:
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableError("The request body is not valid JSON") from None
    if not isinstance(members, dict):
        raise UnreadableError("The request body must be a JSON object")
    texts = {name: _as_text(value) for name, value in members.items()}
    return Params(texts={name: text for name, text in texts.items() if text})


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    # Unknown parameters may be lists or objects; whether the upstream minds is not known.
    return json.dumps(value)


def _read_form(body: bytes) -> Params:
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), max_num_fields=_FIELDS_MAX)
    except ValueError:
        raise UnreadableError("The request body has too many fields") from None
    return Params(texts=dict(pairs))


def _read_multipart(content_type: str, body: bytes) -> Params:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=policy.compat32).parsebytes(head + body)
    if not message.is_multipart():
        raise UnreadableError("The multipart body has no parts")
    params = Params()
    for part in islice(message.walk(), 1, _FIELDS_MAX):
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if name is None or not isinstance(content, bytes):
            continue
        _put(params, collapse_rfc2231_value(name), content, is_file=part.get_filename() is not None)
    return params


def _put(params: Params, name: str, content: bytes, *, is_file: bool) -> None:
    if is_file:
        params.parts[name] = content
        return
    try:
        text = content.decode()
    except UnicodeDecodeError:
        params.parts[name] = content
        return
    if text:
        params.texts[name] = text
