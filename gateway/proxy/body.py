"""Body: an answer's bytes on their way through, watched for the master key. No client library in here.

Rule: it ends in one way and stays so. A body that was cut, or that was not passed on, never looks whole.
"""

from collections.abc import Awaitable, Callable

from gateway.errors import UpstreamError, UpstreamLeak
from gateway.proxy.master_key import Watch


class Body:
    """An asynchronous iterator of pieces, to be read once.

    Errors are raised here and not where they are found, so that no traceback shows a piece of the body.

    Args:
        read: the next piece, empty at the end, or what went wrong instead.
        watch: holds back what may be the master key.
        end: gives the connection up; may be called again.
    """

    def __init__(
        self, *, read: Callable[[], Awaitable[bytes | UpstreamError]], watch: Watch, end: Callable[[], None]
    ) -> None:
        self._read = read
        self._watch = watch
        self._end = end
        self._outcome: Exception | None = None

    def __aiter__(self) -> "Body":
        return self

    async def __anext__(self) -> bytes:
        while self._outcome is None:
            passed = await self._step()
            if passed:
                return passed
        raise self._outcome

    async def close(self) -> None:
        """Give the connection up: back to the pool when the body was read to its end, else closed."""
        self._end()

    async def _step(self) -> bytes:
        """The bytes that may pass now, perhaps none. Sets the outcome when these are the last."""
        piece = await self._read()
        if isinstance(piece, UpstreamError):
            return self._ended(piece)
        if not piece:
            self._ended(StopAsyncIteration())
            return self._watch.rest()
        passed = self._watch.passed(piece)
        return self._ended(UpstreamLeak()) if passed is None else passed

    def _ended(self, outcome: Exception) -> bytes:
        self._outcome = outcome
        self._end()
        return b""
