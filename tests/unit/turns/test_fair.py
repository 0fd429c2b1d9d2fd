"""Who goes next, and who finds no place: fairness by credits, bounds, and the even sharing of places."""

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.turns import fair
from gateway.turns.fair import FairQueue, Place, State

TENANTS = ("ann", "bob", "cid", "dan")


def entered(queue: FairQueue, tenant: str, cost: int = 1) -> Place:
    place, displaced = queue.enter(tenant, cost)
    assert place is not None
    assert displaced is None
    return place


def served(queue: FairQueue, running: Place, turns: int) -> list[Place]:
    """Who goes when one call after the other ends."""
    order = []
    for _ in range(turns):
        then = queue.leave(running)
        if then is None:
            break
        order.append(then)
        running = then
    return order


def crowded(at_once: int = 1, waiting_max: int = 1_000) -> tuple[FairQueue, Place]:
    """A queue whose places to run are all taken; one of those who run."""
    queue = FairQueue(at_once=at_once, waiting_max=waiting_max)
    running = [entered(queue, f"before-{number}") for number in range(at_once)]
    return queue, running[0]


def test_while_there_is_room_every_call_runs_at_once() -> None:
    queue = FairQueue(at_once=3, waiting_max=0)
    places = [entered(queue, "ann", 100) for _ in range(3)]
    assert {place.state for place in places} == {State.RUNNING}
    assert queue.enter("bob", 1) == (None, None)
    assert queue.leave(places[0]) is None
    assert entered(queue, "bob").state is State.RUNNING


def test_of_one_tenant_the_first_to_come_goes_first() -> None:
    queue, running = crowded()
    places = [entered(queue, "ann", cost) for cost in (5, 1, 3)]
    assert served(queue, running, 3) == places


def test_tenants_take_turns_however_many_calls_each_sends() -> None:
    queue, running = crowded()
    for _ in range(50):
        entered(queue, "flood")
    for _ in range(5):
        entered(queue, "quiet")
    order = [place.tenant for place in served(queue, running, 10)]
    assert Counter(order) == {"flood": 5, "quiet": 5}
    assert all(order[at] != order[at + 1] for at in range(9))


def test_turns_are_shared_by_credits_not_by_number_of_calls() -> None:
    queue, running = crowded()
    for _ in range(40):
        entered(queue, "small", 10)
        entered(queue, "large", 30)
    order = Counter(place.tenant for place in served(queue, running, 40))
    assert order == {"small": 30, "large": 10}


def test_who_comes_late_is_next_and_not_paid_back_for_the_time_before() -> None:
    queue, running = crowded()
    for _ in range(50):
        entered(queue, "flood")
    running = served(queue, running, 20)[-1]
    for _ in range(10):
        entered(queue, "late")
    order = [place.tenant for place in served(queue, running, 20)]
    assert "late" in order[:2]
    assert Counter(order) == {"flood": 10, "late": 10}


def test_what_was_used_while_nobody_waited_is_held_against_nobody() -> None:
    queue = FairQueue(at_once=1, waiting_max=20)
    for _ in range(100):
        queue.leave(entered(queue, "early", 1_000))
    running = entered(queue, "early", 1_000)
    for _ in range(4):
        entered(queue, "early")
        entered(queue, "other")
    assert Counter(place.tenant for place in served(queue, running, 4)) == {"early": 2, "other": 2}


def test_a_flood_leaves_the_second_half_of_the_places_to_whoever_comes_late() -> None:
    queue, _ = crowded(waiting_max=8)
    for _ in range(4):
        entered(queue, "flood")
    assert queue.enter("flood", 1) == (None, None)
    for tenant in ("late", "later", "later", "latest"):
        entered(queue, tenant)
    assert queue.waiting == 8


def test_when_all_places_are_taken_the_tenant_with_most_makes_room_until_shares_are_even() -> None:
    queue, _ = crowded(waiting_max=8)
    flood = [entered(queue, "flood") for _ in range(4)]
    for tenant in ("one", "two", "one", "two"):
        entered(queue, tenant)
    place, displaced = queue.enter("quiet", 1)
    assert place is not None
    assert displaced is flood[3]  # the last to come
    assert displaced.state is State.GONE
    place, displaced = queue.enter("quiet", 1)
    assert place is not None
    assert displaced is flood[2]
    assert queue.enter("quiet", 1) == (None, None)  # now it has as many as any other
    assert queue.waiting == 8


def test_many_tenants_alike_fill_the_queue_and_hardly_ever_send_one_another_away() -> None:
    queue, running = crowded(waiting_max=40)
    displaced = refused = 0
    chance = random.Random(1)  # noqa: S311 - in which order calls come
    for number in range(4_000):
        place, lost = queue.enter(f"tenant-{chance.randrange(10)}", 1)
        displaced, refused = displaced + (lost is not None), refused + (place is None)
        if number % 10 == 0:
            then = queue.leave(running)
            assert then is not None
            running = then
    assert 20 <= queue.waiting <= 40
    assert refused > 3_000
    assert displaced < refused // 1_000


def test_newcomers_cannot_displace_one_another_for_ever() -> None:
    queue, _ = crowded(waiting_max=4)
    for tenant in TENANTS:
        entered(queue, tenant)
    assert queue.waiting == 4
    for number in range(10):
        assert queue.enter(f"newcomer-{number}", 1) == (None, None)


def test_a_call_that_leaves_while_it_waits_costs_its_tenant_no_turn() -> None:
    queue, running = crowded()
    gone = [entered(queue, "ann", 100) for _ in range(10)]
    kept = entered(queue, "ann", 1)
    for place in gone:
        assert queue.leave(place) is None
    other = entered(queue, "bob", 1)
    assert served(queue, running, 2) == [kept, other]
    assert [queue.leave(place) for place in gone] == [None] * 10  # once more changes nothing


def test_what_waits_before_a_call_is_told_by_line_and_never_more_than_all() -> None:
    queue, _ = crowded()
    assert queue.ahead("ann") == 0
    for _ in range(10):
        entered(queue, "flood")
    assert (queue.ahead("flood"), queue.ahead("ann")) == (10, 1)
    entered(queue, "bob")
    assert (queue.ahead("flood"), queue.ahead("ann"), queue.ahead("bob")) == (11, 2, 3)


def test_tenants_without_number_in_one_rush_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair, "LINES_MAX", 50)
    queue, _ = crowded(waiting_max=20)
    entered(queue, "patient")
    for number in range(2_000):
        queue.leave(entered(queue, f"tenant-{number}"))
    assert len(queue._lines) <= 50 + 20
    assert len(queue._heap) <= 50 + 20


# --- whatever happens -------------------------------------------------------------------------------------------


class AnyOrder(RuleBasedStateMachine):
    """Calls come and go in any order; a list of plain facts says what must be true."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = FairQueue(at_once=2, waiting_max=5)
        self.waiting: dict[str, list[Place]] = defaultdict(list)
        self.running: list[Place] = []

    @rule(tenant=st.sampled_from(TENANTS), cost=st.integers(1, 50))
    def enter(self, tenant: str, cost: int) -> None:
        lengths = {name: len(places) for name, places in self.waiting.items()}
        before, own = self.queue.waiting, lengths.get(tenant, 0)
        full, others = before == 5, sum(length > 0 for name, length in lengths.items() if name != tenant)
        assert self.queue.ahead(tenant) <= before
        place, displaced = self.queue.enter(tenant, cost)
        if displaced is not None:
            assert full
            assert lengths[displaced.tenant] == max(lengths.values())
            assert lengths[displaced.tenant] >= own + 2
            assert self.waiting[displaced.tenant].pop() is displaced
        if place is None and full:
            assert max(lengths.values()) < own + 2
        elif place is None:
            assert before in (3, 4)
            assert own >= 5 // (others + 2)
        elif place.state is State.RUNNING:
            self.running.append(place)
        else:
            self.waiting[tenant].append(place)

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 1))
    def end(self, which: int) -> None:
        then = self.queue.leave(self.running.pop(which % len(self.running)))
        assert (then is not None) == any(self.waiting.values())
        if then is not None:
            assert self.waiting[then.tenant].pop(0) is then
            assert then.state is State.RUNNING
            self.running.append(then)

    @precondition(lambda self: any(self.waiting.values()))
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from([place for places in self.waiting.values() for place in places]))
        assert self.queue.leave(place) is None
        self.waiting[place.tenant].remove(place)

    @precondition(lambda self: any(self.waiting.values()))
    @rule()
    def send_the_last_away(self) -> None:
        last = self.queue.displace_last()
        assert last is not None
        assert len(self.waiting[last.tenant]) == max(map(len, self.waiting.values()))
        assert self.waiting[last.tenant].pop() is last

    @invariant()
    def the_numbers_are_right(self) -> None:
        assert self.queue.running == len(self.running) <= 2
        assert self.queue.waiting == sum(map(len, self.waiting.values())) <= 5
        assert not self.queue.waiting or self.queue.running == 2
        assert {place.state for place in self.running} <= {State.RUNNING}
        assert {place.state for places in self.waiting.values() for place in places} <= {State.WAITING}


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(deadline=None, max_examples=100, stateful_step_count=60)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    costs=st.lists(st.lists(st.integers(1, 60), min_size=30, max_size=30), min_size=2, max_size=5),
    at_once=st.integers(1, 4),
    turns=st.integers(1, 30),
    picks=st.lists(st.integers(0, 3), min_size=30, max_size=30),
)
def test_tenants_that_all_wait_are_never_further_apart_than_one_call_of_each(
    costs: list[list[int]], at_once: int, turns: int, picks: list[int]
) -> None:
    """The bound of start-time fair queueing, in credits: the dearest call of each of the two."""
    queue = FairQueue(at_once=at_once, waiting_max=1_000)
    running = [entered(queue, "before") for _ in range(at_once)]
    for tenant, each in enumerate(costs):
        for cost in each:
            entered(queue, str(tenant), cost)
    had: Counter[str] = Counter({str(tenant): 0 for tenant in range(len(costs))})
    for pick in picks[:turns]:
        then = queue.leave(running.pop(pick % at_once))
        assert then is not None
        running.append(then)
        had[then.tenant] += then.cost
        most = {str(tenant): max(each) for tenant, each in enumerate(costs)}
        for one, other in ((a, b) for a in had for b in had if a != b):
            assert had[one] - had[other] <= most[one] + most[other]
