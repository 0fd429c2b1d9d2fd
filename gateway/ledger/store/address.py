"""Address: which stores a URL speaks of. Pure."""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl, unquote, urlsplit

_PORT, _SENTINEL_PORT = 6379, 26379

SCHEMES = ("redis://", "rediss://", "unix://", "redis+cluster://", "redis+sentinel://")


class Kind(StrEnum):
    """One store, the nodes of a cluster, or sentinels that know where the primary is."""

    SINGLE = "single"
    CLUSTER = "cluster"
    SENTINEL = "sentinel"


@dataclass(frozen=True, slots=True)
class Address:
    """Where one store listens: host and port, or a socket's path."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """What a URL says.

    Attributes:
        kind: how many stores there are, and who says which one to ask.
        addresses: the store; or some nodes of the cluster; or the sentinels. At least one.
        tls: whether connections are encrypted.
        user, password: shown to the stores; never printed.
        database: its number; always 0 in a cluster.
        name: what the sentinels call the primary.
    """

    kind: Kind
    addresses: tuple[Address, ...]
    tls: bool = False
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    database: int = 0
    name: str = ""


def read_url(text: str) -> StoreUrl:
    """Read `redis://`, `rediss://`, `unix://`, `redis[s]+cluster://` or `redis[s]+sentinel://`.

    Several hosts stand with commas between them. The primary's name is the path of a sentinel URL; a database is
    `?db=N`, or the path of `redis://`.

    Raises:
        ValueError: anything else; the text never holds any of the URL.
    """
    parts = urlsplit(text)
    scheme, _, way = parts.scheme.partition("+")
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.fragment or asked.keys() - {"db", "password"}:
        raise ValueError("unknown option")
    shown, _, hosts = parts.netloc.rpartition("@")
    user, _, password = (unquote(part) for part in shown.partition(":"))
    login = user or None, password or asked.get("password") or None
    if parts.scheme == "unix":
        if not parts.path.strip("/") or hosts:
            raise ValueError("no path")
        return StoreUrl(Kind.SINGLE, (Address(unquote(parts.path)),), False, *login, _database(asked, ""))  # noqa: FBT003
    if scheme not in ("redis", "rediss") or way not in ("", "cluster", "sentinel"):
        raise ValueError("unknown scheme")
    kind = Kind(way or "single")
    addresses = tuple(_address(host, kind) for host in hosts.split(","))
    name = parts.path.strip("/") if kind is Kind.SENTINEL else ""
    database = _database(asked, parts.path.strip("/") if kind is Kind.SINGLE else "")
    if kind is Kind.SINGLE and len(addresses) > 1:
        raise ValueError("several hosts")
    if kind is Kind.CLUSTER and (database or parts.path.strip("/")):
        raise ValueError("a cluster has database 0 alone")
    if kind is Kind.SENTINEL and (not name or "/" in name):
        raise ValueError("no name of the primary")
    return StoreUrl(kind, addresses, scheme == "rediss", *login, database, name)


def _address(text: str, kind: Kind) -> Address:
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.port == 0:
        raise ValueError("no host")
    return Address(parts.hostname, parts.port or (_SENTINEL_PORT if kind is Kind.SENTINEL else _PORT))


def _database(asked: dict[str, str], path: str) -> int:
    text = asked.get("db") or path or "0"
    if not text.isascii() or not text.isdecimal() or len(text) > 6:  # noqa: PLR2004 - no store has a million databases
        raise ValueError("no database")
    return int(text)
