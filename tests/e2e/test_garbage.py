"""Whatever a call comes to, its body is gone with it: nothing waits for the collector, which comes seldom."""

import gc
from typing import Any

import aiohttp
import pytest

from gateway.messages import Call
from gateway.web.door import Visit
from tests.e2e.world import World

CALLS = 10

# What the upstream does, what is asked, of whom.
WAYS: dict[str, tuple[str | None, dict[str, Any], str]] = {
    "served": (None, {}, "rich"),
    "a parameter refused": (None, {"steps": "many"}, "rich"),
    "a budget exhausted": (None, {"steps": 50}, "poor"),
    "refused upstream": ("status:400", {}, "rich"),
    "failed upstream": ("status:500", {}, "rich"),
    "no answer": ("cut:head", {}, "rich"),
    "cut in its body": ("cut:100", {}, "rich"),
    "unreadable": ("garbage", {}, "rich"),
}


def left() -> int:
    """How many calls and visits there are."""
    return sum(isinstance(one, Call | Visit) for one in gc.get_objects())


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("way", WAYS)
async def test_a_call_that_is_over_leaves_no_body_for_the_collector(here: World, way: str) -> None:
    fault, wishes, name = WAYS[way]
    before = left()
    for _ in range(CALLS):
        if fault is not None:
            here.simulator.faults.next(fault)
        try:
            await here.generate({"prompt": "a fox", "note": "x" * 100_000, **wishes}, name=name)
        except aiohttp.ClientError:
            assert fault is not None
    await here.settled()
    # The one that a connection answered last may still be known to it.
    assert left() - before <= 2
