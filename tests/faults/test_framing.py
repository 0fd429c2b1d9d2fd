"""Every message is found whole, however it is cut into chunks."""

import pytest

from tests.faults import framing
from tests.faults.framing import Framer

MESSAGES = (
    b"+PONG\r\n",
    b"-ERR no\r\n",
    b":12\r\n",
    b"$-1\r\n",
    b"$0\r\n\r\n",
    b"$4\r\na\r\nb\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"*3\r\n$4\r\nheld\r\n:1785000000000\r\n*2\r\n$1\r\n0\r\n$-1\r\n",
    b"*2\r\n*1\r\n*1\r\n*0\r\n+end\r\n",
    b"%1\r\n+key\r\n*1\r\n:1\r\n",
    b"*2\r\n$7\r\nEVALSHA\r\n$2\r\nab\r\n",
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_messages_are_cut_where_they_end(size: int) -> None:
    framer, stream = Framer(), b"".join(MESSAGES)
    found = [message for at in range(0, len(stream), size) for message in framer.feed(stream[at : at + size])]
    assert (tuple(found), framer.partial) == (MESSAGES, b"")


def test_what_is_not_whole_is_kept() -> None:
    framer = Framer()
    assert framer.feed(b":1\r\n*2\r\n:2\r\n") == [b":1\r\n"]
    assert framer.partial == b"*2\r\n:2\r\n"
    assert framer.feed(b":3\r\n") == [b"*2\r\n:2\r\n:3\r\n"]


@pytest.mark.parametrize("stream", [b"GET /\r\n", b"$x\r\n", b"*y\r\n"])
def test_what_is_no_message_is_refused(stream: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - int() has words of its own
        Framer().feed(stream)


def test_a_message_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "MESSAGE_BYTES_MAX", 100)
    framer = Framer()
    assert framer.feed(b"$1000\r\n" + b"x" * 90) == []
    with pytest.raises(ValueError, match="too long"):
        framer.feed(b"x" * 10)
