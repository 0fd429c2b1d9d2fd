"""Replies: what the head of the upstream's answer means, for money and for the account behind it. Pure."""

from collections.abc import AsyncIterator

from gateway.errors import GatewayError, UpstreamExhausted, UpstreamLeak, UpstreamRedirect
from gateway.messages import Reply
from gateway.pricing.charge import Outcome

# Answers that speak of the company's own account or key, not of the caller's request.
_ACCOUNT_STATUS = frozenset({401, 402})
_MARKET_STATUS = frozenset({401, 403, 429})

# The marketplace's 403 may be about one request alone: it must not stop everybody else's.
_CLOSING_STATUS = frozenset({401, 402, 429})

_GATEWAY_TIMEOUT = 504


def outcome_of(reply: Reply) -> Outcome:
    """What an answer's head means for money."""
    if reply.malformed:
        return Outcome.MALFORMED
    if reply.reported is not None:
        return Outcome.REPORTED
    if not reply.api_reached and reply.status == _GATEWAY_TIMEOUT:
        # The marketplace's gateway had passed the call on, and then gave up waiting: it may have been done.
        return Outcome.UNANSWERED
    if not reply.api_reached and reply.status >= 400:  # noqa: PLR2004 - status classes
        return Outcome.NOT_REACHED
    if reply.status >= 500:  # noqa: PLR2004 - status classes
        return Outcome.FAILED
    return Outcome.REFUSED if reply.status >= 400 else Outcome.SUCCEEDED  # noqa: PLR2004 - status classes


def closes_account(reply: Reply) -> bool:
    """Whether the next call would be refused as well, whatever it asks."""
    return _is_about_account(reply) and reply.status in _CLOSING_STATUS


def _is_about_account(reply: Reply) -> bool:
    return reply.status in (_ACCOUNT_STATUS if reply.api_reached else _MARKET_STATUS)


def refuse_unfit(reply: Reply) -> None:
    """Raise for answers that are not passed on: redirects, leaks, and what concerns the master account alone."""
    refused: GatewayError | None = None
    if reply.leaking:
        refused = UpstreamLeak()
    elif 300 <= reply.status < 400:  # noqa: PLR2004 - redirects, and 304 to a question nobody asked
        refused = UpstreamRedirect()
    elif _is_about_account(reply):
        refused = UpstreamExhausted(status=reply.status)
    if refused is not None:
        raise refused


async def joined(seen: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A body whose beginning was read already."""
    yield seen
    async for chunk in rest:
        yield chunk
