"""Raw HTTP messages to begin with, the words that mean something in them, and how a message with marks is sent.

A kept case must work with the tokens of any later run, and a changed body must still be as long as its head says. So
marks stand in a message for what is only known when it is sent.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.e2e.odd_messages import HIDDEN, TRAILERS
from tests.e2e.raw import chunks
from tests.e2e.refusals import MARK
from tests.unit.parse.pictures import encoded
from tests.unit.parse.wire import STYLES, File

# In the place of tokens: of a tenant with plenty, and of one that can pay for six small pictures.
RICH, POOR = b"@RICH@", b"@POOR@"
# The length of what follows this head, up to the next message.
LENGTH = b"@LENGTH@"
# Between two messages on one connection.
NEXT = b"@NEXT@"
# Send what stands before it; and wait a little; and be gone, without reading anything.
CUT, WAIT, GONE = b"@CUT@", b"@WAIT@", b"@GONE@"

_STOPS = re.compile(b"(%b|%b|%b)" % (CUT, WAIT, GONE))
_STOPS_MAX = 16

GOOD = b'{"prompt":"a fox","steps":10}'
APP = b"https://app.example"


@dataclass(frozen=True, slots=True)
class Piece:
    """What is written at once, and which mark follows it: `CUT`, `WAIT`, `GONE`, or nothing."""

    content: bytes
    stop: bytes = b""


def pieces(marked: bytes, tokens: Mapping[bytes, bytes]) -> Iterator[Piece]:
    """The bytes of a message with marks, in the order they are sent; further stops beyond the first 16 are left out.

    Args:
        marked: the message.
        tokens: what takes the place of `RICH` and `POOR`.
    """
    whole = b"".join(_measured(message) for message in marked.split(NEXT))
    for mark, token in tokens.items():
        whole = whole.replace(mark, token)
    content, *rest = _STOPS.split(whole)
    for number, (stop, following) in enumerate(zip(rest[::2], rest[1::2], strict=True)):
        if number >= _STOPS_MAX:
            content += following
            continue
        yield Piece(content, stop)
        if stop == GONE:
            return
        content = following
    yield Piece(content)


def _measured(message: bytes) -> bytes:
    _, _, body = message.partition(b"\r\n\r\n")
    return message.replace(LENGTH, b"%d" % len(_STOPS.sub(b"", body)))


def _message(
    body: bytes = GOOD, *fields: bytes, line: bytes = b"POST /text2image HTTP/1.1", key: bytes = RICH
) -> bytes:
    said = fields or (b"Content-Type: application/json",)
    framed = () if any(field.startswith(b"Transfer-Encoding") for field in said) else (b"Content-Length: " + LENGTH,)
    return b"\r\n".join([line, b"Host: gateway.test", b"X-Dezgo-Key: " + key, *said, *framed, b"", b""]) + body


def _asked(path: bytes, *fields: bytes, verb: bytes = b"GET", key: bytes = RICH) -> bytes:
    head = [verb + b" " + path + b" HTTP/1.1", b"Host: gateway.test", b"X-Dezgo-Key: " + key, *fields]
    return b"\r\n".join([*head, b"", b""])


_JSON, _CHUNKED = b"Content-Type: application/json", b"Transfer-Encoding: chunked"
_UPLOAD = STYLES["browser"].body({"prompt": "a"}, File("init_image", "a", "image/png", encoded("PNG", 8, 8)))
_PREFLIGHT = (b"Origin: " + APP, b"Access-Control-Request-Method: POST", b"Access-Control-Request-Headers: x-dezgo-key")

MESSAGES = (
    _message(),
    _message(GOOD[:9] + CUT + GOOD[9:] + WAIT),
    _message(b"".join(chunks(GOOD, 7)), _JSON, _CHUNKED),
    _message(CUT.join(chunks(GOOD, 12)).replace(b"\r\n", b";a=b\r\n", 1) + WAIT, _JSON, _CHUNKED),
    _message(b"prompt=a+fox&steps=10", b"Content-Type: application/x-www-form-urlencoded"),
    _message(_UPLOAD, b"Content-Type: " + STYLES["browser"].content_type.encode(), line=b"POST /image2image HTTP/1.1"),
    _message(GOOD, _JSON, line=b"GET /text2image HTTP/1.1"),
    _message(GOOD, _JSON, line=b"POST /text2image HTTP/1.0"),
    _message(GOOD, _JSON, b"Connection: keep-alive, Host") + WAIT + NEXT + _message(GOOD, _JSON, b"Connection: close"),
    _message(WAIT + GOOD + WAIT, _JSON, b"Expect: 100-continue"),
    _message(key=POOR) + WAIT,
    _message(GOOD, _JSON, b"X-Gateway-Max-Credits: 5"),
    _message(GOOD, _JSON, b"X-Gateway-Dry-Run: true", b"Origin: " + APP),
    _message(GOOD, _JSON, b"Idempotency-Key: \"a\"") + NEXT + _message(GOOD, _JSON, b"Idempotency-Key: a") + WAIT,
    _message(GOOD, _JSON, line=b"POST /gateway/quote/text2image HTTP/1.1"),
    _message(GOOD, _JSON, b"X-RapidAPI-Key: " + RICH, b"X-RapidAPI-Host: dezgo.p.rapidapi.com"),
    _message(GOOD, _JSON, b"Authorization: Bearer " + RICH),
    _message() + GONE,
    _message() + WAIT + GONE,
    NEXT.join([_asked(b"/gateway/budget"), _message(), _asked(b"/info"), _message(), _asked(b"/info", key=b"")]) + WAIT,
    _asked(b"/account/tx/last") + WAIT,
    NEXT.join([_message(), _message(b"{"), HIDDEN]) + WAIT,
    NEXT.join([_asked(b"/gateway/openapi.json", b"Origin: " + APP), _asked(b"/unstable/job/abc-9")]) + WAIT,
    _asked(b"/text2image", *_PREFLIGHT, verb=b"OPTIONS"),
    _asked(b"/text2image", verb=b"HEAD") + WAIT,
    _asked(b"/nowhere?x=1", verb=b"DELETE"),
)  # fmt: skip

MESSAGE_WORDS = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b":", b": ", b" ", b"\t", b"\0", b"\x0b", b"\x7f", b"\x80", b"\xc3\xa9"),
    *(RICH, POOR, LENGTH, NEXT, CUT, CUT, WAIT, GONE, MARK.encode(), GOOD, HIDDEN),
    *(b"0\r\n\r\n", b"5\r\nhello\r\n", b"0\r\nX-A: b\r\n\r\n", b"fffffffffffffffff\r\n", b"-1\r\n", b"1;a=\"\r\n"),
    *(b"\r\n" + field.encode() for field in TRAILERS),
    *(b"\r\nContent-Length: " + text for text in (LENGTH, b"0", b"+5", b"5, 5", b"0x1d", b"99999999999999999999", b"")),
    *(b"\r\nTransfer-Encoding: " + text for text in (b"chunked", b"gzip, chunked", b"identity", b"chunked, chunked")),
    *(b"\r\nExpect: 100-continue", b"\r\nExpect: a", b"\r\nConnection: close", b"\r\nConnection: Content-Type"),
    *(b"\r\nConnection: upgrade\r\nUpgrade: h2c", b"\r\nUpgrade: websocket", b"\r\nContent-Encoding: gzip"),
    *(b"\r\nX-Gateway-Dry-Run: true", b"\r\nX-Gateway-Max-Credits: 5", b'\r\nIdempotency-Key: "a"', b"\r\n folded"),
    *(b"\r\nOrigin: " + APP, b"\r\nHost: a", b"\r\nX-Forwarded-For: 1.2.3.4", b"\r\nCookie: key=" + RICH),
    *(b"\r\nX-Dezgo-Key: " + RICH, b"\r\nX-RapidAPI-Key: " + POOR, b"\r\nAuthorization: Bearer " + RICH),
    *(b"\r\nContent-Type: application/json", b"multipart/form-data; boundary=x", b"application/x-www-form-urlencoded"),
    *(b"GET ", b"HEAD ", b"POST ", b"PUT ", b"CONNECT ", b"PRI * HTTP/2.0\r\n\r\nSM", b" HTTP/1.0", b" HTTP/1.1"),
    *(b"/text2image", b"/text2image_flux", b"/info", b"/gateway/quote/", b"/unstable/job/", b"?key=" + RICH, b"?a"),
    *(b"/..", b"//", b"%2f", b"http://a", b"*", b'"steps":150,', b'"width":1024,', b'"upscale":2,', b"{", b"}", b"\\"),
)  # fmt: skip
