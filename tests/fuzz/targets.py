"""What is fed with mutated input, and what must hold each time. Another target is one more row of `TARGETS`."""

import asyncio
import io
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from email.message import Message
from email.parser import BytesHeaderParser

from jwt.api_jws import PyJWS
from PIL import Image

from gateway.errors import (
    AmbiguousCredentials,
    BadBody,
    BadImage,
    BadParameter,
    DuplicateParameter,
    TokenInUrl,
    Unauthenticated,
    UnsupportedMediaType,
)
from gateway.identity import base64url
from gateway.identity.credentials import find_token
from gateway.identity.preparse import preparse
from gateway.parse.images import ImageRefused, image_size
from gateway.parse.mediatype import Encoding, read_encoding
from gateway.parse.partheader import read_part_header
from gateway.pricing.tariff import Method
from tests.fuzz import door, seeds
from tests.fuzz.messages import MESSAGE_WORDS, MESSAGES
from tests.fuzz.trying import Check, Target
from tests.unit.identity.tokens import raw_token
from tests.unit.parse import readers, servers
from tests.unit.parse.methods import FORM, JSON, PICTURE, PUBLISHED, STANDARD, read

MULTIPART = "multipart/form-data; boundary=x"
PIXELS_MAX = 4096 * 4096

# Priced by what the readers look for, and by nothing else.
PLAIN = Method("text2image", STANDARD, PUBLISHED, "test")

_MERGES = (*readers.MERGES, *servers.MERGES)
_BODY_ERRORS = (BadBody, BadParameter, DuplicateParameter, TokenInUrl)


def _opened(check: Check) -> Callable[[], AbstractContextManager[Check]]:
    return lambda: nullcontext(check)


# --- bodies -----------------------------------------------------------------------------------------------------


def _agreed(kind: str, body: bytes, found_by: Sequence[readers.Reader]) -> str:
    """A refusal of the house, or a job whose values every reader sees."""
    try:
        job = read(PLAIN, kind, body)
    except _BODY_ERRORS as refused:
        return f"{refused.reason} {getattr(refused, 'detail', '')}"
    seen: readers.Seen = {"steps": job.steps, "width": job.width, "height": job.height}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = readers.disagreements(PLAIN, body, found_by, seen, _MERGES)
    assert not found, found[0].split(": ")[0]
    return f"accepted {sum(value is not None for value in seen.values())}"


def _json(body: bytes) -> str:
    return _agreed(JSON, body, [readers.json_reader, *servers.JSON_READERS])


def _form(body: bytes) -> str:
    found_by = [readers.form_reader, readers.blank_dropping_form_reader, readers.semicolon_form_reader]
    return _agreed(FORM, body, [*found_by, *servers.FORM_READERS])


@contextmanager
def _multipart() -> Iterator[Check]:
    with asyncio.Runner() as runner:
        found_by = [readers.mail_reader, readers.searching_reader, readers.line_reader, readers.aiohttp_reader(runner)]
        yield lambda body: _agreed(MULTIPART, body, [*found_by, *servers.MULTIPART_READERS])


def _upload(body: bytes) -> str:
    """A whole upload of a priced image: a job with a size, or a refusal of the house."""
    try:
        job = read(PICTURE, MULTIPART, body)
    except (*_BODY_ERRORS, BadImage) as refused:
        return f"{refused.reason} {getattr(refused, 'detail', '')}"
    assert job.image is not None
    return "accepted"


# --- images -----------------------------------------------------------------------------------------------------


def _image(file: bytes) -> str:
    """A refusal with a reason, or the size that a real decoder reads, if it reads the file at all."""
    try:
        size = image_size(file, pixels_max=PIXELS_MAX)
    except ImageRefused as refused:
        return refused.reason
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            decoded = Image.open(io.BytesIO(file))
            sides, several = decoded.size, getattr(decoded, "is_animated", False)
    except Exception:  # noqa: BLE001 - a decoder that fails disagrees with nobody
        return "accepted, no decoder reads it"
    assert sides == (size.width, size.height), f"{size} is {sides} to a decoder"
    assert not several or decoded.format == "MPO", f"{decoded.format} is animated"
    return f"accepted {decoded.format}"


# --- tokens and header fields -----------------------------------------------------------------------------------


def _token(text: bytes) -> str:
    """One reading that another reader shares, and one spelling; or a refusal with a code."""
    try:
        read_strictly = preparse(text, require_typ=False)
    except Unauthenticated as refused:
        return refused.code
    other = PyJWS().decode_complete(text, options={"verify_signature": False})
    assert json.loads(other["payload"]) == read_strictly.claims
    assert (other["header"]["alg"], other["header"].get("kid")) == (read_strictly.algorithm, read_strictly.kid)
    parts = [base64url.encode(base64url.decode(part) or b"") for part in text.decode().split(".")]
    assert ".".join(parts).encode() == text
    return "accepted"


def _claims(text: bytes) -> str:
    """The first line is a token's header, the rest its claims: whatever they are, rightly encoded and signed."""
    header, _, claims = text.partition(b"\n")
    return _token(raw_token(header, claims).encode())


def _credentials(text: bytes) -> str:
    """The lines are header fields, the last one is the query."""
    *lines, query = text.decode("latin-1").split("\n")
    fields = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    try:
        found = find_token(fields, query)
    except (AmbiguousCredentials, TokenInUrl, Unauthenticated) as refused:
        return refused.reason + getattr(refused, "code", "")
    holders = [value for name, value in fields if name in ("x-dezgo-key", "x-rapidapi-key", "authorization") and value]
    assert holders
    assert all(value.rpartition(" ")[2] == found.token or value == found.token for value in holders)
    assert len(found.token) < 16 or found.token not in repr(found)
    return "accepted"


def _media_type(text: bytes) -> str:
    """A refusal, or the encoding and boundary that the standard library finds too."""
    said = text.decode("latin-1")
    try:
        encoding, boundary = read_encoding([said])
    except (BadBody, UnsupportedMediaType) as refused:
        return f"{refused.reason} {refused.detail}"
    other = Message()
    other["Content-Type"] = said
    assert other.get_content_type() == encoding.value
    if encoding is Encoding.MULTIPART:
        assert other.get_param("boundary") == boundary
    assert str(other.get_param("charset", "utf-8")).lower() in ("utf-8", "utf8")
    return f"accepted {encoding.name}"


def _part_header(block: bytes) -> str:
    """A refusal, or the one name that the standard library finds too."""
    try:
        header = read_part_header(block, 7)
    except BadBody as refused:
        return refused.detail
    other = BytesHeaderParser().parsebytes(block + b"\r\n\r\n")
    assert len(other.get_all("content-disposition", [])) == 1
    if header.name.isascii():
        names = [other.get_param("name", header="content-disposition")]
        names.append(servers.options(str(other["content-disposition"])).get("name"))
        assert {str(name).strip() for name in names} == {header.name.strip()}, "another name"
    return f"accepted {header.filename is not None}{header.starred}"


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("json", "every reader sees the priced values", seeds.JSONS, seeds.JSON_WORDS, _opened(_json)),
        Target("form", "every reader sees the priced values", seeds.FORMS, seeds.FORM_WORDS, _opened(_form)),
        Target("multipart", "every reader sees the priced values", seeds.PARTS, seeds.PART_WORDS, _multipart),
        Target("upload", "a size or a refusal", seeds.UPLOADS, seeds.PART_WORDS, _opened(_upload)),
        Target("image", "a decoder reads the same size", seeds.IMAGES, seeds.IMAGE_WORDS, _opened(_image)),
        Target("token", "one reading, one spelling", seeds.TOKENS, seeds.TOKEN_WORDS, _opened(_token)),
        Target("claims", "one reading, one spelling", seeds.CLAIMS, seeds.CLAIM_WORDS, _opened(_claims)),
        Target("credentials", "one token", seeds.CREDENTIALS, seeds.CREDENTIAL_WORDS, _opened(_credentials)),
        Target("mediatype", "one type", seeds.MEDIA_TYPES, seeds.MEDIA_WORDS, _opened(_media_type)),
        Target("partheader", "one name", seeds.PART_HEADERS, seeds.PART_WORDS, _opened(_part_header)),
        Target("door", "answers of ours, true books, no key", MESSAGES, MESSAGE_WORDS, door.opened, rounds=300),
    )
}
