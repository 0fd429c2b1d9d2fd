"""A store behind TLS: the whole way of a hold, and nothing without the right authority."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger.budget import Path as BudgetPath
from gateway.ledger.contract import HoldId
from gateway.ledger.redis import RedisLedger
from gateway.ledger.store import Store
from gateway.units import Credits, Flag
from tests.certificates import self_signed
from tests.contract.keepers import assert_clean, book, new_tenant
from tests.tools import need_tool

PASSWORD = "not-a-secret"


@contextmanager
def encrypted(folder: Path, certificate: Path, key: Path) -> Iterator[int]:
    """The port of a Redis that speaks TLS alone and wants a password."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603 - a program of this machine
        [
            *(need_tool("redis-server"), "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1"),
            *("--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(certificate)),
            *("--tls-auth-clients", "no", "--requirepass", PASSWORD, "--dir", str(folder), "--appendonly", "yes"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.defpath, "LC_ALL": "C"},
    )
    try:
        yield port
    finally:
        process.kill()
        process.wait()


async def _up(store: Store) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await store.call("PING")
            except LedgerUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


async def test_a_hold_goes_its_whole_way_over_tls_and_only_to_a_store_the_authority_vouches_for(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    certificate, key = self_signed(tmp_path)
    stranger, _ = self_signed(tmp_path / "other")
    with encrypted(tmp_path, certificate, key) as port:
        url = f"rediss://:{PASSWORD}@127.0.0.1:{port}/1"
        store = Store(url, deadline_s=5, ca_file=certificate)
        await _up(store)
        tenant = new_tenant()
        ledger = RedisLedger(store, book(tenant), hold_ttl_ms=60_000)
        held = await ledger.hold(BudgetPath(tenant, "ads", "ann"), Credits(7), hold_id=HoldId("one"))
        assert (await ledger.settle(held, Credits(5), Flag.CONFIRMED)).applied
        assert (await assert_clean(ledger, tenant)).spent == Credits(5)
        await store.close()
        for wrong in (
            Store(url, deadline_s=5, ca_file=stranger),
            Store(url, deadline_s=5),
            Store(url.replace("127.0.0.1", "localhost"), deadline_s=5, ca_file=certificate),
            Store(url.replace("rediss", "redis"), deadline_s=0.5),
        ):
            with pytest.raises(LedgerUnavailable) as refused:
                await wrong.call("PING")
            assert not refused.value.sent
            await wrong.close()
