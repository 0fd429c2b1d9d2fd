"""Promises of repeats.py: what passed is noted as it passed, and what is told again is what was told."""

import hashlib
from collections.abc import AsyncIterator

import pytest

from gateway.errors import (
    ClientGone,
    GatewayError,
    UpstreamExhausted,
    UpstreamLeak,
    UpstreamUnanswered,
    UpstreamUnreachable,
)
from gateway.messages import Reply
from gateway.once import FREE, Facts, First, Once
from gateway.repeats import BODY_BYTES_MAX, Memo, told_again
from gateway.units import Credits, Flag

ONCE = Once("ab" * 32, "cd" * 32)
IMAGE, JSON = (("content-type", "image/png"),), (("content-type", "application/json; charset=utf-8"),)


async def pieces(*parts: bytes, error: GatewayError | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if error is not None:
        raise error


def reply(*parts: bytes, fields: tuple[tuple[str, str], ...] = JSON, status: int = 200, **said: GatewayError) -> Reply:
    return Reply(status, fields, pieces(*parts, **said))


async def noted(answer: Reply) -> Facts:
    """What is kept of an answer that was passed on to its end."""
    memo = Memo(ONCE)
    assert b"".join([piece async for piece in memo.watch(answer).body]) is not None
    return Facts.read(memo.ended())


async def test_a_picture_is_known_by_its_length_and_hash_and_is_not_kept() -> None:
    fields = (*IMAGE, ("x-input-seed", "7"), ("x-dezgo-job-id", "j1"), ("x-credits-remaining", "1"))
    assert await noted(reply(b"ima", b"ge", fields=fields)) == Facts(
        reason="ok",
        status=200,
        content_type="image/png",
        bytes=5,
        sha256=hashlib.sha256(b"image").hexdigest(),
        seed="7",
        job_id="j1",
    )


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON;charset=utf-8", "application/problem+json"])
@pytest.mark.parametrize("status", [200, 400, 503])
async def test_short_json_is_kept_to_the_byte_whatever_its_status(kind: str, status: int) -> None:
    fields = (("content-type", kind), ("x-input-seed", "7"))
    body = b'{ "a" :\t"\xc3\xa9"}\n'
    facts = await noted(reply(body[:9], body[9:], fields=fields, status=status))
    again = told_again(First("one", Credits.whole(19), Flag.CONFIRMED, facts))
    assert again is not None
    assert b"".join([piece async for piece in again.body]) == body
    assert (again.status, again.fields, again.body_bytes) == (status, fields, len(body))
    assert (again.replayed, again.reported) == (True, Credits.whole(19))


@pytest.mark.parametrize(
    ("body", "kept"),
    [(b"", True), (b"1" * BODY_BYTES_MAX, True), (b"1" * (BODY_BYTES_MAX + 1), False), (b'"\xff"', False)],
)
async def test_what_is_too_long_or_no_text_is_not_kept(body: bytes, kept: bool) -> None:
    facts = await noted(reply(body))
    assert (facts.body is not None) == kept
    assert (facts.bytes, facts.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert (told_again(First("one", None, Flag.UNCERTAIN, facts)) is not None) == kept


@pytest.mark.parametrize("kind", ["image/png", "text/html", "application/jsonx", "", "application/json\x00"])
async def test_what_is_not_json_is_not_kept(kind: str) -> None:
    assert (await noted(reply(b"{}", fields=(("content-type", kind),)))).body is None


async def test_of_a_cut_answer_no_hash_and_no_body_is_told() -> None:
    memo, error = Memo(ONCE), UpstreamUnanswered("cut")
    with pytest.raises(UpstreamUnanswered):
        _ = [piece async for piece in memo.watch(reply(b'{"a"', error=error)).body]
    facts = Facts.read(memo.ended_by(error, Credits.whole(19)))
    assert (facts.reason, facts.status, facts.bytes) == ("upstream_unanswered", 200, 4)
    assert (facts.sha256, facts.body) == (None, None)


@pytest.mark.parametrize(
    ("error", "charged", "kept"),
    [
        (UpstreamUnreachable(), 0, FREE),
        (UpstreamExhausted(402), 0, FREE),
        (UpstreamExhausted(402), 19, '{"reason":"upstream_exhausted"}'),
        (UpstreamUnanswered("timeout"), 19, '{"reason":"upstream_unanswered"}'),
        (UpstreamLeak(), 0, '{"reason":"upstream_leak"}'),
        (ClientGone(), 0, '{"reason":"client_gone"}'),
        (RuntimeError("a secret"), 19, '{"reason":"internal"}'),
        (KeyboardInterrupt(), 19, '{"reason":"cancelled"}'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_says_nothing_of_the_call_gives_the_key_back(error: BaseException, charged: int, kept: str) -> None:
    assert Memo(ONCE).ended_by(error, Credits.whole(charged)) == kept


async def test_without_a_key_nothing_is_noted() -> None:
    memo, answer = Memo(), reply(b"{}")
    assert memo.watch(answer) is answer
    assert (memo.ended(), memo.ended_by(UpstreamUnreachable(), Credits.ZERO)) == ("", "")
