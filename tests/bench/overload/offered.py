"""Calls offered at a pace, whether or not earlier ones have ended: a process of its own.

`python -m tests.bench.overload.offered URL SECONDS SEED FILE`, and `NAME PER_S TOKEN` line by line on its input. The
calls of a tenant come at random instants. Writes, as JSON, every call of every tenant: when it began and ended, and its
outcome.
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import uvloop

_PROBLEM = "application/problem+json"
_BODY = json.dumps({"prompt": "an astronaut on a horse"}).encode()


@dataclass(frozen=True, slots=True)
class Tenant:
    """Who calls, and how often a second."""

    name: str
    per_s: float
    token: str


async def offer(
    url: str, tenants: list[Tenant], seconds: float, seed: int
) -> dict[str, list[tuple[float, float, str, float]]]:
    """By tenant, its calls as (begun, ended, outcome, late), in seconds from the start on.

    `outcome`: the status, of a refusal its reason; `none` for no answer.

    `late`: how much later than planned it began; that is the machine's doing, not the gateway's.
    """
    chance = random.Random(seed)  # noqa: S311 - when calls come, no secret
    found: dict[str, list[tuple[float, float, str, float]]] = {tenant.name: [] for tenant in tenants}
    plan = sorted((at, tenant.name, tenant) for tenant in tenants for at in _instants(chance, tenant.per_s, seconds))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        began_s = time.perf_counter()

        async def one(tenant: Tenant, planned_s: float) -> None:
            headers = {"X-Dezgo-Key": tenant.token, "Content-Type": "application/json"}
            first_s, outcome = time.perf_counter() - began_s, "none"
            try:
                async with session.post(f"{url}/text2image", data=_BODY, headers=headers) as answer:
                    body = await answer.read()
                    outcome = json.loads(body)["reason"] if answer.content_type == _PROBLEM else str(answer.status)
            except aiohttp.ClientError:
                pass  # told as no answer
            found[tenant.name].append((first_s, time.perf_counter() - began_s, outcome, first_s - planned_s))

        for at, _, tenant in plan:
            await asyncio.sleep(max(0.0, began_s + at - time.perf_counter()))
            group.create_task(one(tenant, at))
    return found


def _instants(chance: random.Random, per_s: float, seconds: float) -> list[float]:
    at, found = chance.expovariate(per_s), []
    while at < seconds:
        found.append(at)
        at += chance.expovariate(per_s)
    return found


def main() -> None:
    """Offer what the input says."""
    url, seconds, seed, file = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    lines = (line.split() for line in sys.stdin.read().splitlines())
    tenants = [Tenant(name, float(per_s), token) for name, per_s, token in lines]
    file.write_text(json.dumps(uvloop.run(offer(url, tenants, seconds, seed))), "utf-8")


if __name__ == "__main__":
    main()
