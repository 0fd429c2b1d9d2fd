"""The master key is shown nowhere: first that the search for it finds it, then that there is nothing to find."""

import base64
import contextlib
import gc
import json
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
import structlog

from gateway.exchange import Exchange
from gateway.identity.verify import Verifier
from gateway.ledger.redis import RedisLedger
from gateway.proxy.upstream import Upstream
from gateway.web.answer import HttpClient
from tests.e2e.canary import Canary, fresh_key
from tests.e2e.conftest import MakeWorld
from tests.e2e.test_commands import Program, configured, generated, living_in, upstream
from tests.e2e.world import World, until

SPELLINGS: dict[str, Callable[[str], bytes | str]] = {
    "plain": lambda key: key,
    "lower case": lambda key: key.lower(),
    "reversed": lambda key: key[::-1],
    "hex": lambda key: key.encode().hex(),
    "upper hex": lambda key: key.encode().hex().upper(),
    "every byte percent-encoded": lambda key: "".join(f"%{byte:02X}" for byte in key.encode()),
    "quoted": lambda key: quote(key, safe=""),
    "json": lambda key: json.dumps({"key": key}),
    "repr": lambda key: repr({"key": key.encode()}),
    "utf-16": lambda key: key.encode("utf-16"),
    "base64": lambda key: base64.b64encode(key.encode()),
    "base64, one before": lambda key: base64.b64encode(b'"' + key.encode()),
    "base64, two before": lambda key: base64.b64encode(b'{"' + key.encode() + b'"}'),
    "url-safe base64": lambda key: base64.urlsafe_b64encode(b"key=" + key.encode()),
    "pickle": lambda key: pickle.dumps({"key": key}),
    "its last half": lambda key: key[-40:],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_canary_finds_the_key_in_every_spelling(spelling: str) -> None:
    key = fresh_key()
    shown = SPELLINGS[spelling](key)
    canary = Canary(key)
    canary.look("a page", b"before " + (shown if isinstance(shown, bytes) else shown.encode()) + b" after")
    assert canary.found


def test_the_canary_finds_nothing_where_nothing_is() -> None:
    canary = Canary(fresh_key())
    for innocent in (fresh_key(), "DEZGO-", "***", b"\x00" * 100, fresh_key().encode().hex()):
        canary.look("a page", innocent)
    assert not canary.found
    assert canary.bytes_seen > 0


async def test_a_world_that_shows_its_key_ends_in_a_failure(make_world: MakeWorld) -> None:
    async def careless() -> None:
        async with make_world() as here:
            here.log.write(json.dumps({"event": "request", "note": key_of(here)[::-1]}) + "\n")

    with pytest.raises(AssertionError):
        await careless()


def key_of(here: World) -> str:
    key = here.settings.secrets.upstream_key
    assert key is not None
    return key.get_secret_value()


@pytest.mark.parametrize("flavour", ["direct", "rapidapi"])
async def test_an_upstream_that_echoes_everything_teaches_nobody_the_key(make_world: MakeWorld, flavour: str) -> None:
    async with make_world(flavour=flavour) as here:
        for fault in ("echo", "echo status:400 charged", "echo status:500", "echo chunked", "echo slow_body:0.05"):
            here.simulator.faults.next(fault)
            with contextlib.suppress(aiohttp.ClientPayloadError):
                answer = await here.generate()
                assert (answer.status, answer.json()["reason"]) == (502, "upstream_leak")
        here.simulator.faults.next("echo", path="/info")
        assert (await here.ask("GET", "/info", headers=here.key())).status == 502
        assert here.simulator.received.counts.total() == 6


# --- parts that break -------------------------------------------------------------------------------------------

BROKEN = {
    "the hall": (Exchange, "_price"),
    "the back door": (Upstream, "_request"),
    "the answer's fields": (Upstream, "_reply"),
    "the ledger": (RedisLedger, "hold"),
    "the front door's answer": (HttpClient, "_head"),
    "identity": (Verifier, "verify_cached"),
}


@pytest.mark.parametrize("part", BROKEN)
async def test_a_part_that_breaks_with_the_key_in_its_error_shows_where_and_not_what(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    owner, name = BROKEN[part]
    async with make_world() as here:
        key = key_of(here)

        def broken(*_: object, **__: object) -> None:
            secret = key.lower()  # a local variable of the traceback
            raise RuntimeError(key, secret) from ValueError(f"key {key[::-1]}")

        monkeypatch.setattr(owner, name, broken)
        answer = await here.generate()
        assert answer.status in (500, 502)
        assert answer.json()["reason"] in ("internal", "upstream_unanswered", "upstream_unreachable")
        await until(lambda: any(line["event"] == "request" for line in here.lines()))
        monkeypatch.undo()
        here.canary.look("problem", answer.body)
        (line,) = [line for line in here.lines() if line["event"] == "request"]
        assert line["outcome"] == "failed"
        if line["reason"] == "internal":
            (blamed,) = [line for line in here.lines() if line["event"] == "broken"]
            assert blamed["exception"] == ["RuntimeError", "ValueError"]
            assert blamed["frames"][-1].endswith(" broken")
            assert blamed["request_id"] == line["request_id"]
        # What is held is not forgotten over it, and the next call is served.
        assert (await here.balances())[0].held.millicredits == 0
        assert (await here.generate()).status == 200


async def test_libraries_that_log_the_key_are_redacted_like_ourselves(here: World) -> None:
    key = key_of(here)
    logging.getLogger("aiohttp.client").warning("headers: %s", {"X-Dezgo-Key": key})
    structlog.get_logger().warning("request", url="https://host/?key=" + quote(key), body=key.encode().hex())
    logging.getLogger("asyncio").error("Task exception was never retrieved: %r", key, exc_info=KeyError(key))
    await until(lambda: len(here.lines()) == 3)
    assert here.log.getvalue().count("***") >= 4


async def test_no_part_shows_the_key_when_it_is_printed(here: World) -> None:
    await here.generate()
    parts = everything_in_reach()
    assert {"App", "Door", "Exchange", "Listener", "MasterKey", "Settings", "Upstream", "Verifier"} <= {
        type(part).__name__ for part in parts
    }
    for part in parts:
        for show in (repr, str, ascii, "{}".format):
            here.canary.look(type(part).__name__, show(part))
    here.canary.look("secrets as JSON", here.settings.secrets.model_dump_json())
    here.canary.look("secrets as a mapping", repr(here.settings.secrets.model_dump()))


async def test_the_attributes_of_no_part_but_the_logs_own_hold_the_key(here: World) -> None:
    await here.generate()
    for part in everything_in_reach():
        # What hides the key in log lines must know it; nothing prints that object's insides.
        if type(part).__name__ != "Redaction":
            here.canary.look(type(part).__name__, repr(attributes(part)))


def attributes(part: object) -> dict[str, object]:
    """What debuggers and tracebacks with locals show of an object, one step deep."""
    slots = [name for kind in type(part).__mro__ for name in getattr(kind, "__slots__", ())]
    return {name: getattr(part, name) for name in slots if hasattr(part, name)} | dict(getattr(part, "__dict__", {}))


def everything_in_reach() -> list[object]:
    """Every living object of a class of the gateway's, the simulator's aside: that one is the upstream."""
    found = []
    for thing in gc.get_objects():
        module = getattr(type(thing), "__module__", None)
        if isinstance(module, str) and module.startswith("gateway.") and ".simulator" not in module:
            found.append(thing)
    return found


# --- a process of its own ---------------------------------------------------------------------------------------


async def test_a_serving_process_shows_the_key_in_no_argument_output_or_file(tmp_path: Path) -> None:
    key, cwd = fresh_key(), tmp_path / "here"
    cwd.mkdir()
    canary = Canary(key)
    async with upstream(key) as simulator:
        env = configured(cwd, simulator.url) | {"DEZGO_API_KEY": key}
        token = (await Program.run("token", "--tenant", "labs", cwd=cwd)).stdout.strip()
        async with Program.started("serve", cwd=cwd, **env) as serve:
            await serve.says("serving on port", where="stderr")
            simulator.faults.next("echo")
            assert await generated(serve, token) == (502, "19")  # withheld, and booked
            family = living_in(cwd)
            assert len(family) == 2  # the gateway and its store
            look_at_processes(canary, family, environment_of=family - {serve.process.pid})
        await Program.run("check", cwd=cwd, **env)
        await Program.run("check", cwd=cwd, **env | {"DEZGO_API_KEY": key + "\nx"})
        await Program.run("ledger", "audit", cwd=cwd, **env)
    look_at_files(canary, tmp_path)  # what the commands said is among them
    assert not canary.found
    assert canary.bytes_seen > 10_000


def look_at_processes(canary: Canary, processes: set[int], *, environment_of: set[int]) -> None:
    for pid in processes:
        canary.look(f"arguments of {pid}", Path(f"/proc/{pid}/cmdline").read_bytes())
    for pid in environment_of:
        canary.look(f"environment of {pid}", Path(f"/proc/{pid}/environ").read_bytes())


def look_at_files(canary: Canary, directory: Path) -> None:
    for path in directory.rglob("*"):
        if path.is_file():
            canary.look(str(path), path.read_bytes())
