"""Revoked tokens are refused from memory, at once and also when remembered; without a fresh list nobody is (ID18)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.errors import GatewayError, IdentityUnavailable, LedgerUnavailable, Unauthenticated
from gateway.identity.claims import token_id
from gateway.identity.keys import KeySet
from gateway.identity.principal import Grants, Principal
from gateway.identity.revocation import RevocationWatch
from gateway.identity.verify import Issuer, Verifier
from gateway.revocations import Reach, Revocation, RevocationList
from tests.unit.identity.providers import Naps
from tests.unit.identity.tokens import AUDIENCE, ISSUER, NOW, Clock, code_of, signer, token

ANN = Principal("acme", None, "ann", Grants(), NOW + 600, token_id("t1"))
NOW_MS = NOW * 1000


class Listed:
    """A scripted list; counts what it is asked."""

    def __init__(self) -> None:
        self.found = RevocationList("", ())
        self.fault: Exception | None = None
        self.asked = self.read_whole = 0

    def say(self, *revocations: Revocation) -> None:
        """From now on these."""
        self.found = RevocationList(f"{self.found.version}+", revocations)

    async def version(self) -> str:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return self.found.version

    async def read(self) -> RevocationList:
        self.read_whole += 1
        if self.fault is not None:
            raise self.fault
        return self.found


class House:
    """A watch over a scripted list, on clocks of its own, and a verifier that asks it."""

    def __init__(self) -> None:
        self.clock, self.wall, self.naps, self.listed = Clock(1000.0), Clock(NOW), Naps(), Listed()
        self.watch = RevocationWatch(self.listed, clock=self.clock, wall_clock=self.wall, sleep=self.naps)
        issuer = Issuer(ISSUER, frozenset({AUDIENCE}), KeySet.of([signer("secret").verifying]))
        self.verifier = Verifier([issuer], clock=self.wall, revocations=self.watch)

    def outcome(self, principal: Principal = ANN, *, issued_at: float | None = NOW) -> str:
        """What the watch says of a caller: empty when it lets it pass."""
        try:
            self.watch.refuse(principal, issued_at=issued_at)
        except GatewayError as refused:
            return code_of(refused)
        return ""


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.verifier.close()


ONE = Revocation("acme", Reach.TOKEN, token_id("t1"))
OLD = Revocation("acme", Reach.BEFORE, before_ms=NOW_MS)
ALL = Revocation("acme", Reach.ALL)


@pytest.mark.parametrize(
    ("revocation", "caller", "issued_at", "refused"),
    [
        (ONE, ANN, NOW, True),
        (ONE, replace(ANN, token_id=token_id("t2")), NOW, False),
        (ONE, replace(ANN, token_id=None), NOW, False),
        (ONE, replace(ANN, tenant="other"), NOW, False),
        (OLD, ANN, NOW - 1, True),
        (OLD, ANN, NOW - 0.001, True),
        (OLD, ANN, NOW, False),
        (OLD, ANN, None, True),
        (OLD, replace(ANN, tenant="other"), NOW - 1, False),
        (ALL, ANN, NOW + 600, True),
        (ALL, replace(ANN, token_id=None), None, True),
        (ALL, replace(ANN, tenant="acm"), NOW, False),
        (replace(ALL, until_ms=NOW_MS), ANN, NOW, False),
        (replace(ALL, until_ms=NOW_MS + 1), ANN, NOW, True),
        (replace(ONE, until_ms=NOW_MS), ANN, NOW, False),
        (replace(OLD, until_ms=NOW_MS), ANN, NOW - 1, False),
    ],
)
async def test_what_is_revoked_is_refused_and_nothing_else(
    house: House, revocation: Revocation, caller: Principal, issued_at: float | None, refused: bool
) -> None:
    house.listed.say(revocation)
    await house.watch.look()
    assert house.outcome(caller, issued_at=issued_at) == ("jwt_revoked" if refused else "")


async def test_a_remembered_token_is_refused_as_soon_as_the_list_is_read_and_believed_again_when_lifted(
    house: House,
) -> None:
    text = token(claims={"jti": "t1"})
    await house.verifier.start()
    assert (await house.verifier.verify(text)).tenant == "acme"
    house.listed.say(ONE)
    await house.naps.begun()
    house.naps.end()
    await house.naps.begun()
    with pytest.raises(Unauthenticated) as refused:
        await house.verifier.verify(text)
    with pytest.raises(Unauthenticated) as refused_from_memory:
        house.verifier.verify_cached(text)
    assert refused.value.code == refused_from_memory.value.code == "jwt_revoked"
    house.listed.say()
    await house.watch.look()
    assert (await house.verifier.verify(text)).tenant == "acme"


async def test_the_whole_list_is_read_only_when_its_version_changed(house: House) -> None:
    for _ in range(5):
        await house.watch.look()
    assert (house.listed.asked, house.listed.read_whole) == (4, 1)
    house.listed.say(ONE)
    for _ in range(5):
        await house.watch.look()
    assert (house.listed.asked, house.listed.read_whole) == (9, 2)


async def test_no_request_asks_the_list(house: House) -> None:
    await house.watch.look()
    asked = house.listed.asked + house.listed.read_whole
    for number in range(100):
        await house.verifier.verify(token(claims={"jti": str(number)}))
    assert house.listed.asked + house.listed.read_whole == asked


@pytest.mark.parametrize("fault", [LedgerUnavailable("timeout"), ValueError("not a revocation"), RuntimeError("?")])
async def test_without_a_fresh_list_nobody_is_believed_and_later_everybody_again(
    house: House, fault: Exception
) -> None:
    assert house.outcome() == "identity_unavailable"
    await house.watch.look()
    assert house.outcome() == ""
    house.listed.fault = fault
    house.clock.now += 4.9
    await house.watch.look()
    assert (house.outcome(), house.watch.failure) == ("", type(fault).__name__)
    house.clock.now += 0.1
    assert house.outcome() == "identity_unavailable"
    with pytest.raises(IdentityUnavailable):
        await house.verifier.verify(token())
    house.listed.fault = None
    await house.watch.look()
    assert (house.outcome(), house.watch.failure) == ("", None)


async def test_a_list_is_as_old_as_the_question_it_answers(house: House) -> None:
    async def slowly() -> RevocationList:
        house.clock.now += 3
        return house.listed.found

    house.listed.read = slowly  # type: ignore[method-assign]
    await house.watch.look()
    house.clock.now += 2
    assert not house.watch.is_current()


async def test_a_list_that_is_no_list_is_never_taken_for_an_empty_one(house: House) -> None:
    house.listed.say(ALL)
    await house.watch.look()
    house.listed.say()
    house.listed.fault = ValueError("not a revocation")
    await house.watch.look()
    assert house.outcome() == "jwt_revoked"


async def test_a_start_asks_again_soon_and_is_ready_once_the_list_is_read(house: House) -> None:
    house.listed.fault = LedgerUnavailable("timeout")
    starting = asyncio.create_task(house.verifier.start())
    assert await house.naps.begun() < 0.1
    assert not house.verifier.ready
    house.listed.fault = None
    house.naps.end()
    await starting
    assert (house.listed.read_whole, house.outcome(), house.verifier.ready) == (2, "", True)
    await house.verifier.close()


async def test_a_start_without_a_store_ends_all_the_same_and_nobody_is_believed_meanwhile(house: House) -> None:
    house.listed.fault = LedgerUnavailable("timeout")
    for _ in range(4):
        house.naps.end()
    await house.verifier.start()
    assert (house.listed.read_whole, house.verifier.ready) == (5, False)
    assert sum(house.naps.asked_s) < 1
    await house.verifier.close()


async def test_closing_ends_the_task_and_starting_makes_one(house: House) -> None:
    await house.verifier.start()
    await house.verifier.start()
    assert [task.get_name() for task in asyncio.all_tasks()].count("revocations") == 1
    await house.verifier.close()
    assert "revocations" not in [task.get_name() for task in asyncio.all_tasks()]
