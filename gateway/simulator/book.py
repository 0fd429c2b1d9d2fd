"""The books: every charge the simulated account bears, and what arrived at the door."""

import hashlib
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from gateway.simulator.settings import CREDITS_PER_USD, SimulatorSettings

CHARGES_KEPT = 100_000
ARRIVALS_KEPT = 200
BODY_BYTES_KEPT = 16 * 1024


def plain(number: Decimal) -> str:
    """`number` without exponent or superfluous zeros: `19`, `19.8727`."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def usd(credits: Decimal) -> str:
    """`credits` in US dollars, with at least four decimals."""
    whole, _, decimals = plain(credits / CREDITS_PER_USD).partition(".")
    return f"{whole}.{decimals:0<4}"


class ExhaustedError(Exception):
    """The account cannot bear the price."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One amount taken from the account.

    Attributes:
        index: counts charges from 1; puts balances in order.
        job: the job's id.
        path: the upstream's path.
        at: when it was taken.
        credits: how much, exactly.
        told: the amounts the answer names, as written: none, one or more, not always true ones.
        status: the answer's status.
        balance: credits left afterwards.
        request_id: the request's `x-request-id`, if it had one.
        seed: the seed used.
        body_sha256: of the request body, in hex.
    """

    index: int
    job: str
    path: str
    at: datetime
    credits: Decimal
    told: tuple[str, ...]
    status: int
    balance: Decimal
    request_id: str | None
    seed: int
    body_sha256: str

    @property
    def millicredits(self) -> int:
        """The charge in whole millicredits, the last one rounded up."""
        return int((self.credits * 1000).to_integral_value(ROUND_CEILING))

    def as_json(self) -> dict[str, Any]:
        """The charge as a JSON object."""
        return {
            "index": self.index,
            "job": self.job,
            "path": self.path,
            "at": self.at.isoformat(),
            "credits": plain(self.credits),
            "millicredits": self.millicredits,
            "told": list(self.told),
            "status": self.status,
            "request_id": self.request_id,
            "seed": self.seed,
            "body_sha256": self.body_sha256,
        }


class Book:
    """The account: what it held, what was taken, what is left. In credits, exactly.

    Attributes:
        charges: the newest charges, oldest first.
        count: how many charges there were in all.
        total: credits taken in all.
        total_millicredits: the sum of all charges as whole millicredits each.
    """

    def __init__(self, settings: SimulatorSettings) -> None:
        self.charges: deque[Charge] = deque(maxlen=CHARGES_KEPT)
        self.count = 0
        self.total = Decimal(0)
        self.total_millicredits = 0
        self._start = settings.starting_credits
        self._promised = Decimal(0)
        self._reset_at = time.monotonic() + settings.quota_reset_s

    @property
    def limit(self) -> Decimal:
        """Credits at the start, and what was added since."""
        return self._start

    @property
    def balance(self) -> Decimal:
        """Credits left."""
        return self._start - self.total

    @property
    def reset_s(self) -> int:
        """Whole seconds to the announced reset."""
        return max(0, int(self._reset_at - time.monotonic()))

    def top_up(self, credits: Decimal) -> None:
        """Add `credits` to the account."""
        self._start += credits

    @contextmanager
    def promised(self, credits: Decimal) -> Iterator[None]:
        """Keep room for a call while it is worked on. Raises `ExhaustedError` when there is none."""
        if self.balance - self._promised < credits:
            raise ExhaustedError
        self._promised += credits
        try:
            yield
        finally:
            self._promised -= credits

    def take(
        self,
        *,
        job: str,
        path: str,
        credits: Decimal,
        told: tuple[str, ...],
        status: int,
        request_id: str | None,
        seed: int,
        body: bytes,
    ) -> Charge:
        """Take `credits` from the account and write it down."""
        self.count += 1
        self.total += credits
        charge = Charge(
            index=self.count,
            job=job,
            path=path,
            at=datetime.now(UTC),
            credits=credits,
            told=told,
            status=status,
            balance=self.balance,
            request_id=request_id,
            seed=seed,
            body_sha256=hashlib.sha256(body).hexdigest(),
        )
        self.total_millicredits += charge.millicredits
        self.charges.append(charge)
        return charge

    def as_json(self, newest: int = CHARGES_KEPT) -> dict[str, Any]:
        """The totals, and the `newest` charges, oldest of them first."""
        shown = list(self.charges)[-newest:] if newest > 0 else []
        return {
            "count": self.count,
            "total_credits": plain(self.total),
            "total_millicredits": self.total_millicredits,
            "limit_credits": plain(self.limit),
            "balance_credits": plain(self.balance),
            "balance_usd": usd(self.balance),
            "charges": [charge.as_json() for charge in shown],
        }


@dataclass(slots=True)
class Arrival:
    """One request as it arrived. `fields` keep their case; `body` its first 16 KiB, empty if not read."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    body: bytes = b""
    body_bytes: int = 0
    body_sha256: str | None = None

    def field(self, name: str) -> str | None:
        """The first value of the field `name`, whatever its case."""
        return next((value for key, value in self.fields if key.lower() == name.lower()), None)

    def read(self, body: bytes) -> None:
        """Note the body."""
        self.body = body[:BODY_BYTES_KEPT]
        self.body_bytes = len(body)
        self.body_sha256 = hashlib.sha256(body).hexdigest()


class Received:
    """What arrived, refused or not: a count per known path, and the newest requests.

    Unknown paths are counted together under `other`.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.newest: deque[Arrival] = deque(maxlen=ARRIVALS_KEPT)

    def note(self, path: str, arrival: Arrival) -> None:
        """Count an arrival on `path` and keep it."""
        self.counts[path] += 1
        self.newest.append(arrival)
