"""Budget, Balance, Path: who may spend how much, and where on the path it counts. Pure arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote, unquote

from gateway.errors import TenantFrozen, TenantUnknown
from gateway.ledger.limits import Limits
from gateway.ledger.window import Every, Span, Window
from gateway.units import Credits
from gateway.values import value

_PATHS_KEPT = 10_000


@value(frozen=True, slots=True)
class Path:
    """Who pays: `tenant/team/user`; team and user may be unknown."""

    tenant: str
    team: str | None = None
    user: str | None = None

    @classmethod
    def read(cls, text: str) -> "Path":
        """Read what `str` wrote. Raises ValueError for anything else."""
        tenant, team, user = text.split("/")
        return cls(tenant, None if team == "-" else team, None if user == "-" else unquote(user))

    def __str__(self) -> str:
        return _written(self)


@lru_cache(maxsize=_PATHS_KEPT)
def _written(path: Path) -> str:
    return "/".join((path.tenant, path.team or "-", quote(path.user, safe="@") if path.user else "-"))


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit per window at one point of a tenant's tree.

    Attributes:
        name: unique within its tenant and safe in a store key: `tenant/month`, `team:ads/day`, `each:alice/day`;
            a further one of the same kind: `tenant/day@Asia/Tokyo@0`.
        level: `tenant`, `team`, `user` or `each_user`; what a refusal and a metric call it.
        limit: credits per window, settled and held together.
        window: when it begins anew.
    """

    name: str
    level: str
    limit: Credits
    window: Window


@value(frozen=True, slots=True)
class Balance:
    """What one budget stands at in one window.

    Attributes:
        budget: which one.
        span: which window.
        spent: settled credits.
        held: credits of open holds.
        now_ms: the store's clock when this was read.
        granted: live grants, on top of the budget's own limit.
    """

    budget: Budget
    span: Span
    spent: Credits
    held: Credits
    now_ms: int
    granted: Credits = Credits.ZERO

    @property
    def limit(self) -> Credits:
        """What may be settled and held together now: the budget's own limit and all live grants."""
        return self.budget.limit + self.granted

    @property
    def remaining(self) -> Credits:
        """What may still be held; never negative, also when the limit was lowered below what is spent."""
        return Credits(max(0, self.room))

    @property
    def room(self) -> int:
        """Limit less what is settled and held, in millicredits; negative when the limit was lowered below that."""
        limit = self.budget.limit.millicredits + self.granted.millicredits
        return limit - self.spent.millicredits - self.held.millicredits

    def bears(self, amount: Credits) -> bool:
        """Whether `amount` may be held besides all that is settled and held."""
        return amount.millicredits <= self.room

    @property
    def reset_s(self) -> int | None:
        """Whole seconds until the window ends, at least 1; None when it never does."""
        return None if self.span.end_ms is None else max(1, -(-(self.span.end_ms - self.now_ms) // 1000))


def tightest(balances: tuple[Balance, ...]) -> Balance:
    """The balance with the least remaining; of equals the first on the path."""
    found, least = balances[0], max(0, balances[0].room)
    for balance in balances[1:]:
        remaining = max(0, balance.room)
        if remaining < least:
            found, least = balance, remaining
    return found


def binding(balances: tuple[Balance, ...], amount: Credits) -> Balance:
    """The tightest of those that cannot bear `amount`; there must be one."""
    return tightest(tuple(balance for balance in balances if not balance.bears(amount)))


@dataclass(frozen=True, slots=True)
class Rule:
    """A budget as configured, before it is known whose it is."""

    limit: Credits
    window: Window


@dataclass(frozen=True, slots=True)
class TeamBudgets:
    """What is configured for a team: its own budgets, and those of each of its users."""

    budgets: tuple[Rule, ...] = ()
    each_user: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class TenantBudgets:
    """What is configured for a tenant.

    Attributes:
        budgets: the tenant's own; at least one.
        each_user: one such budget for each user of the tenant.
        teams: by name. When any team is configured, an unknown team is refused.
        users: budgets of single users, by name, besides `each_user`.
        frozen: nothing new may be held.
        limits: on calls at once; None for none.
    """

    budgets: tuple[Rule, ...]
    each_user: tuple[Rule, ...] = ()
    teams: Mapping[str, TeamBudgets] = field(default_factory=dict)
    users: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    frozen: bool = False
    limits: Limits | None = None


class BudgetBook:
    """Every configured budget; answers which ones a path must pass."""

    def __init__(self, tenants: Mapping[str, TenantBudgets]) -> None:
        self._tenants = dict(tenants)
        self._known: dict[Path, tuple[Budget, ...]] = {}

    @property
    def tenants(self) -> tuple[str, ...]:
        """All configured tenants."""
        return tuple(self._tenants)

    @property
    def shared_paths(self) -> tuple[Path, ...]:
        """A path to every tenant and every team: together they pass every budget that is not a single user's."""
        teams = [(name, team) for name, tenant in self._tenants.items() for team in tenant.teams]
        alone = [Path(name) for name, tenant in self._tenants.items() if not tenant.teams]
        return (*alone, *(Path(name, team) for name, team in teams))

    @property
    def promised(self) -> Credits:
        """What all tenants together may spend within 31 days, by their own limits."""
        return Credits.sum(_promised(tenant) for tenant in self._tenants.values() if not tenant.frozen)

    def admitting(self, path: Path) -> tuple[Budget, ...]:
        """As `on_path`, for a new hold.

        Raises:
            TenantFrozen: nothing new may be held by this tenant.
            TenantUnknown: nobody is named where each user has a budget of his own: it would be passed by.
        """
        budgets = self.on_path(path)
        tenant = self._tenants[path.tenant]
        if tenant.frozen:
            raise TenantFrozen
        team = tenant.teams.get(path.team) if path.team is not None else None
        if path.user is None and (tenant.each_user or (team is not None and team.each_user)):
            raise TenantUnknown(level="user")
        return budgets

    def on_path(self, path: Path) -> tuple[Budget, ...]:
        """Every budget a call on `path` must pass, from the tenant down.

        Raises:
            TenantUnknown: nobody configured the tenant, or the team of a tenant that lists its teams.
        """
        known = self._known.get(path)
        if known is None:
            known = self._resolve(path)
            if len(self._known) >= _PATHS_KEPT:
                self._known.clear()
            self._known[path] = known
        return known

    def limits(self, tenant: str) -> Limits | None:
        """The tenant's limits on calls; None for none."""
        found = self._tenants.get(tenant)
        return None if found is None else found.limits

    def named(self, tenant: str, name: str) -> Budget | None:
        """The tenant's budget of this name, a single user's included; None when there is none.

        Raises:
            TenantUnknown: nobody configured the tenant, or the team in the name.
        """
        kind, *whose = name.partition("/")[0].split(":")
        shape = kind, len(whose)
        team = whose[0] if shape in (("team", 1), ("each", 2)) else None
        user = unquote(whose[-1]) if shape in (("user", 1), ("each", 1), ("each", 2)) else None
        budgets = self.on_path(Path(tenant, team, user))
        return next((budget for budget in budgets if budget.name == name), None)

    def _resolve(self, path: Path) -> tuple[Budget, ...]:
        tenant = self._tenants.get(path.tenant)
        if tenant is None:
            raise TenantUnknown
        team = tenant.teams.get(path.team) if path.team is not None else None
        if path.team is not None and tenant.teams and team is None:
            raise TenantUnknown(level="team")
        found = _named(tenant.budgets, "tenant", "tenant")
        if team is not None:
            found += _named(team.budgets, f"team:{path.team}", "team")
        if path.user is not None:
            user = quote(path.user, safe="@")
            found += _named(tenant.each_user, f"each:{user}", "each_user")
            if team is not None:
                found += _named(team.each_user, f"each:{path.team}:{user}", "each_user")
            found += _named(tenant.users.get(path.user, ()), f"user:{user}", "user")
        return found


# How often a window may begin anew within 31 days, at most.
_BEGINNINGS = {Every.HOUR: 31 * 24, Every.DAY: 31, Every.WEEK: 5, Every.MONTH: 1, Every.TOTAL: 1}


def _promised(tenant: TenantBudgets) -> Credits:
    return min(rule.limit * _BEGINNINGS[rule.window.every] for rule in tenant.budgets)


def _named(rules: tuple[Rule, ...], whose: str, level: str) -> tuple[Budget, ...]:
    found: dict[str, Budget] = {}
    for rule in rules:
        name = f"{whose}/{rule.window.every}"
        if name in found:
            # A second one of this kind, with another zone or start: under one name the two would share a balance.
            name += f"@{rule.window.zone}@{rule.window.starts_on}"
        found[name] = Budget(name, level, rule.limit, rule.window)
    return tuple(found.values())
