"""Connections: how many there may be, who makes room, and who has had their time."""

import asyncio
from dataclasses import dataclass

import pytest

from gateway.web import connections
from gateway.web.connections import Caps, Connections
from gateway.web.descriptors import RESERVED, raised_limit, room_for
from gateway.web.peers import Peers


@dataclass(eq=False)
class Line:
    """A connection of a test."""

    spare: bool = False
    late: bool = False
    gone: str = ""
    ended: asyncio.Event | None = None

    def overdue(self, now_s: float) -> bool:
        return self.late

    def give_way(self) -> None:
        self.gone = "gave way"

    def abort(self) -> None:
        self.gone = "aborted"
        if self.ended is not None:
            self.ended.set()


def test_the_one_that_waits_longest_makes_room_and_none_that_is_served() -> None:
    open_ = Connections(Caps(3))
    served, waiting, later = Line(), Line(spare=True), Line(spare=True)
    assert all(open_.admit(line, None) for line in (served, waiting, later))
    assert open_.admit(Line(), None)
    assert (served.gone, waiting.gone, later.gone) == ("", "gave way", "")
    assert (len(open_), open_.refused) == (3, 0)


def test_where_all_are_served_the_next_one_is_refused_until_one_leaves() -> None:
    open_ = Connections(Caps(2))
    first = Line()
    assert open_.admit(first, None)
    assert open_.admit(Line(), None)
    assert not open_.admit(Line(), None)
    open_.left(first)
    open_.left(first)
    assert open_.admit(Line(), None)
    assert (len(open_), open_.refused) == (2, 1)


def test_room_is_looked_for_in_few_places_and_in_turn() -> None:
    open_ = Connections(Caps(40))
    lines = [Line() for _ in range(40)]
    assert all(open_.admit(line, None) for line in lines)
    lines[20].spare = True
    assert not open_.admit(Line(), None)
    assert open_.admit(Line(), None)
    assert lines[20].gone


def test_one_address_has_its_own_bound_and_a_trusted_proxy_none() -> None:
    open_ = Connections(Caps(100, 2, Peers(["10.0.0.0/8"]).counted))
    first = Line()
    assert open_.admit(first, "192.0.2.1")
    assert open_.admit(Line(), "192.0.2.1")
    assert not open_.admit(Line(), "192.0.2.1")
    assert open_.admit(Line(), "192.0.2.2")
    assert all(open_.admit(Line(), "10.1.2.3") for _ in range(5))
    assert all(open_.admit(Line(), None) for _ in range(5))
    open_.left(first)
    assert open_.admit(Line(), "192.0.2.1")


def test_one_site_of_ipv6_counts_as_one_address() -> None:
    open_ = Connections(Caps(100, 1, Peers().counted))
    assert open_.admit(Line(), "2001:db8::1")
    assert not open_.admit(Line(), "2001:db8::2")
    assert open_.admit(Line(), "2001:db8:0:1::1")
    assert open_.admit(Line(), "::ffff:192.0.2.1")
    assert not open_.admit(Line(), "192.0.2.1")


def test_who_makes_room_no_longer_counts_for_its_address() -> None:
    open_ = Connections(Caps(1, 1, Peers().counted))
    old = Line(spare=True)
    assert open_.admit(old, "192.0.2.1")
    assert open_.admit(Line(spare=True), "192.0.2.2")
    open_.left(old)
    assert open_.admit(Line(), "192.0.2.1")


async def test_who_has_had_their_time_is_ended_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ROUND_EVERY_S", 0.0)
    monkeypatch.setattr(connections, "_AT_ONCE", 1)
    open_ = Connections(Caps(10))
    ended = asyncio.Event()
    late, early = Line(late=True, ended=ended), Line()
    assert open_.admit(early, None)
    assert open_.admit(late, None)
    watching = asyncio.create_task(open_.watch())
    async with asyncio.timeout(10):
        await ended.wait()
    watching.cancel()
    assert (late.gone, early.gone) == ("aborted", "")
    assert open_.ended >= 1


@pytest.mark.parametrize(
    ("wished", "limit", "others", "most"),
    [
        (10_000, 1_048_576, 1_000, 10_000),
        (10_000, RESERVED + 1_500, 500, 1_000),
        (10_000, 256, 900, 16),
        (5, 100, 0, 5),
    ],
)
def test_connections_leave_room_for_other_files(wished: int, limit: int, others: int, most: int) -> None:
    assert room_for(wished, limit=limit, others=others) == most


def test_the_limit_of_open_files_is_raised_as_far_as_it_may() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], 512), before[1]))
        assert raised_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(before[1], 1_048_576)
        assert raised_limit() == min(before[1], 1_048_576)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
