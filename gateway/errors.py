"""The error tree: what went wrong, in this house's own terms.

Wall 7: errors carry meaning, `problems.py` carries status. Wall 8: only the facts an error lists as its
fields may leave the house; nothing here ever holds a foreign exception's text or a value a client sent.
"""

from dataclasses import dataclass
from typing import ClassVar

from gateway.units import Credits


@dataclass(eq=False)
class GatewayError(Exception):
    """Root of all errors that end a request. `reason` comes from a closed set: it is a metric label."""

    reason: ClassVar[str] = "internal"

    def __str__(self) -> str:
        return self.reason


class BadRequest(GatewayError):
    """What the client sent cannot be served as it stands. The client must change it."""


class UnknownPath(BadRequest):
    """No route has this path."""

    reason = "unknown_path"


@dataclass(eq=False)
class VerbNotAllowed(BadRequest):
    """The path exists, but not for this HTTP method.

    `allowed` lists those it has.
    """

    allowed: tuple[str, ...]
    reason = "method_not_allowed"


@dataclass(eq=False)
class BadHttp(BadRequest):
    """The message breaks a rule of HTTP, or one of ours that keeps it unambiguous.

    `detail` says what is wrong, in our words.
    """

    detail: str
    reason = "bad_http"


class TokenInUrl(BadRequest):
    """A credential stands in the URL or in the body, where logs and proxies would keep it."""

    reason = "token_in_url"


class AmbiguousCredentials(BadRequest):
    """Two different tokens in one request."""

    reason = "ambiguous_credentials"


@dataclass(eq=False)
class BodyTooLarge(BadRequest):
    """The body passes `body_bytes_max` bytes."""

    body_bytes_max: int
    reason = "body_too_large"


@dataclass(eq=False)
class BodyTooSlow(BadRequest):
    """The body did not arrive within `body_timeout_s` seconds."""

    body_timeout_s: float
    reason = "body_too_slow"


class ExpectationFailed(BadRequest):
    """An `Expect` other than `100-continue`."""

    reason = "expectation_failed"


@dataclass(eq=False)
class UnsupportedMediaType(BadRequest):
    """The content type is missing, doubled or none of JSON, urlencoded and multipart; or the body is coded."""

    detail: str
    reason = "unsupported_media_type"


@dataclass(eq=False)
class BadBody(BadRequest):
    """The body is not what its content type says.

    `detail` says what is wrong, in our words.
    """

    detail: str
    reason = "bad_body"


@dataclass(eq=False)
class BadParameter(BadRequest):
    """A priced parameter has no single readable value.

    The value itself is never kept.

    Attributes:
        parameter: the name out of our own closed list.
        detail: what it must be, in our words.
    """

    parameter: str
    detail: str
    reason = "invalid_parameter"


class DuplicateParameter(BadParameter):
    """A priced parameter is given more than once, or under a name that some reader takes for it."""

    reason = "duplicate_parameter"


class BadImage(BadParameter):
    """An uploaded image whose size cannot be read in exactly one way.

    `detail` is a machine reason, such as `crc` or `two_sof`.
    """

    reason = "bad_image"


@dataclass(eq=False)
class BadHeader(BadRequest):
    """One of the gateway's own request fields is unreadable."""

    header: str
    detail: str
    reason = "bad_header"


@dataclass(eq=False)
class Unauthenticated(GatewayError):
    """No token, or one that proves nothing.

    Attributes:
        code: which check failed; logged, not shown: `missing` or one of `jwt_alg jwt_kid jwt_time jwt_claim
            jwt_aud jwt_iss jwt_dup jwt_header jwt_typ jwt_size jwt_form jwt_signature`.
    """

    code: str
    reason = "unauthenticated"


class IdentityUnavailable(GatewayError):
    """No key set could be fetched yet, so no token can be judged."""

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


@dataclass(eq=False)
class AboveCeiling(GatewayError):
    """The quote is above the caller's own ceiling (`X-Gateway-Max-Credits`) or its token's grant.

    Attributes:
        quoted: the price.
        ceiling: what the caller set.
        source: `header` or `grant`.
    """

    quoted: Credits
    ceiling: Credits
    source: str
    reason = "above_ceiling"


@dataclass(eq=False)
class BudgetExhausted(GatewayError):
    """A budget on the caller's path cannot bear the call. Nothing was written.

    Attributes:
        quoted: what the call would have set aside.
        budget: the binding budget's name, such as `team/day`.
        limit: its limit.
        remaining: what it has left, never negative.
        reset_s: seconds until its window ends; None when it never does.
        certain: false when an earlier try went unanswered: it may yet be written, and must be voided.
    """

    quoted: Credits
    budget: str
    limit: Credits
    remaining: Credits
    reset_s: int | None
    level: str = "tenant"
    certain: bool = True
    reason = "budget_exhausted"


@dataclass(eq=False)
class LedgerUnavailable(GatewayError):
    """The ledger gave no answer in time, or not one that can be trusted; nothing was sent upstream.

    Attributes:
        code: error class, from a closed set, such as `timeout`, `connection`, `loading`, `readonly`, `oom`.
        sent: false when the ledger was not even asked: nothing was written, nor ever will be.
    """

    code: str
    sent: bool = True
    reason = "ledger_unavailable"


class LedgerPoisoned(LedgerUnavailable):
    """A stored balance is not a number, or a record contradicts it: this tenant is closed until repaired."""

    reason = "ledger_poisoned"


class HoldClosed(GatewayError):
    """A hold under this id has already ended; nothing may be held under it again."""

    reason = "hold_closed"


@dataclass(eq=False)
class Busy(GatewayError):
    """A bound of the gateway is reached; nothing was held.

    `retry_after_s` says when to come back.
    """

    retry_after_s: int = 1
    reason = "busy"


class UpstreamError(GatewayError):
    """The upstream could not be used."""


@dataclass(eq=False)
class UpstreamUnreachable(UpstreamError):
    """Provably nothing was sent: no connection came about. Nothing is charged."""

    code: str = "connect"
    reason = "upstream_unreachable"


@dataclass(eq=False)
class UpstreamUnanswered(UpstreamError):
    """Sent, and then no whole, readable answer: a timeout, a reset, a cut. It may have been charged.

    Attributes:
        code: `timeout`, `reset`, `cut` or `unreadable`.
    """

    code: str
    reason = "upstream_unanswered"


class UpstreamRedirect(UpstreamError):
    """The upstream answered with a redirect, which is never followed nor shown."""

    reason = "upstream_redirect"


class UpstreamLeak(UpstreamError):
    """The answer held the master key. It is not passed on."""

    reason = "upstream_leak"


@dataclass(eq=False)
class UpstreamExhausted(UpstreamError):
    """The company's own account at the upstream cannot bear the call beside its floor, or its key is refused.

    `status` is what the upstream answered: 401, 402, 403 or 429; None when nothing was sent.
    """

    status: int | None = None
    reason = "upstream_exhausted"


class ClientGone(GatewayError):
    """The client no longer takes its answer. The call is still followed to its end and booked."""

    reason = "client_gone"
