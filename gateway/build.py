"""Build: settings -> the parts that need no running loop. Settings stop here and in `app` (wall 11)."""

import math
from collections.abc import Mapping, Sequence

from gateway.identity.claims import Claim, ClaimRules, Fixed
from gateway.identity.fetch import HttpFetch
from gateway.identity.jwks import JwksSource
from gateway.identity.keys import Key, KeySet, pem_key, secret_key
from gateway.identity.revocation import RevocationWatch
from gateway.identity.verify import Issuer, Verifier
from gateway.ledger.budget import BudgetBook, Rule, TeamBudgets, TenantBudgets
from gateway.ledger.limits import Limits
from gateway.ledger.marks import Marks
from gateway.ledger.redis import RedisLedger
from gateway.ledger.store import Store
from gateway.ledger.window import Every, Window
from gateway.revocations import StoredRevocations
from gateway.settings import BudgetRule, Settings, TenantRules, TokenKey
from gateway.settings.issuers import Claims, Identity
from gateway.settings.issuers import Issuer as IssuerSettings
from gateway.settings.tenants import WEEKDAYS, LimitRules


def budget_book(tenants: Mapping[str, TenantRules]) -> BudgetBook:
    """The budgets of all tenants."""
    return BudgetBook({name: _tenant(rules) for name, rules in tenants.items()})


def _tenant(rules: TenantRules) -> TenantBudgets:
    return TenantBudgets(
        budgets=_rules(rules.budgets),
        each_user=_rules(rules.each_user),
        teams={name: TeamBudgets(_rules(team.budgets), _rules(team.each_user)) for name, team in rules.teams.items()},
        users={name: _rules(user.budgets) for name, user in rules.users.items()},
        frozen=rules.frozen,
        limits=_limits(rules.limits),
    )


def _limits(rules: LimitRules) -> Limits | None:
    pace = rules.calls_per_second
    if rules.calls_in_flight is None and pace is None:
        return None
    return Limits(rules.calls_in_flight, pace, rules.burst or max(1, math.ceil(pace or 1)))


def _rules(rules: Sequence[BudgetRule]) -> tuple[Rule, ...]:
    return tuple(Rule(rule.credits, window(rule)) for rule in rules)


def window(rule: BudgetRule) -> Window:
    """The window of a configured budget."""
    every = Every(rule.every)
    starts_on = 0
    if every is Every.WEEK:
        starts_on = WEEKDAYS.index(rule.starts_on) if isinstance(rule.starts_on, str) else 0
    elif every is Every.MONTH:
        starts_on = rule.starts_on if isinstance(rule.starts_on, int) else 1
    return Window(every, rule.zone, starts_on)


def verifier(identity: Identity, keys: Sequence[TokenKey], store: Store) -> Verifier:
    """The judge of all configured issuers' tokens, and of those that were taken back.

    Raises:
        BadKey, ValueError: a key is too weak or of another kind than its algorithm; the text names no secret.
    """
    return Verifier(
        [_issuer(issuer, identity, keys) for issuer in identity.issuers],
        revocations=RevocationWatch(
            StoredRevocations(store), poll_s=identity.revocations.poll_s, stale_max_s=identity.revocations.stale_max_s
        ),
    )


def _issuer(issuer: IssuerSettings, identity: Identity, keys: Sequence[TokenKey]) -> Issuer:
    jwks = None
    if issuer.jwks_url is not None:
        rules = identity.jwks
        jwks = JwksSource(
            HttpFetch(issuer.jwks_url, timeout_s=rules.timeout_s, allow_http=rules.allow_http),
            refresh_s=rules.refresh_s,
            cooldown_s=rules.cooldown_s,
            stale_max_s=rules.stale_max_s,
            fetch_timeout_s=rules.timeout_s,
        )
    return Issuer(
        issuer.issuer,
        frozenset(issuer.audiences),
        KeySet.of(token_key(key) for key in keys if key.issuer == issuer.issuer),
        jwks,
        claim_rules(issuer.claims),
        issuer.leeway_s,
        issuer.require_typ,
    )


def redis_ledger(settings: Settings, store: Store, book: BudgetBook, marks: Marks | None = None) -> RedisLedger:
    """The ledger in `store`, with the configured terms."""
    ttl_s, once_s = settings.ledger.hold_ttl_s, settings.idempotency.kept_s
    ttl_ms, once_kept_ms = int(ttl_s * 1000), int(once_s * 1000)
    return RedisLedger(store, book, hold_ttl_ms=ttl_ms, once_kept_ms=once_kept_ms, marks=marks)


def token_key(key: TokenKey) -> Key:
    """A configured key, bound to its algorithm. Raises BadKey; ValueError when it is of another kind."""
    text = key.text.get_secret_value()
    made = secret_key(text.encode(), kid=key.kid) if key.algorithm == "HS256" else pem_key(text, kid=key.kid)
    if made.algorithm != key.algorithm:
        raise ValueError(f"the key {key.kid} is not one for {key.algorithm}")
    return made


def claim_rules(claims: Claims) -> ClaimRules:
    """Where an issuer's tokens say who calls."""
    tenant = Fixed(claims.tenant_fixed) if claims.tenant_fixed is not None else Claim.at(claims.tenant or "tenant")
    team = Fixed(claims.team_fixed) if claims.team_fixed is not None else _claim(claims.team)
    return ClaimRules(tenant, team, _claim(claims.user), _claim(claims.methods), _claim(claims.credits_max))


def _claim(path: str | None) -> Claim | None:
    return None if path is None else Claim.at(path)
