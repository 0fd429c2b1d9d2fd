"""An honest client, in a process of its own: `… URL SECONDS PER_S`, a token on its input; prints what it met."""

import asyncio
import json
import sys
import time
from collections import Counter

import aiohttp
import uvloop

BODY = json.dumps({"prompt": "an astronaut on a small horse", "width": 512, "height": 512, "steps": 30}).encode()


async def main(url: str, seconds: float, per_s: int) -> None:
    """Begin `per_s` calls each second, whether or not others have ended."""
    headers = {"X-Dezgo-Key": sys.stdin.readline().strip(), "Content-Type": "application/json"}
    taken: list[float] = []
    failed: Counter[str] = Counter()

    async def one(session: aiohttp.ClientSession) -> None:
        began = time.perf_counter()
        try:
            async with session.post(f"{url}/text2image", data=BODY, headers=headers) as answer:
                body = await answer.read()
                if answer.status != 200:
                    failed[f"{answer.status} {json.loads(body).get('reason')}"] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            failed[type(error).__name__] += 1
        taken.append((time.perf_counter() - began) * 1000)

    timeout = aiohttp.ClientTimeout(total=20)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session, asyncio.TaskGroup() as group:
        began = time.perf_counter()
        for number in range(int(seconds * per_s)):
            await asyncio.sleep(max(0.0, began + number / per_s - time.perf_counter()))
            group.create_task(one(session))
    taken.sort()
    figures = {
        "asked": len(taken),
        "failed": failed,
        "p50_ms": round(taken[len(taken) // 2], 2),
        "p99_ms": round(taken[len(taken) * 99 // 100], 2),
        "most_ms": round(taken[-1], 2),
    }
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
