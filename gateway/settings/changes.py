"""Changes: a secret's file, looked at again and again, so that a key can be replaced under a running gateway."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from gateway.settings.secret import SecretError, Secrets, read_secret
from gateway.settings.shape import SecretRef

LOOK_EVERY_S = 2.0

# When it was changed, which file it is, how large: any difference is a change.
Mark = tuple[int, int, int, int]


class SecretFile:
    """One secret's file.

    Args:
        path: where it is.
        known: what it says now.
    """

    def __init__(self, path: Path, *, known: str) -> None:
        self._path = path
        self._told = _digest(known)
        self._judged = self._seen = self._mark()

    def look(self) -> str | None:
        """What the file says, if that is new; else None.

        A change counts once two looks in a row have found the same file: the first may have met it half written.

        Raises:
            SecretError: the file was changed into one that cannot be used; raised once, the former secret stays.
        """
        mark = self._mark()
        settled, self._seen = mark == self._seen, mark
        if not settled or mark == self._judged:
            return None
        self._judged = mark
        text = read_secret(SecretRef(file=self._path), {}, Path())
        if _digest(text) == self._told:
            return None
        self._told = _digest(text)
        return text

    async def watch(
        self, *, changed: Callable[[str], None], failed: Callable[[SecretError], None], every_s: float = LOOK_EVERY_S
    ) -> None:
        """Look until cancelled. `changed` gets each new secret, `failed` what kept one from being read."""
        while True:
            await asyncio.sleep(every_s)
            try:
                text = self.look()
            except SecretError as error:
                failed(error)
            else:
                if text is not None:
                    changed(text)

    def _mark(self) -> Mark | None:
        with contextlib.suppress(OSError):
            found = self._path.stat()
            return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size
        return None


def renewed(secrets: Secrets) -> Secrets:
    """The secrets with the master key that its file says now, for a process that begins later than they were read."""
    if secrets.upstream_key_file is None:
        return secrets
    try:
        text = read_secret(SecretRef(file=secrets.upstream_key_file), {}, Path())
    except SecretError:
        return secrets
    return secrets.model_copy(update={"upstream_key": SecretStr(text)})


def _digest(text: str) -> bytes:
    """What tells one secret from another without holding it."""
    return hashlib.sha256(text.encode()).digest()
