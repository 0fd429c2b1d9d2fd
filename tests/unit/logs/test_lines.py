"""Promises of logs.py and redaction.py: one ASCII object a line, and no secret in it, whatever is logged."""

import base64
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway.logs.lines import VALUE_CHARACTERS_MAX, LineWriter, Logs, configure_logging
from gateway.logs.redaction import Redaction
from gateway.units import Credits
from tests.unit.logs.test_canonical import RECEIPT

KEY = "DEZGO-" + "0123456789ABCDEF" * 4
SECRET = 'p%ss"word\\of~thé-store'
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


@pytest.fixture
def stream() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def logs(stream: io.BytesIO) -> Iterator[Logs]:
    started = configure_logging("info", stream, secrets=(SECRET,))
    yield started
    started.stop()


def written(logs: Logs, stream: io.BytesIO) -> list[dict[str, Any]]:
    logs.stop()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def line_of(event: dict[str, Any], *secrets: str) -> str:
    writer = LineWriter(Redaction(secrets))
    return writer.redact(None, "", writer.render(None, "", event))


def test_lines_are_written_in_order_with_time_and_level(logs: Logs, stream: io.BytesIO) -> None:
    logs.request(RECEIPT)
    logs.event("settle_given_up", hold_id="4f2a")
    structlog.get_logger().error("anywhere", amount=Credits(1_500))
    structlog.get_logger().debug("too fine")
    found = written(logs, stream)
    assert [(line["event"], line["level"]) for line in found] == [
        ("request", "info"),
        ("settle_given_up", "warning"),
        ("anywhere", "error"),
    ]
    assert list(found[0])[:3] == ["ts", "level", "event"]
    assert found[0]["ts"].endswith("Z")
    assert found[2]["amount"] == 1.5


# --- one line, whatever is in it ----------------------------------------------------------------------------

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=20)
    | st.text(st.characters(codec=None, categories=None), max_size=400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from (name, *texts(item))
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


@given(st.dictionaries(st.text(st.characters(codec=None, categories=None), max_size=300), ANYTHING, max_size=6))
def test_every_event_is_one_bounded_ascii_object(event: dict[str, Any]) -> None:
    line = line_of(event, SECRET)
    assert line.isascii()
    assert "\n" not in line
    found = json.loads(line, parse_constant=lambda _: pytest.fail("not JSON"))
    assert found["event"] != "unloggable_line"
    assert all(len(text) <= VALUE_CHARACTERS_MAX for text in texts(found))
    assert not any("\ud800" <= character <= "\udfff" for text in texts(found) for character in text)


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31m", '"', "\u2028", "\u202e", "a" * 10**6, "\ud800", "\x00", "\x7f"])
def test_nothing_a_client_can_write_ends_a_line(logs: Logs, stream: io.BytesIO, text: str) -> None:
    logs.request(replace(RECEIPT, user=text, model=text))
    logs.event("said", user=text, **{text: 1})
    assert len(written(logs, stream)) == 2
    assert stream.getvalue().isascii()


class _Awkward:
    """Breaks whatever looks at it."""

    def __repr__(self) -> str:
        raise RuntimeError(KEY)

    __str__ = __repr__


def test_of_unknown_things_only_the_class_is_shown() -> None:
    found = json.loads(line_of({"event": "e", "thing": _Awkward(), "bytes": b"raw", "deep": [[[[1]]]], "big": 2**70}))
    assert found["thing"] == "<_Awkward>"
    assert found["bytes"] == "<bytes>"
    assert found["deep"] == [[["<list>"]]]
    assert found["big"] == "<int>"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (2**63, "<int>"),
        (-(2**63), "<int>"),
        (float("inf"), "<float>"),
        ("x" * 4096, "x" * 256),
        ("x" * 4097, "<4097 characters>"),
        (list(range(100)), list(range(64))),
        ({"a": {"b": {"c": {"d": 1}}}}, {"a": {"b": {"c": "<dict>"}}}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_values_are_shown_within_bounds(value: object, shown: object) -> None:
    found = json.loads(line_of({"event": "e", "value": value}))["value"]
    assert (type(found), found) == (type(shown), shown)


def test_of_a_long_way_down_only_the_last_steps_are_shown() -> None:
    def fall(steps: int) -> None:
        if steps:
            fall(steps - 1)
        int("nowhere")

    with pytest.raises(ValueError, match="nowhere") as caught:
        fall(30)
    found = json.loads(line_of({"event": "e", "exc_info": caught.value}))
    assert len(found["frames"]) == 20
    assert found["frames"][-1].endswith(" fall")


def test_of_many_causes_only_the_first_few_are_shown() -> None:
    error: BaseException = ValueError()
    for _ in range(8):
        error, cause = KeyError(), error
        error.__cause__ = cause
    assert json.loads(line_of({"event": "e", "exc_info": error}))["exception"] == ["KeyError"] * 5


def test_what_cannot_be_logged_raises_nothing(logs: Logs, stream: io.BytesIO) -> None:
    looped: list[Any] = []
    looped.append(looped)
    awkward: Any = _Awkward()
    logs.request(replace(RECEIPT, charged=awkward))
    logs.event("looped", looped=looped, level=3, ts="mine")
    logs.event("long", items=["a" * 256] * 200, more=[["b" * 256] * 64] * 64)
    found = written(logs, stream)
    assert [line["event"] for line in found] == ["looped", "unloggable_line"]
    assert found[0]["ts"] != "mine"


# --- secrets ------------------------------------------------------------------------------------------------


def spellings(secret: str) -> dict[str, str]:
    plain = secret.encode()
    found = {
        "plain": secret,
        "reversed": secret[::-1],
        "hex": plain.hex(),
        "upper hex": plain.hex().upper(),
        "percent": quote(secret, safe=""),
        "every byte": "".join(f"%{byte:02x}" for byte in plain),
        "as JSON": json.dumps(secret)[1:-1],
    }
    for before in ("", "a", "ab"):
        found[f"base64 after {len(before)}"] = base64.b64encode(f"{before}{secret}:".encode()).decode()
        found[f"url base64 after {len(before)}"] = base64.urlsafe_b64encode(f"{before}{secret}".encode()).decode()
    return found


def unfindable(secret: str, line: str) -> bool:
    """Whether no eight characters of any spelling, save at its ends, stand in the line or in what it says."""
    said = "".join(texts(json.loads(line)))
    pieces = {form[at : at + 8] for form in spellings(secret).values() for at in range(4, len(form) - 12)}
    return bool(pieces) and not any(piece in line or piece in said for piece in pieces)


@pytest.mark.parametrize("secret", [SECRET, KEY, "0123456789abcdef"])
@pytest.mark.parametrize("spelling", list(spellings(SECRET)))
@pytest.mark.parametrize("before", ["", "said: ", "\n", "a" * (VALUE_CHARACTERS_MAX - 10)])
def test_a_secret_is_hidden_in_every_spelling_and_place(secret: str, spelling: str, before: str) -> None:
    said = before + spellings(secret)[spelling]
    for event in ({"event": said}, {"event": "e", said: 1}, {"event": "e", "list": [{"a": said}]}):
        assert unfindable(secret, line_of(event, secret))


@pytest.mark.parametrize("secret", [KEY, TOKEN, TOKEN.rsplit(".", 1)[0]])
def test_what_looks_like_a_key_or_a_token_is_hidden_untold(secret: str) -> None:
    for said in (secret, f"Bearer {secret}, and more", "x" * 250 + secret):
        found = json.loads(line_of({"event": said}))["event"]
        assert secret not in found
        assert secret[:16] not in found


def test_the_rest_of_a_line_stays_readable() -> None:
    found = json.loads(line_of({"event": f"Bearer {TOKEN}, and {KEY}.", "said": SECRET, "request_id": "4f2a"}, SECRET))
    assert (found["event"], found["said"], found["request_id"]) == ("Bearer ***, and ***.", "***", "4f2a")


def test_harmless_text_is_left_as_it_is() -> None:
    for said in ("eyJ.", "DEZGO-SHORT", "eyJust.", "a.b.c"):
        assert json.loads(line_of({"event": said}, SECRET))["event"] == said


def test_what_the_keys_owner_recognises_is_hidden_whole_and_a_failing_owner_hides_all() -> None:
    writer = LineWriter(Redaction((), lambda piece: b"mine" in piece))
    assert json.loads(writer.redact(None, "", writer.render(None, "", {"event": "mine"})))["event"] == "withheld_line"
    long = writer.redact(None, "", writer.render(None, "", {"event": "e", "said": "x" * 300 + "mine"}))
    assert json.loads(long)["said"] == "***"
    failing = LineWriter(Redaction((), lambda piece: bool(1 // len(piece[:0]))))
    assert json.loads(failing.redact(None, "", '{"event":"e"}'))["event"] == "withheld_line"


def test_a_line_that_redaction_would_break_is_withheld() -> None:
    assert json.loads(line_of({"event": "e"}, '":'))["event"] == "withheld_line"


def test_an_exception_is_its_classes_and_places_without_text_or_locals(logs: Logs, stream: io.BytesIO) -> None:
    def fail(password: str) -> None:
        try:
            dict[str, int]()[password]
        except KeyError as error:
            raise ValueError(f"bad {password}") from error

    try:
        fail("open sesame")
    except ValueError as error:
        logs.broken(error, request_id="4f2a")
        logging.getLogger("aiohttp.server").exception("Error handling request")
        structlog.get_logger().exception("here too")
    found = written(logs, stream)
    assert [line["exception"] for line in found] == [["ValueError", "KeyError"]] * 3
    assert all(frame.startswith("logs/test_lines.py:") for frame in found[0]["frames"])
    assert found[0]["frames"][-1].endswith(" fail")
    assert b"sesame" not in stream.getvalue()
    assert b"password" not in stream.getvalue()
