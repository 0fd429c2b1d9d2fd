"""Belief: which of two balances is the newer one, when answers overtake each other. Pure.

1. What was asked after a balance was heard is newer than it, whatever else is said.
2. Of two calls under way at the same time, the larger balance index is newer (direct), or the later end of the plan's
   period (RapidAPI).
3. Where neither says, the lower balance is believed: within a period a balance only falls, and too little is safe.
"""

from gateway.messages import Account
from gateway.units import Credits
from gateway.values import value

# The end of a period is told in whole seconds from an unknown instant: ends closer than this are the same one.
SAME_PERIOD_S = 60.0


@value(frozen=True, slots=True)
class Belief:
    """A balance as one answer told it.

    Attributes:
        remaining: credits left.
        limit: of the plan's period.
        index: its place among all balances of the account.
        ends_s: when the period ends, on the clock of whoever heard it.
        heard_at: the number of the last call begun before it was heard.
    """

    remaining: Credits
    limit: Credits | None = None
    index: int | None = None
    ends_s: float | None = None
    heard_at: int = 0


def belief(told: Account, *, heard_at: int, now_s: float) -> Belief | None:
    """What `told` says, or None when it says nothing of a balance."""
    if told.remaining is None:
        return None
    ends_s = None if told.reset_s is None else now_s + told.reset_s
    return Belief(told.remaining, told.limit, told.index, ends_s, heard_at)


def is_newer(told: Belief, known: Belief | None, *, began: int) -> bool:
    """Whether `told` is to be believed instead of `known`; `began` is the number of the call that was answered."""
    if known is None or began > known.heard_at:
        return True
    if told.index is not None and known.index is not None:
        return told.index > known.index
    if told.ends_s is not None and known.ends_s is not None and abs(told.ends_s - known.ends_s) > SAME_PERIOD_S:
        return told.ends_s > known.ends_s
    return told.remaining < known.remaining
