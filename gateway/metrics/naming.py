"""Naming: which models and users are shown under their own names. All others are `other`, and nothing is lost.

A name once shown stays: its counter never falls, and what was counted as `other` before is not moved. So a client
cannot make the exposition grow beyond these bounds, and the sum over all names is what was charged.
"""

from gateway.metrics.tallies import OTHER

NONE = "none"

# Names of models in all; with method and tenant they are told apart in so many combinations, so many of one tenant.
MODELS_MAX = 64
COMBINATIONS_MAX = 2_000
COMBINATIONS_OF_ONE_MAX = 40

# Users shown of one tenant: the first that are charged, and as many more that turn out to be charged most.
FIRST_USERS, FURTHER_USERS = 10, 10
USERS_MAX = 1_000

# So many charges of users without a name are compared before the dearest of them gets one.
CHARGES_COMPARED = 500
# Users that are compared at the same time.
CANDIDATES_MAX = 100


class Models:
    """Names of models, each seen with a charge: one that the upstream does not know is never charged."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._count = 0
        self._shown: dict[str, set[tuple[str, str]]] = {}

    def __call__(self, tenant: str, method: str, model: str | None) -> str:
        """The label of `model` beside those of tenant and method."""
        if model is None:
            return NONE
        shown = self._shown.get(tenant)
        if shown is None:
            shown = self._shown[tenant] = set()
        if (method, model) in shown:
            return model
        if len(shown) >= COMBINATIONS_OF_ONE_MAX or self._count >= COMBINATIONS_MAX or not self._knows(model):
            return OTHER
        self._count += 1
        shown.add((method, model))
        return model

    def _knows(self, model: str) -> bool:
        """Whether `model` has a name here, from now on if there is room."""
        if model in (NONE, OTHER) or (model not in self._names and len(self._names) >= MODELS_MAX):
            return False
        self._names.add(model)
        return True


class _Tenant:
    """Users of one tenant: those that have a name, and what the others were charged since the last comparison."""

    __slots__ = ("charges", "named", "since")

    def __init__(self) -> None:
        self.named: set[str] = set()
        self.since: dict[str, int] = {}
        self.charges = 0


class Users:
    """Names of users: of each tenant the first ones, and later those that are charged most."""

    def __init__(self, *, users_max: int = USERS_MAX) -> None:
        self._users_max = users_max
        self._count = 0
        self._tenants: dict[str, _Tenant] = {}

    def __call__(self, tenant: str, user: str | None, amount: int) -> str:
        """The label of `user` of the tenant with this label, who is charged `amount`."""
        if user is None or tenant == OTHER:
            return NONE if user is None else OTHER
        known = self._tenants.get(tenant)
        if known is None:
            known = self._tenants[tenant] = _Tenant()
        if user in known.named:
            return user
        if len(known.named) < FIRST_USERS and self._has_room(user):
            return self._name(known, user)
        if len(known.named) < FIRST_USERS + FURTHER_USERS and self._has_room(user):
            self._compare(known, user, amount)
        return OTHER

    def _has_room(self, user: str) -> bool:
        return self._count < self._users_max and user not in (NONE, OTHER)

    def _name(self, known: _Tenant, user: str) -> str:
        known.named.add(user)
        self._count += 1
        return user

    def _compare(self, known: _Tenant, user: str, amount: int) -> None:
        """Add up by user; once in a while the dearest gets a name, from its next charge on.

        With more users than are compared the one charged least makes room and leaves its sum behind: whoever was
        charged more than a hundredth of all is among them all the same.
        """
        since = known.since
        if user in since or len(since) < CANDIDATES_MAX:
            since[user] = since.get(user, 0) + amount
        else:
            least = min(since, key=since.__getitem__)
            since[user] = since.pop(least) + amount
        known.charges += 1
        if known.charges >= CHARGES_COMPARED:
            self._name(known, max(since, key=since.__getitem__))
            since.clear()
            known.charges = 0
