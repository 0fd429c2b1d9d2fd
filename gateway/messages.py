"""Call and Reply: HTTP messages in our own words.

The hall and the back door speak in these; neither an aiohttp request nor a response crosses a wall.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from enum import StrEnum
from typing import Protocol

from gateway.units import Credits
from gateway.values import value

# Header fields in order of arrival. Names are lower case.
Fields = tuple[tuple[str, str], ...]


class Flavour(StrEnum):
    """The two ways Dezgo is sold: they differ in base URL, key header and money headers only."""

    DIRECT = "direct"
    RAPIDAPI = "rapidapi"


class Stored(Protocol):
    """A body that lies outside memory, whole, until its request has ended."""

    def __len__(self) -> int:
        """How many bytes it has."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """All of it, from the first byte on. Raises OSError when it cannot be read on."""
        ...


@value(frozen=True, slots=True)
class Call:
    """One request on its way to the upstream.

    Attributes:
        request_id: ours; also in the answer and the log line.
        verb: `GET` or `POST`.
        path: the route's constant upstream path, never what the client wrote.
        query: the raw query string as received, without `?`; empty for none.
        fields: what the client sent and may be forwarded; no credentials, nothing hop-by-hop.
        body: forwarded byte for byte.
    """

    request_id: str
    verb: str
    path: str
    query: str
    fields: Fields
    body: bytes | Stored


@value(frozen=True, slots=True)
class Account:
    """What an answer says of the master account. It never reaches a client.

    Attributes:
        remaining: credits left after the call.
        limit: credits of the plan's period.
        reset_s: seconds until the period ends.
        index: the balance's place among all balances of the account, rising.
    """

    remaining: Credits | None = None
    limit: Credits | None = None
    reset_s: int | None = None
    index: int | None = None


async def _nothing() -> None:
    """Close nothing."""


@value(frozen=True, slots=True)
class Reply:
    """The head of the upstream's answer, and its body as it arrives.

    Attributes:
        status: 200…599.
        fields: all fields as received.
        body: the bytes as they arrive, once. Raises `UpstreamUnanswered` when cut short or too slow.
        reported: the charge the upstream names, when it names one readable amount.
        malformed: a charge was named, but not one readable amount.
        api_reached: false when RapidAPI's own gateway made this answer: nothing was charged.
        account: the master account's numbers, if the answer carries any.
        leaking: the master key stands in a field: nothing of this answer may be passed on.
        body_bytes: the announced length of the body, None when not announced.
        replayed: a former answer told again, by the gateway: nothing was sent for it.
        close: gives the connection up; safe to call again.
    """

    status: int
    fields: Fields
    body: AsyncIterator[bytes]
    reported: Credits | None = None
    malformed: bool = False
    api_reached: bool = True
    leaking: bool = False
    account: Account = Account()
    body_bytes: int | None = None
    replayed: bool = False
    close: Callable[[], Awaitable[None]] = _nothing

    def field(self, name: str) -> str | None:
        """The first value of the field `name` (lower case), or None."""
        return next((value for key, value in self.fields if key == name), None)
