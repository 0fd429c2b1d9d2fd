"""The command line as people use it: every command as a process of its own, in an empty directory."""

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest

from gateway.identity.mint import fresh_secret
from gateway.ledger.embedded import EmbeddedStore
from gateway.ledger.store import Store
from gateway.simulator import Simulator, SimulatorSettings, start_simulator
from tests.e2e.canary import fresh_key
from tests.e2e.test_account import picture
from tests.e2e.world import until
from tests.tools import need_tool

COMMAND = (str(Path(sys.executable).with_name("dezgo-gateway")),)
CONFIG = Path(__file__).parents[2] / "config"
TENANTS = ("studio", "web", "labs")


class Program:
    """One running command. What it says is kept in files beside its directory."""

    def __init__(self, process: asyncio.subprocess.Process, said: Path) -> None:
        self.process = process
        self._said = said

    @classmethod
    @asynccontextmanager
    async def started(cls, *words: str, cwd: Path, **environ: str) -> AsyncIterator[Self]:
        """Run `dezgo-gateway` (or bash) with `words` for the length of a block, and then stop it as Ctrl-C would.

        Of the test's own environment only the path is passed on.
        """
        said = cwd.parent / f"{cwd.name}-{fresh_secret()[:12]}"
        with said.with_suffix(".out").open("wb") as out, said.with_suffix(".err").open("wb") as err:
            process = await asyncio.create_subprocess_exec(
                *(() if words[0] == "bash" else COMMAND),
                *words,
                cwd=cwd,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CONFIG.parent), **environ},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        program = cls(process, said)
        try:
            yield program
        finally:
            await program.stop()

    @classmethod
    async def run(cls, *words: str, cwd: Path, **environ: str) -> Self:
        """A command to its end, within half a minute."""
        async with cls.started(*words, cwd=cwd, **environ) as program:
            await asyncio.wait_for(program.process.wait(), 30)
        return program

    @property
    def code(self) -> int | None:
        return self.process.returncode

    @property
    def stdout(self) -> str:
        return self._said.with_suffix(".out").read_text()

    @property
    def stderr(self) -> str:
        return self._said.with_suffix(".err").read_text()

    async def says(self, text: str, *, where: str = "stdout") -> None:
        """Wait until it has said `text`, half a minute at most."""
        await until(lambda: text in getattr(self, where) or self.code is not None, within_s=30)
        assert self.code is None, self.stderr

    async def stop(self, number: int = signal.SIGINT) -> int:
        """End it with a signal; returns its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        try:
            return await asyncio.wait_for(self.process.wait(), 30)
        except TimeoutError:
            self.process.kill()
            raise


def living_in(directory: Path) -> set[int]:
    """Processes that run in `directory` or name it. What is dead and not yet buried has neither words nor a place."""
    found = set()
    for place in (place for place in Path("/proc").iterdir() if place.name.isdecimal()):
        with suppress(OSError):
            words = (place / "cmdline").read_bytes()
            if str(directory).encode() in words or (place / "cwd").readlink().is_relative_to(directory):
                found.add(int(place.name))
    return found


@asynccontextmanager
async def upstream(key: str) -> AsyncIterator[Simulator]:
    """A simulator in this process."""
    simulator = await start_simulator(SimulatorSettings(key=key, delay_s=0.0, balance_usd=Decimal(100)))
    try:
        yield simulator
    finally:
        await simulator.stop()


def configured(cwd: Path, upstream_url: str) -> dict[str, str]:
    """Put the shipped configuration in its place; returns the environment that turns it to another upstream."""
    shutil.copytree(CONFIG, cwd / "config")
    said = f"UPSTREAM__URL={upstream_url} UPSTREAM__ALLOW_HTTP=true UPSTREAM__ALLOW_PRIVATE=true "
    said += "UPSTREAM__KEY__FILE=master.key "
    said += "LISTEN__HOST=127.0.0.1 LISTEN__PORT=0 OPS__PORT=0 LEDGER__DEADLINE_S=2 SHUTDOWN__LAME_DUCK_S=0"
    return {f"DEZGO_GATEWAY__{name}": value for name, value in (word.split("=") for word in said.split())}


async def get(url: str, token: str = "") -> tuple[int, Any]:
    """What a path answers, as JSON where it is JSON."""
    async with aiohttp.ClientSession() as session, session.get(url, headers={"X-Dezgo-Key": token}) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if text.startswith("{") else text


async def spent(env: dict[str, str], tenant: str) -> float:
    """What the tenant's first budget has spent, as its own token is told."""
    _, document = await get(f"{env['GATEWAY_URL']}/gateway/budget", env[f"TOKEN_{tenant.upper()}"])
    return float(document["budgets"][0]["spent"])


def demo_env(cwd: Path) -> dict[str, str]:
    lines = (cwd / ".dezgo-gateway" / "demo.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    """An empty directory; what commands say is kept beside it."""
    made = tmp_path / "here"
    made.mkdir()
    return made


DEMO = ("demo", "--port", "0", "--ops-port", "0")


async def test_a_demo_is_up_at_once_keeps_its_books_and_leaves_nothing_running(cwd: Path) -> None:
    need_tool("curl")
    async with Program.started(*DEMO, cwd=cwd) as demo:
        await demo.says("Ctrl-C stops everything")
        env = demo_env(cwd)
        assert {
            "GATEWAY_URL",
            "OPS_URL",
            "UPSTREAM_URL",
            "TOKEN",
            *(f"TOKEN_{name.upper()}" for name in TENANTS),
        } == set(env)
        assert (cwd / ".dezgo-gateway" / "demo.env").stat().st_mode & 0o077 == 0
        (line,) = [line.strip() for line in demo.stdout.splitlines() if "-o horse.png" in line]
        pasted = await Program.run("bash", "-euc", line, cwd=cwd)
        assert (pasted.code, pasted.stderr) == (0, "")
        assert "200 OK" in pasted.stdout
        assert (cwd / "horse.png").read_bytes().startswith(b"\x89PNG")
        for line in (line.strip() for line in demo.stdout.splitlines() if "curl" in line and "horse.png" not in line):
            answer = await Program.run("bash", "-euc", line, cwd=cwd)
            assert "budgets" in json.loads(answer.stdout)
        assert await spent(env, "studio") == 46
        assert (await get(env["OPS_URL"] + "/readyz"))[0] == 200
        assert (await get(env["UPSTREAM_URL"] + "/_simulator/book"))[1]["total_credits"] == "46"
        assert len(living_in(cwd)) == 2
        assert await demo.stop() == 0
    await until(lambda: not living_in(cwd))
    async with Program.started(*DEMO, cwd=cwd) as demo:
        await demo.says("Ctrl-C stops everything")
        assert await spent(demo_env(cwd), "studio") == 46
        await demo.stop(signal.SIGKILL)
        await until(lambda: not living_in(cwd))


async def test_traffic_spends_for_every_tenant_until_it_is_stopped(cwd: Path) -> None:
    async with Program.started(*DEMO, "--traffic", cwd=cwd) as demo:
        await demo.says("Ctrl-C stops everything")
        env = demo_env(cwd)
        async with asyncio.timeout(30):
            while not all([await spent(env, tenant) for tenant in TENANTS]):
                pass
        assert (await demo.stop(), demo.stderr) == (0, "")
    await until(lambda: not living_in(cwd))


@pytest.mark.parametrize("command", ["demo", "simulate"])
async def test_a_port_in_use_is_said_in_one_line(cwd: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        more = ("--ops-port", "0") if command == "demo" else ()
        done = await Program.run(command, "--port", port, *more, cwd=cwd, DEZGO_API_KEY=fresh_key())
    assert (done.code, done.stdout) == (1, "")
    assert re.fullmatch(r"[^\n]*address already in use[^\n]*\n", done.stderr)
    assert port in done.stderr
    assert not living_in(cwd)


@pytest.mark.parametrize("place", ["environment", "file"])
async def test_serve_answers_a_token_of_its_own_and_the_audit_finds_what_was_tampered_with(
    cwd: Path, place: str
) -> None:
    key, data = fresh_key(), cwd / ".dezgo-gateway"
    if place == "file":
        write_secret(cwd / "master.key", key + "\n")
    async with upstream(key) as simulator:
        env = configured(cwd, simulator.url) | ({"DEZGO_API_KEY": key} if place == "environment" else {})
        minted = await Program.run("token", "--tenant", "labs", cwd=cwd)
        assert (minted.code, minted.stdout.count("."), minted.stdout.count("\n")) == (0, 2, 1)
        assert (data / "token.secret").stat().st_mode & 0o077 == 0
        async with Program.started("serve", "--config", "config", cwd=cwd, **env) as serve:
            await serve.says("serving on port", where="stderr")
            assert await generated(serve, minted.stdout.strip()) == (200, "19")
            assert await generated(serve, minted.stdout.strip() + "x") == (401, None)
            assert await audited(cwd, env) == (0, "labs: 2 entries, 2 balances, 19 credits: agrees")
            assert await serve.stop(signal.SIGTERM) == 0
            lines = [json.loads(line) for line in serve.stdout.splitlines()]
            assert [(line["status"], line.get("charged")) for line in lines] == [(200, 19), (401, None)]
        await until(lambda: not living_in(cwd))
        assert simulator.book.total_millicredits == 19_000
    async with EmbeddedStore(data / "store") as store:
        await tamper(store.url)
    assert await audited(cwd, env) == (1, "labs: 2 entries, 2 balances, 19 credits: DIFFERS in 1 places")
    await until(lambda: not living_in(cwd))


def write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


async def generated(serve: Program, token: str) -> tuple[int, str | None]:
    """Status and charge of a call to a serving gateway."""
    url = f"http://127.0.0.1:{re.findall('[0-9]+', serve.stderr)[0]}/text2image"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={"prompt": "a"}, headers={"X-Dezgo-Key": token}) as answer,
    ):
        await answer.read()
        return answer.status, answer.headers.get("x-credits-cost")


async def audited(cwd: Path, env: dict[str, str]) -> tuple[int | None, str]:
    """The audit's verdict, and what it says of one tenant."""
    done = await Program.run("ledger", "audit", cwd=cwd, **env)
    return done.code, next(line for line in done.stdout.splitlines() if line.startswith("labs"))


async def tamper(store_url: str) -> None:
    """Take 18 credits off a balance, past the scripts."""
    store = Store(store_url, deadline_s=5)
    (balance,) = await store.call("KEYS", "dgw:{labs}:balance:tenant/total:*")
    await store.call("HSET", balance, "spent", "1000")
    await store.close()


async def test_serve_does_not_start_without_its_master_key(cwd: Path) -> None:
    env = configured(cwd, "http://127.0.0.1:9") | {"GATEWAY_TOKEN_SECRET": fresh_secret()}
    done = await Program.run("serve", cwd=cwd, **env)
    assert (done.code, done.stdout) == (2, "")
    assert "upstream.key: the secret is missing" in done.stderr
    assert "set the variable DEZGO_API_KEY" in done.stderr
    assert done.stderr.endswith("\n1 fault; nothing was started\n")
    write_secret(cwd / "master.key", key := fresh_key())
    (cwd / "master.key").chmod(0o644)
    done = await Program.run("serve", cwd=cwd, **env)
    assert (done.code, "others may read the file" in done.stderr, key in done.stderr) == (2, True, False)
    assert not living_in(cwd)


async def test_check_says_all_that_is_wrong_and_where(cwd: Path) -> None:
    good = await Program.run("check", "--no-secrets", "--config", str(CONFIG), cwd=cwd)
    assert (good.code, good.stderr) == (0, "")
    assert "reproduces all" in good.stdout
    wrong = {
        "gateway.yaml": ("bodies:  ", "bodys:  "),
        "tariff.yaml": ("per_step: -1.133", "per_step: minus one"),
        "tenants.yaml": ("every: month", "every: mnth"),
    }
    places = []
    for name, (text, other) in wrong.items():
        before, _, after = (CONFIG / name).read_text().partition(text)
        (cwd / name).write_text(before + other + after)
        places.append(f"{cwd / name}:{len((before + 'x').splitlines())}")
    bad = await Program.run("check", "--no-secrets", "--config", str(cwd), cwd=cwd)
    assert (bad.code, bad.stdout) == (2, "")
    assert [place in bad.stderr for place in places] == [True] * 3
    assert re.search(r"\n[0-9]+ faults; nothing was started\n$", bad.stderr)


QUOTES = (
    ("text2image", 19),
    ("text2image --width 768 --height 768", 87),
    ("text2image --width 1024 --height 1024", 181),
    ("text2image --upscale", 31),
    ("upscale --image in.png", 12),
    ("text2image --file body.json", 87),
)


async def test_quotes_are_the_published_figures(cwd: Path) -> None:
    (cwd / "in.png").write_bytes(picture(512, 512))
    (cwd / "body.json").write_text('{"prompt": "a", "width": 768, "height": "768"}')
    asked = [Program.run("quote", *shlex.split(words), "--json", cwd=cwd) for words, _ in QUOTES]
    documents = [json.loads(done.stdout) for done in await asyncio.gather(*asked)]
    assert [document["credits"] for document in documents] == [credits for _, credits in QUOTES]
    assert documents[0]["usd"] == "0.0019"
    text = await Program.run("quote", "text2image", "--upscale", cwd=cwd)
    assert re.search(r"total +31 credits = 0.0031 USD\n$", text.stdout)
    wrong = ("no_such", "upscale", "text2image --option refiner", "text2image --file none.json")
    for refused in await asyncio.gather(*(Program.run("quote", *shlex.split(words), cwd=cwd) for words in wrong)):
        assert (refused.code, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)


async def test_the_simulator_runs_alone_with_open_books(cwd: Path) -> None:
    key = fresh_key()
    missing = await Program.run("simulate", cwd=cwd)
    assert (missing.code, "DEZGO_API_KEY" in missing.stderr) == (2, True)
    async with Program.started("simulate", "--port", "0", "--delay-s", "0", cwd=cwd, DEZGO_API_KEY=key) as simulator:
        await simulator.says("books at")
        (url,) = re.findall(r"http://[0-9.:]+", simulator.stdout)
        assert (await get(url + "/info"))[0] == 200
        assert (await get(url + "/account/tx/last", key))[1]["balance"] == 10
        assert (await get(url + "/_simulator/book"))[1]["count"] == 0
        assert key not in simulator.stdout
        assert await simulator.stop() == 0
