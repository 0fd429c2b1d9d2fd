"""The list of revoked tokens in a real store: one atomic step each, bounded, with a version that always moves."""

import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import revocations
from gateway.errors import LedgerPoisoned
from gateway.ledger import keys
from gateway.ledger.store import Store
from gateway.revocations import Reach, Revocation, RevocationRefused, StoredRevocations
from tests.contract.keepers import new_tenant, real_ms

_ids = itertools.count()


def fresh_id() -> str:
    return f"{next(_ids):012x}"


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    made = Store(store_url, deadline_s=5)
    await made.call("DEL", keys.REVOKED, keys.REVOKED_JOURNAL)
    yield made
    await made.call("DEL", keys.REVOKED, keys.REVOKED_JOURNAL)
    await made.close()


async def revoke(store: Store, line: Revocation) -> bool:
    return await StoredRevocations(store).revoke(line, actor="kim", reason="lost laptop")


async def lift(store: Store, line: Revocation) -> bool:
    return await StoredRevocations(store).lift(line, actor="kim", reason="found again")


async def test_what_is_revoked_is_listed_until_it_is_lifted_and_every_change_has_a_new_version(store: Store) -> None:
    listed, tenant = StoredRevocations(store), new_tenant()
    lines = [
        Revocation(tenant, Reach.TOKEN, fresh_id(), why="kim: lost"),
        Revocation(tenant, Reach.BEFORE, before_ms=real_ms()),
        Revocation(tenant, Reach.ALL, until_ms=real_ms() + 3_600_000),
    ]
    assert (await listed.version(), (await listed.read()).revocations) == ("", [])
    versions = {""}
    for line in lines:
        assert await revoke(store, line)
        versions.add(await listed.version())
    found = await listed.read()
    assert sorted(found.revocations, key=lambda line: line.name) == sorted(lines, key=lambda line: line.name)
    assert found.version == await listed.version()
    for line in lines:
        assert await lift(store, line)
        versions.add(await listed.version())
    assert (await listed.read()).revocations == []
    assert len(versions) == 7


async def test_the_same_again_and_lifting_nothing_write_nothing(store: Store) -> None:
    line = Revocation(new_tenant(), Reach.TOKEN, fresh_id())
    assert await revoke(store, line)
    version = await StoredRevocations(store).version()
    assert not await revoke(store, line)
    assert not await lift(store, Revocation(new_tenant(), Reach.ALL))
    assert await StoredRevocations(store).version() == version
    assert await store.call("XLEN", keys.REVOKED_JOURNAL) == 1


async def test_an_instant_moves_forward_only_until_it_is_lifted(store: Store) -> None:
    tenant, now_ms = new_tenant(), real_ms()
    assert await revoke(store, Revocation(tenant, Reach.BEFORE, before_ms=now_ms))
    with pytest.raises(RevocationRefused, match="later instant"):
        await revoke(store, Revocation(tenant, Reach.BEFORE, before_ms=now_ms - 1))
    assert await revoke(store, Revocation(tenant, Reach.BEFORE, before_ms=now_ms + 1))
    # Lifting names the tenant's one instant, whichever it is.
    assert await lift(store, Revocation(tenant, Reach.BEFORE, before_ms=0))
    assert await revoke(store, Revocation(tenant, Reach.BEFORE, before_ms=now_ms - 1))


async def test_the_list_is_bounded_and_what_has_lapsed_makes_room(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations, "REVOCATIONS_MAX", 2)
    tenant = new_tenant()
    lapsing = Revocation(tenant, Reach.TOKEN, fresh_id(), until_ms=real_ms() + 3_600_000)
    lasting = Revocation(tenant, Reach.TOKEN, fresh_id())
    assert await revoke(store, lapsing)
    assert await revoke(store, lasting)
    with pytest.raises(RevocationRefused, match="--before or --all"):
        await revoke(store, Revocation(tenant, Reach.ALL))
    # What stands may still be changed, and lifted.
    lapsed = Revocation(tenant, Reach.TOKEN, lapsing.token_id, until_ms=real_ms() - 1)
    assert await revoke(store, lapsed)
    assert await revoke(store, Revocation(tenant, Reach.ALL))
    names = {line.name for line in (await StoredRevocations(store).read()).revocations}
    assert names == {lasting.name, f"{tenant}/all"}


def _paired(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


async def test_who_did_what_and_why_stays_written_down(store: Store) -> None:
    line = Revocation(new_tenant(), Reach.TOKEN, fresh_id())
    await revoke(store, line)
    await lift(store, line)
    found = await store.call("XRANGE", keys.REVOKED_JOURNAL, "-", "+")
    entries = [fields if isinstance(fields, dict) else _paired(fields) for _, fields in found]
    assert entries == [
        {"field": line.name, "value": "||", "actor": "kim", "reason": "lost laptop"},
        {"field": line.name, "value": "", "actor": "kim", "reason": "found again"},
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [("acme/all", "x"), ("Acme/all", "||"), ("acme", "||"), ("acme/token", "||"), ("acme/all/00", "||")],
)
async def test_something_else_in_the_list_is_an_error_and_not_passed_over(store: Store, name: str, value: str) -> None:
    await store.call("HSET", keys.REVOKED, name, value)
    with pytest.raises(ValueError, match="not a revocation"):
        await StoredRevocations(store).read()


async def test_a_list_of_another_type_is_poisoned(store: Store) -> None:
    await store.call("SET", keys.REVOKED, "x")
    with pytest.raises(LedgerPoisoned):
        await revoke(store, Revocation(new_tenant(), Reach.ALL))


TENANTS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)
INSTANTS = st.none() | st.integers(0, 10**15 - 1)
LINES = st.one_of(
    st.builds(Revocation, TENANTS, st.just(Reach.ALL), until_ms=INSTANTS, why=st.text()),
    st.builds(Revocation, TENANTS, st.just(Reach.BEFORE), before_ms=st.integers(0, 10**15 - 1), until_ms=INSTANTS),
    st.builds(Revocation, TENANTS, st.just(Reach.TOKEN), st.from_regex(r"[0-9a-f]{12}", fullmatch=True)),
)


@given(LINES)
def test_what_was_written_is_what_is_read(line: Revocation) -> None:
    read = Revocation.read(line.name, line.value)
    assert (read, read.why) == (line, line.why)


@given(LINES, LINES)
def test_two_tenants_or_tokens_never_share_a_line(one: Revocation, other: Revocation) -> None:
    same = (one.tenant, one.reach, one.token_id) == (other.tenant, other.reach, other.token_id)
    assert (one.name == other.name) == same
