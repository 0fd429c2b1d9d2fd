"""Independent readers: what servers of many kinds would find in the same bytes.

Each gives the texts of the priced names it sees, or None when it cannot read the body at all (it would answer 400).
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterable
from email import message_from_bytes, policy
from itertools import pairwise
from urllib.parse import parse_qsl, unquote

import aiohttp
from aiohttp.streams import StreamReader
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.pricing.tariff import Method

Pair = tuple[str, object]
Seen = dict[str, object]
Reader = Callable[[bytes], list[Pair] | None]
Merge = Callable[[Iterable[Pair]], Seen]


def last_wins(pairs: Iterable[Pair]) -> Seen:
    """A plain dictionary."""
    return dict(pairs)


def first_wins(pairs: Iterable[Pair]) -> Seen:
    """What takes the first of several values."""
    seen: Seen = {}
    for name, value in pairs:
        seen.setdefault(name, value)
    return seen


def largest(pairs: Iterable[Pair]) -> Seen:
    """What takes the largest of several values."""
    seen: Seen = {}
    for name, value in pairs:
        seen[name] = max(seen.get(name, ""), value, key=str)
    return seen


def ignoring_case(pairs: Iterable[Pair]) -> Seen:
    """What compares names without case."""
    return {name.lower(): value for name, value in pairs}


def trimming(pairs: Iterable[Pair]) -> Seen:
    """What trims names, drops indexes and ends them at NUL."""
    return {re.split(r"[\[\x00]", name.strip())[0].strip(" ._"): value for name, value in pairs}


def decoding_again(pairs: Iterable[Pair]) -> Seen:
    """What decodes names once more."""
    return {unquote(name): value for name, value in pairs}


MERGES: tuple[Merge, ...] = (last_wins, first_wins, largest, ignoring_case, trimming, decoding_again)


def json_reader(body: bytes) -> list[Pair] | None:
    """The standard library's reader, byte order marks and other widths of UTF included."""
    pairs: list[Pair] = []

    def keep(members: list[Pair]) -> Seen:
        pairs[:] = members
        return dict(members)

    try:
        return pairs if isinstance(json.loads(body, object_pairs_hook=keep), dict) else None
    except (ValueError, RecursionError):
        return None


def form_reader(body: bytes) -> list[Pair] | None:
    """The standard library's reader."""
    return list(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def blank_dropping_form_reader(body: bytes) -> list[Pair] | None:
    """The standard library's reader as it is by default."""
    return list(parse_qsl(body.decode("latin-1")))


def semicolon_form_reader(body: bytes) -> list[Pair] | None:
    """A reader that splits at semicolons too, as HTML 4 advised."""
    return list(parse_qsl(body.replace(b";", b"&").decode("utf-8", "replace"), keep_blank_values=True))


def mail_reader(body: bytes) -> list[Pair] | None:
    """The standard library's mail reader: any line end, RFC 2231, transfer encodings."""
    head = b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    message = message_from_bytes(head + body, policy=policy.compat32)
    if not message.is_multipart():
        return None
    pairs: list[Pair] = []
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(content, bytes) and isinstance(name, str | tuple):
            pairs.append((name if isinstance(name, str) else name[2], content.decode("utf-8", "replace")))
    return pairs


_NAME = re.compile(rb'name="?([^";\r\n]*)"?', re.IGNORECASE)


def searching_reader(body: bytes) -> list[Pair] | None:
    """A reader written in five lines: splits at the boundary wherever it stands, then searches for a name."""
    pairs: list[Pair] = []
    for piece in body.split(b"--x")[1:]:
        head, _, content = piece.partition(b"\r\n\r\n")
        found = _NAME.search(head)
        if found:
            pairs.append(
                (found[1].decode("utf-8", "replace"), content.removesuffix(b"\r\n").decode("utf-8", "replace"))
            )
    return pairs


def line_reader(body: bytes) -> list[Pair] | None:
    """A reader that takes any line end for one, boundaries with padding, and the last name of a header."""
    pairs: list[Pair] = []
    lines = re.split(rb"\r\n|\n|\r", body)
    marks = [at for at, line in enumerate(lines) if line.rstrip() in (b"--x", b"--x--")]
    for start, stop in pairwise(marks):
        piece = lines[start + 1 : stop]
        if b"" in piece:
            names = _NAME.findall(b"\n".join(piece[: piece.index(b"")]).replace(b"filename", b""))
            content = b"\n".join(piece[piece.index(b"") + 1 :])
            pairs += [(name.decode("utf-8", "replace"), content.decode("utf-8", "replace")) for name in names[-1:]]
    return pairs


async def _aiohttp_pairs(body: bytes) -> list[Pair]:
    loop = asyncio.get_running_loop()
    stream = StreamReader(_Protocol(), 2**16, loop=loop)
    stream.feed_data(body)
    stream.feed_eof()
    head = CIMultiDictProxy(CIMultiDict({"Content-Type": "multipart/form-data; boundary=x"}))
    pairs: list[Pair] = []
    reader = aiohttp.MultipartReader(head, stream)
    while isinstance(part := await reader.next(), aiohttp.BodyPartReader):
        pairs.append((part.name or "", bytes(await part.read(decode=True)).decode("utf-8", "replace")))
    return pairs


class _Protocol(aiohttp.base_protocol.BaseProtocol):
    """A connection that is already over."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())


def aiohttp_reader(runner: asyncio.Runner) -> Reader:
    """The reader of aiohttp's server."""

    def read(body: bytes) -> list[Pair] | None:
        try:
            return runner.run(_aiohttp_pairs(body))
        except (
            ValueError,
            RuntimeError,
            AssertionError,
            LookupError,
            aiohttp.ClientError,
            aiohttp.http.HttpProcessingError,
        ):
            return None

    return read


def disagreements(
    method: Method, body: bytes, readers: Iterable[Reader], priced: Seen, merges: Iterable[Merge] = MERGES
) -> list[str]:
    """Which readers see other priced values than `priced`, by name. Empty text and None both mean the default."""
    found: list[str] = []
    for reader in readers:
        pairs = reader(body)
        for merge in merges if pairs is not None else ():
            seen = merge(pairs or ())
            values = {name: _meaning(seen.get(name)) for name in method.parameters}
            if values != {name: _meaning(priced.get(name)) for name in method.parameters}:
                found.append(f"{getattr(reader, '__name__', reader)}/{getattr(merge, '__name__', merge)}: {values}")
    return found


def _meaning(value: object) -> str | None:
    return None if value is None or value == "" else str(value)
