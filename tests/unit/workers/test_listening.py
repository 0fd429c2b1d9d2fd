"""Promises of listening.py: one port for all, nobody else's, and connections dealt to each of them."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from gateway.workers.listening import Sockets, bound, port_of


@contextmanager
def listening(host: str = "127.0.0.1", port: int = 0, *, times: int) -> Iterator[list[Sockets]]:
    made = bound(host, port, times=times)
    try:
        for sockets in made:
            for one in sockets:
                one.listen(256)
        yield made
    finally:
        for sockets in made:
            for one in sockets:
                one.close()


def taken(one: socket.socket) -> int:
    """How many connections wait here; they are taken."""
    count = 0
    try:
        while True:
            one.accept()[0].close()
            count += 1
    except BlockingIOError:
        return count


def test_all_share_one_free_port_and_each_is_dealt_connections() -> None:
    with listening(times=4) as made:
        ports = {one.getsockname()[1] for sockets in made for one in sockets}
        assert ports == {port_of(made[0])}
        clients = [socket.create_connection(("127.0.0.1", port_of(made[0]))) for _ in range(200)]
        counts = [taken(one) for sockets in made for one in sockets]
        for client in clients:
            client.close()
    assert sum(counts) == 200
    assert min(counts) > 10


@pytest.mark.parametrize("shared", [False, True], ids=["by one", "by one that shares it"])
def test_a_port_that_is_taken_is_refused_in_words_even_where_it_could_be_shared(shared: bool) -> None:
    with closing(socket.socket()) as other:
        if shared:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1 port {port}: Address already in use"):
            bound("127.0.0.1", port, times=2)


def test_a_host_without_an_address_here_is_refused_in_words() -> None:
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.7 port 0: "):
        bound("192.0.2.7", 0, times=2)
