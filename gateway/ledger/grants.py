"""Grants as they stand in a balance: `amount|until …`, until in ms, or empty for one that never lapses. Pure.

Read here exactly as `lua/common.lua` reads them.
"""

_DIGITS_MAX = 15
_WHOLE_MAX = 10**_DIGITS_MAX


def whole(stored: object) -> int:
    """A stored amount, read as strictly as the scripts read it. Raises ValueError for anything else."""
    if type(stored) is int and 0 <= stored < _WHOLE_MAX:
        return stored
    text = stored if isinstance(stored, str) else str(stored)
    if len(text) > _DIGITS_MAX or not (text.isascii() and text.isdigit()):
        raise ValueError("not a whole amount")
    return int(text)


def live(written: str, now_ms: int) -> int:
    """The sum of all grants that have not lapsed at `now_ms`. Raises ValueError for what is no list of grants."""
    found = 0
    for part in written.split(" ") if written else ():
        amount, until = part.split("|")
        if not until or now_ms < whole(until):
            found += whole(amount)
        else:
            whole(amount)
    return found
