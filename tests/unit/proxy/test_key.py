"""The master key: it is in one object, and comes out of it only towards the upstream."""

import asyncio
import base64
import copy
import pickle
import pprint
import traceback
from collections.abc import Callable
from types import TracebackType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.tracebacks import ExceptionDictTransformer

from gateway.errors import UpstreamError
from gateway.proxy.master_key import THOROUGH_BYTES, MasterKey
from tests.fake_upstream import OK, Turn, answer, fake_upstream
from tests.unit.proxy.bench import KEY, answered, call, joined, loop_turns, told, upstream

RAW = KEY.encode()
ODD = b"sk+/9=%\"'~<>sk+/9="
FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda key: key,
    "reversed": lambda key: key[::-1],
    "hex": lambda key: key.hex().encode(),
    "upper hex": lambda key: key.hex().upper().encode(),
    "base64": base64.b64encode,
    "base64 inside": lambda key: base64.b64encode(b"Key: " + key + b", tail"),
    "base64 url": lambda key: base64.urlsafe_b64encode(b"Key:" + key),
    "percent": lambda key: b"".join(b"%%%02x" % byte for byte in key),
}


# --- the object ---------------------------------------------------------------------------------------------


def test_it_prints_as_three_stars() -> None:
    key = MasterKey(KEY)
    assert {repr(key), str(key), f"{key}", f"{key!r:>3}", f"{key:.9}", "%s" % key, pprint.pformat(key)} == {"***"}  # noqa: UP031
    assert KEY not in repr([key, {"key": key}])


def test_it_has_no_attributes_to_look_into() -> None:
    key = MasterKey(KEY)
    with pytest.raises(TypeError):
        vars(key)
    public = [getattr(key, name) for name in dir(key) if not name.startswith("__")]
    assert KEY not in repr(public)


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_is_neither_pickled_nor_copied(take: object) -> None:
    assert callable(take)
    with pytest.raises(TypeError):
        take(MasterKey(KEY))


@pytest.mark.parametrize(
    "text", ["", "short", "x" * 15, "x" * 513, "sixteen and more ", "sixteen-and-more\n", "é" * 20]
)
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="the master key is not") as refused:
        MasterKey(text)
    assert len(text) < 6 or text not in str(refused.value)


# --- finding it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [RAW, ODD])
@pytest.mark.parametrize("form", FORMS)
def test_it_is_found_in_every_form(form: str, key: bytes) -> None:
    assert MasterKey(key.decode()).found_in(b"{" + FORMS[form](key) + b"}")


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_it_is_found_in_base64_at_any_offset(before: bytes, after: bytes) -> None:
    assert MasterKey(KEY).found_in(base64.b64encode(before + RAW + after))


@given(st.binary(max_size=300))
def test_it_is_not_found_where_it_is_not(piece: bytes) -> None:
    assert not MasterKey(KEY).found_in(piece)
    assert not MasterKey(KEY).found_in(RAW[:-1] + b"?" + RAW[1:])


@given(st.lists(st.binary(max_size=400), max_size=12), st.booleans())
def test_a_watched_body_passes_unchanged(pieces: list[bytes], thorough: bool) -> None:
    watch = MasterKey(KEY).watch(thorough=thorough)
    passed = [watch.passed(piece) for piece in pieces]
    assert None not in passed
    assert b"".join(piece or b"" for piece in passed) + watch.rest() == b"".join(pieces)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("step", [1, 7, 64, 10_000])
def test_a_watched_body_stops_before_the_first_byte_of_the_key(form: str, step: int) -> None:
    secret = FORMS[form](RAW)
    body = b"." * 500 + secret + b"." * 500
    watch, passed = MasterKey(KEY).watch(thorough=True), b""
    for at in range(0, len(body), step):
        piece = watch.passed(body[at : at + step])
        if piece is None:
            break
        passed += piece
    else:
        pytest.fail("not found")
    assert passed == body[: len(passed)]
    assert len(passed) <= 500 + 8  # a base64 neighbourhood is not the key
    assert watch.rest() == b""


def test_far_into_a_long_body_the_plain_key_is_still_found() -> None:
    watch = MasterKey(KEY).watch(thorough=True)
    for _ in range(THOROUGH_BYTES // 65_536 + 1):
        assert watch.passed(bytes(65_536)) is not None
    assert watch.passed(RAW.hex().encode()) is not None
    assert watch.passed(RAW[:40]) is not None
    assert watch.passed(RAW[40:]) is None


# --- an upstream that echoes it -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
async def test_a_key_in_a_field_is_seen_and_does_not_come_in(form: str) -> None:
    said = FORMS[form](RAW).decode()
    outcome = await answered(answer(200, f"x-debug: got {said}!", "x-dezgo-job-amount-usd: 0.0019"))
    assert outcome.reply is not None
    assert outcome.reply.leaking
    assert outcome.reply.field("x-debug") == "***"
    assert outcome.reply.reported
    assert said not in repr(outcome.reply)


async def test_a_key_as_a_fields_name_is_seen_and_does_not_come_in() -> None:
    outcome = await answered(answer(200, f"{KEY}: yes"))
    assert outcome.reply is not None
    assert outcome.reply.leaking
    assert KEY.lower() not in repr(outcome.reply).lower()


async def test_an_honest_answer_is_not_leaking() -> None:
    outcome = await answered(answer(200, f"x-debug: {KEY[:-1]}", body=RAW[:-1]))
    assert outcome.reply is not None
    assert not outcome.reply.leaking
    assert (outcome.body, outcome.ending) == (RAW[:-1], "whole")


@pytest.mark.parametrize(
    ("kind", "form", "seen"),
    [
        ("application/json", "plain", True),
        ("application/json", "base64 inside", True),
        ("text/html", "hex", True),
        ("image/png", "plain", True),
        ("video/mp4", "plain", True),
        ("image/png", "hex", False),
    ],
)
async def test_a_key_in_a_body_is_stopped(kind: str, form: str, seen: bool) -> None:
    said = FORMS[form](RAW)
    body = b'{"headers": "' + said + b'"}'
    outcome = await answered(answer(400, f"content-type: {kind}", body=body))
    assert outcome.ending == ("upstream_leak" if seen else "whole")
    assert (said in outcome.body) is not seen


async def test_a_body_that_leaked_gives_up_its_connection_and_never_looks_whole() -> None:
    async with joined(Turn((answer(400, body=RAW + b"x" * 999_999),)), OK) as (fake, door):
        reply = await door.forward(call())
        for _ in range(2):
            with pytest.raises(UpstreamError, match="upstream_leak"):
                await anext(reply.body)
        await told(door, call())
    assert fake.connections == 2


# --- errors and their tracebacks ------------------------------------------------------------------------------


def shown(error: BaseException) -> str:
    """Everything an eager logger would write of `error`, locals and chained exceptions included."""
    written = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    structured = ExceptionDictTransformer(show_locals=True, locals_max_string=10**6, locals_max_length=10**6)(
        (type(error), error, error.__traceback__)
    )
    return f"{error!r} {error!s} {error.args!r} {written} {structured!r}"


def modules(trace: TracebackType | None) -> set[str]:
    found = set()
    while trace is not None:
        found.add(str(trace.tb_frame.f_globals["__name__"]).partition(".")[0])
        trace = trace.tb_next
    return found


def assert_clean(error: BaseException) -> None:
    assert KEY not in shown(error)
    assert error.__cause__ is None
    assert error.__context__ is None
    assert modules(error.__traceback__) <= {"gateway", "tests"}


@pytest.mark.parametrize(
    "turn",
    [
        Turn(then="close"),
        Turn(then="reset"),
        Turn((b"garbage\r\n\r\n",)),
        Turn((answer(200, f"x-echo: {KEY}", body=b"body")[:-1],), then="close"),
        Turn((answer(400, f"x-echo: {KEY}", body=b"..." + RAW + b"..."),)),
        Turn((b"HTTP/1.1 200 OK\r\nx: \x01\r\n\r\n",)),
    ],
)
async def test_no_error_of_an_answer_shows_the_key(turn: Turn) -> None:
    async with joined(turn) as (_, door):
        error = (await told(door, call("GET"))).error
    assert error is not None
    assert_clean(error)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://127.0.0.1:9", "http://127.0.0.1:{port}"])
async def test_no_error_of_a_connection_or_a_deadline_shows_the_key(url: str) -> None:
    async with (
        fake_upstream(Turn(then="stall")) as fake,
        upstream(url.format(port=fake.port), head_timeout_s=0.05) as door,
    ):
        error = (await told(door, call())).error
    assert error is not None
    assert_clean(error)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"])
async def test_a_cancelled_call_does_not_show_the_key(said: bytes) -> None:
    async with joined(Turn((said,), then="stall")) as (fake, door):
        waiting = asyncio.ensure_future(told(door, call()))
        await fake.arrived.wait()
        await loop_turns()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await waiting
    assert KEY not in shown(cancelled.value)
    assert "aiohttp" not in modules(cancelled.value.__traceback__)


async def test_nothing_the_back_door_is_made_of_shows_the_key() -> None:
    async with fake_upstream() as fake, upstream(fake.url) as door:
        reply = await door.forward(call())
        assert KEY not in repr(door) + repr(vars(door)) + repr(reply) + repr(vars(reply.body))
        await reply.close()
