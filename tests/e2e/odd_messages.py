"""Messages on the edge of HTTP, as tables: targets, framings, broken heads."""

from collections.abc import Callable

from tests.e2e.raw import chunks, message
from tests.e2e.refusals import MARK
from tests.e2e.world import World

GOOD = b'{"prompt":"a fox","steps":10}'

# A whole further request, hidden where a confused reader would find it.
HIDDEN = b"GET /info HTTP/1.1\r\nHost: hidden.test\r\n\r\n"

Made = Callable[[World], bytes]

# Spellings of the paid path, and of paths beside it, that are none of the gateway's own.
TARGETS = (
    "//text2image",
    "/text2image//",
    "/./text2image",
    "/info/../text2image",
    "/text2image/../account/tx/last",
    "/text2image/..",
    "/%74ext2image",
    "/text2image%2f",
    "/%2ftext2image",
    "/text2image%2F..%2Finfo",
    "/%2e%2e/text2image",
    "/text2image%00",
    "/text2image%20",
    "/text2image.",
    "/text2image;x",
    "/text2image;x=1",
    "/text2image#x",
    "/text2image\\",
    "/TEXT2IMAGE",
    "/Text2Image",
    "/text2image%252f",
    "/%c0%aftext2image",
    "/gateway/quote/../../text2image",
    "/_simulator/book",
    "//evil.test/text2image",
    "/http://evil.test/text2image",
)

# Targets that are no path of ours at all.
FOREIGN = (
    "http://gateway.test/text2image",
    "https://evil.test/text2image",
    "http://127.0.0.1:1/text2image",
    "http://user:pass@gateway.test/text2image",
    "*",
    "text2image",
)


def _said(*fields: str, **changes: str | int | None) -> Made:
    return lambda here: message(here, GOOD, *fields, **changes)  # type: ignore[arg-type]  # kept short on purpose


def _chunked(*fields: str, line: str = "POST /text2image HTTP/1.1", body: bytes = b"".join(chunks(GOOD, 5))) -> Made:
    return lambda here: message(here, body, *fields, line=line, length="")


def _with_host(host: str) -> Made:
    return lambda here: message(here, GOOD).replace(b"Host: gateway.test", b"Host: " + host.encode())


TE = "Transfer-Encoding: chunked"

# Framings that two readers could see differently; each is followed by a hidden request.
FRAMINGS: dict[str, Made] = {
    "length twice": _said(f"Content-Length: {len(GOOD)}"),
    "two lengths": _said("Content-Length: 5"),
    "a list of lengths": _said(length=f"{len(GOOD)}, {len(GOOD)}"),
    "plus": _said(length=f"+{len(GOOD)}"),
    "minus": _said(length="-1"),
    "hexadecimal": _said(length="0x1d"),
    "underscore": _said(length="2_9"),
    "a blank inside": _said(length="2 9"),
    "length and chunked": _said(TE),
    "chunked and length": lambda here: message(here, b"".join(chunks(GOOD, 5)), TE, length=3),
    "chunked twice": _chunked(TE, TE),
    "a comma before": _chunked("Transfer-Encoding: ,chunked"),
    "gzip before": _chunked("Transfer-Encoding: gzip, chunked"),
    "chunked in the middle": _chunked("Transfer-Encoding: chunked, identity"),
    "identity": _chunked("Transfer-Encoding: identity"),
    "nearly chunked": _chunked("Transfer-Encoding: xchunked"),
    "a vertical tab": _chunked("Transfer-Encoding:\x0bchunked"),
    "a blank before the colon": _chunked("Transfer-Encoding : chunked"),
    "folded": _chunked("Transfer-Encoding:\r\n chunked"),
    "chunked in HTTP/1.0": _chunked(TE, line="POST /text2image HTTP/1.0"),
    "no hexadecimal size": _chunked(TE, body=b"zz\r\n" + GOOD + b"\r\n0\r\n\r\n"),
    "no size at all": _chunked(TE, body=b"\r\n" + GOOD + b"\r\n0\r\n\r\n"),
    "a negative size": _chunked(TE, body=b"-5\r\n" + GOOD + b"\r\n0\r\n\r\n"),
    "a size of 2^72": _chunked(TE, body=b"ffffffffffffffffff\r\n" + GOOD),
    "a size too small": _chunked(TE, body=b"5\r\n" + GOOD + b"\r\n0\r\n\r\n"),
    "line feeds": _chunked(TE, body=b"1d\n" + GOOD + b"\n0\n\n"),
}

# Heads that no parser should take.
HEADS: dict[str, Made] = {
    "zeros": lambda _: b"\x00\xff\x16\x03" + MARK.encode(),
    "text": lambda _: MARK.encode(),
    "TLS": lambda _: bytes.fromhex("16030100c8010000c40303") + MARK.encode(),
    "PROXY line": lambda here: b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + message(here, GOOD),
    "HTTP/2 preface": lambda _: b"PRI * HTTP/2.0\r\n\r\nSM",
    "HTTP/2.0": _said(line="POST /text2image HTTP/2.0"),
    "HTTP/1.9": _said(line="POST /text2image HTTP/1.9"),
    "HTTP/0.9": lambda _: b"GET /info",
    "no version": _said(line="POST /text2image"),
    "lower case": _said(line="POST /text2image http/1.1"),
    "unknown verb": _said(line=f"{MARK} /text2image HTTP/1.1"),
    "no Host": lambda here: message(here, GOOD).replace(b"Host: gateway.test\r\n", b""),
    "two Hosts": _said(f"Host: {MARK}"),
    "no name": _said(f": {MARK}"),
    "a blank in a name": _said(f"X {MARK}: b"),
    "NUL in a value": _said(f"X-A: {MARK}\0b"),
    "CR in a value": _said(f"X-A: {MARK}\rX-B: b"),
    "LF in a value": _said(f"X-A: {MARK}\nX-B: b"),
    "DEL in a value": _said(f"X-A: {MARK}\x7f"),
    "folded": _said(f"X-A: b\r\n {MARK}"),
    "NUL in the path": _said(line=f"POST /text2image\0{MARK} HTTP/1.1"),
    "raw UTF-8 in the path": _said(line=f"POST /{MARK}é HTTP/1.1"),
    "a Host with a blank": _with_host(f"gateway.test {MARK}"),
    "a Host with a user": _with_host(f"{MARK}@gateway.test"),
    "a Host with a path": _with_host(f"gateway.test/{MARK}"),
    "a Host with an odd port": _with_host(f"gateway.test:80{MARK}"),
    "an empty Host": _with_host(""),
    "next line in a value": lambda here: message(here, GOOD, f"X-A: {MARK}\udc85"),
    "a hard blank in a value": lambda here: message(here, GOOD, f"X-A: {MARK}\udca0"),
    "UTF-8 in a value": _said(f"X-A: {MARK} für"),
    "WebSocket": _said("Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {MARK}"),
    "WebSocket among others": _said("Connection: upgrade", "Upgrade: h2c, WebSocket"),
}

# Heads that pass a bound.
LARGE_HEADS: dict[str, Made] = {
    "a long field": _said(f"X-A: {MARK * 600}"),
    "a long name": _said(f"{MARK * 600}: b"),
    "a long line": _said(line=f"POST /text2image?{MARK * 600} HTTP/1.1"),
    "70 fields": _said(*(f"X-{MARK}-{number}: b" for number in range(70))),
    "a long head of short fields": _said(*(f"X-{number}: {MARK * 20}" for number in range(50))),
    "no end": lambda _: b"POST /text2image HTTP/1.1\r\n" + b"a:\r\n" * 200_000,
    "one line without end": lambda _: b"POST /" + b"a" * 1_000_000,
}

# What stands behind the last chunk; each is followed by a hidden request.
TRAILERS = ("Authorization: Bearer a", "Host: evil.test", "Content-Length: 5", TE, "X-Gateway-Dry-Run: true", "X-A: b")
