"""A gateway of several processes is one gateway: one port, one set of books, one set of numbers, whoever dies."""

import asyncio
import json
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.crew import Crew, crew, kill, started
from tests.e2e.test_commands import Program, living_in
from tests.e2e.world import until

# A call of ten steps in the shipped tariff.
PRICE = 6


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    return tmp_path / "here"


async def counted(here: Crew, calls: int) -> None:
    """All calls are counted, booked, and taken upstream: the same number, and the same money to the millicredit."""
    await here.comes_to("requests_total", calls, route="text2image", outcome="served")
    await here.comes_to("settles_under_way", 0)
    taken = here.simulator.book.total_millicredits / 1000
    assert here.simulator.book.count == calls
    assert await here.spent() == taken
    assert await here.total("credits_charged_total") == pytest.approx(taken, abs=1e-9)
    assert await here.total("overhead_seconds_count") == calls


async def test_totals_are_those_of_all_calls_also_after_a_worker_was_killed_and_replaced(cwd: Path) -> None:
    async with crew(cwd) as here:
        assert json.loads((await here.told("/readyz"))[1]) == {"status": "ready", "workers": {"wanted": 2, "ready": 2}}
        assert set(await here.calls(60)) == {200}
        await counted(here, 60)
        first, second = here.workers
        kill(first)
        await until(lambda: len(here.workers) == 2 and first not in here.workers)
        await here.whole(2)
        assert second in here.workers
        assert await here.total("worker_restarts_total") == 1, here.serve.stderr
        assert set(await here.calls(60)) == {200}
        await counted(here, 120)
        assert "agrees" in await here.audit()
        await until(lambda: here.serve.stdout.count('"request"') >= 122)
        lines = [json.loads(line) for line in here.serve.stdout.splitlines()]
        served = [line["request_id"] for line in lines if line.get("outcome") == "served" and line.get("held")]
        assert len(served) == len(set(served)) == 120
    assert f"worker {first} was ended by signal 9" in here.serve.stderr


async def test_under_load_no_counter_goes_back_while_workers_are_killed_and_the_books_agree(cwd: Path) -> None:
    short = {"UPSTREAM__TOTAL_TIMEOUT_S": "2", "UPSTREAM__HEAD_TIMEOUT_S": "2", "SHUTDOWN__DRAIN_S": "1"}
    async with crew(cwd, workers=3, replaced=short | {"LEDGER__HOLD_TTL_S": "5"}) as here:
        answered = 0
        seen = [0.0]

        async def load() -> None:
            nonlocal answered
            while here.simulator.book.count < 300:
                answered += await here.call() == 200

        async def look() -> None:
            while True:
                seen.append(await here.total("requests_total"))
                assert seen[-1] >= seen[-2]
                await asyncio.sleep(0.02)

        looking = asyncio.create_task(look())
        calling = [asyncio.create_task(load()) for _ in range(8)]
        for taken in (60, 120, 180):
            await until(partial(more_than, here, taken), within_s=60)
            kill(here.workers[0])
            await until(lambda: len(here.workers) == 3)
        await asyncio.gather(*calling)
        assert not looking.done()
        looking.cancel()
        await here.whole(3)
        assert await here.total("worker_restarts_total") == 3
        # What a killed worker had open is booked in full at its deadline: at least what was taken upstream.
        await here.comes_to("holds_open", 0)
        assert answered * PRICE <= here.simulator.book.total_millicredits / 1000 <= await here.spent()
        assert "agrees" in await here.audit()


def more_than(here: Crew, count: int) -> bool:
    return here.simulator.book.count > count


async def test_four_workers_together_never_spend_more_than_any_of_three_budgets(cwd: Path) -> None:
    tenants = """
tenants:
  labs:
    budgets: [{credits: 700, every: total}]
    each_user: [{credits: 350, every: total}, {credits: 5000, every: month}]
"""
    async with crew(cwd, workers=4, tenants=tenants) as here:
        statuses = [status for _ in range(2) for status in await here.calls(100)]
        assert set(statuses) == {200, 402}
        assert statuses.count(200) == 350 // PRICE
        await here.comes_to("settles_under_way", 0)
        assert here.simulator.book.count == 350 // PRICE
        assert "agrees" in await here.audit()
        assert await here.total("budget_spent_credits", budget="tenant/total") == 350 // PRICE * PRICE


async def test_on_sigterm_calls_under_way_on_all_workers_end_and_no_new_ones_are_taken(cwd: Path) -> None:
    async with crew(cwd) as here:
        here.simulator.faults.next(*["slow:2"] * 12)
        calls = [asyncio.create_task(here.call()) for _ in range(12)]
        await until(lambda: here.simulator.received.counts.total() == 12)
        here.serve.process.send_signal(signal.SIGTERM)
        await until_draining(here)
        with pytest.raises(aiohttp.ClientConnectionError):
            await here.session.get(here.url)
        assert not any(call.done() for call in calls)
        assert await asyncio.gather(*calls) == [200] * 12
        assert await asyncio.wait_for(here.serve.process.wait(), 20) == 0
    lines = [json.loads(line) for line in here.serve.stdout.splitlines()]
    assert sum(line.get("charged", 0) for line in lines) == 12 * PRICE


async def test_on_sigterm_workers_take_calls_as_lame_ducks_first_and_every_answer_ends_its_connection(
    cwd: Path,
) -> None:
    async with crew(cwd, replaced={"SHUTDOWN__LAME_DUCK_S": "4"}) as here:
        assert "Connection" not in await headers(here)
        here.serve.process.send_signal(signal.SIGTERM)
        await until_draining(here)
        async with asyncio.timeout(3):
            while (await headers(here)).get("Connection") != "close":  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.01)
        assert await here.calls(4) == [200] * 4
        assert await asyncio.wait_for(here.serve.process.wait(), 20) == 0


async def headers(here: Crew) -> Mapping[str, str]:
    async with here.session.get(f"{here.url}/gateway/budget", headers={"X-Dezgo-Key": here.token}) as answer:
        return answer.headers


async def until_draining(here: Crew) -> None:
    async with asyncio.timeout(5):
        while (await here.told("/readyz"))[0] == 200:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
    status, text = await here.told("/readyz")
    assert (status, json.loads(text)["missing"]) == (503, ["draining"])


async def test_a_second_signal_ends_all_of_them_at_once(cwd: Path) -> None:
    async with crew(cwd) as here:
        here.simulator.faults.next("slow:20")
        call = asyncio.create_task(here.call())
        await until(lambda: here.simulator.received.counts.total() == 1)
        here.serve.process.send_signal(signal.SIGINT)
        await until_draining(here)
        here.serve.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(here.serve.process.wait(), 10) == 128 + signal.SIGTERM
        assert await call == 0


async def test_a_worker_told_to_end_is_replaced_while_it_ends_its_calls(cwd: Path) -> None:
    async with crew(cwd) as here:
        here.simulator.faults.next(*["slow:8"] * 6)
        calls = [asyncio.create_task(here.call()) for _ in range(6)]
        await until(lambda: here.simulator.received.counts.total() == 6)
        told = here.workers
        # Twice: once by whoever tells all of a group, once by the supervisor.
        kill(*told, *told, number=signal.SIGTERM)
        await until(lambda: len(here.workers) == 4)
        await here.whole(2)
        assert await here.call() == 200
        assert not any(call.done() for call in calls)
        assert await asyncio.gather(*calls) == [200] * 6
        await until(lambda: len(here.workers) == 2)
        await counted(here, 7)


async def test_without_their_supervisor_workers_end_their_calls_and_nothing_stays(cwd: Path) -> None:
    async with crew(cwd) as here:
        here.simulator.faults.next("slow:1")
        call = asyncio.create_task(here.call())
        await until(lambda: here.simulator.received.counts.total() == 1)
        here.serve.process.kill()
        assert await call == 200
        await until(lambda: not living_in(cwd), within_s=30)
    lines = [json.loads(line) for line in here.serve.stdout.splitlines()]
    assert sum(line.get("charged", 0) for line in lines) == PRICE


@pytest.mark.parametrize("next_workers", [None, 2], ids=["its successors", "a gateway of fewer workers"])
async def test_ends_that_killed_workers_had_on_disk_are_booked_by(cwd: Path, next_workers: int | None) -> None:
    async with crew(cwd, workers=3, replaced={"LEDGER__DEADLINE_S": "0.3"}) as here:
        here.simulator.faults.next(*["slow:1"] * 9)
        calls = [asyncio.create_task(here.call()) for _ in range(9)]
        await until(lambda: here.simulator.received.counts.total() == 9)
        store = here.store
        kill(store, number=signal.SIGSTOP)
        assert await asyncio.gather(*calls) == [200] * 9
        await until(lambda: on_disk(cwd) == 9)
        if next_workers is None:
            kill(*here.workers)
            kill(store, number=signal.SIGCONT)
            await here.whole(3)
            await here.comes_to("settles_on_disk", 0)
            await until(lambda: on_disk(cwd) == 0)
            assert await here.spent() == 9 * PRICE
        else:
            kill(here.serve.process.pid, *here.workers, store)
            await until(lambda: not living_in(cwd), within_s=30)
            async with started(cwd, here.env, next_workers) as serve:
                here.serve = serve
                await until(lambda: on_disk(cwd) == 0, within_s=30)
                assert await here.spent() == 9 * PRICE


def on_disk(cwd: Path) -> int:
    """How many ends are in all spool files."""
    files = (cwd / ".dezgo-gateway" / "spool").glob("*.ends")
    return sum(path.read_bytes().count(b"\n") for path in files if path.exists())


async def test_a_desk_that_is_killed_comes_back_on_its_port_with_the_same_totals_and_the_same_books(cwd: Path) -> None:
    async with crew(cwd) as here:
        assert set(await here.calls(10)) == {200}
        await counted(here, 10)
        kill(here.workers[0])
        await here.whole(2)
        (desk,) = here.living("gateway-desk")
        kill(desk)
        await until(lambda: here.living("gateway-desk") not in ([], [desk]))
        await here.whole(2)
        await here.comes_to("requests_total", 10, route="text2image", outcome="served")
        await until_served(here)
        await counted(here, 11)


async def until_served(here: Crew) -> None:
    """One call is served; while the store is started again, calls are refused for it."""
    async with asyncio.timeout(20):
        while (status := await here.call()) != 200:
            assert status == 503
            await asyncio.sleep(0.1)


async def test_a_worker_that_hangs_keeps_no_scrape_waiting_and_does_not_count_as_ready(cwd: Path) -> None:
    async with crew(cwd) as here:
        assert set(await here.calls(20)) == {200}
        await counted(here, 20)
        kill(here.workers[0], number=signal.SIGSTOP)
        try:
            async with asyncio.timeout(20):
                while await here.total("workers", state="ready") == 2:
                    assert await here.total("requests_total", route="text2image", outcome="served") == 20
                    await asyncio.sleep(0.1)
            assert await here.total("worker_silence_seconds") >= 5
            assert (await here.told("/readyz"))[0] == 200
        finally:
            kill(here.workers[0], number=signal.SIGCONT)
        await here.whole(2)


async def test_a_second_gateway_on_the_same_port_is_refused_in_words(cwd: Path, tmp_path: Path) -> None:
    async with crew(cwd) as here:
        port = str(here.ports[0])
        env = {**here.env, "DEZGO_GATEWAY__LISTEN__PORT": port, "DEZGO_GATEWAY__LEDGER__DATA_DIR": str(tmp_path / "b")}
        other = await Program.run("serve", "--workers", "2", cwd=cwd, **env)
        assert other.code == 1
        assert other.stderr.splitlines()[-1].endswith(f"cannot listen on 127.0.0.1 port {port}: Address already in use")
        assert "Traceback" not in other.stderr


async def test_a_gateway_whose_workers_cannot_start_gives_up_with_the_reason_and_a_status(cwd: Path) -> None:
    async with crew(cwd) as here:
        env = {**here.env, "DEZGO_GATEWAY__LEDGER__URL": "redis://127.0.0.1:1"}
        other = await Program.run("serve", "--workers", "2", cwd=cwd, **env)
        assert other.code == 1
        assert "the store does not answer (connection)" in other.stderr
        assert other.stderr.splitlines()[-1] == "gave up: no process that was started came to serve"
        assert "Traceback" not in other.stderr
