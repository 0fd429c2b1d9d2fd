"""More independent readers, each written the way one family of servers reads: what counts are its quirks."""

import re
from collections.abc import Iterable
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any
from urllib.parse import unquote, unquote_plus

from tests.unit.parse.readers import Pair, Seen

# Fields that bounded readers take.
BOUND = 128

_NUMBERS = ("steps", "width", "height")

# --- how values and names become what a program works with ------------------------------------------------------


def juggling(pairs: Iterable[Pair]) -> Seen:
    """Languages that make a number of anything: leading digits of a text, 1 of true, the whole part of a fraction."""
    return {name: _juggled(value) if name in _NUMBERS else value for name, value in pairs}


def _juggled(value: object) -> object:
    if value is None or value == "":
        return value
    if isinstance(value, bool | int | float):
        return int(value) if value == value and abs(value) != float("inf") else 0  # noqa: PLR0124 - NaN is not itself
    found = re.match(r"\s*([+-]?\d+)", value, re.ASCII) if isinstance(value, str) else None
    return int(found[1]) if found else 0


def underscoring(pairs: Iterable[Pair]) -> Seen:
    """Languages that make variables of names: blanks and dots become underscores, indexes make lists, NUL ends."""
    seen: Seen = {}
    for name, value in pairs:
        plain, bracket, _ = name.lstrip(" ").split("\x00")[0].partition("[")
        seen[re.sub(r"[ .]", "_", plain)] = [value] if bracket else value
    return seen


def camel_folding(pairs: Iterable[Pair]) -> Seen:
    """Binders that fill the fields of an object: case, underscores and dashes do not count."""
    return {re.sub(r"[_-]", "", name).lower(): value for name, value in pairs}


MERGES = (juggling, underscoring, camel_folding)

# --- JSON -------------------------------------------------------------------------------------------------------

_BLANK = re.compile(r"[ \t\r\n]*")
_TEXT = re.compile(r'"((?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"', re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}


def scanning_json_reader(body: bytes) -> list[Pair] | None:
    """A scanner after the grammar of RFC 8259, which keeps every member and stops where the object ends."""
    try:
        value, _ = _value(body.decode("utf-8-sig"), 0)
    except (ValueError, IndexError, RecursionError):
        return None
    return value if isinstance(value, list) and all(isinstance(member, tuple) for member in value) else None


def _value(text: str, at: int) -> tuple[Any, int]:
    at = _skip(text, at)
    if text[at] == '"':
        return _text(text, at)
    if text[at] in "{[":
        return _container(text, at)
    for word, meaning in _WORDS.items():
        if text.startswith(word, at):
            return meaning, at + len(word)
    found = _NUMBER.match(text, at)
    if found is None:
        raise ValueError
    return (float(found[0]) if found[1] or found[2] else int(found[0])), found.end()


def _container(text: str, at: int) -> tuple[list[Any], int]:
    ends, is_object, members = "}]"[text[at] == "["], text[at] == "{", []
    at = _skip(text, at + 1)
    while text[at] != ends:
        if is_object:
            name, at = _text(text, _skip(text, at))
            at = _expect(text, at, ":")
        value, at = _value(text, at)
        members.append((name, value) if is_object else value)
        at = _skip(text, at)
        if text[at] != ends:
            at = _skip(text, _expect(text, at, ","))
    return members, at + 1


def _text(text: str, at: int) -> tuple[str, int]:
    found = _TEXT.match(text, at)
    if found is None:
        raise ValueError
    return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", _unescaped, found[1]), found.end()


def _unescaped(found: re.Match[str]) -> str:
    said = found[1]
    return chr(int(said[1:], 16)) if said[0] == "u" else _ESCAPES.get(said, said)


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _expect(text: str, at: int, sign: str) -> int:
    at = _skip(text, at)
    if text[at] != sign:
        raise ValueError
    return at + 1


# --- forms ------------------------------------------------------------------------------------------------------


def blank_tolerant_form_reader(body: bytes) -> list[Pair] | None:
    """Splits at both separators and the blanks behind them, and takes a name without a value for one with none."""
    pairs: list[Pair] = []
    for piece in re.split(r"[&;] *", body.decode("utf-8", "replace")):
        name, equals, value = piece.partition("=")
        pairs.append((unquote_plus(name), unquote_plus(value) if equals else None))
    return pairs


def plus_keeping_form_reader(body: bytes) -> list[Pair] | None:
    """Takes a plus for a plus: decodes as paths are decoded."""
    pieces = (piece.partition("=") for piece in body.decode("utf-8", "replace").split("&"))
    return [(unquote(name), unquote(value)) for name, _, value in pieces]


def bounded_form_reader(body: bytes) -> list[Pair] | None:
    """Stops after a number of fields without a word, and leaves names as they are written."""
    pieces = (piece.partition("=") for piece in body.decode("utf-8", "replace").split("&") if piece)
    pairs: list[Pair] = [(name, unquote_plus(value)) for name, _, value in pieces]
    return pairs[:BOUND]


# --- multipart --------------------------------------------------------------------------------------------------


def _headers(block: bytes) -> Message:
    return BytesHeaderParser().parsebytes(block + b"\r\n\r\n")


def options(value: str) -> dict[str, str]:
    """Parameters split at semicolons outside quotes, a backslash escaping the next character; the last one counts."""
    found: dict[str, str] = {}
    for quoted in re.findall(r';\s*([^=;"\s]+)\s*=\s*("(?:[^"\\]|\\.)*"?|[^;]*)', value, re.DOTALL):
        name, text = quoted
        if text.startswith('"'):
            text = re.sub(r"\\(.)", r"\1", text[1:].removesuffix('"'), flags=re.DOTALL)
        found[name.lower()] = text.strip()
    return found


def _pieces(body: bytes, mark: bytes) -> list[bytes]:
    """What stands between the delimiters that `mark` matches."""
    return re.split(mark, b"\r\n" + body, flags=re.DOTALL)[1:]


def trusting_length_reader(body: bytes) -> list[Pair] | None:
    """Old standard readers: any line end before a delimiter, and a part is as long as its Content-Length says."""
    pairs: list[Pair] = []
    for piece in _pieces(body, rb"(?:\r\n|\n)--x(?=--|\r?\n)"):
        head, gap, content = piece.lstrip(b"\r\n").partition(b"\r\n\r\n")
        if piece.startswith(b"--") or not gap:
            continue
        headers = _headers(head)
        length = headers.get("Content-Length", "")
        content = content[: int(length)] if length.isdecimal() and length.isascii() else content
        name = options(str(headers.get("Content-Disposition", ""))).get("name")
        if name is not None:
            pairs.append((name, content.decode("utf-8", "replace")))
    return pairs


def padded_delimiter_reader(body: bytes) -> list[Pair] | None:
    """Newer readers: blanks behind a delimiter, any line end, RFC 5987 names, which win."""
    pairs: list[Pair] = []
    for piece in _pieces(body, rb"(?:\r\n|\n|\r)--x(?=--|[^\S\r\n]*(?:\r\n|\n|\r))"):
        found = re.search(rb"(\r\n\r\n|\n\n|\r\r)", piece)
        if piece.startswith(b"--") or found is None:
            continue
        said = options(str(_headers(piece[: found.start()].strip()).get("Content-Disposition", "")))
        name = said.get("name")
        if "name*" in said:
            name = unquote(said["name*"].rpartition("'")[2])
        if name is not None:
            pairs.append((name, piece[found.end() :].decode("utf-8", "replace")))
    return pairs


def file_dropping_reader(body: bytes) -> list[Pair] | None:
    """Readers of uploads: what has a file name or says that it is octets is a file, and no field at all."""
    pairs: list[Pair] = []
    for piece in _pieces(body, rb"\r\n--x"):
        head, gap, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = _headers(head)
        said = options(str(headers.get("Content-Disposition", "")))
        is_file = {"filename", "filename*"} & said.keys() or headers.get_content_type() == "application/octet-stream"
        if gap and "name" in said and not is_file:
            pairs.append((said["name"], content.decode("utf-8", "replace")))
    return pairs


def giving_up_reader(body: bytes) -> list[Pair] | None:
    """Knows blanks but no tabs and few signs in a header's name; at anything else it keeps what it has read so far."""
    pairs: list[Pair] = []
    for piece in _pieces(body, rb"\r\n--x")[:BOUND]:
        head, gap, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = [line.partition(b":") for line in head.split(b"\r\n")]
        if not gap or not all(re.fullmatch(rb"[A-Za-z0-9-]+", name) for name, _, _ in lines):
            break
        for name, _, value in lines:
            found = re.search(rb'; *name=("[^"]*"|[^ ;]+)', value, re.IGNORECASE)
            if name.lower() == b"content-disposition" and found:
                pairs.append((found[1].strip(b'"').decode("utf-8", "replace"), content.decode("utf-8", "replace")))
    return pairs


JSON_READERS = (scanning_json_reader,)
FORM_READERS = (blank_tolerant_form_reader, plus_keeping_form_reader, bounded_form_reader)
MULTIPART_READERS = (trusting_length_reader, padded_delimiter_reader, file_dropping_reader, giving_up_reader)
