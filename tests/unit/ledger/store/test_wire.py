"""One connection for all calls: whatever is lost, doubled or cut, no answer reaches a call it does not belong to."""

import asyncio
from collections.abc import Iterator

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import LedgerUnavailable
from gateway.ledger.store import wire as wire_module
from gateway.ledger.store.wire import Wire
from tests.unit.ledger.resp import Words, bulk, ran


class Pipe(asyncio.Transport):
    """A connection whose other end is the test."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def abort(self) -> None:
        self.aborted = True

    def words(self) -> list[Words]:
        """What was sent since the last time."""
        reader = hiredis.Reader(encoding="utf-8")
        reader.feed(self.sent)
        self.sent = b""
        found = []
        while (words := reader.gets()) is not False:
            found.append(tuple(words))
        return found


def connected(*, deadline_s: float = 20.0, replicas: int = 0) -> tuple[Wire, Pipe]:
    wire, pipe = Wire(deadline_s=deadline_s, replicas=replicas), Pipe()
    wire.connection_made(pipe)
    return wire, pipe


def script(wire: Wire, name: str, *, replicated: bool = False) -> "asyncio.Future[object]":
    return wire.script(("EVALSHA", name, 0), replicated=replicated)


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def said(words: Words) -> bytes:
    """The answer to one question: a script's own name, or the plain word that was asked."""
    return ran(words, words[1]) if words[0] == "EVALSHA" else bulk(words[1])


async def test_what_is_asked_in_one_turn_is_one_write_in_its_order() -> None:
    wire, pipe = connected()
    asked = [script(wire, "a"), wire.plain(("GET", "b")), script(wire, "c")]
    assert pipe.sent == b""
    await turn()
    words = pipe.words()
    assert [(word[0], word[1]) for word in words if word[0] != "ECHO"] == [
        ("EVALSHA", "a"),
        ("GET", "b"),
        ("EVALSHA", "c"),
    ]
    wire.data_received(b"".join(said(word) for word in words))
    assert [future.result() for future in asked] == [["a"], "b", ["c"]]


@given(st.data())
def test_whatever_answers_are_lost_or_come_twice_each_call_has_its_own_or_none(data: st.DataObject) -> None:
    async def check() -> None:
        wire, pipe = connected()
        kinds = data.draw(st.lists(st.booleans(), min_size=1, max_size=12), label="plain")
        asked = [
            (str(number), wire.plain(("GET", str(number))) if plain else script(wire, str(number)))
            for number, plain in enumerate(kinds)
        ]
        await turn()
        answers = [said(words) for words in pipe.words()]
        times = data.draw(st.lists(st.sampled_from([0, 1, 1, 1, 2]), min_size=len(answers), max_size=len(answers)))
        stream = b"".join(answer * count for answer, count in zip(answers, times, strict=True))
        for piece in _pieces(stream, data.draw(st.lists(st.integers(0, len(stream)), max_size=4))):
            wire.data_received(piece)
        for name, future in asked:
            if future.done() and future.exception() is None:
                assert future.result() in ([name], name)
        if all(count == 1 for count in times):
            assert all(future.done() and future.exception() is None for _, future in asked)
        wire.abort()
        assert all(future.done() for _, future in asked)

    asyncio.run(check())


def _pieces(stream: bytes, cuts: list[int]) -> Iterator[bytes]:
    last = 0
    for cut in sorted(cuts):
        yield stream[last:cut]
        last = cut
    yield stream[last:]


async def test_a_lost_answer_fails_its_own_call_as_soon_as_the_next_one_comes() -> None:
    wire, pipe = connected()
    lost, after = script(wire, "lost"), script(wire, "after")
    await turn()
    wire.data_received(said(pipe.words()[1]))
    error = lost.exception()
    assert isinstance(error, LedgerUnavailable)
    assert (error.code, error.sent) == ("connection", True)
    assert after.result() == ["after"]
    assert wire.open


async def test_an_answer_that_comes_twice_is_dropped() -> None:
    wire, pipe = connected()
    first, second = script(wire, "first"), script(wire, "second")
    await turn()
    one, two = (said(words) for words in pipe.words())
    wire.data_received(one + one + two)
    assert (first.result(), second.result()) == (["first"], ["second"])


@pytest.mark.parametrize("stray", [b"+OK\r\n", b":7\r\n", b"*1\r\n$1\r\nx\r\n", b"$-1\r\n"], ids=repr)
async def test_an_answer_that_fits_nobody_ends_the_connection(stray: bytes) -> None:
    wire, pipe = connected()
    asked = script(wire, "a")
    await turn()
    wire.data_received(stray)
    assert isinstance(asked.exception(), LedgerUnavailable)
    assert pipe.aborted
    assert not wire.open


async def test_an_answer_nobody_asked_for_ends_the_connection() -> None:
    wire, pipe = connected()
    wire.data_received(b":1\r\n")
    assert pipe.aborted


async def test_an_error_reaches_the_call_it_stands_for_and_no_other() -> None:
    wire, pipe = connected()
    failed, well = script(wire, "failed"), script(wire, "well")
    plain = wire.plain(("GET", "k"))
    await turn()
    words = pipe.words()
    wire.data_received(b"-NOSCRIPT x\r\n" + said(words[1]) + b"-LOADING x\r\n-LOADING x\r\n")
    assert str(failed.result()) == "NOSCRIPT x"
    assert well.result() == ["well"]
    assert str(plain.result()) == "LOADING x"
    assert wire.open


async def test_a_cancelled_call_keeps_its_place() -> None:
    wire, pipe = connected()
    gone, kept = script(wire, "gone"), script(wire, "kept")
    gone.cancel()
    await turn()
    wire.data_received(b"".join(said(words) for words in pipe.words()))
    assert kept.result() == ["kept"]


async def test_more_calls_than_the_bound_are_refused_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_module, "PENDING_MAX", 3)
    wire, pipe = connected()
    asked = [script(wire, str(number)) for number in range(3)]
    with pytest.raises(LedgerUnavailable) as refused:
        script(wire, "more")
    assert (refused.value.code, refused.value.sent) == ("busy", False)
    await turn()
    wire.data_received(b"".join(said(words) for words in pipe.words()))
    assert [future.result() for future in asked] == [["0"], ["1"], ["2"]]
    script(wire, "again").cancel()


async def test_a_lost_connection_fails_all_that_is_under_way_and_is_told_once() -> None:
    told: list[str] = []
    wire = Wire(deadline_s=20.0, lost=lambda: told.append("lost"))
    wire.connection_made(Pipe())
    asked = [script(wire, "a"), wire.plain(("GET", "b"))]
    wire.connection_lost(None)
    wire.abort()
    assert {type(future.exception()) for future in asked} == {LedgerUnavailable}
    assert told == ["lost"]
    with pytest.raises(LedgerUnavailable) as refused:
        script(wire, "c")
    assert not refused.value.sent
    assert wire.closed.is_set()


# --- replicas -------------------------------------------------------------------------------------------------


async def test_one_wait_stands_behind_all_that_is_replicated_in_one_write_and_they_are_answered_after_it() -> None:
    wire, pipe = connected(replicas=2)
    asked = [script(wire, "a", replicated=True), script(wire, "b", replicated=True)]
    free = script(wire, "free")
    await turn()
    words = pipe.words()
    assert [word[0] for word in words] == ["EVALSHA", "EVALSHA", "EVALSHA", "WAIT", "ECHO"]
    assert words[3][1] == "2"
    wire.data_received(b"".join(said(word) for word in words[:3]))
    assert [future.done() for future in (*asked, free)] == [False, False, True]
    wire.data_received(b":2\r\n" + bulk(words[4][1]))
    assert [future.result() for future in asked] == [["a"], ["b"]]


async def test_too_few_replicas_are_no_answer() -> None:
    wire, pipe = connected(replicas=2)
    asked = script(wire, "a", replicated=True)
    await turn()
    words = pipe.words()
    wire.data_received(said(words[0]) + b":1\r\n" + bulk(words[2][1]))
    error = asked.exception()
    assert isinstance(error, LedgerUnavailable)
    assert (error.code, error.sent) == ("replicas", True)


async def test_what_a_script_refused_waits_for_no_replica() -> None:
    wire, pipe = connected(replicas=1)
    asked = script(wire, "a", replicated=True)
    await turn()
    wire.data_received(ran(pipe.words()[0], "failed", "POISONED x"))
    assert str(asked.result()) == "POISONED x"


@pytest.mark.parametrize("lost", ["answer", "wait"])
async def test_a_lost_answer_before_the_wait_or_of_it_is_no_answer(lost: str) -> None:
    wire, pipe = connected(replicas=1)
    asked = script(wire, "a", replicated=True)
    await turn()
    words = pipe.words()
    stream = [said(words[0]), b":1\r\n", bulk(words[2][1])]
    del stream[0 if lost == "answer" else 1]
    wire.data_received(b"".join(stream))
    assert isinstance(asked.exception(), LedgerUnavailable)


async def test_without_replicas_nothing_waits() -> None:
    wire, pipe = connected()
    asked = script(wire, "a", replicated=True)
    await turn()
    words = pipe.words()
    assert [word[0] for word in words] == ["EVALSHA"]
    wire.data_received(said(words[0]))
    assert asked.result() == ["a"]


# --- a slot on its way ----------------------------------------------------------------------------------------


async def test_a_call_that_asks_announces_itself_and_the_answer_to_that_is_nobodys() -> None:
    wire, pipe = connected()
    asked = wire.script(("EVALSHA", "a", 0), asking=True)
    plain = wire.plain(("GET", "b"), asking=True)
    await turn()
    words = pipe.words()
    assert [word[0] for word in words] == ["ASKING", "EVALSHA", "ASKING", "GET", "ECHO"]
    wire.data_received(b"+OK\r\n" + said(words[1]) + b"+OK\r\n" + said(words[3]) + bulk(words[4][1]))
    assert (asked.result(), plain.result()) == (["a"], "b")
