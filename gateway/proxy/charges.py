"""Charges: what an answer's fields say of money. Pure.

Rule 1: one readable amount is a charge, also when it is 0. Rule 2: anything else under a charge's name is
malformed, never guessed at: the money table has a row for it. Rule 3: the master account's numbers are wanted,
not needed: an unreadable one is None.
"""

import re
from collections.abc import Callable

from gateway.messages import Account, Fields, Flavour
from gateway.units import Credits
from gateway.values import value

_CHARGE: dict[Flavour, tuple[str, Callable[[str], Credits]]] = {
    Flavour.DIRECT: ("x-dezgo-job-amount-usd", Credits.parse_usd),
    Flavour.RAPIDAPI: ("x-credits-cost", Credits.parse),
}

# Says that RapidAPI's own gateway made the answer and the API never saw the call.
_NOT_REACHED = "x-rapidapi-proxy-response"

_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_INDEX = re.compile(r"[0-9]{1,15}", re.ASCII)


@value(frozen=True, slots=True)
class Reported:
    """A charge as the upstream names it.

    Attributes:
        credits: the one readable amount, or None.
        malformed: a charge was named, but doubled, empty, negative or otherwise unreadable.
    """

    credits: Credits | None = None
    malformed: bool = False


def reported(flavour: Flavour, fields: Fields) -> Reported:
    """The charge named in `fields`, whatever the answer's status."""
    name, read = _CHARGE[flavour]
    values = _values(fields, name)
    if not values:
        return Reported()
    credits = _read(values, read)
    return Reported(credits, malformed=credits is None)


def api_reached(flavour: Flavour, fields: Fields) -> bool:
    """Whether the API itself made this answer. Only RapidAPI's gateway ever says no."""
    if flavour is not Flavour.RAPIDAPI:
        return True
    return all(value.strip().lower() != "true" for value in _values(fields, _NOT_REACHED))


def account(flavour: Flavour, fields: Fields) -> Account:
    """What `fields` say of the master account."""
    if flavour is Flavour.DIRECT:
        return Account(
            remaining=_read(_values(fields, "x-dezgo-balance-total-usd"), Credits.parse_usd),
            index=_whole(_values(fields, "x-dezgo-balance-index"), _INDEX),
        )
    return Account(
        remaining=_read(_values(fields, "x-ratelimit-credits-remaining"), Credits.parse),
        limit=_read(_values(fields, "x-ratelimit-credits-limit"), Credits.parse),
        reset_s=_whole(_values(fields, "x-ratelimit-credits-reset"), _SECONDS),
    )


def _values(fields: Fields, name: str) -> list[str]:
    return [value for key, value in fields if key == name]


def _read(values: list[str], read: Callable[[str], Credits]) -> Credits | None:
    if len(values) != 1:
        return None
    try:
        return read(values[0])
    except ValueError:
        return None


def _whole(values: list[str], digits: re.Pattern[str]) -> int | None:
    return int(values[0]) if len(values) == 1 and digits.fullmatch(values[0]) else None
