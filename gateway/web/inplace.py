"""In place: a loop as the server of a connection sees it, on which a request needs no task besides its connection's.

The framework starts a task for each request, so that each has context variables of its own. The handler here keeps
none beyond the request, and the connection's task waits for it anyway.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast


class _InPlace:
    """All of a loop, save that what a task wants to wait for in a task of its own is left for it to run itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # Asked for with each request.
        self.create_future = loop.create_future
        self.call_at = loop.call_at
        self.time = loop.time

    def create_task(self, work: Coroutine[Any, Any, Any]) -> Any:
        """A task for `work`, or, asked from within a task, `work` itself."""
        return self._loop.create_task(work) if asyncio.current_task() is None else work

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


def in_place(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    """`loop`, for one server: its connections are tasks, their requests are not."""
    return cast("asyncio.AbstractEventLoop", _InPlace(loop))
