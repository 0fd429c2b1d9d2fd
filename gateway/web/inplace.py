"""In place: a loop as a connection sees it that has begun, on which a request needs no task besides the connection's.

The framework starts a task for each request, so that each has context variables of its own. The handler here keeps
none beyond the request, and the connection's task waits for it anyway.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast


class _InPlace:
    """All of a loop, save that what is to be waited for in a task of its own is left for who waits to run itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # Asked for with each request.
        self.create_future = loop.create_future
        self.call_at = loop.call_at
        self.time = loop.time

    def create_task(self, work: Coroutine[Any, Any, Any]) -> Any:
        """No task: `work` itself."""
        return work

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


def in_place(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    """`loop`, for connections that have a task already: their requests need none."""
    return cast("asyncio.AbstractEventLoop", _InPlace(loop))
