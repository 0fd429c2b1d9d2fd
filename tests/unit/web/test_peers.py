"""Peers: a forwarded address is believed only where a trusted proxy wrote it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.web.peers import HOPS_MAX, Peers

PEERS = Peers(["10.0.0.0/8", "fd00::/8"])


def said(*values: str) -> tuple[tuple[str, str], ...]:
    return tuple(("x-forwarded-for", value) for value in values)


@pytest.mark.parametrize(
    ("peer", "fields", "address"),
    [
        ("203.0.113.9", said("1.2.3.4"), "203.0.113.9"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", said("1.2.3.4"), "1.2.3.4"),
        ("10.0.0.1", said("6.6.6.6, 1.2.3.4"), "1.2.3.4"),
        ("10.0.0.1", said("6.6.6.6", "1.2.3.4"), "1.2.3.4"),
        ("10.0.0.1", said("6.6.6.6, 1.2.3.4, 10.9.9.9"), "1.2.3.4"),
        ("10.0.0.1", said("10.2.2.2, 10.3.3.3"), "10.2.2.2"),
        ("10.0.0.1", said("6.6.6.6, nonsense, 10.9.9.9"), "10.9.9.9"),
        ("10.0.0.1", said("1.2.3.4:80"), "10.0.0.1"),
        ("::ffff:10.0.0.1", said("1.2.3.4"), "1.2.3.4"),
        ("fd00::1", said("2001:db8::7"), "2001:db8::7"),
        ("10.0.0.1", (("x-real-ip", "1.2.3.4"), ("forwarded", "for=1.2.3.4")), "10.0.0.1"),
        ("fe80::1%eth0", (), "fe80::1"),
        (None, said("1.2.3.4"), None),
    ],
)
def test_the_nearest_address_that_is_no_trusted_proxy_counts(
    peer: str | None, fields: tuple[tuple[str, str], ...], address: str | None
) -> None:
    assert PEERS.address(peer, fields) == address


def test_nobody_is_trusted_unless_named() -> None:
    assert Peers().address("127.0.0.1", said("1.2.3.4")) == "127.0.0.1"


def test_a_chain_is_looked_through_to_its_bound() -> None:
    chain = ", ".join(["1.2.3.4", *["10.0.0.2"] * HOPS_MAX])
    assert PEERS.address("10.0.0.1", said(chain)) == "10.0.0.2"


@given(st.lists(st.text(max_size=40), max_size=5))
def test_no_text_is_ever_an_error_or_shown(values: list[str]) -> None:
    address = PEERS.address("10.0.0.1", said(*values))
    assert address is not None
    assert set(address) <= set("0123456789abcdef.:")
