"""The account's balance, asked for: one readable number of USD or nothing, whatever comes back."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError, UpstreamLeak, UpstreamUnanswered, UpstreamUnreachable
from gateway.messages import Call, Reply
from gateway.proxy.balance import DOCUMENT_BYTES_MAX, balance_in, balance_told_by
from gateway.units import Credits
from tests.story.fakes import reply


@pytest.mark.parametrize(
    ("document", "balance"),
    [
        (b'{"balance": 9.43}', Credits.whole(94_300)),
        (b'{"_id": "a", "balance": 9.98E-2}', Credits.whole(998)),
        (b'{"balance": 0}', Credits.ZERO),
        (b'{"balance": 12}', Credits.whole(120_000)),
        (b'{"balance": 0.00000001}', Credits(1)),
        *(
            (b'{"balance": %s}' % value, None)
            for value in (b"-1", b"null", b"true", b'"9.43"', b"[]", b"1e99", b"NaN", b"Infinity", b"9" * 5000)
        ),
        (b"{}", None),
        (b"9.43", None),
        (b"", None),
        (b"\xff", None),
        (b"[" * 50_000, None),
    ],
)
def test_a_balance_is_one_number_of_usd(document: bytes, balance: Credits | None) -> None:
    assert balance_in(document) == balance


@given(st.binary(max_size=60))
def test_no_bytes_are_ever_an_error(document: bytes) -> None:
    assert balance_in(document) is None or document


@dataclass
class Told:
    """A back door that gives one answer."""

    answer: Reply | GatewayError
    calls: list[Call] = field(default_factory=list)
    closed: int = 0

    async def forward(self, call: Call) -> Reply:
        self.calls.append(call)
        if isinstance(self.answer, GatewayError):
            raise self.answer
        return replace(self.answer, close=self.close)

    async def close(self) -> None:
        self.closed += 1


async def test_the_question_is_the_free_one_and_its_connection_is_given_up() -> None:
    door = Told(reply(200, b'{"bal', b'ance": 0.0019}'))
    assert await balance_told_by(door) == Credits.whole(19)
    assert [(call.verb, call.path, call.body) for call in door.calls] == [("GET", "/account/tx/last", b"")]
    assert door.closed == 1


@pytest.mark.parametrize(
    "answer",
    [
        UpstreamUnreachable(),
        UpstreamUnanswered("timeout"),
        reply(500, b'{"balance": 1}'),
        reply(302, b'{"balance": 1}'),
        reply(200, b'{"balance": 1}', leaking=True),
        reply(200, b'{"balance": 1}', error=UpstreamUnanswered("cut")),
        reply(200, b'{"balance": 1}', error=UpstreamLeak()),
        reply(200, b" " * DOCUMENT_BYTES_MAX, b'{"balance": 1}'),
    ],
)
async def test_anything_but_a_whole_answer_tells_nothing(answer: Reply | GatewayError) -> None:
    door = Told(answer)
    assert await balance_told_by(door) is None
    assert door.closed == (0 if isinstance(answer, GatewayError) else 1)
