"""Peers: which address a request comes from, behind proxies of one's own. Only the log line is told. Pure."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from gateway.messages import Fields

# A chain of more hops is not looked through.
HOPS_MAX = 16

_ADDRESSES_KEPT = 4_096

_SITE_BYTES = 8
_Address = IPv4Address | IPv6Address

# More than any address has: what is cut here is none either way.
_ADDRESS_CHARACTERS_MAX = 64


class Peers:
    """Reads `X-Forwarded-For` where it was written by a proxy that is trusted, and nowhere else.

    Args:
        trusted: addresses and networks of those proxies, such as `10.0.0.0/8`.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted = tuple(ip_network(network) for network in trusted)

    def address(self, peer: str | None, fields: Fields) -> str | None:
        """The nearest address that is no trusted proxy's; `peer` itself when it is none. None when nobody knows.

        Args:
            peer: the other end of the connection.
            fields: of the request, names in lower case.
        """
        known = _read(peer or "")
        if known is None or not self._trusts(known[0]):
            return None if known is None else known[1]
        nearest = known[1]
        chain = [hop for name, value in fields if name == "x-forwarded-for" for hop in value.split(",")]
        for hop in reversed(chain[-HOPS_MAX:]):
            found = _read(hop.strip(" \t"))
            if found is None:
                break  # what stands before it was written by nobody knows whom
            nearest = found[1]
            if not self._trusts(found[0]):
                break
        return nearest

    def counted(self, peer: str) -> bytes | None:
        """What a connection from `peer` counts as: its address, or the network of an IPv6 one, which is one site's.

        None for a trusted proxy, through which many come, and for what is no address.
        """
        read = _read(peer)
        if read is None or self._trusts(read[0]):
            return None
        found = read[0]
        return found.packed if isinstance(found, IPv4Address) else found.packed[:_SITE_BYTES]

    def _trusts(self, address: _Address) -> bool:
        return bool(self._trusted) and any(address in network for network in self._trusted)


def _read(text: str) -> tuple[_Address, str] | None:
    return _parsed(text.partition("%")[0][:_ADDRESS_CHARACTERS_MAX])


@lru_cache(maxsize=_ADDRESSES_KEPT)
def _parsed(text: str) -> tuple[_Address, str] | None:
    """An address, and as it is written."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    address = (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address
    return address, str(address)
