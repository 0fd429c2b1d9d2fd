"""The upstream could not be used, or the client did not wait."""

from dataclasses import dataclass

from gateway.errors.root import GatewayError


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


@dataclass(eq=False)
class Overloaded(GatewayError):
    """The upstream takes no more calls now, and the queue before it is full or too long. Nothing was charged.

    Attributes:
        code: `full`: no place; `displaced`: it was given to a tenant with fewer; `hopeless`: its turn would come too
            late; `waited`: it came too late; `draining`: the gateway stops.
        retry_after_s: seconds until the queue is thought to be shorter.
    """

    code: str
    retry_after_s: int = 1
    reason = "overloaded"


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
