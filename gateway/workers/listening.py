"""Listening: sockets bound once, by the supervisor, and handed to whoever listens.

Each worker has its own socket on the same port, and the kernel deals connections out evenly. The supervisor keeps all
of them open: what waits in the queue of a worker that died is taken by the next one in its place.
"""

import os
import socket
from collections.abc import Sequence

Sockets = tuple[socket.socket, ...]
Address = tuple[socket.AddressFamily, tuple[object, ...]]


def bound(host: str, port: int, *, times: int) -> list[Sockets]:
    """Sockets for `times` listeners, one for each address of `host`, all on one port.

    Raises:
        OSError: the port is taken, or the host has no address here. The text says which.
    """
    made: list[socket.socket] = []
    try:
        addresses = _addresses(host, port)
        # The first without company: else two gateways could share a port by mistake, and each other's clients.
        with _socket(addresses[0], port, alone=True) as probe:
            port = port or int(probe.getsockname()[1])
        for _ in range(times):
            made += [_socket(address, port, alone=False) for address in addresses]
    except OSError as error:
        for one in made:
            one.close()
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {why}") from None
    return [tuple(made[at : at + len(addresses)]) for at in range(0, len(made), len(addresses))]


def port_of(sockets: Sequence[socket.socket]) -> int:
    """The port they are bound to."""
    return int(sockets[0].getsockname()[1])


def _addresses(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, tuple(address)) for family, _, _, _, address in found))


def _socket(address: Address, port: int, *, alone: bool) -> socket.socket:
    family, (host, _, *rest) = address
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not alone:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port, *rest))
        made.settimeout(0)
    except OSError:
        made.close()
        raise
    return made
