"""Bodies that must be refused, as tables: what is wrong, what is sent, what is answered."""

import base64
import gzip
import json
from dataclasses import dataclass
from urllib.parse import quote

from tests.e2e.refusals import MARK
from tests.unit.parse.pictures import EOI, IDAT, IEND, SOS, encoded, ihdr, jpeg, noisy, png, riff, sof, vp8x

JSON, FORM, TEXT = "application/json", "application/x-www-form-urlencoded", "text/plain"
BOUNDARY = "-b0und"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"

NO_MEDIA, NO_BODY, NO_VALUE = "unsupported_media_type", "bad_body", "invalid_parameter"


@dataclass(frozen=True, slots=True)
class Bad:
    """One refused body: its name, type and bytes, the reason, what the detail says, and the rest of the request."""

    name: str
    kind: str | None
    body: bytes
    reason: str = NO_BODY
    says: str = ""
    status: int = 400
    path: str = "/text2image"
    fields: tuple[str, ...] = ()


def part(header: str, content: bytes = b"x") -> bytes:
    """One part with this header."""
    return f"--{BOUNDARY}\r\n{header}\r\n\r\n".encode() + content + b"\r\n"


def named(name: str, content: bytes = b"x", more: str = "") -> bytes:
    """One part as clients write it; `more` follows the name."""
    return part(f'Content-Disposition: form-data; name="{name}"{more}', content)


LAST = f"--{BOUNDARY}--\r\n".encode()
PROMPT = named("prompt", b"a fox")


def written(name: str, text: str) -> dict[str, tuple[str, bytes]]:
    """The field `name` with `text` in it, in all three encodings."""
    return {
        "json": (JSON, json.dumps({"prompt": "a fox", name: text}).encode()),
        "form": (FORM, f"prompt=a+fox&{quote(name)}={quote(text)}".encode()),
        "multipart": (MULTIPART, PROMPT + named(name, text.encode()) + LAST),
    }


# --- values that are no whole number from 1 on, whoever reads them ------------------------------------------------

NOT_WHOLE = (
    " 30", "+30", "-30", "0", "030", "1e3", "30.9", "30.0", "NaN", "Infinity", "0x1e", "true", "３０", "٣٠", "1_0",
    "30;", "10 20", "1000000", "2147483648", "9" * 4_000, "undefined", "null", f"30{MARK}", f"{MARK}",
)  # fmt: skip
NOT_WHOLE_IN_JSON = ("30.5", "1e2", "30.0", "-1", "0", "true", "[30]", "{}", '{"a":30}', "1e400", "1000000")

OTHER_VALUES: tuple[tuple[str, str, str], ...] = (
    ("/text2image", "upscale", "3"),
    ("/text2image", "upscale", f"2 {MARK}"),
    ("/text2image", "upscale", "yes"),
    ("/text2image_sdxl", "refiner", "maybe"),
    ("/text2image_sdxl", "transparent_background", f"on{MARK}"),
    ("/text2image_sdxl", "steps", "1001"),
    ("/text2image", "width", "8193"),
    ("/controlnet", "height", "1.5"),
)

# --- a priced name twice, or in disguise --------------------------------------------------------------------------

DISGUISES = (
    "steps",
    "Steps",
    "STEPS",
    "steps[]",
    "steps[0]",
    " steps",
    "ｓｔｅｐｓ",
    "st-eps",
    "%73teps",
    "steps\u200b",
)


def twice(name: str) -> dict[str, tuple[str, bytes]]:
    """`steps` and the field `name` beside it, in all three encodings."""
    return {
        "json": (JSON, f'{{"steps":10,{json.dumps(name, ensure_ascii=False)}:"{MARK}"}}'.encode()),
        "form": (FORM, f"steps=10&{quote(name)}={MARK}".encode()),
        "multipart": (MULTIPART, named("steps", b"10") + named(name, MARK.encode()) + LAST),
    }


# --- content types ------------------------------------------------------------------------------------------------

_OBJECT = b'{"prompt":"a fox","steps":10}'

TYPES = (
    Bad("none", None, _OBJECT, NO_MEDIA, "Content-Type", 415),
    Bad("text", TEXT, _OBJECT, NO_MEDIA, JSON, 415),
    Bad("octets", "application/octet-stream", _OBJECT, NO_MEDIA, JSON, 415),
    Bad("unknown", f"application/{MARK}", _OBJECT, NO_MEDIA, JSON, 415),
    # Refused by the parser already, which takes a second type for a broken message.
    Bad("doubled", JSON, _OBJECT, "bad_http", fields=(f"Content-Type: {FORM}",)),
    Bad("alike twice", JSON, _OBJECT, "bad_http", fields=(f"Content-Type: {JSON}",)),
    Bad("a list", f"{JSON}, {JSON}", _OBJECT, NO_MEDIA, JSON, 415),
    Bad("for this hop", JSON, _OBJECT, NO_MEDIA, "Content-Type", 415, fields=("Connection: content-type",)),
    Bad("utf-16", f"{JSON}; charset=utf-16", '{"steps":10}'.encode("utf-16"), NO_MEDIA, "utf-8", 415),
    Bad("utf-7", f"{FORM}; charset=utf-7", b"steps=10", NO_MEDIA, "utf-8", 415),
    Bad("starred charset", f"{JSON}; charset*=utf-8''utf-7", _OBJECT, NO_MEDIA, JSON, 415),
    Bad("two charsets", f"{JSON}; charset=utf-8; charset=utf-7", _OBJECT, NO_MEDIA, JSON, 415),
    Bad("no boundary", "multipart/form-data", PROMPT + LAST, says="boundary"),
    Bad("empty boundary", 'multipart/form-data; boundary=""', PROMPT + LAST, says="boundary"),
    Bad("71 characters", f"multipart/form-data; boundary={'b' * 71}", PROMPT + LAST, says="boundary"),
    Bad("another boundary", f"multipart/form-data; boundary={MARK}", PROMPT + LAST, says="boundary"),
    Bad("JSON as form", FORM, _OBJECT),
    Bad("form as JSON", JSON, b"prompt=a+fox&steps=10"),
    Bad("multipart as JSON", JSON, PROMPT + LAST),
    Bad("multipart as form", FORM, PROMPT + LAST),
    Bad("form as multipart", MULTIPART, b"prompt=a+fox&steps=10"),
    Bad("gzip", JSON, gzip.compress(_OBJECT), NO_MEDIA, "compressed", 415, fields=("Content-Encoding: gzip",)),
    Bad("a lie of gzip", JSON, _OBJECT, NO_MEDIA, "compressed", 415, fields=("Content-Encoding: gzip",)),
    Bad("an unknown coding", JSON, _OBJECT, NO_MEDIA, "compressed", 415, fields=(f"Content-Encoding: {MARK}",)),
    Bad(
        "a second coding",
        JSON,
        _OBJECT,
        NO_MEDIA,
        "compressed",
        415,
        fields=("Content-Encoding: identity", "Content-Encoding: br"),
    ),
    Bad("gzip in secret", JSON, gzip.compress(_OBJECT)),
)

# --- broken bodies ------------------------------------------------------------------------------------------------

_DEEP = b'{"a":' + b"[" * 20 + b"]" * 20 + b"}"

BROKEN = (
    Bad("no JSON at all", JSON, b""),
    Bad("half JSON", JSON, b'{"steps":'),
    Bad("JSON and more", JSON, _OBJECT + b" x"),
    Bad("two objects", JSON, _OBJECT + _OBJECT),
    Bad("byte order mark", JSON, b"\xef\xbb\xbf" + _OBJECT),
    Bad("JSON in UTF-16", JSON, '{"steps":10}'.encode("utf-16-le")),
    Bad("no UTF-8", JSON, b'{"prompt":"\xff\xfe"}'),
    Bad("a list", JSON, b'["steps",10]', says="object"),
    Bad("a text", JSON, f'"{MARK}"'.encode(), says="object"),
    Bad("NaN", JSON, b'{"steps":NaN}'),
    Bad("5,000 digits", JSON, b'{"steps":' + b"9" * 5_000 + b"}"),
    Bad("deep", JSON, _DEEP, says="nested"),
    Bad("very deep", JSON, b"[" * 100_000),
    Bad("comment", JSON, b'{"steps":10/*x*/}'),
    Bad("129 members", JSON, json.dumps({f"a{n}": n for n in range(129)}).encode(), says="members"),
    Bad("129 fields", FORM, b"&".join(b"a%d=1" % n for n in range(129)), says="fields"),
    Bad("NUL in a form", FORM, b"prompt=a\x00b"),
    Bad("a broken name", FORM, b"st%zzeps=10"),
    Bad("a name that is no UTF-8", FORM, b"%ff=10"),
    Bad("another _charset_", FORM, b"_charset_=utf-7&steps=10", says="_charset_"),
    Bad("a broken value", FORM, b"steps=%zz", NO_VALUE, "steps"),
    Bad("no parts", MULTIPART, LAST),
    Bad("nothing", MULTIPART, b""),
    Bad("no last boundary", MULTIPART, PROMPT, says="last multipart boundary"),
    Bad("line feeds", MULTIPART, (PROMPT + LAST).replace(b"\r\n", b"\n")),
    Bad("a preamble", MULTIPART, b"hello\r\n" + PROMPT + LAST, says="start"),
    Bad("an epilogue", MULTIPART, PROMPT + LAST + b"hello"),
    Bad("boundary inside", MULTIPART, named("prompt", f"x--{BOUNDARY}y".encode()) + LAST, says="delimits nothing"),
    Bad("no name", MULTIPART, part("Content-Disposition: form-data") + LAST, says="name"),
    Bad("empty name", MULTIPART, named("") + LAST, says="name"),
    Bad("no disposition", MULTIPART, part("X-A: b") + LAST, says="Content-Disposition"),
    Bad(
        "two dispositions",
        MULTIPART,
        part('Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="steps"') + LAST,
        says="twice",
    ),
    Bad("two names", MULTIPART, named("a", more='; name="steps"') + LAST, says="twice"),
    Bad("a starred name", MULTIPART, named("a", more="; name*=utf-8''steps") + LAST, says="plain name"),
    Bad("an attachment", MULTIPART, part('Content-Disposition: attachment; name="a"') + LAST, says="form-data"),
    Bad("a folded line", MULTIPART, part('Content-Disposition: form-data;\r\n name="a"') + LAST, says="header"),
    Bad(
        "base64 part", MULTIPART, named("steps", b"MTA=", "\r\nContent-Transfer-Encoding: base64") + LAST, says="coding"
    ),
    Bad("nested", MULTIPART, named("a", more="\r\nContent-Type: multipart/mixed; boundary=c") + LAST, says="message"),
    Bad("a lying length", MULTIPART, named("steps", b"10", "\r\nContent-Length: 3") + LAST, says="Content-Length"),
    Bad("129 parts", MULTIPART, named("a") * 129 + LAST, says="parts"),
    Bad("9 KiB of header", MULTIPART, named("a", more=f'; filename="{"x" * 9_000}"') + LAST, says="8 KiB"),
    Bad("steps as a file", MULTIPART, named("steps", b"10", '; filename="a"') + LAST, NO_VALUE, "steps"),
    Bad("steps as octets", MULTIPART, named("steps", b"10", f"\r\nContent-Type: a/{MARK}") + LAST, NO_VALUE, "steps"),
)

# --- images -------------------------------------------------------------------------------------------------------

GOOD = encoded("PNG", 64, 64)
BASE64 = base64.b64encode(GOOD).decode()
_UNSAFE = base64.b64encode(noisy("JPEG", 64, 64)).decode()

IMAGES: tuple[tuple[str, bytes, str], ...] = (
    ("empty", b"", "empty"),
    ("text", f"{MARK} is no image".encode(), "type"),
    ("GIF", encoded("GIF", 64, 64), "type"),
    ("BMP", encoded("BMP", 64, 64), "type"),
    ("SVG", b"<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>", "type"),
    ("half a PNG", GOOD[: len(GOOD) // 2], "truncated"),
    ("a PNG of 20 bytes", GOOD[:20], "truncated"),
    ("a JPEG without end", noisy("JPEG", 64, 64)[:-2], "truncated"),
    ("half a WebP", encoded("WEBP", 64, 64)[:40], ""),
    ("a PNG with a bad checksum", png(ihdr(64, 64, crc=1), IDAT, IEND), "crc"),
    ("a PNG with two headers", png(ihdr(64, 64), ihdr(8, 8), IDAT, IEND), ""),
    ("a PNG without area", png(ihdr(0, 64), IDAT, IEND), "dimensions"),
    ("a JPEG with two frames", jpeg(sof(64, 64), sof(8, 8), SOS), "two_sof"),
    ("a JPEG without height", jpeg(sof(64, 0), SOS), "dimensions"),
    ("a canvas without a frame", riff(vp8x(64, 64)), ""),
    ("65,500 × 65,500", png(ihdr(65_500, 65_500), IDAT, IEND), "area"),
    ("one pixel line too many", png(ihdr(8_192, 4_097), IDAT, IEND), "area"),
    ("1 MB after the end", GOOD + b"\0" * 2**20, "trailing"),
    ("a JPEG and nothing", b"\xff\xd8" + EOI, ""),
)

NOT_BASE64 = (
    BASE64[:-1],
    BASE64 + "=",
    BASE64[:40] + "\n" + BASE64[40:],
    BASE64 + " ",
    _UNSAFE.replace("+", "-").replace("/", "_"),
    f"http://127.0.0.1:1/{MARK}.png",
    "file:///etc/passwd",
    f"data:text/plain;base64,{BASE64}",
    f"data:image/png,{BASE64}",
    f"data:image/png;base64,data:image/png;base64,{BASE64}",
    f"{MARK}!",
    BASE64.rstrip("=")[:-1] + "/" + "=" * (len(BASE64) - len(BASE64.rstrip("="))),
)
