"""A gateway books again what its store has forgotten, and opens a tenant by itself only where nothing is missing."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gateway.errors import LedgerPoisoned, LedgerUnavailable
from gateway.ledger.adjustment import Warrant
from gateway.ledger.contract import End, HoldId, Settlement, State
from gateway.ledger.recovery import Recovered, Recovery, Regressed
from gateway.ledger.standing import Standing, Verdict
from gateway.units import Credits, Flag


def end(name: str, tenant: str = "t") -> End:
    where = "tenant/total|0|", Credits(5), Flag.CONFIRMED
    return End(HoldId(name), tenant, *where, amount=Credits(7), deadline_ms=9_000, path=f"{tenant}/-/-")


def settled(name: str, entry_id: str = "", *, applied: bool = True) -> Settlement:
    return Settlement(HoldId(name), State.SETTLED, Credits(5), Flag.CONFIRMED, applied, applied, entry_id)


@dataclass
class Forgetful:
    """A ledger whose journal ends with `before`; faults are raised first, one a call."""

    before: str = "5-0"
    first: str = "1-0"
    verdict: Verdict = Verdict.REGRESSED
    faults: list[LedgerUnavailable] = field(default_factory=list)
    booked: list[str] = field(default_factory=list)
    accepted: list[Warrant] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    poisoned: set[str] = field(default_factory=set)
    looks: int = 0

    def _pass(self) -> None:
        if self.faults:
            raise self.faults.pop(0)

    async def book(self, end: End) -> Settlement:
        await asyncio.sleep(0)
        self._pass()
        if end.hold_id in self.poisoned:
            raise LedgerPoisoned("poisoned")
        self.booked.append(end.hold_id)
        applied = end.hold_id not in self.known
        self.known.add(end.hold_id)
        return settled(end.hold_id, "20-0" if applied else "", applied=applied)

    async def standing(self, tenant: str) -> Standing:
        self.looks += 1
        await asyncio.sleep(0)
        self._pass()
        return Standing(self.verdict, self.before, "9-0")

    def began(self, tenant: str) -> str:
        return self.first

    async def accept(self, tenant: str, warrant: Warrant) -> None:
        self._pass()
        self.accepted.append(warrant)


@dataclass
class Told:
    """A recovery, what it told, and a clock that is set."""

    ledger: Forgetful = field(default_factory=Forgetful)
    found: list[Regressed | Recovered] = field(default_factory=list)
    ended: list[Settlement] = field(default_factory=list)
    now_s: float = 0
    ends_max: int = 100

    def __post_init__(self) -> None:
        self.recovery = Recovery(
            self.ledger,
            found=self.found.append,
            settled=self.ended.append,
            ends_max=self.ends_max,
            grace_s=0.001,
            again_s=0.001,
            clock_s=lambda: self.now_s,
        )

    def booked(self, name: str, entry_id: str, tenant: str = "t") -> None:
        self.recovery.booked(end(name, tenant), settled(name, entry_id))


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - any condition, looked at again and again
            await asyncio.sleep(0)


async def test_what_came_after_the_gap_is_booked_again_and_the_loss_accepted_by_the_gateway() -> None:
    told = Told()
    for name, entry_id in (("old", "4-0"), ("a", "6-0"), ("b", "7-0")):
        told.booked(name, entry_id)
    told.booked("other", "8-0", "u")
    told.recovery.doubted("t", Verdict.REGRESSED)
    told.recovery.doubted("t", Verdict.REGRESSED)
    await until(lambda: told.recovery.regressed)
    await until(lambda: not told.recovery.regressed)
    assert told.found == [Regressed("t", "5-0"), Recovered("t", 2, "gateway")]
    assert (told.ledger.booked, [one.hold_id for one in told.ended]) == (["a", "b"], ["a", "b"])
    (warrant,) = told.ledger.accepted
    assert (warrant.actor, warrant.operation_id) == ("gateway", "gateway-9-0")


@pytest.mark.parametrize("why", ["this process began later", "an end was forgotten"])
async def test_where_something_may_be_missing_the_tenant_stays_closed_until_somebody_accepts(why: str) -> None:
    told = Told(Forgetful(first="6-0") if why == "this process began later" else Forgetful(), ends_max=1)
    for name, entry_id in (("gone", "6-0"), ("kept", "7-0")):
        told.booked(name, entry_id)
    told.recovery.doubted("t", Verdict.REGRESSED)
    await until(lambda: told.ledger.looks > 20)
    assert (told.recovery.regressed, told.ledger.accepted, told.ledger.booked) == (1, [], ["kept"])
    told.ledger.verdict = Verdict.ACCEPTED
    await until(lambda: not told.recovery.regressed)
    assert told.found[-1] == Recovered("t", 1, "other")


async def test_a_mark_that_is_void_because_somebody_else_accepted_has_its_ends_booked_too() -> None:
    told = Told()
    told.booked("a", "6-0")
    told.booked("b", "2-0")
    told.ledger.verdict = Verdict.SOUND
    told.recovery.doubted("t", Verdict.ACCEPTED)
    await until(lambda: len(told.found) == 2)
    assert told.found[-1] == Recovered("t", 2, "other")
    assert told.ledger.accepted == []


async def test_a_mark_that_was_only_trimmed_is_no_loss() -> None:
    told = Told(Forgetful(verdict=Verdict.SOUND))
    told.booked("a", "6-0")
    told.recovery.doubted("t", None)
    await until(lambda: told.ledger.looks)
    await until(lambda: not told.recovery._tasks)
    assert (told.found, told.ledger.booked) == ([], [])


async def test_an_acceptance_that_a_call_found_first_is_somebody_elses_all_the_same() -> None:
    told = Told(Forgetful(first="6-0"))
    told.recovery.doubted("t", Verdict.REGRESSED)
    await until(lambda: told.recovery.regressed)
    told.ledger.verdict = Verdict.SOUND
    told.recovery.doubted("t", Verdict.ACCEPTED)
    await until(lambda: len(told.found) == 2)
    assert told.found[-1] == Recovered("t", 0, "other")


async def test_entries_that_are_there_again_need_no_acceptance() -> None:
    """The first answer came from a server that is no longer asked."""
    told = Told()
    told.booked("a", "6-0")
    told.recovery.doubted("t", Verdict.REGRESSED)
    await until(lambda: told.ledger.booked)
    told.ledger.verdict = Verdict.SOUND
    await until(lambda: len(told.found) == 2)
    assert (told.found[-1], told.ledger.accepted) == (Recovered("t", 1, "store"), [])


@pytest.mark.parametrize("faults", range(1, 8))
async def test_a_store_that_is_away_meanwhile_is_waited_for(faults: int) -> None:
    told = Told(Forgetful(faults=[LedgerUnavailable("timeout") for _ in range(faults)]))
    for name in "abc":
        told.booked(name, "6-0")
    told.recovery.doubted("t", Verdict.REGRESSED)
    await until(lambda: len(told.found) == 2)
    assert (told.found[-1], sorted(set(told.ledger.booked))) == (Recovered("t", 3, "gateway"), ["a", "b", "c"])
    assert len(told.ledger.booked) == 3


async def test_an_end_that_is_poisoned_keeps_no_other_from_being_booked_and_the_tenant_closed() -> None:
    told = Told(Forgetful(poisoned={"a"}))
    told.booked("a", "6-0")
    told.booked("b", "7-0")
    told.recovery.doubted("t", Verdict.REGRESSED)
    await until(lambda: told.ledger.looks > 20)
    assert (told.ledger.booked, told.ledger.accepted, told.recovery.regressed) == (["b"], [], 1)
    told.ledger.poisoned = set()  # an operator has repaired it, and then accepts
    await until(lambda: told.ledger.booked == ["b", "a"])
    told.ledger.verdict = Verdict.ACCEPTED
    await until(lambda: not told.recovery.regressed)


async def test_a_standing_that_cannot_be_read_ends_the_recovery_and_the_next_call_begins_anew() -> None:
    told = Told(Forgetful(faults=[LedgerPoisoned("poisoned")]))
    told.recovery.doubted("t", None)
    await until(lambda: not told.recovery._tasks)
    assert told.found == []
    told.recovery.doubted("t", None)
    await until(lambda: told.ledger.accepted)


async def test_an_end_heard_of_late_is_booked_before_the_loss_is_accepted() -> None:
    told = Told()
    told.booked("a", "6-0")
    told.recovery.doubted("t", Verdict.REGRESSED)
    await until(lambda: told.ledger.booked == ["a"])
    told.booked("late", "8-0")
    await until(lambda: told.ledger.accepted)
    assert told.ledger.booked == ["a", "late"]


async def test_ends_are_remembered_for_a_minute_up_to_the_newest_one_and_in_bounded_number() -> None:
    told = Told()
    remembered = told.recovery._remembered
    told.booked("a", "1-0")
    told.now_s = 600  # the store is away: nothing is booked, and nothing forgotten
    assert (len(remembered), remembered.horizon("t")) == (1, "0-0")
    told.booked("b", "2-0")
    assert ([one.hold_id for one in remembered.after("t", "0-0")], remembered.horizon("t")) == (["b"], "1-0")
    for number in range(500):
        told.booked(f"n{number}", f"{number + 3}-0")
    assert (len(remembered), remembered.horizon("t")) == (100, "402-0")


async def test_an_end_that_wrote_nothing_is_not_remembered() -> None:
    told = Told()
    told.recovery.booked(end("a"), settled("a", applied=False))
    assert len(told.recovery._remembered) == 0


async def test_a_recovery_that_is_stopped_leaves_no_task() -> None:
    told = Told(Forgetful(first="9-0"))
    told.recovery.doubted("t", Verdict.REGRESSED)
    await until(lambda: told.recovery.regressed)
    await told.recovery.close()
    assert (told.recovery.regressed, told.recovery._tasks) == (0, {})
