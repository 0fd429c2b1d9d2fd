"""Wire: what is refused before the parser sees it, however the bytes arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadHttp, GatewayError, HeadTooLarge
from gateway.web.wire import FIELDS_MAX, HEAD_BYTES_MAX, LINE_BYTES_MAX, SIZE_BYTES_MAX, Watch

PLAIN = b"GET /info HTTP/1.1\r\nHost: a\r\n\r\n"
LONG = b"POST /a HTTP/1.1\r\nContent-Length: 11\r\n\r\nhello world"
CHUNKED = (
    b"POST /a HTTP/1.1\r\ntransfer-encoding:  Chunked \r\n\r\n5;a=b\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
)
WHOLE = PLAIN + LONG + b"\r\n" + CHUNKED + PLAIN
OPEN = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"


def fed(watch: Watch, data: bytes, cuts: list[int]) -> int:
    """Feed `data` cut at `cuts`; how many bytes passed."""
    passed, last = 0, 0
    for cut in [*sorted(cuts), len(data)]:
        passed += watch.passed(data[last:cut])
        last = cut
        if watch.fault is not None:
            break
    return passed


@given(st.lists(st.integers(0, len(WHOLE)), max_size=40))
def test_sound_messages_pass_whole_however_they_are_cut(cuts: list[int]) -> None:
    watch = Watch()
    assert fed(watch, WHOLE, cuts) == len(WHOLE)
    assert watch.fault is None


@given(st.lists(st.integers(0, len(WHOLE + OPEN) + 9), max_size=40))
def test_a_field_after_a_body_is_refused_and_no_byte_of_it_passes(cuts: list[int]) -> None:
    watch = Watch()
    passed = fed(watch, WHOLE + OPEN + b"X-A: b\r\n\r\n" + PLAIN, cuts)
    assert isinstance(watch.fault, BadHttp)
    assert passed == len(WHOLE + OPEN)


def test_an_end_torn_in_two_is_no_trailer_and_a_lone_return_is_refused() -> None:
    watch = Watch()
    assert (watch.passed(OPEN + b"\r"), watch.passed(b"\n" + PLAIN), watch.fault) == (
        len(OPEN) + 1,
        len(PLAIN) + 1,
        None,
    )
    watch = Watch()
    watch.passed(OPEN + b"\rX")
    assert isinstance(watch.fault, BadHttp)


def head(*fields: str, line: str = "GET / HTTP/1.1") -> bytes:
    return "\r\n".join([line, *fields, "", ""]).encode()


FILLED = [f"{number:02d}: {'a' * 994}" for number in range(16)]  # sixteen lines of 1,000 bytes with their ends


@pytest.mark.parametrize(
    ("wire", "fault"),
    [
        (head(*["a: b"] * FIELDS_MAX), None),
        (head(*["a: b"] * (FIELDS_MAX + 1)), HeadTooLarge),
        (head("a: " + "b" * (LINE_BYTES_MAX - 3)), None),
        (head("a: " + "b" * (LINE_BYTES_MAX - 2)), HeadTooLarge),
        (head(line="GET /" + "a" * LINE_BYTES_MAX), HeadTooLarge),
        (head(*FILLED, "z: " + "a" * (HEAD_BYTES_MAX - 16_000 - 16 - 2 - 3 - 2)), None),
        (head(*FILLED, "z: " + "a" * (HEAD_BYTES_MAX - 16_000 - 16 - 2 - 3 - 1)), HeadTooLarge),
        (b"G" * (HEAD_BYTES_MAX + 1), HeadTooLarge),
        (CHUNKED.replace(b"a=b", b"a" * SIZE_BYTES_MAX), BadHttp),
        (OPEN.replace(b"0\r\n", b"0" * (SIZE_BYTES_MAX + 1)), BadHttp),
    ],
)
def test_bounds_hold_to_the_byte_at_once_and_byte_by_byte(wire: bytes, fault: type[GatewayError] | None) -> None:
    for cuts in ([], list(range(len(wire)))):
        watch = Watch()
        fed(watch, wire, cuts)
        assert type(watch.fault) is (fault or type(None))


@pytest.mark.parametrize(
    "line", ["POST /", "POST /\nX: HTTP/1.1", "POST / HTTP/0.9", "POST / HTTP/2.0", "POST / HTTP/1.1 "]
)
def test_a_first_line_that_is_not_of_a_version_spoken_here_ends_the_connection(line: str) -> None:
    """The parser takes these, and would answer in the version it thinks it read."""
    watch = Watch()
    passed = fed(watch, PLAIN + head("Host: a", line=line) + PLAIN, [len(PLAIN)])
    assert isinstance(watch.fault, BadHttp)
    assert passed == len(PLAIN)


@pytest.mark.parametrize(
    "wire",
    [
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_the_parser_refuses_anyway_is_left_to_it(wire: bytes) -> None:
    watch = Watch()
    behind = wire + b"\0" * 100_000
    assert watch.passed(behind) == len(behind)
    assert watch.fault is None


@given(st.lists(st.binary(max_size=200) | st.sampled_from([PLAIN, LONG, CHUNKED, OPEN]), max_size=12))
def test_no_bytes_are_ever_an_error_and_none_are_made(pieces: list[bytes]) -> None:
    watch = Watch()
    for piece in pieces:
        assert 0 <= watch.passed(piece) <= len(piece)
