"""Who calls is not proven, or may not do this."""

from dataclasses import dataclass

from gateway.errors.root import GatewayError


@dataclass(eq=False)
class Unauthenticated(GatewayError):
    """No token, or one that proves nothing.

    Attributes:
        code: which check failed; logged, not shown: `missing` or one of `jwt_alg jwt_kid jwt_time jwt_claim
            jwt_aud jwt_iss jwt_dup jwt_header jwt_typ jwt_size jwt_form jwt_signature
            jwt_revoked`.
    """

    code: str
    reason = "unauthenticated"


class IdentityUnavailable(GatewayError):
    """No token can be judged: no key set was fetched yet, or nobody knows which tokens are revoked now."""

    reason = "identity_unavailable"


class Forbidden(GatewayError):
    """The caller is known and may not do this."""


@dataclass(eq=False)
class TenantInvalid(Forbidden):
    """The token's tenant, team or user is missing or not a legal name.

    `claim` is the claim's name, as configured.
    """

    claim: str
    reason = "tenant_invalid"


@dataclass(eq=False)
class TenantUnknown(Forbidden):
    """A tenant (or a team of it) nobody configured: there is no budget to spend."""

    level: str = "tenant"
    reason = "tenant_unknown"


class TenantFrozen(Forbidden):
    """An operator has frozen the tenant: nothing new is held, what is open is settled."""

    reason = "tenant_frozen"


@dataclass(eq=False)
class MethodNotGranted(Forbidden):
    """The token's grants do not cover this method."""

    method: str
    reason = "method_not_granted"


class Unpriced(Forbidden):
    """A path that may cost money and has no rate, or whose estimated rate is switched off."""

    reason = "unpriced"


class NotYourJob(Forbidden):
    """An asynchronous job this tenant did not start, or that does not exist."""

    reason = "unknown_job"
