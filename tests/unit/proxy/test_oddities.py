"""An upstream beside the rules: interim answers without end, fields after the body, bytes where no body belongs."""

import pytest

from tests.fake_upstream import OK, Turn, answer, fake_upstream
from tests.unit.proxy.bench import KEY, answered, call, joined, told, upstream

INTERIM = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"


async def test_interim_answers_are_passed_over_however_many() -> None:
    outcome = await answered(INTERIM * 5_000 + answer(200, "x-dezgo-job-amount-usd: 0.0019", body=b"picture"))
    assert outcome.reply is not None
    assert (outcome.ending, outcome.body, str(outcome.reply.reported)) == ("whole", b"picture", "19")


async def test_interim_answers_without_end_are_ended_by_the_deadline() -> None:
    async with (
        fake_upstream(Turn((INTERIM * 50_000,), then="stall")) as fake,
        upstream(fake.url, head_timeout_s=0.5) as door,
    ):
        assert (await told(door, call())).ending == "upstream_unanswered timeout"
    assert len(fake.received) == 1


async def test_a_fields_name_or_value_of_an_interim_answer_is_no_part_of_the_answer() -> None:
    early = f"HTTP/1.1 103 Early\r\nx-echo: {KEY}\r\nx-dezgo-job-amount-usd: 5\r\n\r\n".encode()
    outcome = await answered(early + answer(200, body=b"picture"))
    assert outcome.reply is not None
    assert (outcome.ending, outcome.reply.reported, outcome.reply.leaking) == ("whole", None, False)
    assert KEY not in repr(outcome)


async def test_fields_after_a_body_are_neither_read_nor_passed_on() -> None:
    trailers = f"x-echo: {KEY}\r\nx-dezgo-job-amount-usd: 5\r\nset-cookie: a=b\r\n\r\n".encode()
    raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\npicture\r\n0\r\n" + trailers
    outcome = await answered(raw)
    assert outcome.reply is not None
    assert (outcome.body, outcome.reply.reported) == (b"picture", None)
    assert {name for name, _ in outcome.reply.fields} == {"transfer-encoding"}
    assert KEY not in repr(outcome)


@pytest.mark.parametrize("status", [204, 304])
async def test_bytes_where_no_body_belongs_are_never_the_next_answer(status: int) -> None:
    smuggled = answer(200, body=b"not yours")
    async with joined(Turn((f"HTTP/1.1 {status} None\r\n\r\n".encode() + smuggled,)), OK) as (fake, door):
        first = await told(door, call())
        second = await told(door, call())
    assert first.body == b""
    assert (second.body, second.ending) == (b"picture", "whole")
    assert fake.connections == 2
