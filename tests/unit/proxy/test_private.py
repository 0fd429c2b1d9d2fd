"""Where the upstream may be: at no address of a private network, neither in the URL nor behind its name."""

import asyncio
import socket
from typing import Any

import pytest

from gateway.addresses import is_loopback, is_private_literal
from gateway.proxy.base_url import checked_base_url
from tests.fake_upstream import fake_upstream
from tests.unit.proxy.bench import call, told, upstream

PRIVATE = [
    *("127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),  # noqa: S104 - an address among others
    *("224.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fd00::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::"),
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_in_the_url_is_refused_unless_allowed(address: str) -> None:
    url = f"https://[{address}]" if ":" in address else f"https://{address}"
    with pytest.raises(ValueError, match="loopback or private"):
        checked_base_url(url, allow_http=False)
    assert checked_base_url(url, allow_http=False, allow_private=True)


@pytest.mark.parametrize(("host", "private"), [*((a, False) for a in PUBLIC), ("localhost", True), ("a.test", False)])
def test_public_addresses_and_names_are_not_private(host: str, private: bool) -> None:
    assert is_private_literal(host) is private


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],  # noqa: S104 - as above
)
def test_only_loopback_reaches_this_machine_alone(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


def _found(address: str, port: int) -> Any:
    six = ":" in address
    place = (address, port, 0, 0) if six else (address, port)
    return (socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM, 6, "", place)


def answering(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let names lead to these addresses, one list a look-up; returns what was asked."""
    asked: list[str] = []
    left = list(answers)

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [_found(address, port) for address in (left.pop(0) if len(left) > 1 else left[0])]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("found", [["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["8.8.8.8", "127.0.0.1"], ["::1"]])
async def test_a_name_that_leads_anywhere_private_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch, found: list[str]
) -> None:
    async with fake_upstream() as fake:
        answering(monkeypatch, found)
        async with upstream(f"http://upstream.test:{fake.port}", allow_private=False) as door:
            assert (await told(door, call())).ending == "upstream_unreachable private"
        assert fake.connections == 0


async def test_a_name_may_lead_to_a_private_address_where_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fake_upstream() as fake:
        answering(monkeypatch, ["127.0.0.1"])
        async with upstream(f"http://upstream.test:{fake.port}", allow_private=True) as door:
            assert (await told(door, call())).ending == "whole"


async def test_the_address_that_was_judged_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers differently the second time never gets the connection of the first judgement."""
    async with fake_upstream() as fake:
        # TEST-NET-3 is nobody's; were the name looked up again, it would lead to the listener.
        asked = answering(monkeypatch, ["203.0.113.1"], ["127.0.0.1"])
        monkeypatch.setattr("gateway.proxy.voyage.is_private_literal", lambda host: host.startswith("127."))
        async with upstream(f"http://upstream.test:{fake.port}", allow_private=False, connect_timeout_s=0.2) as door:
            first = await told(door, call())
        assert first.ending.startswith("upstream_unreachable")
        assert (fake.connections, len(asked)) == (0, 1)
