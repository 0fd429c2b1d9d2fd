"""What is accepted has one meaning: every reader upstream sees the values that were priced (I11, PM01, PM02, PM11)."""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.pricing.job import Job
from tests.unit.parse import readers, servers
from tests.unit.parse.methods import FORM, JSON, TEXT, read

MULTIPART = "multipart/form-data; boundary=x"

PLAIN_NAMES = st.sampled_from(["steps", "width", "height", "prompt", "seed", "lora1_strength"])
ODD_NAMES = st.sampled_from(
    [
        *["Steps", " steps", "steps ", "steps[]", "steps[0]", "steps\x00", "steps.", "%73teps", "WIDTH", "w\u0131dth"],
        *["ｓｔｅｐｓ", "\ufeffsteps", "_steps", "filename", "name", "x;steps", "a&steps", "_charset_"],
    ]
)
PLAIN_VALUES = st.sampled_from(["30", "150", "1", "", "a cat"])
ODD_VALUES = st.sampled_from(
    [
        *[
            "30;steps=9",
            "x;steps=9",
            "x&steps=9",
            " 30",
            "030",
            "３０",
            "1e3",
            "+30",
            "30\r\n",
            "utf-8",
            "100%",
            "\x00",
        ],
        *["x\r\n--x\r\n", "x\n--x\n", "--x--", "999", "x; y", "steps=9"],
    ]
)
# Mostly plain, so that enough of what is built is accepted; now and then something odd.
NAMES = st.one_of(PLAIN_NAMES, PLAIN_NAMES, PLAIN_NAMES, PLAIN_NAMES, ODD_NAMES)
VALUES = st.one_of(PLAIN_VALUES, PLAIN_VALUES, PLAIN_VALUES, ODD_VALUES)


def _asked(job: Job) -> readers.Seen:
    """The priced values of `job` as texts; the methods here ask for no more."""
    return {"steps": job.steps, "width": job.width, "height": job.height}


def _holds(content_type: str, body: bytes, found_by: list[readers.Reader]) -> None:
    try:
        job = read(TEXT, content_type, body)
    except GatewayError as error:
        event(f"refused: {error.reason}")
        return
    event("accepted")
    merges = (*readers.MERGES, *servers.MERGES)
    assert readers.disagreements(TEXT, body, found_by, _asked(job), merges) == []


@settings(max_examples=300)
@given(
    st.lists(st.tuples(NAMES, VALUES | st.integers(-1, 999)), max_size=4),
    st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"]),
)
def test_json(members: list[tuple[str, object]], codec: str) -> None:
    text = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in members)
    _holds(JSON, f"{{{text}}}".encode(codec), [readers.json_reader, *servers.JSON_READERS])


PIECES = st.tuples(
    NAMES,
    st.sampled_from(["=", "=", "=", "=", "=", "", "%3D", ";="]),
    VALUES,
    st.sampled_from(["&", "&", "&", "&", "&", ";", "&amp;", "%26", "\r\n"]),
)


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=4), st.booleans())
def test_forms(pieces: list[tuple[str, str, str, str]], escaped: bool) -> None:
    body = "".join(map("".join, pieces)).encode()
    if escaped:
        body = body.replace(b" ", b"+").replace(b"\x00", b"%00").replace(b"\xef", b"%EF")
    found_by = [readers.form_reader, readers.blank_dropping_form_reader, readers.semicolon_form_reader]
    _holds(FORM, body, [*found_by, *servers.FORM_READERS])


# One part as it should be, and what may be wrong with each of its pieces.
PLAIN_PART = {
    "delimiter": "--x\r\n",
    "disposition": 'form-data; name="{}"',
    "more": "",
    "gap": "\r\n\r\n",
    "tail": "\r\n",
    "end": "--x--\r\n",
}
ODDITIES = {
    "delimiter": ["--x\n", "--x \r\n", "--xy\r\n", "\r\n--x\r\n", "--x--\r\n", "--x"],
    "disposition": [
        *["form-data; name={}", 'form-data; name="{}"; filename="f"', 'form-data; filename="f"; name="{}"'],
        *['form-data; name="a"; name="{}"', "form-data; name=\"a\"; name*=utf-8''{}", 'attachment; name="{}"'],
        *['form-data; name="a"; filename="\\"; name=\\"{}"', 'form-data; name="a"; filename="; name={}"'],
        *['form-data; name="a\\"; name=\\"{}"', 'form-data; Name="{}"', 'form-data; name="a"\nX: name="{}"'],
    ],
    "more": [
        *["\r\nContent-Type: text/plain", "\r\nContent-Transfer-Encoding: base64", "\r\nContent-Length: 2"],
        *['\r\nContent-Disposition: form-data; name="steps"', "\r\n folded", "\r\nX: \x85", "\nX: 1"],
        *["\r\nContent-Transfer-Encoding: binary", "\r\nContent-Type: text/plain; charset=utf-7"],
    ],
    "gap": ["\n\n", "\r\n", "\r\r"],
    "tail": ["\n", "\r", "", "\r\n\r\n"],
    "end": ["--x--", "--x", "--x--\r\n\r\n", "--x--\r\ntail", "--x--\n", ""],
}
PIECE = st.sampled_from(sorted(ODDITIES)).flatmap(
    lambda piece: st.sampled_from(ODDITIES[piece]).map(lambda odd: (piece, odd))
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=3),
    st.dictionaries(st.integers(0, 2), PIECE, max_size=2),
)
def test_multipart(fields: list[tuple[str, str]], oddities: dict[int, tuple[str, str]]) -> None:
    body, end = "", PLAIN_PART["end"]
    for at, (name, value) in enumerate(fields):
        part = PLAIN_PART | dict([oddities[at]] if at in oddities else [])
        body += f"{part['delimiter']}Content-Disposition: {part['disposition'].format(name)}{part['more']}"
        body += f"{part['gap']}{value}{part['tail']}"
        end = part["end"] if part["end"] != PLAIN_PART["end"] else end
    with asyncio.Runner() as runner:
        found_by = [readers.mail_reader, readers.searching_reader, readers.line_reader, readers.aiohttp_reader(runner)]
        _holds(MULTIPART, (body + end).encode(), [*found_by, *servers.MULTIPART_READERS])


PLAIN = {
    JSON: (b'{"prompt":"a cat","steps":30}', [readers.json_reader, *servers.JSON_READERS]),
    FORM: (
        b"prompt=a+cat&steps=30",
        [
            readers.form_reader,
            readers.blank_dropping_form_reader,
            readers.semicolon_form_reader,
            *servers.FORM_READERS,
        ],
    ),
    MULTIPART: (
        b'--x\r\nContent-Disposition: form-data; name="steps"\r\n\r\n30\r\n--x--\r\n',
        [readers.mail_reader, readers.searching_reader, readers.line_reader, *servers.MULTIPART_READERS],
    ),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_every_reader_reads_what_an_ordinary_client_sends(kind: str) -> None:
    """A reader that reads nothing agrees with everybody."""
    body, found_by = PLAIN[kind]
    for reader in found_by:
        assert dict(reader(body) or ())["steps"] in ("30", 30), reader
