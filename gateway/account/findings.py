"""Findings: what the guard of the shared account has noticed. Metrics and log read these."""

from dataclasses import dataclass

from gateway.units import Credits


@dataclass(frozen=True, slots=True)
class Exhausted:
    """From now on calls are refused.

    Attributes:
        by: `answer` when the upstream refused a call for the account's sake, `balance` when the account is known not to
            bear one.
        remaining: what is believed to be left, None when that is not known.
    """

    by: str
    remaining: Credits | None


@dataclass(frozen=True, slots=True)
class Recovered:
    """Calls are admitted again."""

    remaining: Credits | None


@dataclass(frozen=True, slots=True)
class Compared:
    """The balance moved by one call of ours and nothing else.

    Attributes:
        method: of the call.
        difference: how much more the balance fell than the call reported; negative when it fell by less. Zero when
            rounding explains it.
        news: nothing of the kind was found for some time.
    """

    method: str
    difference: Credits
    news: bool


@dataclass(frozen=True, slots=True)
class Foreign:
    """The balance fell by `credits` more than this gateway's calls explain. `news` as for `Compared`."""

    credits: Credits
    news: bool


Finding = Exhausted | Recovered | Compared | Foreign
