"""Charge: quote x what happened -> what is due, after the work. One table, one total function.

The rule behind the table: what the upstream reports counts; doubt costs the quote; free is only what
provably was not done, or what the upstream refused without naming a charge.
"""

from enum import Enum, auto

from gateway.units import Credits, Flag
from gateway.values import value


class Outcome(Enum):
    """The ways a call can end, as far as money is concerned."""

    REPORTED = auto()  # a readable charge came with the answer, whatever its status
    MALFORMED = auto()  # a charge was named, doubled or unreadable, whatever the status
    SUCCEEDED = auto()  # success or redirect, and no word of a charge
    REFUSED = auto()  # the upstream refused the call and named no charge
    FAILED = auto()  # the upstream failed and named no charge
    NOT_REACHED = auto()  # the marketplace's own gateway answered: the API never saw the call
    NEVER_SENT = auto()  # provably not one byte of the call left
    UNANSWERED = auto()  # sent, then no whole, readable answer


class Due(Enum):
    """Which amount is booked."""

    REPORTED = auto()
    QUOTED = auto()
    NOTHING = auto()


TABLE: dict[Outcome, tuple[Due, Flag]] = {
    Outcome.REPORTED: (Due.REPORTED, Flag.CONFIRMED),
    Outcome.MALFORMED: (Due.QUOTED, Flag.UNCONFIRMED),
    Outcome.SUCCEEDED: (Due.QUOTED, Flag.UNCONFIRMED),
    Outcome.REFUSED: (Due.NOTHING, Flag.CONFIRMED),
    Outcome.FAILED: (Due.NOTHING, Flag.UNCONFIRMED),
    Outcome.NOT_REACHED: (Due.NOTHING, Flag.CONFIRMED),
    Outcome.NEVER_SENT: (Due.NOTHING, Flag.CONFIRMED),
    Outcome.UNANSWERED: (Due.QUOTED, Flag.UNCERTAIN),
}


@value(frozen=True, slots=True)
class Charge:
    """What a call is settled at."""

    credits: Credits
    flag: Flag


def charge(quoted: Credits, outcome: Outcome, reported: Credits | None = None) -> Charge:
    """What is due for a call that was quoted at `quoted` and ended as `outcome`.

    Args:
        quoted: the amount to fall back on where the truth is not known.
        outcome: how it ended.
        reported: the upstream's own figure; must be given with `Outcome.REPORTED`.
    """
    due, flag = TABLE[outcome]
    if due is Due.REPORTED:
        if reported is None:
            raise ValueError("a reported charge needs its amount")
        return Charge(reported, flag)
    return Charge(quoted if due is Due.QUOTED else Credits.ZERO, flag)
