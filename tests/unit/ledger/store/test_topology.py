"""Where keys live: slots as a cluster counts them, and what becomes of a slot that moves."""

import asyncio

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger import keys
from gateway.ledger.store import Script, Store
from gateway.ledger.store.address import Address, read_url
from gateway.ledger.store.topology import Cluster, slot_of
from tests.unit.ledger.resp import FakeStore, Words, always, fake_store, ran


@pytest.mark.parametrize(
    ("key", "slot"),
    # The first is the check value of this CRC; the others are what CLUSTER KEYSLOT answers.
    [("123456789", 0x31C3), ("foo", 12182), ("{foo}bar", 12182), ("a{foo}", 12182), ("{}foo", 9500), ("foo{}", 5542)],
)
def test_a_slot_is_counted_as_a_cluster_counts_it(key: str, slot: int) -> None:
    assert slot_of(key) == slot


def test_all_keys_of_a_tenant_share_a_slot() -> None:
    found = {keys.record("acme", "h"), keys.open_holds("acme"), keys.journal("acme"), keys.job("acme", "j")}
    assert len({slot_of(key) for key in found}) == 1
    assert slot_of(keys.journal("acme")) != slot_of(keys.journal("other"))


def _cluster(fake: FakeStore) -> Store:
    """A store that believes all slots to live with `fake`."""
    store = Store(fake.url.replace("redis://", "redis+cluster://").removesuffix("/0"), deadline_s=5)
    topology = store._topology
    assert isinstance(topology, Cluster)
    (address,) = read_url(fake.url).addresses
    for slot in range(16_384):
        topology.moved(slot, address)
    topology.believed_s = None
    return store


def _where(fake: FakeStore) -> str:
    return fake.url.removeprefix("redis://").removesuffix("/0")


async def _ok(words: Words) -> bytes | None:
    return b"+OK\r\n" if words[0] == "ASKING" else ran(words, "here")


SCRIPT = Script.of("where", "return {'here'}")


async def test_a_slot_that_moved_is_followed_and_remembered() -> None:
    async with fake_store(_ok) as new, fake_store(always(None)) as old:
        old.answer = always(f"-MOVED {slot_of('k')} {_where(new)}\r\n".encode())
        store = _cluster(old)
        assert await store.run(SCRIPT, ["k"], []) == ["here"]
        assert await store.run(SCRIPT, ["k"], []) == ["here"]
        assert (len(old.arrived), len(new.arrived)) == (1, 2)
        await store.close()


async def test_a_slot_on_its_way_is_asked_for_there_this_once() -> None:
    async with fake_store(_ok) as new, fake_store(always(None)) as old:
        old.answer = always(f"-ASK {slot_of('k')} {_where(new)}\r\n".encode())
        store = _cluster(old)
        for _ in range(2):
            assert await store.run(SCRIPT, ["k"], []) == ["here"]
        assert [words[0] for words in new.arrived] == ["ASKING", "EVALSHA"] * 2
        assert len(old.arrived) == 2
        await store.close()


async def test_a_slot_that_is_sent_round_in_circles_is_a_trouble_of_the_cluster() -> None:
    async with fake_store(always(None)) as fake:
        fake.answer = always(f"-MOVED {slot_of('k')} {_where(fake)}\r\n".encode())
        store = _cluster(fake)
        with pytest.raises(LedgerUnavailable) as refused:
            await store.run(SCRIPT, ["k"], [])
        assert (refused.value.code, refused.value.sent) == ("cluster", True)
        assert len(fake.arrived) == 3
        await store.close()


async def test_after_a_redirection_to_nobody_it_is_not_certain_that_nothing_was_sent() -> None:
    async with fake_store(always(None)) as gone:
        pass
    async with fake_store(always(f"-MOVED {slot_of('k')} {_where(gone)}\r\n".encode())) as old:
        store = _cluster(old)
        with pytest.raises(LedgerUnavailable) as refused:
            await store.run(SCRIPT, ["k"], [])
        assert (refused.value.code, refused.value.sent) == ("connection", True)
        await store.close()


@pytest.mark.parametrize("url", ["redis+cluster://{}", "redis+sentinel://{}/main"])
async def test_a_search_that_finds_nobody_is_a_failed_connection_and_not_begun_again_at_once(url: str) -> None:
    async with fake_store(always(None)) as fake:
        pass
    store = Store(url.format(_where(fake)), deadline_s=0.5)
    for _ in range(3):
        with pytest.raises(LedgerUnavailable) as refused:
            await store.run(SCRIPT, ["k"], [])
        assert not refused.value.sent
    await store.close()


async def test_closing_ends_a_search_under_way() -> None:
    async def silent(words: Words) -> bytes | None:
        await asyncio.Event().wait()
        return None

    async with fake_store(silent) as fake:
        store = Store(f"redis+sentinel://{_where(fake)}/main", deadline_s=20)
        asking = asyncio.create_task(store.call("PING"))
        async with asyncio.timeout(5):
            while not fake.connections:  # noqa: ASYNC110 - the fake tells nobody
                await asyncio.sleep(0.01)
        await store.close()
        ended = await asyncio.gather(asking, return_exceptions=True)
        assert isinstance(ended[0], LedgerUnavailable | asyncio.CancelledError)


def test_a_node_of_a_cluster_is_one_of_those_found() -> None:
    cluster = Cluster(read_url("redis+cluster://a:1"), deadline_s=1, tls=None)
    assert cluster.of(None) is None
    cluster.moved(5, Address("b", 2))
    cluster.moved(99_999, Address("c", 3))
    assert cluster.primaries() == [Address("b", 2)]
    assert cluster.of(None) == Address("b", 2)
