"""A deadline ends one wait of its task, and is told apart from a cancellation by others."""

import asyncio

import pytest

from gateway.proxy.deadline import Deadline


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def test_a_wait_is_cancelled_when_the_deadline_comes_and_the_task_goes_on() -> None:
    deadline = Deadline(now_s())
    with pytest.raises(asyncio.CancelledError):
        await asyncio.Event().wait()
    assert deadline.over()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_ends_before_its_deadline_is_never_cancelled() -> None:
    deadline = Deadline(now_s() + 0.01)
    assert not deadline.over()
    await asyncio.sleep(0.02)


async def test_a_cancellation_by_others_is_not_the_deadlines_even_when_both_come() -> None:
    told: list[bool] = []

    async def waits() -> None:
        deadline = Deadline(now_s())
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append(deadline.over())
            raise

    task = asyncio.ensure_future(waits())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == [False]
