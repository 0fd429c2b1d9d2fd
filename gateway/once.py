"""Once: what a caller with an `Idempotency-Key` is promised, in the house's own words. Pure.

A key binds one call of one payer to its hold. Whoever comes with the same key finds the first call: still open, ended,
or another one. The key itself is kept nowhere; it is known by its hash.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from gateway.errors import GatewayError
from gateway.units import Credits, Flag

# In the place of facts: nothing was ever sent, so the key may be used again.
FREE = "free"

# Facts that are longer leave out the body they would tell again.
FACTS_BYTES_MAX = 12_288


@dataclass(frozen=True, slots=True)
class Once:
    """A call that is to be made once.

    Attributes:
        key: 64 hex digits: who pays, and the key it sent.
        fingerprint: 64 hex digits: what was asked.
    """

    key: str
    fingerprint: str

    @classmethod
    def of(cls, key: str, payer: Sequence[str | None], asked: Sequence[bytes]) -> "Once":
        """The call `asked` of `payer` under `key`, each as the parts that make it up."""
        return cls.over(key, payer, Digest(asked))

    @classmethod
    def over(cls, key: str, payer: Sequence[str | None], asked: "Digest") -> "Once":
        """The same, of parts that are digested already."""
        names = [b"" if name is None else b"=" + name.encode() for name in payer]
        return cls(Digest([*names, key.encode()]).told(), asked.told())


class Digest:
    """SHA-256 over parts, each after its length: two different lists of parts never look the same."""

    def __init__(self, parts: Iterable[bytes] = ()) -> None:
        self._found = hashlib.sha256()
        for part in parts:
            self.begin(len(part))
            self.feed(part)

    def begin(self, count: int) -> None:
        """A part of `count` bytes comes next, in pieces."""
        self._found.update(count.to_bytes(8, "big"))

    def feed(self, piece: bytes) -> None:
        """The next piece of a part."""
        self._found.update(piece)

    def told(self) -> str:
        """64 hex digits."""
        return self._found.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is kept of a first call beside its money. What is not known is None.

    Attributes:
        reason: `ok`, or what ended it: an error's reason, or `cancelled`.
        status: of the upstream's answer, when it was passed on.
        content_type: of that answer.
        bytes: how many of its body came.
        sha256: over the body, 64 hex digits; None when not all of it came.
        seed: the answer's `x-input-seed`.
        job_id: the answer's `x-dezgo-job-id`, or the asynchronous job that an answer too long to keep had started.
        body: the body itself, when it was short JSON.
    """

    reason: str | None = None
    status: int | None = None
    content_type: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    seed: str | None = None
    job_id: str | None = None
    body: str | None = None

    def written(self) -> str:
        """One JSON object of what is known, at most `FACTS_BYTES_MAX` bytes."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        known = {name: value for name, value in known.items() if value is not None}
        text = _json(known)
        return text if len(text.encode()) <= FACTS_BYTES_MAX else _json({**known, "body": None})

    @classmethod
    def read(cls, text: str) -> "Facts":
        """Read what `written` wrote. What is not of its kind is not known: facts stand in no answer's way."""
        try:
            found = json.loads(text) if text else {}
        except ValueError:
            found = {}
        found = found if isinstance(found, dict) else {}
        kinds = {field.name: int if field.name in ("status", "bytes") else str for field in fields(cls)}
        return cls(**{name: found[name] for name, kind in kinds.items() if type(found.get(name)) is kind})


def _json(known: dict[str, Any]) -> str:
    return json.dumps(known, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class First:
    """What the first call under a key came to.

    Attributes:
        request_id: its request id.
        charged: what is booked for it now; None when the store has lost its record.
        flag: how sure that is.
        facts: what else is known of it.
    """

    request_id: str
    charged: Credits | None
    flag: Flag
    facts: Facts


@dataclass(eq=False)
class Repeated(GatewayError):
    """A call under an `Idempotency-Key` that was here before. Nothing was held.

    `certain` is false when an earlier try went unanswered: it may yet be written, and must be voided.
    """

    certain: bool = True


class IdempotencyMismatch(Repeated):
    """The `Idempotency-Key` belongs to a call with another path, query, content type or body."""

    reason = "idempotency_mismatch"


class IdempotencyOpen(Repeated):
    """The first call under this `Idempotency-Key` has not ended yet."""

    reason = "idempotency_open"


@dataclass(eq=False)
class IdempotencyEnded(Repeated):
    """The first call under this `Idempotency-Key` has ended; it is not made again. `first` says what it came to."""

    first: First = First("", None, Flag.UNCERTAIN, Facts())
    reason = "idempotency_ended"
