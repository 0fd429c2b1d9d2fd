"""Tokens taken back by a command are refused by every gateway within a second, under load, and by no store's grace."""

import asyncio
import io
import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.app import App
from gateway.ledger.embedded import EmbeddedStore
from tests.e2e.desk import WHO, Desk
from tests.e2e.world import World, until, world
from tests.unit.identity.tokens import raw_token

REFUSED = (401, "unauthenticated")
GOOD = (200, None)


async def outcome(here: World, fields: dict[str, str], url: str = "") -> tuple[int, str | None]:
    """The status and reason of a question that costs nothing, asked of this gateway or another."""
    async with here.session.get((url or here.url) + "/gateway/budget", headers=fields) as answer:
        return answer.status, (await answer.json()).get("reason")


@asynccontextmanager
async def another_gateway(here: World) -> AsyncIterator[str]:
    """A second gateway on the same store."""
    async with App(here.settings, log_stream=io.StringIO()).running() as running:
        yield f"http://127.0.0.1:{running.port}"


def flags(here: World, *words: str) -> Sequence[str]:
    return ("revoke", "--tenant", here.tenant("rich"), *WHO, *words)


async def test_a_revoked_tenant_is_refused_by_every_gateway_under_load_and_let_in_again(
    here: World, desk: Desk
) -> None:
    key, other = here.key(), here.key("poor")
    async with another_gateway(here) as second:
        assert [await outcome(here, key, url) for url in ("", second)] == [GOOD, GOOD]
        stop = asyncio.Event()

        async def load() -> set[tuple[int, str | None]]:
            seen = set()
            while not stop.is_set():
                seen.add(await outcome(here, key))
            return seen

        loads = [asyncio.create_task(load()) for _ in range(4)]
        ran = await desk.command(*flags(here, "--all"))
        assert ran.status == 0, ran.err
        assert "revoked" in ran.out
        for url in ("", second):
            async with asyncio.timeout(10):
                while await outcome(here, key, url) != REFUSED:
                    pass
        stop.set()
        assert set().union(*await asyncio.gather(*loads)) == {GOOD, REFUSED}
        assert await outcome(here, other) == GOOD
        answer = await here.ask("POST", "/text2image", json={"prompt": "a"}, headers=key)
        assert (answer.status, answer.fields["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
        await until(lambda: any(line.get("code") == "jwt_revoked" for line in here.lines()))
        assert here.simulator.received.counts.total() == 0
        listed = await desk.command("revoked", "--tenant", here.tenant("rich"))
        assert "every token  kim: ticket 7" in listed.out
        assert (await desk.command(*flags(here, "--all", "--undo"))).status == 0
        for url in ("", second):
            async with asyncio.timeout(10):
                while await outcome(here, key, url) != GOOD:
                    pass


async def test_one_token_is_taken_back_by_its_jti_or_by_the_id_in_the_log(here: World, desk: Desk) -> None:
    tokens = {jti: {"X-Dezgo-Key": _token(here, jti=jti)} for jti in ("a", "b", "c")}
    assert [await outcome(here, fields) for fields in tokens.values()] == [GOOD] * 3
    await until(lambda: sum("token_id" in line for line in here.lines()) == len(tokens))
    ids = [str(line["token_id"]) for line in here.lines() if "token_id" in line]
    assert (await desk.command(*flags(here, "--jti", "a"))).status == 0
    assert (await desk.command(*flags(here, "--token-id", ids[1]))).status == 0
    async with asyncio.timeout(10):
        while [await outcome(here, fields) for fields in tokens.values()] != [REFUSED, REFUSED, GOOD]:
            pass


async def test_tokens_issued_before_an_instant_are_refused_and_later_ones_are_not(here: World, desk: Desk) -> None:
    old = {"X-Dezgo-Key": _token(here, iat=int(time.time()) - 60)}
    silent = {"X-Dezgo-Key": _token(here, iat=None)}
    new = {"X-Dezgo-Key": _token(here, iat=int(time.time()) + 5)}
    assert [await outcome(here, fields) for fields in (old, silent, new)] == [GOOD] * 3
    ran = await desk.command(*flags(here, "--before", "now"))
    assert ran.status == 0, ran.err
    async with asyncio.timeout(10):
        while [await outcome(here, fields) for fields in (old, silent, new)] != [REFUSED, REFUSED, GOOD]:
            pass


def _token(here: World, *, iat: int | None = None, jti: str | None = None) -> str:
    said = {"iss": "tests", "aud": "gateway", "exp": int(time.time()) + 600, "tenant": here.tenant("rich")}
    said |= {name: value for name, value in (("iat", iat), ("jti", jti)) if value is not None}
    head = json.dumps({"alg": "HS256", "typ": "JWT", "kid": "k1"}).encode()
    return raw_token(head, json.dumps(said).encode(), secret=here._secret.encode())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "one of --jti"),
        (("--all", "--jti", "x"), "one of --jti"),
        (("--token-id", "xyz"), "12 hex digits"),
        (("--before", "2999-01-01T00:00:00Z"), "future"),
        (("--before", "yesterday"), "instant"),
        (("--all", "--until", "2001-01-01T00:00:00Z"), "past"),
        (("--all", "--undo"), "no such revocation"),
    ],
)
async def test_an_unclear_revocation_is_refused_in_words(
    here: World, desk: Desk, words: tuple[str, ...], says: str
) -> None:
    ran = await desk.command(*flags(here, *words))
    assert (ran.status, ran.out) == (2, "")
    assert says in ran.err


async def test_a_tenant_nobody_knows_is_refused(here: World, desk: Desk) -> None:
    ran = await desk.command("revoke", "--tenant", "nobody-here", "--all", *WHO)
    assert (ran.status, "no such tenant" in ran.err) == (2, True)


async def test_a_store_that_is_away_turns_everybody_away_until_it_is_back(tmp_path: Path) -> None:
    environ = {"DEZGO_GATEWAY__IDENTITY__REVOCATIONS__STALE_MAX_S": "1"}
    async with (
        EmbeddedStore(tmp_path / "store") as store,
        world(tmp_path, store.url, secrets.token_hex(4), environ=environ) as here,
    ):
        key = here.key()
        assert await outcome(here, key) == GOOD
        await store.stop()
        async with asyncio.timeout(10):
            while await outcome(here, key) != (503, "identity_unavailable"):
                pass
        await store.start()
        async with asyncio.timeout(10):
            while await outcome(here, key) != GOOD:
                pass
