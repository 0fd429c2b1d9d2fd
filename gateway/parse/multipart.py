"""Multipart bodies: parts between delimiters that nobody can see differently.

The delimiter may stand nowhere but where it delimits. So readers who accept bare line feeds, who look only at the start
of a line, or who simply search all find the same parts.
"""

from gateway.errors import BadBody
from gateway.parse.buffer import Source, view_of
from gateway.parse.fields import FIELDS_MAX, Field, Fields, Part, refuse_other_charset
from gateway.parse.partheader import HEADER_BYTES_MAX, read_part_header

_CRLF = b"\r\n"
_END_OF_HEADER = b"\r\n\r\n"
# Some client libraries end a body with an empty line too many.
_EPILOGUES = frozenset({b"", b"\r\n", b"\r\n\r\n"})
_CHARSET_BYTES_MAX = 16


def read_multipart(body: Source, boundary: str) -> Fields:
    """The parts of a multipart `body`, as views into it.

    Its shadows are the names that a reader who merely searches the parts' headers would find too.

    Raises:
        BadBody: no parts or more than 128; text before the first or after the last delimiter; no last delimiter; a
            delimiter that is not alone on its line; a header above 8 KiB or unreadable (see `read_part_header`).
    """
    delimiter = b"--" + boundary.encode("ascii")
    view = view_of(body)
    at = 2 if body.startswith(_CRLF) else 0
    if not body.startswith(delimiter, at):
        raise BadBody("the body does not start with the multipart boundary")
    fields: list[Field] = []
    shadows: list[str] = []
    while body.startswith(_CRLF, at + len(delimiter)):
        start = at + len(delimiter) + 2
        at = body.find(delimiter, at + 1)
        if at < 0:
            raise BadBody("the last multipart boundary is missing")
        if at - 2 < start or not body.startswith(_CRLF, at - 2):
            raise BadBody("the multipart boundary stands where it delimits nothing")
        fields.append(_part(body, view, start, at - 2, shadows))
        if len(fields) > FIELDS_MAX:
            raise BadBody("the body has too many parts")
    _refuse_more(body, delimiter, at)
    if not fields:
        raise BadBody("the body has no parts")
    return Fields(fields, shadows)


def _refuse_more(body: Source, delimiter: bytes, at: int) -> None:
    """Raise BadBody unless the delimiter at `at` is the last one and nothing follows it."""
    last = at + len(delimiter)
    if not body.startswith(b"--", last) or body.find(delimiter, at + 1) >= 0:
        raise BadBody("the multipart boundary stands where it delimits nothing")
    if body[last + 2 : last + 7] not in _EPILOGUES:
        raise BadBody("something follows the last multipart boundary")


def _part(body: Source, view: memoryview, start: int, stop: int, shadows: list[str]) -> Field:
    end = body.find(_END_OF_HEADER, start, min(stop, start + HEADER_BYTES_MAX + len(_END_OF_HEADER)))
    if end < 0:
        raise BadBody("a part has no header, or one of more than 8 KiB")
    content = view[end + len(_END_OF_HEADER) : stop]
    header = read_part_header(body[start:end], len(content))
    shadows += header.shadows
    refuse_other_charset(header.name, bytes(content[:_CHARSET_BYTES_MAX]))
    return header.name, Part(content, header.filename, header.starred, header.content_type, bool(header.shadows))
