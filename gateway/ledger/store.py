"""Store: the one connection to Redis or Valkey. Every call has our deadline; every failure has a class.

The client library's own retries are off: it would re-send a script whose answer was lost, and only the caller
knows whether that is safe. No answer within the deadline is `LedgerUnavailable`: unknown, never "no".
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.errors import LedgerPoisoned, LedgerUnavailable

_LUA = FilePath(__file__).parent / "lua"

# First words of error answers, and what they mean to us. Anything else is `error`.
_BY_WORD = {
    "LOADING": "loading",
    "READONLY": "readonly",
    "OOM": "oom",
    "MISCONF": "misconfigured",
    "NOREPLICAS": "replicas",
    "BUSY": "busy",
    "NOAUTH": "auth",
    "WRONGPASS": "auth",
    "NOPERM": "auth",
    "MASTERDOWN": "replicas",
    "CLUSTERDOWN": "cluster",
    "TRYAGAIN": "cluster",
    "CROSSSLOT": "cluster",
    "MOVED": "cluster",
    "ASK": "cluster",
}

# Stores before 7.0 put the error of a command after words about the script it stood in.
_IN_SCRIPT = re.compile(r"@user_script: ?[0-9]+: -([A-Z]+) ")

# Words of errors that speak of a stored value.
_POISON = ("POISONED", "WRONGTYPE", "not an integer")


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text and the hash the store knows it by."""

    name: str
    text: str
    sha1: str

    @classmethod
    def load(cls, name: str) -> "Script":
        """Read `lua/<name>.lua`, with `common.lua` before it."""
        text = (_LUA / "common.lua").read_text("utf-8") + (_LUA / f"{name}.lua").read_text("utf-8")
        return cls(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Store:
    """A pool of connections to one store.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        deadline_s: for one call, waiting for a free connection included.
        connections_max: more calls than this at once wait for each other.
    """

    def __init__(self, url: str, *, deadline_s: float, connections_max: int) -> None:
        self._deadline_s = deadline_s
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=connections_max,
            timeout=deadline_s,
            socket_timeout=None,
            socket_connect_timeout=deadline_s,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            protocol=2,
        )
        self._redis = Redis.from_pool(pool)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str]) -> list[Any]:
        """Run `script` once and return its answer.

        A store that does not know the script said so without running it, so it is sent again with its text.

        Raises:
            LedgerUnavailable: no answer, or an error one. It may have run.
            LedgerPoisoned: the script found a stored value it cannot trust; it wrote nothing.
        """
        try:
            answer = await self.call("EVALSHA", script.sha1, len(keys), *keys, *args)
        except _UnknownScriptError:
            answer = await self.call("EVAL", script.text, len(keys), *keys, *args)
        return cast("list[Any]", answer)

    async def call(self, *words: str | int) -> Any:
        """Send one command and return its answer; errors as `run`."""
        try:
            async with asyncio.timeout(self._deadline_s):
                # redis-py leaves this method untyped.
                return await self._redis.execute_command(*words)  # type: ignore[no-untyped-call]
        except NoScriptError:
            raise _UnknownScriptError("error") from None
        except (TimeoutError, RedisTimeoutError):
            raise LedgerUnavailable("timeout") from None
        except (RedisError, OSError) as error:
            raise _classified(error) from None
        except ValueError:
            # Bytes that are no answer: redis-py lets some of its parsers' own errors through, and hangs up.
            raise LedgerUnavailable("error") from None

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()


class _UnknownScriptError(LedgerUnavailable):
    """The store does not know the script: it did not run."""


def _classified(error: Exception) -> LedgerUnavailable:
    if isinstance(error, BusyLoadingError):
        return LedgerUnavailable("loading")
    if isinstance(error, ReadOnlyError):
        return LedgerUnavailable("readonly")
    if isinstance(error, OutOfMemoryError):
        return LedgerUnavailable("oom")
    if isinstance(error, AuthenticationError):
        return LedgerUnavailable("auth")
    if isinstance(error, RedisConnectionError | OSError):
        return LedgerUnavailable("connection")
    if not isinstance(error, ResponseError):
        return LedgerUnavailable("error")
    text = str(error)
    if any(word in text for word in _POISON):
        return LedgerPoisoned("poisoned")
    # redis-py takes the first word off the errors it knows by name, and puts it there; others keep it in their text.
    inner = _IN_SCRIPT.search(text)
    word = inner[1] if inner else error.status_code or text.split(" ", 1)[0]
    return LedgerUnavailable(_BY_WORD.get(word, "error"))
