"""A load of our own, where there is no wrk: `… URL SIZE SECONDS CONNECTIONS`, tokens line by line on its input."""

import asyncio
import json
import sys
import time

import aiohttp
import uvloop

from tests.bench.proxy.load import body_of


async def main(url: str, size: str, seconds: float, connections: int) -> None:
    """Ask for `seconds`, and print what came of it."""
    tokens = sys.stdin.read().split()
    body = body_of(size).encode()
    taken: list[float] = []
    failed = 0
    began = time.perf_counter()

    async def ask(session: aiohttp.ClientSession, first: int) -> None:
        nonlocal failed
        number = first
        while time.perf_counter() - began < seconds:
            number += 1
            headers = {"X-Dezgo-Key": tokens[number % len(tokens)], "Content-Type": "application/json"}
            started = time.perf_counter()
            async with session.post(f"{url}/text2image", data=body, headers=headers) as answer:
                await answer.read()
                failed += answer.status != 200
            taken.append((time.perf_counter() - started) * 1000)

    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        for first in range(connections):
            group.create_task(ask(session, first))
    taken.sort()
    figures = {
        "requests": len(taken),
        "seconds": time.perf_counter() - began,
        "p50_ms": taken[len(taken) // 2],
        "p99_ms": taken[len(taken) * 99 // 100],
        "failed": failed,
    }
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))
