"""Keys: what things are called in the store. Injective: two different things never share a name.

All keys of a tenant carry `{tenant}`, so that they live in one slot of a cluster. Tenant names are of a closed
alphabet and budget names have everything else percent-encoded, so neither can hold a brace, a colon at the
wrong place, or a space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.ledger.budget import Balance, Budget
from gateway.ledger.window import Span

PREFIX = "dgw"
TENANTS = f"{PREFIX}:tenants"

# Ways to write places whose reading is remembered: all that is used within one window, on most machines.
PLACES_KEPT = 16_384

# The list of revoked tokens and its journal share a slot of their own: no tenant's name holds an `@`.
REVOKED = f"{PREFIX}:{{@revoked}}:list"
REVOKED_JOURNAL = f"{PREFIX}:{{@revoked}}:journal"


def record(tenant: str, hold_id: str) -> str:
    """The hold's own record."""
    return f"{PREFIX}:{{{tenant}}}:hold:{hold_id}"


def open_holds(tenant: str) -> str:
    """The tenant's open holds by deadline."""
    return f"{PREFIX}:{{{tenant}}}:open"


def journal(tenant: str) -> str:
    """The tenant's journal."""
    return f"{PREFIX}:{{{tenant}}}:journal"


def register(tenant: str) -> str:
    """Which of the tenant's balances must be there."""
    return f"{PREFIX}:{{{tenant}}}:balances"


def accepted(tenant: str) -> str:
    """Up to which mark a loss of the tenant's journal was accepted."""
    return f"{PREFIX}:{{{tenant}}}:accepted"


def trimmed(tenant: str) -> str:
    """The last entry that was trimmed off the tenant's journal."""
    return f"{PREFIX}:{{{tenant}}}:trimmed"


def operation(tenant: str, operation_id: str) -> str:
    """What an operator did under this id."""
    return f"{PREFIX}:{{{tenant}}}:operation:{operation_id}"


def once(tenant: str, key: str) -> str:
    """What is known of the call under an idempotency key, given by its hash."""
    return f"{PREFIX}:{{{tenant}}}:once:{key}"


def pace(tenant: str) -> str:
    """When the tenant's calls are even, as far as their number in a second is limited."""
    return f"{PREFIX}:{{{tenant}}}:pace"


def exported(tenant: str) -> str:
    """Up to which entry the tenant's journal was exported."""
    return f"{PREFIX}:{{{tenant}}}:exported"


def balance(tenant: str, short: str) -> str:
    """The balance of a place, named as `Place.short`."""
    name, _, start = short.rpartition("|")
    return f"{PREFIX}:{{{tenant}}}:balance:{name}:{start}"


def job(tenant: str, job_id: str) -> str:
    """Marks an asynchronous job of the upstream as started by this tenant."""
    return f"{PREFIX}:{{{tenant}}}:job:{job_id}"


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One budget in one window, as the store knows it: `name|start|end`, ms, end empty when it never ends.

    Equal when they share a balance: a window whose end is thought to lie elsewhere (another zone, newer rules of the
    same zone) goes on with what it has spent.
    """

    name: str
    span: Span

    @classmethod
    def of(cls, budget: Budget, span: Span) -> "Place":
        """The place of a configured budget."""
        return cls(budget.name, span)

    @classmethod
    def read(cls, text: str) -> "Place":
        """Read what `str` wrote. Raises ValueError for anything else."""
        name, start, end = text.split("|")
        place = cls(name, Span(int(start), int(end) if end else None))
        if str(place) != text or not name or place.span.start_ms < 0:
            raise ValueError("not a place")
        return place

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[str, int]:
        return self.name, self.span.start_ms

    def __str__(self) -> str:
        return f"{self.name}|{self.span.start_ms}|{'' if self.span.end_ms is None else self.span.end_ms}"

    @property
    def short(self) -> str:
        """The place as the register names it: `name|start`."""
        return f"{self.name}|{self.span.start_ms}"

    def key(self, tenant: str) -> str:
        """The balance's key."""
        return balance(tenant, self.short)


def written(places: Sequence[Place]) -> str:
    """The places as they stand in a record and in the journal."""
    return " ".join(str(place) for place in places)


@lru_cache(maxsize=PLACES_KEPT)
def read(text: str) -> tuple[Place, ...]:
    """Read what `written` wrote. Raises ValueError for anything else."""
    return tuple(Place.read(part) for part in text.split(" ")) if text else ()


@lru_cache(maxsize=PLACES_KEPT)
def balance_keys(tenant: str, text: str) -> tuple[str, ...]:
    """The keys of the places in `text`, which `written` wrote, in order. Raises ValueError as `read`."""
    return tuple(place.key(tenant) for place in read(text))


def places_of(balances: Sequence[Balance]) -> tuple[Place, ...]:
    """Where these balances are kept."""
    return tuple(Place.of(balance.budget, balance.span) for balance in balances)
