"""Load from another process: wrk where it is installed, else a client of our own."""

import asyncio
import json
import re
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp

BODY = {"prompt": "an astronaut on a {size} horse", "width": 512, "height": 512, "steps": 30}

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}

_WRK_LUA = """
local tokens = {{{tokens}}}
local body = '{body}'
local turn = 0
request = function()
  turn = turn % #tokens + 1
  local headers = {{['X-Dezgo-Key'] = tokens[turn], ['Content-Type'] = 'application/json'}}
  return wrk.format('POST', '/text2image', headers, body)
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What came of one load: requests answered per second, latencies in ms, and answers that were none of 2xx."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int

    @property
    def per_s(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def body_of(size: str) -> str:
    """The JSON that asks for an image; the stub answers the one with `large` in it with a large body."""
    return json.dumps(BODY).replace("{size}", size)


async def push(
    url: str, tokens: tuple[str, ...], *, size: str, seconds: int, connections: int, directory: Path
) -> Load:
    """As many requests as are answered within `seconds` over `connections`."""
    wrk = shutil.which("wrk")
    if wrk is None:
        words = [sys.executable, "-m", "tests.bench.proxy.client", url, size, str(seconds), str(connections)]
        return Load(**json.loads(await _output(words, "\n".join(tokens))))
    script = directory / f"{size}.lua"
    said = ", ".join(f"'{token}'" for token in tokens)
    script.write_text(_WRK_LUA.format(tokens=said, body=body_of(size)), "utf-8")
    words = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    return _read(await _output(words, ""))


async def _output(words: list[str], said: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate(said.encode())
    if process.returncode:
        raise RuntimeError(f"{words[0]} failed")
    return output.decode()


def _read(text: str) -> Load:
    requests, taken, unit = _found(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", text)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return Load(
        int(requests),
        float(taken) * _UNITS[unit] / 1e3,
        _percentile(text, "50"),
        _percentile(text, "99"),
        int(failed.group(1)) if failed else 0,
    )


def _percentile(text: str, which: str) -> float:
    value, unit = _found(rf"\s{which}%\s+([\d.]+)(us|ms|s|m)\b", text)
    return float(value) * _UNITS[unit]


def _found(pattern: str, text: str) -> tuple[str, ...]:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError("wrk said something unexpected")
    return found.groups()


async def paced(url: str, tokens: tuple[str, ...], *, size: str, seconds: float, per_s: int) -> list[float]:
    """Milliseconds of each request, when `per_s` of them begin each second whether or not others have ended."""
    taken: list[float] = []
    body = body_of(size).encode()

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        headers = {"X-Dezgo-Key": tokens[number % len(tokens)], "Content-Type": "application/json"}
        began = time.perf_counter()
        async with session.post(f"{url}/text2image", data=body, headers=headers) as answer:
            await answer.read()
            if answer.status == 200:
                taken.append((time.perf_counter() - began) * 1000)

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        began = time.perf_counter()
        for number in range(int(seconds * per_s)):
            await asyncio.sleep(max(0.0, began + number / per_s - time.perf_counter()))
            group.create_task(one(session, number))
    return sorted(taken)
