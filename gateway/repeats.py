"""Repeats: what is noted of a first call under an `Idempotency-Key`, and how it is told again. Knows no store."""

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace

from gateway.errors import GatewayError, UpstreamExhausted, UpstreamUnreachable
from gateway.headers import passed_back
from gateway.messages import Fields, Reply
from gateway.once import FREE, Facts, First, Once
from gateway.units import Credits

# The longest JSON answer that is kept and told again byte for byte. An asynchronous job's has some hundred bytes.
BODY_BYTES_MAX = 4_096

_FIELD_CHARACTERS_MAX = 256
_JSON = re.compile(r"application/(?:[a-z0-9.-]+\+)?json(?:[ \t]*;.*)?", re.ASCII | re.IGNORECASE)
_SEED, _JOB = "x-input-seed", "x-dezgo-job-id"


_NOTHING_HASHED = hashlib.sha256()


class Memo:
    """What will be told of a call to whoever repeats its key; filled in on the way.

    Args:
        once: the call that is to be made once; None, and nothing is noted.
    """

    def __init__(self, once: Once | None = None) -> None:
        self.once = once
        self.job_id: str | None = None
        self._status: int | None = None
        self._fields: dict[str, str] = {}
        self._hash = hashlib.sha256() if once is not None else _NOTHING_HASHED
        self._bytes: int | None = None
        self._whole = False
        self._kept: bytearray | None = None

    def watch(self, reply: Reply) -> Reply:
        """`reply`, which will be passed on, its body noted as it passes."""
        if self.once is None:
            return reply
        shown = {name: value for name, value in passed_back(reply) if len(value) <= _FIELD_CHARACTERS_MAX}
        self._status, self._fields, self._bytes = reply.status, shown, 0
        if _JSON.fullmatch(shown.get("content-type", "")):
            self._kept = bytearray()
        return replace(reply, body=self._passing(reply.body))

    async def _passing(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in body:
            self._hash.update(piece)
            self._bytes = (self._bytes or 0) + len(piece)
            if self._kept is not None:
                self._kept += piece
                if len(self._kept) > BODY_BYTES_MAX:
                    self._kept = None
            yield piece
        self._whole = True

    def ended(self) -> str:
        """What to keep of a call that came to its end."""
        return self._written("ok")

    def ended_by(self, error: BaseException, charged: Credits) -> str:
        """What to keep of a call that `error` ended, charged at `charged`; `FREE` when it may be made anew.

        That is a call that was provably never sent, and one that the upstream refused, uncharged, for the sake of the
        account shared by all: neither says anything of what was asked.
        """
        if isinstance(error, UpstreamUnreachable) or (isinstance(error, UpstreamExhausted) and not charged):
            return FREE if self.once is not None else ""
        if isinstance(error, GatewayError):
            return self._written(error.reason)
        return self._written("internal" if isinstance(error, Exception) else "cancelled")

    def _written(self, reason: str) -> str:
        if self.once is None:
            return ""
        body = self._body()
        return Facts(
            reason=reason,
            status=self._status,
            content_type=self._fields.get("content-type"),
            bytes=self._bytes,
            sha256=self._hash.hexdigest() if self._whole else None,
            seed=self._fields.get(_SEED),
            # A kept body names its job itself; told again, it gets no field that it had not.
            job_id=self._fields.get(_JOB) or (self.job_id if body is None else None),
            body=body,
        ).written()

    def _body(self) -> str | None:
        if self._kept is None or not self._whole:
            return None
        try:
            return self._kept.decode()
        except UnicodeDecodeError:
            return None


def told_again(first: First) -> Reply | None:
    """The first answer once more, byte for byte; None when it was not kept."""
    facts = first.facts
    if facts.body is None or facts.status is None:
        return None
    body = facts.body.encode()
    known = (("content-type", facts.content_type), (_SEED, facts.seed), (_JOB, facts.job_id))
    said: Fields = tuple((name, value) for name, value in known if value is not None)
    return Reply(facts.status, said, _whole(body), reported=first.charged, body_bytes=len(body), replayed=True)


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body
