"""Faults on order: what an upstream can do wrong with one answer, and who bears it.

A fault is written as words: `cut:100`, `slow:2 charge:missing`, `status:503 charged`. Each word is one kind,
with a value after the colon where it takes one. `charged` or `uncharged` says whether the call is booked;
without, each kind has its own default. The kinds are in `KINDS`.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

QUEUED_MAX = 10_000
WAIT_MAX_S = 600.0
CHARGE_LIES = frozenset({"missing", "duplicate", "malformed", "folded", "zero", "huge"})


def _empty(value: str) -> bool:
    return not value


def _status(value: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]{2}", value, re.ASCII) is not None


def _number(value: str) -> bool:
    return re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", value, re.ASCII) is not None


def _seconds(value: str) -> bool:
    return _number(value) and float(value) <= WAIT_MAX_S


def _bytes_or_head(value: str) -> bool:
    return value == "head" or re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) is not None


# kind -> is this value allowed?
KINDS: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {
        "status": _status,  # answers with this status; from 400 on with an error body, not charged
        "slow": _seconds,  # waits so many seconds before the head; the work is done and booked by then
        "slow_body": _seconds,  # spreads the body over so many seconds
        "cut": _bytes_or_head,  # cuts the connection after so many body bytes, or before the head
        "charge": CHARGE_LIES.__contains__,  # tells the charge wrongly; what is booked stays true
        "price": _number,  # multiplies what is really charged
        "redirect": bool,  # sends elsewhere; 302 unless `status` says otherwise; not charged
        "exhausted": _empty,  # says the account is empty; not charged
        "async_job": _empty,  # answers with a job to poll
        "echo": _empty,  # answers with all request fields, the key too, in fields and body
        "rapidapi_gateway": _empty,  # RapidAPI's own 502: the API was never reached; not charged
        "html_5xx": _empty,  # an HTML page with 500 unless `status` says otherwise; not charged
        "chunked": _empty,  # no Content-Length
        "garbage": _empty,  # bytes that are not HTTP; the work is done and booked all the same
        "cookie": _empty,  # sets a cookie
        "no_seed": _empty,  # leaves x-input-seed out
    }
)


class FaultError(ValueError):
    """A fault that nobody could act out."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one answer: kinds and their values; whether it is booked (None: as usual)."""

    kinds: Mapping[str, str] = field(default_factory=dict)
    charged: bool | None = None

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read a fault from words. Raises `FaultError`."""
        kinds: dict[str, str] = {}
        charged = None
        for word in text.split():
            kind, _, value = word.partition(":")
            if word in {"charged", "uncharged"}:
                charged = word == "charged"
            elif kind in KINDS and KINDS[kind](value):
                kinds[kind] = value
            else:
                raise FaultError("unknown kind or value of a fault")
        return cls(kinds, charged)

    def __contains__(self, kind: str) -> bool:
        return kind in self.kinds

    def get(self, kind: str) -> str | None:
        """The value of `kind`, empty for kinds without one; None when this fault has no such kind."""
        return self.kinds.get(kind)

    def seconds(self, kind: str) -> float:
        """The seconds of `slow` or `slow_body`; 0 without."""
        return float(self.kinds.get(kind, "0"))

    @property
    def status(self) -> int | None:
        """The status asked for."""
        return int(self.kinds["status"]) if "status" in self.kinds else None


NO_FAULT = Fault()


class Faults:
    """The switchboard. Faults for the next calls come first, each once and in order; then the lasting one.

    A fault without a path concerns paid paths only; a free path has to be named.
    """

    def __init__(self) -> None:
        self._next: deque[tuple[str | None, Fault]] = deque()
        self._always: dict[str | None, Fault] = {}

    def next(self, *faults: str, path: str | None = None) -> None:
        """Queue `faults`, one per call. Raises `FaultError`, also when more than 10,000 would wait."""
        parsed = [(path, Fault.parse(text)) for text in faults]
        if len(self._next) + len(parsed) > QUEUED_MAX:
            raise FaultError("too many faults are waiting")
        self._next.extend(parsed)

    def always(self, fault: str | None, path: str | None = None) -> None:
        """Act out `fault` on every call that has none of its own; None ends that. Raises `FaultError`."""
        if fault is None:
            self._always.pop(path, None)
            return
        if len(self._always) >= QUEUED_MAX:
            raise FaultError("too many faults are waiting")
        self._always[path] = Fault.parse(fault)

    def clear(self) -> None:
        """Behave again."""
        self._next.clear()
        self._always.clear()

    def take(self, path: str, *, paid: bool) -> Fault:
        """The fault of a call to `path`; a queued one is used up."""
        wanted = {path, None} if paid else {path}
        for waiting in self._next:
            if waiting[0] in wanted:
                self._next.remove(waiting)
                return waiting[1]
        lasting = self._always.get(path)
        if lasting is None and paid:
            lasting = self._always.get(None)
        return lasting or NO_FAULT
