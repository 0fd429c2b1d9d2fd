"""The embedded store, on the real program: one per data directory, ended by its owner, keeping what it was told."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from gateway.ledger import embedded
from gateway.ledger.embedded import EmbeddedStore, EmbeddedStoreError
from tests.unit.ledger.living import answering, ask, clear, open_to_others, processes, until

ROOT = Path(__file__).parents[3]

# Says what became of its start, then what happens to it; stops its store at the end of its input.
OTHER = """
import asyncio, signal, sys
from pathlib import Path
from gateway.ledger.embedded import EmbeddedStore

async def main():
    say = lambda word: print(word, flush=True)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, say, "interrupted")
    async with EmbeddedStore(Path(sys.argv[1])) as store:
        say("owner" if store.owned else "adopter")
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


@asynccontextmanager
async def other(data_dir: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Another process with the same data directory, and what it became."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", OTHER, str(data_dir)),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process, await line(process)
    finally:
        # An empty input ends it in good order; what was killed has nothing more to say.
        await asyncio.wait_for(process.communicate(b""), 20)


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()


@pytest.fixture
async def data_dir(tmp_path: Path) -> AsyncIterator[Path]:
    """A directory to be made, in which nobody may live when the test is over."""
    directory = tmp_path / "kept here"
    yield directory
    await clear(directory)


@pytest.fixture
def made_dir(data_dir: Path) -> Path:
    """The same directory, already there."""
    data_dir.mkdir()
    return data_dir


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a shell script in the program's place."""

    def replace(script: str) -> None:
        path = tmp_path / "program"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        monkeypatch.setattr(embedded, "_program", lambda: path)

    return replace


# --- one process ----------------------------------------------------------------------------------------------


async def test_it_starts_answers_at_its_url_and_leaves_nothing_when_stopped(data_dir: Path) -> None:
    store = EmbeddedStore(data_dir)
    assert not store.owned
    url = await store.start()
    assert url == store.url == f"unix://{data_dir}/store.sock?db=0".replace(" ", "%20")
    assert store.owned
    assert await ask(url, "PING")
    await store.stop()
    assert not store.owned
    assert processes(data_dir) == []
    assert "ready to exit" in (data_dir / "store.log").read_text()
    await store.stop()


@pytest.mark.parametrize("fsync", ["everysec", "always"])
async def test_it_runs_as_promised(data_dir: Path, fsync: Any) -> None:
    promised = {
        "port": "0",
        "unixsocketperm": "700",
        "dir": str(data_dir),
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": fsync,
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    async with (
        EmbeddedStore(data_dir, fsync=fsync) as store,
        Redis.from_url(store.url, decode_responses=True) as client,
    ):
        assert await client.config_get(*promised) == promised


async def test_only_its_user_reaches_it_or_reads_what_it_keeps(data_dir: Path) -> None:
    async with EmbeddedStore(data_dir) as store:
        await ask(store.url, "SET", "spent", "181")
        assert open_to_others(data_dir) == []


async def test_it_is_not_told_our_environment(
    data_dir: Path, program: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTER_KEY", "made-up-secret")
    monkeypatch.setenv("TZ", "UTC")
    program("env; exit 3")
    with pytest.raises(EmbeddedStoreError):
        await EmbeddedStore(data_dir).start()
    told = (data_dir / "store.log").read_text()
    assert "TZ=UTC" in told
    assert "made-up-secret" not in told


async def test_what_was_acknowledged_survives_a_killed_store(data_dir: Path) -> None:
    async with EmbeddedStore(data_dir) as store:
        await ask(store.url, "SET", "spent", "181")
        (pid,) = processes(data_dir)
        os.kill(pid, signal.SIGKILL)
        await store.start()
        assert store.owned
        assert processes(data_dir) != [pid]
        assert await ask(store.url, "GET", "spent") == "181"


async def test_starting_again_keeps_a_living_store_and_replaces_one_that_is_ending(data_dir: Path) -> None:
    async with EmbeddedStore(data_dir) as store:
        (pid,) = processes(data_dir)
        await asyncio.gather(store.start(), store.start())
        assert processes(data_dir) == [pid]
        assert store.owned
        os.kill(pid, signal.SIGTERM)
        await until(lambda: not store.owned)
        await asyncio.gather(store.start(), store.start())
        assert store.owned
        assert len(processes(data_dir)) == 1


async def test_start_and_stop_take_turns(data_dir: Path) -> None:
    store = EmbeddedStore(data_dir)
    await asyncio.gather(store.start(), store.stop())
    assert not store.owned
    assert processes(data_dir) == []


async def test_a_store_that_does_not_end_is_killed(data_dir: Path) -> None:
    store = EmbeddedStore(data_dir, stop_timeout_s=0.1)
    await store.start()
    os.kill(processes(data_dir)[0], signal.SIGSTOP)
    await store.stop()
    assert processes(data_dir) == []


async def test_a_long_log_gives_way_to_a_new_one(made_dir: Path) -> None:
    (made_dir / "store.log").write_bytes(b"x" * 1_000_001)
    async with EmbeddedStore(made_dir):
        assert (made_dir / "store.log").stat().st_size < 100_000
        assert (made_dir / "store.log.1").stat().st_size == 1_000_001


# --- several --------------------------------------------------------------------------------------------------


async def test_a_second_one_in_this_process_adopts_and_lets_go(data_dir: Path) -> None:
    async with EmbeddedStore(data_dir) as owner:
        async with EmbeddedStore(data_dir) as adopter:
            assert (owner.owned, adopter.owned) == (True, False)
            assert owner.url == adopter.url
            assert len(processes(data_dir)) == 1
        assert await ask(owner.url, "PING")


async def test_another_process_adopts_and_its_death_harms_nothing(data_dir: Path) -> None:
    async with EmbeddedStore(data_dir) as owner:
        running = processes(data_dir)
        async with other(data_dir) as (process, became):
            assert became == "adopter"
            process.kill()
            await process.wait()
        assert processes(data_dir) == running
        assert await ask(owner.url, "PING")


async def test_of_three_processes_at_once_one_starts_the_store(data_dir: Path) -> None:
    async with AsyncExitStack() as stack:
        came = await asyncio.gather(*(stack.enter_async_context(other(data_dir)) for _ in range(3)))
        assert sorted(became for _, became in came) == ["adopter", "adopter", "owner"]
        assert len(processes(data_dir)) == 1


async def test_a_killed_owner_takes_the_store_along_and_an_adopter_starts_it_anew(data_dir: Path) -> None:
    async with other(data_dir) as (process, became), EmbeddedStore(data_dir) as adopter:
        assert became == "owner"
        await ask(adopter.url, "SET", "spent", "181")
        process.kill()
        await until(lambda: not processes(data_dir))
        assert "ready to exit" in (data_dir / "store.log").read_text()
        assert await adopter.start() == adopter.url
        assert adopter.owned
        assert await ask(adopter.url, "GET", "spent") == "181"


async def test_the_terminals_interrupt_reaches_the_owner_and_not_the_store(data_dir: Path) -> None:
    async with other(data_dir) as (process, _):
        (pid,) = processes(data_dir)
        os.killpg(process.pid, signal.SIGINT)
        assert await line(process) == "interrupted"
        assert await ask(EmbeddedStore(data_dir).url, "PING")
        assert process.pid not in (os.getpgid(pid), os.getsid(pid))
    assert process.returncode == 0


def test_a_store_whose_starter_died_first_never_runs() -> None:
    nobody = str(os.getpid() + 1)
    tether = [sys.executable, "-c", embedded._TETHER, nobody, "/bin/echo", "running"]
    ended = subprocess.run(tether, capture_output=True, check=False, timeout=20)  # noqa: S603  # all of it is written here
    assert (ended.returncode, ended.stdout) == (1, b"")


async def test_a_silent_store_is_never_doubled(data_dir: Path) -> None:
    async with EmbeddedStore(data_dir):
        (pid,) = processes(data_dir)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(EmbeddedStoreError, match="not ready within"):
                await EmbeddedStore(data_dir, start_timeout_s=0.3).start()
            assert processes(data_dir) == [pid]
        finally:
            os.kill(pid, signal.SIGCONT)
        async with EmbeddedStore(data_dir) as adopter:
            assert not adopter.owned


async def test_a_store_that_cannot_be_reached_is_never_doubled(data_dir: Path) -> None:
    """Without its socket nothing answers; the lock it holds still tells that it lives."""
    async with EmbeddedStore(data_dir):
        running = processes(data_dir)
        (data_dir / "store.sock").unlink()
        with pytest.raises(EmbeddedStoreError, match="not ready within"):
            await EmbeddedStore(data_dir, start_timeout_s=0.3).start()
        assert processes(data_dir) == running


async def test_a_start_waits_for_the_lock_without_stopping_the_loop(made_dir: Path) -> None:
    with (made_dir / "store.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        asyncio.get_running_loop().call_later(0.1, lock.close)
        async with EmbeddedStore(made_dir) as store:
            assert lock.closed
            assert store.owned


# --- what answers on the socket -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "adopted"),
    [
        ([b"+PONG"], True),
        ([b"-LOADING the dataset"] * 3 + [b"+PONG"], True),
        ([b"-BUSY with a script", b"", b"+PONG"], True),
        ([b"-MISCONF the disk is full"], True),
        ([b"-LOADING the dataset"] * 10_000, False),
        ([b"-NOAUTH"] * 10_000, False),
        ([b"x" * 5_000] * 10_000, False),
    ],
)
async def test_whatever_answers_is_alive_and_adopted_once_ready(
    made_dir: Path, answers: list[bytes], adopted: bool
) -> None:
    with answering(made_dir / "store.sock", answers) as asked:
        store = EmbeddedStore(made_dir, start_timeout_s=10 if adopted else 0.2)
        if adopted:
            assert await store.start() == store.url
            assert len(asked) == len(answers)
        else:
            with pytest.raises(EmbeddedStoreError):
                await store.start()
        assert not store.owned
    assert set(asked) - {b""} == {b"PING\r\n"}  # a question cut short by the deadline is empty
    assert not (made_dir / "store.log").exists()


# --- the program ----------------------------------------------------------------------------------------------


async def test_a_store_that_ends_before_it_is_ready_is_an_error(data_dir: Path, program: Callable[[str], None]) -> None:
    program("echo out of order; exit 3")
    with pytest.raises(EmbeddedStoreError, match="ended with status 3"):
        await EmbeddedStore(data_dir).start()
    assert (data_dir / "store.log").read_text() == "out of order\n"


async def test_a_start_out_of_time_or_cancelled_leaves_nothing(data_dir: Path, program: Callable[[str], None]) -> None:
    program("exec sleep 600")
    with pytest.raises(EmbeddedStoreError, match=r"not ready within 0\.3 s"):
        await EmbeddedStore(data_dir, start_timeout_s=0.3).start()
    assert processes(data_dir) == []
    starting = asyncio.create_task(EmbeddedStore(data_dir).start())
    await until(lambda: bool(data_dir.exists() and processes(data_dir)))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert processes(data_dir) == []
