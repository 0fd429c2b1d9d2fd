"""Part headers: the few lines above each part of a multipart body, read so that no two readers can differ."""

import re
from dataclasses import dataclass

from gateway.errors import BadBody

HEADER_BYTES_MAX = 8_192

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - HTTP's word for a word, not a secret
# Fewer characters than HTTP allows: at others some readers stop without a word.
_LINE = re.compile(r"([A-Za-z0-9-]+):(.*)", re.ASCII)
# A tab is no blank to every reader.
_PARAMETER = re.compile(rf' *; *({_TOKEN})=(?:({_TOKEN})|"([^"]*)")', re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# What stands inside quotes is a parameter of its own to a reader who splits at semicolons first.
_HIDDEN_NAME = re.compile(r";\s*name\b", re.IGNORECASE)
# Some readers search the whole header for a name, wherever it stands.
_ANY_NAME = re.compile(r'name[ \t]*\*?[ \t]*=(?=[ \t]*"?([^";]*))', re.IGNORECASE)
_FURTHER_WORDS = re.compile(r"[\s,].*", re.DOTALL)
_SHADOWS_MAX = 8
_SHADOW_CHARS_MAX = 256
# Blanks behind a value belong to it for readers who cut only at the front.
_TRAILING = re.compile(r"[^ \t][ \t]+\Z")
# `=?utf-8?q?steps?=` is `steps` to readers made for mail.
_NAME_FORBIDDEN = re.compile(r"[\\;]|=\?")

_KNOWN = frozenset({"content-disposition", "content-type", "content-transfer-encoding", "content-length"})
_HARMLESS_ENCODINGS = frozenset({"binary", "7bit", "8bit"})


@dataclass(frozen=True, slots=True)
class PartHeader:
    """What a part says of itself.

    Attributes:
        name: of the field.
        filename: of `filename=`, None when there is none.
        starred: there is a `filename*=`.
        content_type: as written, None when there is none.
        shadows: further names that readers who merely search would find.
    """

    name: str
    filename: str | None
    starred: bool
    content_type: str | None
    shadows: tuple[str, ...] = ()


def read_part_header(block: bytes, content_bytes: int) -> PartHeader:
    """The header in `block`, the lines above a part whose content has `content_bytes` bytes.

    Raises:
        BadBody: not exactly one readable Content-Disposition; folded lines, lone CR or LF, control characters, no
            UTF-8; a transfer encoding, content encoding or nested message; a Content-Length that is not true; more than
            eight further names.
    """
    found = _lines(block)
    if "content-disposition" not in found:
        raise BadBody("a part has no Content-Disposition")
    if found.get("content-transfer-encoding", "binary").lower() not in _HARMLESS_ENCODINGS:
        raise BadBody("a part's transfer encoding must be binary, 7bit or 8bit")
    if found.get("content-length", str(content_bytes)) != str(content_bytes):
        raise BadBody("a part's Content-Length is not true")
    content_type = found.get("content-type")
    if content_type is not None and content_type.lower().startswith(("multipart/", "message/")):
        raise BadBody("a part must not be a message of its own")
    parameters = _disposition(found["content-disposition"])
    return PartHeader(
        parameters["name"],
        parameters.get("filename"),
        "filename*" in parameters,
        content_type,
        _shadows(found, parameters),
    )


def _shadows(found: dict[str, str], parameters: dict[str, str]) -> tuple[str, ...]:
    elsewhere = [value for name, value in found.items() if name != "content-disposition"]
    elsewhere += [value for name, value in parameters.items() if name != "name"]
    names = [name.strip() for text in elsewhere for name in _ANY_NAME.findall(text)]
    if len(names) > _SHADOWS_MAX:
        raise BadBody("a part's header holds too many names")
    # Longer ones are prose: no reader folds them into the short name of a parameter.
    short = [name for name in names if len(name) <= _SHADOW_CHARS_MAX]
    return (*short, *(_FURTHER_WORDS.sub("", name) for name in short))


def _lines(block: bytes) -> dict[str, str]:
    try:
        lines = block.decode().split("\r\n")
    except UnicodeDecodeError:
        raise BadBody("a part's header is not UTF-8") from None
    found: dict[str, str] = {}
    for line in lines:
        field = _LINE.fullmatch(line)
        # Some readers also end a line at Unicode's own line separators.
        if field is None or _CONTROL.search(line) or line.splitlines() != [line]:
            raise BadBody("a part's header is unreadable")
        if _TRAILING.search(field[2]):
            raise BadBody("a part's header has blanks at its end")
        name = field[1].lower()
        if name == "content-encoding" or (name in _KNOWN and name in found):
            raise BadBody("a part's header is coded or says something twice")
        found[name] = field[2].strip(" \t")
    return found


def _disposition(value: str) -> dict[str, str]:
    """The parameters of `form-data; name=…`, names in lower case. `name` is there."""
    kind, _, _ = value.partition(";")
    parameters: dict[str, str] = {}
    at = len(kind)
    while at < len(value):
        found = _PARAMETER.match(value, at)
        if found is None or found[1].lower() in parameters:
            raise BadBody("a Content-Disposition is unreadable or says something twice")
        parameters[found[1].lower()] = found[2] if found[2] is not None else found[3]
        at = found.end()
    if kind.strip(" \t").lower() != "form-data" or not _is_plain(parameters):
        raise BadBody("a Content-Disposition must be form-data with one plain name, which comes first")
    return parameters


def _is_plain(parameters: dict[str, str]) -> bool:
    """Whether readers who escape, split or search differently all find the same name and the same kinds of names."""
    first = next(iter(parameters), "")
    spellings = {key for key in parameters if key.startswith(("name", "filename"))}
    if first != "name" or not parameters["name"] or spellings - {"name", "filename", "filename*"}:
        return False
    if _NAME_FORBIDDEN.search(parameters["name"]):
        return False
    # A backslash before a quote ends the text for some readers and continues it for others.
    return not any(text.endswith("\\") or _HIDDEN_NAME.search(text) for text in parameters.values())
