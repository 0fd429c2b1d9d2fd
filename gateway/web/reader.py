"""Reader: asks the process that reads large bodies, and starts it when it is first needed, or gone.

1. One question is asked at a time; whoever asks has the turn.
2. A question that was not answered whole and in time ends the process: no answer is ever taken for another's.
3. The process is told of nothing but the body and what is asked of it; our environment stays here.
"""

import asyncio
import contextlib
import os
import socket
import sys

from gateway.errors import Busy, GatewayError
from gateway.pricing.job import Job
from gateway.web.reading import Answer, Asked, ReadingError, framed, unframed

# For a body of the largest size on a busy machine; and for the process to be gone once it is told to.
ANSWER_TIMEOUT_S, END_TIMEOUT_S = 10.0, 2.0

# What an interpreter may need of our environment.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "LANG", "LC_ALL")

_RECEIVED_BYTES = 65_536

_CODE = "import sys; from gateway.web.reading import main; main(int(sys.argv[1]))"


class Reader:
    """The process, from the first question to `close`."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._line: socket.socket | None = None

    async def job(self, asked: Asked, file: int) -> Job:
        """What the body in the open file with this number asks for.

        Raises:
            Busy: no answer in time, or no process.
            ReadingError: nobody expected that.
            What `read_job` raises.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                try:
                    told = await self._asked(asked, file)
                except (ConnectionError, EOFError):
                    # It may have been gone for long. A body that ends it a second time was the cause.
                    await self._end()
                    told = await self._asked(asked, file)
        except (OSError, ValueError, EOFError):
            await self._end()
            raise Busy from None
        except BaseException:
            await self._end()
            raise
        if isinstance(told, GatewayError | ReadingError):
            raise told
        return told

    async def _asked(self, asked: Asked, file: int) -> Answer:
        if self._process is None or self._process.returncode is not None:
            await self._end()
            self._line = await self._started()
        line = self._line
        if line is None:
            raise EOFError
        question = framed(asked)
        if socket.send_fds(line, [question], [file]) != len(question):
            raise EOFError  # it does not take what it asks for nothing else
        received = bytearray()
        while not (answered := unframed(received)):
            piece = await asyncio.get_running_loop().sock_recv(line, _RECEIVED_BYTES)
            if not piece:
                raise EOFError
            received += piece
        told: Answer = answered[0]
        return told

    async def _started(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)  # noqa: FBT003 - its own way
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-c", _CODE, str(theirs.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env=_environment(),
                )
            except BaseException:
                ours.close()
                raise
        return ours

    async def _end(self) -> None:
        """Let the process go, if there is one."""
        line, self._line = self._line, None
        process, self._process = self._process, None
        if line is not None:
            line.close()
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_TIMEOUT_S):
                    await process.wait()

    async def close(self) -> None:
        """End the process."""
        await self._end()


def _environment() -> dict[str, str]:
    known = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {**known, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
