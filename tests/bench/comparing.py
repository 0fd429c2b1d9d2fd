"""Three sets of books side by side, call by call: the ledger's journal, the upstream's charges, what clients were told.

Every call has a user and a body of its own, so each entry and each charge can be laid at its call's door.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(slots=True)
class Asked:
    """One call as its client saw it.

    Attributes:
        user: who called; nobody else's name.
        body: what was sent; nobody else's words.
        status: of an answer that came whole, else None.
        told: the charge in millicredits that this answer named, if it did.
        once: sent under an idempotency key, and again while nobody answered.
    """

    user: str
    body: bytes
    status: int | None = None
    told: int | None = None
    once: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """One charge of the upstream: for which body, and how much in millicredits."""

    body_sha256: str
    millicredits: int


@dataclass(slots=True)
class Sums:
    """So many calls, what is booked for them, and what the upstream really took, in millicredits."""

    calls: int = 0
    booked: int = 0
    taken: int = 0

    def add(self, booked: int, taken: int) -> None:
        """Count one call."""
        self.calls += 1
        self.booked += booked
        self.taken += taken


@dataclass(slots=True)
class Comparison:
    """What the books say together. All but the sums should be 0.

    Attributes:
        sums: by flag; `none` for calls nothing was held for.
        unaccounted: millicredits the upstream took and nobody is booked for.
        doubled: calls held, ended or charged more than once, or booked above their charge without a doubt being said.
        unended: holds that never ended.
        mistold: whole answers that named another charge than is booked without a doubt.
        blamed: users of the calls that any of these speaks of, the first hundred.
    """

    sums: dict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))
    unaccounted: int = 0
    doubled: int = 0
    unended: int = 0
    mistold: int = 0
    blamed: list[str] = field(default_factory=list)

    def blame(self, user: str) -> None:
        """Note a call that somebody should look at."""
        if len(self.blamed) < BLAMED_MAX:
            self.blamed.append(user)


BLAMED_MAX = 100

_ENDS = ("settle", "expire", "recover")


def compare(asked: Iterable[Asked], taken: Iterable[Taken], journal: Iterable[Mapping[str, str]]) -> Comparison:
    """Lay every charge and every journal entry at its call's door and look at each call.

    Raises:
        LookupError: a charge or an entry belongs to no call.
    """
    calls = {call.user: call for call in asked}
    bodies = {hashlib.sha256(call.body).hexdigest(): call.user for call in calls.values()}
    charges: dict[str, list[int]] = defaultdict(list)
    entries: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for charge in taken:
        charges[bodies[charge.body_sha256]].append(charge.millicredits)
    for entry in journal:
        if entry["op"] in ("accept", "repair"):
            continue  # of a whole tenant; neither moves what a call is booked at
        entries[calls[entry["path"].rpartition("/")[2]].user].append(entry)
    found = Comparison()
    for user, call in calls.items():
        _look(found, call, charges[user], entries[user])
    return found


def _look(found: Comparison, call: Asked, charges: Sequence[int], entries: Sequence[Mapping[str, str]]) -> None:
    count = {op: sum(entry["op"] == op for entry in entries) for op in ("hold", *_ENDS, "correct")}
    ends = [entry for entry in entries if entry["op"] != "hold"]
    taken = sum(charges)
    booked = int(ends[-1]["charged"]) if ends else 0
    flag = ends[-1]["flag"] if ends else "none"
    found.sums[flag].add(booked, taken)
    ended = sum(count[op] for op in _ENDS)
    twice = max(len(charges), count["hold"], ended) > 1
    twice |= count["correct"] > count["expire"]
    doubled = twice or (flag == "confirmed" and booked > taken)
    unended = count["hold"] > ended
    # Killed between answer and settle, the booked amount is a doubt, and said to be one.
    mistold = call.status is not None and call.told not in (None, booked) and flag != "uncertain"
    found.unaccounted += max(0, taken - booked)
    found.doubled += doubled
    found.unended += unended
    found.mistold += mistold
    if taken > booked or doubled or unended or mistold:
        found.blame(call.user)


def millicredits(credits: str) -> int:
    """A number of credits as an answer's field names it."""
    return int(Decimal(credits) * 1000)
