"""A gateway that is killed in the middle of a call with an idempotency key never lets that call be made twice."""

import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.identity.mint import mint_token, secret_signer
from tests.bench.crashing import HOLD_TTL_S, TENANT, Site, site, until

BODY = b'{"prompt":"a fox"}'


async def call(place: Site) -> tuple[int, dict[str, Any]]:
    """The one call under its key; status 0 when the gateway died over it."""
    signer = secret_signer(place.secret.encode(), kid="k1")
    token = mint_token(
        signer,
        issuer="tests",
        audience="gateway",
        tenant=TENANT,
        team=None,
        user="ann",
        ttl_s=3600,
        now=time.time(),
    )
    fields = {"X-Dezgo-Key": token, "Content-Type": "application/json", "Idempotency-Key": "one"}
    url = f"http://127.0.0.1:{place.port}/text2image"
    try:
        async with aiohttp.ClientSession() as session, session.post(url, data=BODY, headers=fields) as answer:
            kind = answer.content_type
            return answer.status, await answer.json(content_type=None) if kind.endswith("json") else {}
    except aiohttp.ClientError:
        return 0, {}


@pytest.mark.parametrize(
    ("step", "sent", "told"),
    [
        ("before_send", 0, (None, "uncertain")),
        ("after_head", 1, (None, "uncertain")),
        ("mid_body", 1, (None, "uncertain")),
        ("after_settle", 1, ("ok", "confirmed")),
    ],
)
async def test_after_a_kill_the_retry_is_told_what_is_known_and_nothing_is_sent_again(
    tmp_path: Path, step: str, sent: int, told: tuple[str | None, str]
) -> None:
    async with site(tmp_path, fsync="always") as place:
        await place.start(f"{step}=kill:1")
        await call(place)
        assert await place.dead(within_s=10)
        await place.kill(step)
        await place.start()
        if told[0] is None:
            status, document = await call(place)
            assert (status, document["reason"]) == (409, "idempotency_open")

        async def ended() -> bool:
            return bool((await call(place))[1]["reason"] == "idempotency_ended")

        await until(ended, HOLD_TTL_S + 20)
        first = (await call(place))[1]["first"]
        assert (first["reason"], first["flag"], first["charged"]) == (*told, 19)
        assert place.simulator.received.counts.total() == sent
        assert place.simulator.book.count == sent
