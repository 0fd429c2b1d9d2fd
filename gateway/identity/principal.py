"""Principal: who calls, as a verified token says."""

from dataclasses import dataclass

from gateway.units import Credits


@dataclass(frozen=True, slots=True)
class Grants:
    """What a token allows beyond what its budgets bear. It can only narrow.

    Attributes:
        methods: the tariff's method names this token may call; None for all.
        credits_max: the most one call may cost; None for no ceiling.
    """

    methods: frozenset[str] | None = None
    credits_max: Credits | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose token was verified.

    Attributes:
        tenant: `[a-z0-9][a-z0-9._-]{0,63}`.
        team: same alphabet, or None.
        user: 1 to 128 printable ASCII characters without spaces, or None.
        grants: what the token narrows.
        expires_at: the token's `exp`, seconds since the epoch.
        token_id: short hash of the token's `jti` for log lines, or None.
    """

    tenant: str
    team: str | None
    user: str | None
    grants: Grants
    expires_at: float
    token_id: str | None = None
