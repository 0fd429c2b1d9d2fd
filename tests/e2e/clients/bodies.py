"""Bodies as the libraries of several languages write them, byte by byte."""

import json
from collections.abc import Callable
from urllib.parse import quote_plus

from tests.e2e.clients.asking import Said
from tests.unit.parse.wire import STYLES, File

# Content-Type and body; the former is None where there is no body.
Written = tuple[str | None, bytes]
Writer = Callable[[Said], Written]

JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def nothing(_: Said) -> Written:
    """No body at all."""
    return None, b""


def json_as(kind: str = JSON) -> Writer:
    """What JSON.stringify makes: no blanks, letters as they are."""
    return lambda said: (kind, json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode())


def json_by_go(said: Said) -> Written:
    """What Go's encoder makes: the signs of HTML are escaped."""
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return JSON, text.encode()


def json_by_php(said: Said) -> Written:
    """What json_encode makes: slashes and every letter beyond ASCII are escaped."""
    return JSON, json.dumps(said, separators=(",", ":")).replace("/", "\\/").encode()


def form_by_browser(kind: str = FORM) -> Writer:
    """What URLSearchParams makes: a blank is a plus, a tilde is escaped, an asterisk is not."""

    def write(said: Said) -> Written:
        pairs = (f"{_escaped(name)}={_escaped(str(value))}" for name, value in said.items())
        return kind, "&".join(pairs).encode("ascii")

    return write


def _escaped(text: str) -> str:
    return quote_plus(text, safe="*").replace("~", "%7E")


def form_by_rfc3986(kind: str = FORM) -> Writer:
    """What .NET and Dart make: all but letters, digits and `-._~` is escaped, a blank is a plus."""
    return lambda said: (kind, "&".join(f"{quote_plus(n)}={quote_plus(str(v))}" for n, v in said.items()).encode())


def multipart_by(name: str) -> Writer:
    """What the library `name` makes, parts in the order they were said."""
    style = STYLES[name]

    def write(said: Said) -> Written:
        body = style.before
        for field, value in said.items():
            content = value.content if isinstance(value, File) else str(value).encode()
            header = style.file(value) if isinstance(value, File) else style.text(field, content)
            body += f"--{style.boundary}\r\n{header}\r\n\r\n".encode() + content + b"\r\n"
        return style.content_type, body + f"--{style.boundary}--".encode() + style.after

    return write


def accidental_text(_: Said) -> Written:
    """What becomes of a form object that the library does not know."""
    return "text/plain;charset=UTF-8", b"[object FormData]"
