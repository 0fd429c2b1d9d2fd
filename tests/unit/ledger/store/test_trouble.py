"""A store in trouble: nothing is sent to one that does not answer, changes are told, and all comes back by itself."""

import asyncio

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger.store import Store
from tests.unit.ledger.resp import Answer, FakeStore, Words, always, fake_store, in_turn, never
from tests.unit.ledger.store.talking import answers, talking, until_it_answers


async def test_behind_a_call_that_is_overdue_nothing_more_is_sent() -> None:
    """Not sent is a definite no: nothing has to be voided for it."""
    async with talking(never, deadline_s=0.1) as (fake, store):
        with pytest.raises(LedgerUnavailable):
            await store.call("GET", "one")
        with pytest.raises(LedgerUnavailable) as refused:
            await store.call("GET", "two")
        assert (refused.value.code, refused.value.sent) == ("stalled", False)
        assert [words for words in fake.arrived if words[0] == "GET"] == [("GET", "one")]


async def test_a_store_that_answers_again_is_asked_again_on_the_same_connection() -> None:
    release = asyncio.Event()

    async def late(words: Words) -> bytes | None:
        await release.wait()
        return f"+{words[-1]}\r\n".encode()

    async with talking(late, deadline_s=0.1) as (fake, store):
        with pytest.raises(LedgerUnavailable):
            await store.call("GET", "one")
        release.set()
        await until_it_answers(store)
        assert fake.connections == 1


async def test_a_store_that_is_silent_for_long_is_connected_to_anew() -> None:
    def first_never(fake: FakeStore) -> Answer:
        async def answer(words: Words) -> bytes | None:
            if fake.connections == 1:
                await asyncio.Event().wait()
            return b"+OK\r\n"

        return answer

    async with talking(never, deadline_s=0.1) as (fake, store):
        fake.answer = first_never(fake)
        await until_it_answers(store)
        assert fake.connections == 2


async def test_who_asks_without_a_pause_does_not_keep_the_store_from_coming_back() -> None:
    release = asyncio.Event()

    async def late(words: Words) -> bytes | None:
        await release.wait()
        return f"+{words[-1]}\r\n".encode()

    async with talking(late, deadline_s=0.1) as (_, store):
        asyncio.get_running_loop().call_later(0.3, release.set)
        async with asyncio.timeout(5):
            while not await answers(store):
                pass


async def test_each_change_of_trouble_is_told_once() -> None:
    told: list[str | None] = []
    said = in_turn(b"+OK\r\n", b"-OOM x\r\n", b"-OOM x\r\n", b"-MISCONF x\r\n", b"+OK\r\n", b"+OK\r\n")
    async with fake_store(said) as fake:
        store = Store(fake.url, deadline_s=5, told=told.append)
        for _ in range(6):
            await answers(store)
        assert told == ["oom", "misconfigured", None]
        assert store.trouble is None
        await store.close()


async def test_a_poisoned_value_is_no_trouble_of_the_store() -> None:
    told: list[str | None] = []
    async with fake_store(always(b"-WRONGTYPE x\r\n")) as fake:
        store = Store(fake.url, deadline_s=5, told=told.append)
        await answers(store)
        assert not told
        await store.close()


@pytest.mark.parametrize("word", ["READONLY", "LOADING", "MASTERDOWN", "NOAUTH"])
async def test_a_connection_to_a_store_that_cannot_serve_is_given_up_and_made_anew_after_a_pause(word: str) -> None:
    async with talking(in_turn(f"-{word} x\r\n".encode(), b"+OK\r\n")) as (fake, store):
        assert not await answers(store)
        with pytest.raises(LedgerUnavailable) as refused:
            await store.call("PING")
        assert not refused.value.sent
        await until_it_answers(store)
        assert fake.connections == 2
