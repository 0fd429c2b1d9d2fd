"""Trouble: what goes wrong with a store, and the class each kind has. The store's own words never leave this file."""

from gateway.errors import LedgerPoisoned, LedgerUnavailable

# First words of error answers, and what they mean to us. Anything else is `error`.
_BY_WORD = {
    "LOADING": "loading",
    "READONLY": "readonly",
    "OOM": "oom",
    "MISCONF": "misconfigured",
    "NOREPLICAS": "replicas",
    "BUSY": "busy",
    "NOAUTH": "auth",
    "WRONGPASS": "auth",
    "NOPERM": "auth",
    "MASTERDOWN": "replicas",
    "CLUSTERDOWN": "cluster",
    "TRYAGAIN": "cluster",
    "CROSSSLOT": "cluster",
    "MOVED": "cluster",
    "ASK": "cluster",
}

# Words of errors that speak of a stored value.
_POISON = ("POISONED", "WRONGTYPE", "not an integer")

# Errors after which a connection is worth nothing: it leads to a store that cannot write.
LEADS_NOWHERE = frozenset({"readonly", "replicas", "loading", "auth"})


class UnknownScriptError(LedgerUnavailable):
    """The store does not know the script: it did not run."""


def classified(text: str) -> LedgerUnavailable:
    """The error that a store's answer `text` stands for."""
    # Errors of a command inside a script stand after words about the script, with some stores.
    if any(word in text for word in _POISON):
        return LedgerPoisoned("poisoned")
    first = text.split(" ", 1)[0]
    if first == "NOSCRIPT":
        return UnknownScriptError("error")
    if text.startswith("ERR max number of clients"):
        return LedgerUnavailable("connection")
    if text.startswith("ERR Protocol error: unauthenticated"):
        # A store that wants a password reads no long command from whoever gave none.
        return LedgerUnavailable("auth")
    return LedgerUnavailable(_BY_WORD.get(first) or _inside(text))


def _inside(text: str) -> str:
    """What a script ran into, where the store puts its own words before it: `… -OOM command not allowed …`."""
    words = (word.lstrip("-@") for word in text.split(" "))
    return next((_BY_WORD[word] for word in words if word in _BY_WORD), "error")
