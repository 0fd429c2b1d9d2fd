"""Addresses: which of them belong to a machine or a network of one's own. Pure; nothing is looked up."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

# What an IPv4 address hides in (RFC 6052); the standard library knows the others.
_TRANSLATED = ip_network("64:ff9b::/96")


def is_private(address: IPv4Address | IPv6Address) -> bool:
    """Whether `address` is not one of the public internet, also when an IPv4 address hides in an IPv6 one."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _TRANSLATED:
            inner = IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_private(inner)
    return not address.is_global or address.is_multicast


def is_private_literal(host: str) -> bool:
    """Whether `host` is written as such an address. A name is not looked up, save `localhost`."""
    try:
        return is_private(ip_address(host.strip("[]").partition("%")[0]))
    except ValueError:
        return host.lower().rstrip(".") == "localhost" or host.lower().rstrip(".").endswith(".localhost")


def is_loopback(host: str) -> bool:
    """Whether listening on `host` reaches this machine alone."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
