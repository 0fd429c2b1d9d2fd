"""Good input to begin with, and words that mean something to each reader."""

import json

from gateway.identity import base64url
from tests.unit.identity.tokens import token
from tests.unit.parse.pictures import (
    IDAT,
    IEND,
    SOS,
    chunk,
    encoded,
    ihdr,
    jpeg,
    noisy,
    png,
    riff,
    segment,
    sof,
    vp8,
    vp8l,
    vp8x,
)
from tests.unit.parse.wire import STYLES, File

_NAMES = (b"steps", b"width", b"height", b"prompt", b"Steps", b"steps[]", b"_charset_", "ｓｔｅｐｓ".encode())
_VALUES = (b"30", b"512", b"030", b"+30", b"1e3", b"true", b"null", b"NaN", b"-1", b"30.0", b"\x00", b"\xff")

JSONS = (
    b'{"prompt":"a fox","steps":30,"width":512}',
    b'{"steps":"30","height":null,"x":[1,{"y":"\\u0073"}],"seed":-1}',
    json.dumps({"prompt": "café \u2028 \U0001f98a", "width": 640, "height": 640}).encode(),
    b" { } ",
)
JSON_WORDS = (
    *(b'"' + name + b'":' for name in _NAMES),
    *(b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\\u0073teps", b"\\ud800", b"\\u0000", b"\xef\xbb\xbf", b"//"),
    *((*_VALUES, b"1e400", b"Infinity", b"0x1e", b'"steps":150,', b" ", b"\n")),
)

FORMS = (
    b"prompt=a+fox&steps=30&width=512",
    b"steps=30&prompt=50%25+off%3B+steps%3D9&height=&seed=-1",
    b"prompt=caf%C3%A9&width=640&_charset_=utf-8",
)
FORM_WORDS = (
    *(name + b"=" for name in _NAMES),
    *(b"&", b";", b"=", b"%", b"+", b"%00", b"%73", b"%2573", b"%26", b"%3D", b"%3B", b"%EF%BB%BF", b"&steps=150"),
    *(b"[0]", b"%5B%5D", b".", b" ", b"\r\n", *_VALUES),
)


def _part(name: str, value: bytes, more: str = "") -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"


PARTS = (
    _part("prompt", b"a fox") + _part("steps", b"30") + b"--x--\r\n",
    _part("steps", b"30", "\r\nContent-Type: text/plain; charset=utf-8") + _part("width", b"512") + b"--x--",
    _part("a", b"\x89PNG", '; filename="a.png"\r\nContent-Type: image/png') + _part("height", b"640") + b"--x--\r\n",
    _part("seed", b"1", "\r\nContent-Length: 1\r\nContent-Transfer-Encoding: binary") + b"--x--\r\n\r\n",
)
PART_WORDS = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"--x", b"--x\r\n", b"--x--", b"\r\n--x\r\n", b'"', b"\\", b";", b" ", b"\t"),
    *(
        b'; name="steps"',
        b"; name*=utf-8''steps",
        b"; name=steps",
        b'; filename="a"',
        b'; filename=""',
        b"; filename*=",
    ),
    *(
        b"\r\nContent-Disposition: form-data; name=steps",
        b"\r\nContent-Transfer-Encoding: base64",
        b"\x00",
        b"=?utf-8?q?",
    ),
    *(b"\r\nContent-Length: 2", b"\r\n folded", b"\xc2\x85", b"\xe2\x80\xa8", b"\x0b", b"\x0c", b"\x1c", b"form-data"),
    *(b"\r\nContent-Type: multipart/mixed; boundary=y", b"\r\nContent-Encoding: gzip", b"30", b"steps", b"_charset_"),
)

_EXIF = segment(0xE1, b"Exif\x00\x00" + jpeg(sof(99, 99), SOS))
_SEVERAL = segment(0xE2, b"MPF\x00II*\x00")
IMAGES = (
    encoded("PNG", 16, 9),
    encoded("PNG", 16, 9, mode="P"),
    png(ihdr(16, 9), chunk(b"tEXt", b"a\x00b"), IDAT, IEND),
    noisy("JPEG", 16, 9),
    noisy("JPEG", 16, 9, progressive=True),
    jpeg(_EXIF, sof(16, 9), SOS),
    jpeg(_SEVERAL, sof(16, 9), SOS) + jpeg(sof(8, 4), SOS),
    encoded("WEBP", 16, 9),
    encoded("WEBP", 16, 9, lossless=True),
    encoded("WEBP", 16, 9, mode="RGBA", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00"),
    riff(vp8x(16, 9), vp8(16, 9)),
    riff(vp8l(16, 9)),
)
IMAGE_WORDS = (
    *(ihdr(64, 64), IDAT, IEND, chunk(b"acTL", bytes(8)), b"IHDR", b"IDAT", b"\x89PNG\r\n\x1a\n"),
    *(
        b"\xff\xd8",
        b"\xff\xd9",
        b"\xff",
        b"\xff\xff",
        b"\xff\x00",
        b"\xff\xdc\x00\x04\x00\x40",
        sof(64, 64),
        SOS,
        _SEVERAL,
    ),
    *(sof(64, 64, marker=0xC2), b"\xff\xd0", jpeg(sof(64, 64), SOS), b"RIFF", b"WEBP", b"ANIM", b"ANMF"),
    *(vp8(64, 64), vp8l(64, 64), vp8x(64, 64), vp8x(64, 64, flags=2), b"\x9d\x01\x2a", b"\x2f"),
)

_BROWSER = STYLES["browser"]
UPLOADS = tuple(
    _BROWSER.body({"steps": "30"}, File("init_image", "a", "image/png", image)).replace(
        _BROWSER.boundary.encode(), b"x"
    )
    for image in (encoded("PNG", 8, 8), noisy("JPEG", 8, 8), encoded("WEBP", 8, 8))
)

TOKENS = (
    token().encode(),
    token(claims={"jti": "a", "nbf": 1, "iat": 1.5, "scope": ["a", {"b": None}]}).encode(),
    token(header={"x5t": "AA"}, without=("typ", "kid")).encode(),
)
TOKEN_WORDS = (
    *(
        b".",
        b"=",
        b"-",
        b"_",
        b"+",
        b"/",
        b"A",
        b" ",
        b"eyJ",
        b"fQ",
        b"IiwiYWxnIjoibm9uZSI",
        b"bnVsbA",
        b"\x00",
        b"e30",
    ),
    *(b"eyJhbGciOiJub25lIn0.", b"eyJhbGciOiJIUzI1NiIsInppcCI6IkRFRiJ9.", b"Ik5hTiI", b"..", b"\xc3\xa9"),
)

CLAIMS = tuple(b"\n".join(base64url.decode(part) or b"" for part in text.decode().split(".")[:2]) for text in TOKENS)
CLAIM_WORDS = (
    *(
        b'"alg":"none",',
        b'"alg":"HS256",',
        b'"kid":',
        b'"typ":"at+jwt",',
        b'"zip":"DEF",',
        b'"jku":"http://x/",',
        b'"crit":[],',
    ),
    *(
        b'"exp":',
        b'"nbf":',
        b'"iat":',
        b'"iss":',
        b'"aud":[],',
        b"NaN",
        b"1e999",
        b"-1",
        b"true",
        b"null",
        b'"1"',
        b"\n",
    ),
    *(b"\\u0065xp", b"\\ud800", b"\\u0000", b"{", b"}", b"[", b"]", b'"', b",", b":", b"\xef\xbb\xbf", b"\xff"),
)

CREDENTIALS = (
    b"X-Dezgo-Key: abc.def.ghi\n",
    b"Authorization: Bearer abc.def.ghi\nX-Dezgo-Key: abc.def.ghi\na=b",
    b"X-RapidAPI-Key: abc.def.ghi\nX-RapidAPI-Host: h\nx=1&y=2",
)
CREDENTIAL_WORDS = (
    *(
        b"Authorization: ",
        b"Bearer ",
        b"bearer ",
        b"Basic ",
        b"X-Dezgo-Key: ",
        b"X-RapidAPI-Key: ",
        b"\n",
        b"\t",
        b",",
        b"  ",
    ),
    *(b"?", b"&", b";", b"access_token=", b"api%5Fkey=", b"KEY", b"token[", b"%74oken=", b"+key", b"abc.def.ghi"),
)

MEDIA_TYPES = (
    *(b"application/json", b"application/json; charset=utf-8", b"multipart/form-data; boundary=x"),
    *(b'multipart/form-data; boundary="a b"', b"application/x-www-form-urlencoded;charset=UTF-8"),
)
MEDIA_WORDS = (
    *(
        b";",
        b",",
        b"=",
        b'"',
        b"\\",
        b" ",
        b"\t",
        b"*",
        b"*0=",
        b"charset=utf-7",
        b"; boundary=y",
        b"; charset*=utf-8''utf-7",
    ),
    *(b"application/json", b"text/plain", b"\xa0", b"\x85", b"\x0b", b"\n", b"(comment)", b"Charset=", b"BOUNDARY="),
)

PART_HEADERS = (
    b'Content-Disposition: form-data; name="steps"',
    b'Content-Disposition: form-data; name="a"; filename="b.png"\r\nContent-Type: image/png',
    b"content-type: text/plain; charset=utf-8\r\ncontent-disposition: form-data; name=a; filename*=utf-8''b",
    b'Content-Disposition: form-data; name="a"\r\nContent-Length: 7\r\nContent-Transfer-Encoding: binary\r\nX-A: b',
)
