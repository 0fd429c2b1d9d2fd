"""A body ends in one way, and leaves nothing behind for the collector."""

import weakref

import pytest

from gateway.errors import UpstreamError, UpstreamLeak, UpstreamUnanswered
from gateway.proxy.body import Body
from gateway.proxy.master_key import MasterKey

KEY = "an-upstream-key-of-some-length"


def body_of(*turns: bytes | UpstreamError) -> Body:
    left = iter(turns)

    async def read() -> bytes | UpstreamError:
        return next(left)

    return Body(read=read, watch=MasterKey(KEY).watch(thorough=True), end=lambda: None)


async def read_to_its_end(body: Body) -> bytes:
    return b"".join([piece async for piece in body])


@pytest.mark.usefixtures("uncollected")
async def test_a_whole_body_is_gone_once_nobody_reads_it_without_a_collector() -> None:
    body = body_of(b"a fox", b" and a crow", b"")
    gone = weakref.ref(body)
    assert await read_to_its_end(body) == b"a fox and a crow"
    del body
    assert gone() is None


async def test_a_body_that_has_ended_stays_so() -> None:
    body = body_of(b"a fox", b"")
    assert await read_to_its_end(body) == b"a fox"
    assert await read_to_its_end(body) == b""


@pytest.mark.parametrize(
    ("last", "told"), [(UpstreamUnanswered("cut"), UpstreamUnanswered), (KEY.encode(), UpstreamLeak)]
)
async def test_a_body_that_was_not_passed_on_says_so_however_often_it_is_asked(
    last: bytes | UpstreamError, told: type[UpstreamError]
) -> None:
    body = body_of(b"a fox", last)
    for _ in range(2):
        with pytest.raises(told):
            await read_to_its_end(body)
