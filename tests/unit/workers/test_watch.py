"""Promises of watch.py: who is started when, and when there is no hope. Time-ordered tables of what happens."""

import pytest

from gateway.workers.watch import FIRST_WAIT_S, LONGEST_WAIT_S, STARTS_MAX, STEADY_S, Watch


def begun(places: int = 2, *, now_s: float = 0.0) -> Watch:
    """A watch with a ready worker in each place; the one in place n is process 100 + n."""
    watch = Watch(places)
    for number in watch.due(now_s):
        watch.started(number, 100 + number)
        watch.ready(100 + number, now_s)
    return watch


def test_every_place_is_due_at_first_and_none_once_it_has_somebody() -> None:
    watch = Watch(3)
    assert watch.due(0.0) == [0, 1, 2]
    watch.started(1, 7)
    assert watch.due(0.0) == [0, 2]
    assert not watch.all_ready
    assert begun().all_ready
    assert begun().wait_s(0.0) is None
    assert begun().restarts == 0


def test_one_that_dies_after_it_served_for_a_while_is_replaced_at_once() -> None:
    watch = begun()
    watch.ended(101, STEADY_S)
    assert watch.due(STEADY_S) == [1]
    watch.started(1, 7)
    assert watch.restarts == 1


def test_ones_that_die_soon_are_replaced_after_waits_that_double_up_to_a_bound() -> None:
    watch, now_s, waits = begun(), 0.0, []
    watch.ended(101, now_s)
    for pid in range(200, 212):
        wait_s = watch.wait_s(now_s)
        assert wait_s is not None
        assert not watch.due(now_s)
        waits.append(wait_s)
        now_s += wait_s
        assert watch.due(now_s) == [1]
        watch.started(1, pid)
        watch.ready(pid, now_s)
        watch.ended(pid, now_s + 0.01)
        now_s += 0.01
    assert waits[:3] == pytest.approx([FIRST_WAIT_S, 2 * FIRST_WAIT_S, 4 * FIRST_WAIT_S])
    assert max(waits) == pytest.approx(LONGEST_WAIT_S)
    assert not watch.hopeless, "the other place serves"
    watch.started(1, 300)
    watch.ready(300, now_s)
    watch.ended(300, now_s + STEADY_S)
    assert watch.due(now_s + STEADY_S) == [1], "one that stayed is forgiven what came before"


def test_one_that_leaves_is_replaced_while_it_still_ends_its_calls_and_its_end_changes_nothing() -> None:
    watch = begun()
    watch.left(100, 9.0)
    assert watch.due(9.0) == [0]
    watch.started(0, 7)
    watch.ready(7, 9.1)
    watch.left(100, 9.2)
    watch.ended(100, 12.0)
    assert watch.due(12.0) == []
    assert watch.all_ready
    assert watch.restarts == 1


def test_there_is_no_hope_once_nobody_is_ready_and_one_place_failed_to_start_several_times_in_a_row() -> None:
    watch, now_s = Watch(2), 0.0
    watch.started(0, 50)
    for number in range(STARTS_MAX):
        assert not watch.hopeless
        watch.started(1, number)
        watch.ended(number, now_s)
    assert watch.hopeless
    watch.ready(50, now_s)
    assert not watch.hopeless, "somebody serves: it is tried on"
    watch.started(1, 60)
    watch.ready(60, now_s)
    assert watch.failed == 0


def test_who_is_nobodys_worker_changes_nothing() -> None:
    watch = begun()
    for told in (watch.ready, watch.left, watch.ended):
        told(4711, 1.0)
    assert watch.due(1.0) == []
    assert sorted(watch.pids) == [100, 101]
