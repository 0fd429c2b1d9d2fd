"""The loop's lag: the largest of the last minute, as seen from within the loop."""

import asyncio
import contextlib
import time

import pytest

from gateway.metrics.loop_lag import KEPT_S, LoopLag


@pytest.mark.parametrize(
    ("came", "worst_s"),
    [
        ([(0.2, 0.0)], 0.2),
        ([(0.2, 0.0), (0.5, 1.0)], 0.5),
        ([(0.5, 0.0), (0.2, 1.0)], 0.5),
        ([(0.5, 0.0), (0.2, 1.0), (0.1, KEPT_S)], 0.2),
        ([(0.5, 0.0), (0.1, 1.0), (0.2, 2.0), (0.0, KEPT_S + 1.5)], 0.2),
        ([(0.5, 0.0), (0.0, 2 * KEPT_S)], 0.0),
        ([(-0.001, 0.0)], 0.0),
    ],
)
def test_the_worst_of_the_last_minute_is_shown(came: list[tuple[float, float]], worst_s: float) -> None:
    lag = LoopLag()
    for late_s, now_s in came:
        lag.came(late_s, now_s)
    assert lag.worst_s == worst_s


def test_what_is_remembered_is_bounded() -> None:
    lag = LoopLag()
    for step in range(10_000):
        lag.came(1 / (step + 1), step * 0.25)
    assert len(lag._late) <= KEPT_S / 0.25


async def test_a_loop_that_is_held_up_shows() -> None:
    lag = LoopLag()
    task = asyncio.create_task(lag.watch_forever(0.01))
    await asyncio.sleep(0)
    time.sleep(0.1)  # noqa: ASYNC251 - that is what is to be seen
    while not lag.worst_s:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    assert lag.worst_s >= 0.08
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
