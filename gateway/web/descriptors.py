"""Descriptors: how many files and connections this process may have open, and how many of them are for clients."""

import sys

# What the system takes for granted in any case; a limit beyond it is no bound.
_LIMIT_MAX = 1_048_576

# The store, log, listeners, key sets, the operators' connections, and what the interpreter opens now and then.
RESERVED = 384

# Clients that are always let in: with fewer nothing would be served at all.
_LEAST = 16


def raised_limit() -> int:
    """Raise this process's own limit of open files as far as it may, and return it."""
    if sys.platform == "win32":
        return _LIMIT_MAX
    import resource  # noqa: PLC0415 - not on every platform

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _LIMIT_MAX if hard == resource.RLIM_INFINITY else min(hard, _LIMIT_MAX)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return min(soft, _LIMIT_MAX) if soft != resource.RLIM_INFINITY else _LIMIT_MAX
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # a system that says more than it gives
        return soft
    return most


def room_for(wished: int, *, limit: int, others: int) -> int:
    """How many of `wished` connections may be open where `others` files of a `limit` may be as well."""
    return min(wished, max(_LEAST, limit - others - RESERVED))
