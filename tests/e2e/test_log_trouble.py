"""Where lines cannot go anywhere, calls go on and are booked: a full disk, a reader that left or stopped."""

import asyncio
import re
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.canary import fresh_key
from tests.e2e.test_commands import Program, configured, get, upstream
from tests.tools import need_tool

CALLS = 150

OUTLETS = {
    "a full disk": "exec dezgo-gateway serve >/dev/full",
    "a reader that left": "exec dezgo-gateway serve > >(exec true)",
    "a reader that stopped": "exec dezgo-gateway serve > >(exec sleep 600)",
    "a closed output": "exec dezgo-gateway serve >&-",
}


@pytest.mark.parametrize("outlet", OUTLETS)
async def test_calls_are_served_and_booked_where_no_line_can_be_written(tmp_path: Path, outlet: str) -> None:
    need_tool("bash")
    key, cwd = fresh_key(), tmp_path / "here"
    cwd.mkdir()
    async with upstream(key) as simulator:
        env = configured(cwd, simulator.url) | {"DEZGO_API_KEY": key}
        (cwd / "config" / "tenants.yaml").write_text("tenants:\n  labs: {budgets: [{credits: 100000, every: total}]}\n")
        token = (await Program.run("token", "--tenant", "labs", cwd=cwd)).stdout.strip()
        words = ("bash", "-c", f'PATH="{_place()}:$PATH"; {OUTLETS[outlet]}')
        async with Program.started(*words, cwd=cwd, **env) as serve:
            await serve.says("serving on port", where="stderr")
            port = int(re.findall(r"serving on port (\d+)", serve.stderr)[0])
            url = f"http://127.0.0.1:{port}"
            async with aiohttp.ClientSession() as session:
                for _ in range(CALLS // 10):
                    statuses = await asyncio.gather(*(_generated(session, url, token) for _ in range(10)))
                    assert statuses == [200] * 10
                async with session.get(f"{url}/%ff%fe%ed%a0%80") as answer:
                    assert answer.status == 404
            _, document = await get(f"{url}/gateway/budget", token)
            assert document["budgets"][0]["spent"] == simulator.book.total_millicredits / 1000
            assert simulator.book.count == CALLS
            assert await serve.stop(signal.SIGTERM) == 0


async def _generated(session: aiohttp.ClientSession, url: str, token: str) -> int:
    body = {"prompt": "a fox", "steps": 10}
    async with session.post(f"{url}/text2image", json=body, headers={"X-Dezgo-Key": token}) as answer:
        await answer.read()
        return answer.status


def _place() -> Path:
    from tests.e2e.test_commands import COMMAND

    return Path(COMMAND[0]).parent
