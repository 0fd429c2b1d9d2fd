"""Body: an answer's bytes on their way through, watched for the master key. No client library in here.

Rule: it ends in one way and stays so. A body that was cut, or that was not passed on, never looks whole.
"""

from collections.abc import Awaitable, Callable

from gateway.errors import UpstreamError, UpstreamLeak
from gateway.proxy.master_key import KEPT_BACK_BYTES_MAX, Watch


class Body:
    """An asynchronous iterator of pieces, to be read once.

    Errors are raised here and not where they are found, so that no traceback shows a piece of the body.

    Args:
        read: the next piece, empty at the end, or what went wrong instead.
        watch: holds back what may be the master key.
        end: gives the connection up; may be called again.
        there: how many bytes are there to be read without a wait; none when nobody knows.
    """

    def __init__(
        self,
        *,
        read: Callable[[], Awaitable[bytes | UpstreamError]],
        watch: Watch,
        end: Callable[[], None],
        there: Callable[[], int] = lambda: 0,
    ) -> None:
        self._read = read
        self._there = there
        self._watch = watch
        self._end = end
        self._ended = False
        self._error: UpstreamError | None = None

    def __aiter__(self) -> "Body":
        return self

    async def __anext__(self) -> bytes:
        while not self._ended:
            passed = await self._step()
            if passed:
                return passed
        if self._error is not None:
            raise self._error
        # A fresh one: what is raised holds its frames, and these hold the body. Kept here it would be a cycle for the
        # collector, with each answer.
        raise StopAsyncIteration

    @property
    def there(self) -> bool:
        """Whether the first bytes pass without a wait: there are more than can be kept back."""
        return self._there() > KEPT_BACK_BYTES_MAX

    async def close(self) -> None:
        """Give the connection up: back to the pool when the body was read to its end, else closed."""
        self._end()

    async def _step(self) -> bytes:
        """The bytes that may pass now, perhaps none. Says in `_ended` that these are the last."""
        piece = await self._read()
        if isinstance(piece, UpstreamError):
            return self._over(piece)
        if not piece:
            self._over(None)
            return self._watch.rest()
        passed = self._watch.passed(piece)
        return self._over(UpstreamLeak()) if passed is None else passed

    def _over(self, error: UpstreamError | None) -> bytes:
        self._ended, self._error = True, error
        self._end()
        return b""
