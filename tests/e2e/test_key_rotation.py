"""The master key is replaced in its file under a running gateway: next calls carry the new one; none is shown."""

import asyncio
from pathlib import Path

import pytest

from gateway.settings import changes
from tests.e2e.canary import Canary, fresh_key
from tests.e2e.conftest import MakeWorld
from tests.e2e.world import World, until
from tests.fake_upstream import OK, FakeUpstream, Turn, answer, fake_upstream

IN_FILE = "upstream: {"
CHARGED = "x-dezgo-job-amount-usd: 0.0019"


def put(path: Path, text: str, mode: int = 0o600) -> None:
    fresh = path.with_suffix(".fresh")
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.replace(path)


def sent_key(fake: FakeUpstream) -> str:
    """The key the newest request carried."""
    fields = dict(line.split(": ", 1) for line in fake.received[-1].decode().split("\r\n\r\n")[0].split("\r\n")[1:])
    return {name.lower(): value for name, value in fields.items()}["x-dezgo-key"]


def events(here: World) -> list[str]:
    return [line["event"] for line in here.lines() if line["event"].startswith("master_key")]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often: no test waits for seconds."""
    monkeypatch.setattr(changes.SecretFile.watch, "__kwdefaults__", {"every_s": 0.01})


async def test_a_new_key_in_the_file_is_used_without_a_restart_and_never_shown(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    path, old, new = tmp_path / "key", fresh_key(), fresh_key()
    put(path, old + "\n")
    replaced = (IN_FILE, f'upstream: {{key: {{file: "{path}"}}, ')
    echo = Turn((answer(200, "content-type: application/json", CHARGED, body=b'{"a":"' + old.encode() + b'"}'),))
    async with (
        fake_upstream(OK, OK, OK, echo, OK) as fake,
        make_world(replaced=[replaced], environ={"DEZGO_GATEWAY__UPSTREAM__URL": fake.url}) as here,
    ):
        canary = Canary(new)
        await here.generate()
        assert sent_key(fake) == old
        put(path, new)
        await until(lambda: events(here) == ["master_key_renewed"])
        await here.generate()
        assert sent_key(fake) == new
        # An unfit file changes nothing.
        put(path, "short")
        await until(lambda: events(here)[1:] == ["master_key_unusable"])
        put(path, fresh_key(), mode=0o644)
        await until(lambda: events(here)[2:] == ["master_key_unusable"])
        await here.generate()
        assert sent_key(fake) == new
        # The former key may still come back, and does not pass.
        leaked = await here.generate()
        assert (leaked.status, leaked.json()["reason"]) == (502, "upstream_leak")
        for text in (here.log.getvalue(), await here.metrics(), repr(here.running), repr(here.settings)):
            canary.look("after the change", text)
            assert old not in text
        assert not canary.found


async def test_a_call_under_way_keeps_the_key_it_was_sent_with(make_world: MakeWorld, tmp_path: Path) -> None:
    path, old, new = tmp_path / "key", fresh_key(), fresh_key()
    put(path, old)
    replaced = (IN_FILE, f'upstream: {{key: {{file: "{path}"}}, ')
    go_on = asyncio.Event()
    slow = Turn((go_on, answer(200, CHARGED, body=b"picture")))
    async with (
        fake_upstream(slow, OK) as fake,
        make_world(replaced=[replaced], environ={"DEZGO_GATEWAY__UPSTREAM__URL": fake.url}) as here,
    ):
        first = asyncio.create_task(here.generate())
        await fake.arrived.wait()
        put(path, new)
        await until(lambda: events(here) == ["master_key_renewed"])
        await here.generate(name="rich")
        assert sent_key(fake) == new
        go_on.set()
        assert (await first).body == b"picture"
        assert len(fake.received) == 2


async def test_a_key_from_the_environment_is_not_looked_for_again(make_world: MakeWorld, tmp_path: Path) -> None:
    async with make_world() as here:
        assert here.settings.secrets.upstream_key_file is None
