"""Failpoints do what the environment orders at the step they are named after, and nothing where nothing is ordered."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.failpoints import NAMES, STEPS, FailpointError, Failpoints, Order, read_failpoints
from gateway.messages import Reply
from gateway.settings import SettingsError
from tests.unit.settings.files import ENVIRON, GATEWAY, changed, load, write

VARIABLE = "DEZGO_GATEWAY_FAILPOINTS"


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        ("", {}),
        ("after_hold=kill", {"after_hold": Order("kill")}),
        ("after_hold=kill:20", {"after_hold": Order("kill", 20)}),
        (
            "before_send=error:2, mid_body=pause:50",
            {"before_send": Order("error", 2), "mid_body": Order("pause", 1, 50)},
        ),
    ],
)
def test_orders_are_read(text: str, orders: dict[str, Order]) -> None:
    assert read_failpoints(text) == orders


@pytest.mark.parametrize(
    "text",
    [
        *("after_hold", "after_hold=", "nowhere=kill", "after_hold=kill:0", "after_hold=pause", "after_hold=pause:x"),
        *("after_hold=kill,after_hold=error", "after_hold=KILL", "after_hold=kill;before_hold=kill"),
    ],
)
def test_what_orders_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a failpoint"):
        read_failpoints(text)


def test_the_environment_arms_and_a_mistake_there_is_a_fault(tmp_path: Path) -> None:
    place = write(tmp_path)
    assert load(place, ENVIRON).failpoints == {}
    assert load(place, {**ENVIRON, VARIABLE: "mid_body=kill:3"}).failpoints == {"mid_body": Order("kill", 3)}
    with pytest.raises(SettingsError) as caught:
        load(place, {**ENVIRON, VARIABLE: "mid_body=explode"})
    (fault,) = caught.value.faults
    assert (fault.file, fault.message) == ("environment", "arms no failpoint")
    assert "explode" not in str(fault)


def test_no_file_arms_one(tmp_path: Path) -> None:
    text = changed(GATEWAY, "logs:", "failpoints: {after_hold: kill}\n§logs:")
    with pytest.raises(SettingsError, match="failpoints"):
        load(write(tmp_path, gateway=text.replace("§", "")), ENVIRON)
    with pytest.raises(SettingsError):
        load(write(tmp_path), {**ENVIRON, "DEZGO_GATEWAY__FAILPOINTS": "after_hold=kill"})


async def pieces() -> AsyncIterator[bytes]:
    for piece in (b"first", b"second"):
        yield piece


@dataclass
class Part:
    """Any part: notes its one step."""

    seen: list[str] = field(default_factory=list)

    async def step(self, what: str = "") -> str:
        self.seen.append("step")
        return what

    async def forward(self, _: object) -> Reply:
        return Reply(200, (), pieces())

    verify = hold = settle = book = keep = step


async def read_to(part: Part, seen: bytearray) -> None:
    async for piece in (await part.forward(None)).body:
        seen += piece


class Killed(BaseException):
    """Stands for the end of the process."""


def killing() -> None:
    raise Killed


@pytest.mark.parametrize(("part", "method", "before", "after"), [step for step in STEPS if step[1] != "forward"])
async def test_each_step_is_surrounded_by_its_failpoints(
    part: str, method: str, before: str | None, after: str
) -> None:
    for name, seen in ((before, []), (after, ["step"])):
        if name is not None:
            armed = Part()
            Failpoints({name: Order("kill", 2)}, kill=killing).arm(**{part: armed})
            assert await getattr(armed, method)("said") == "said"
            with pytest.raises(Killed):
                await getattr(armed, method)("said")
            assert armed.seen == ["step", *seen]
            assert await getattr(armed, method)("after the one it was ordered for") != ""


async def test_nothing_is_surrounded_when_nothing_is_ordered() -> None:
    part = Part()
    Failpoints({}).arm(**{name: part for name, *_ in STEPS})
    assert not {method for _, method, *_ in STEPS} & set(vars(part))


async def test_an_answer_can_be_stopped_before_it_after_its_head_and_in_its_body() -> None:
    for name, got in (("before_send", b""), ("after_head", b""), ("mid_body", b"fi")):
        part, seen = Part(), bytearray()
        Failpoints({name: Order("error")}).arm(upstream=part)
        with pytest.raises(FailpointError):
            await read_to(part, seen)
        assert seen == got
    part = Part()
    Failpoints({"mid_body": Order("pause", pause_ms=1)}).arm(upstream=part)
    assert b"".join([piece async for piece in (await part.forward(None)).body]) == b"firstsecond"


async def test_a_pause_is_made_at_every_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(wait_s: float) -> None:
        waits.append(wait_s)
        await sleep(0)

    monkeypatch.setattr("gateway.failpoints.asyncio.sleep", noted)
    points = Failpoints({"after_hold": Order("pause", pause_ms=250)})
    for _ in range(3):
        await points.reached("after_hold")
    await points.reached("before_hold")
    assert waits == [0.25] * 3


def test_every_name_belongs_to_one_step() -> None:
    assert len(set(NAMES)) == len(NAMES) == 12


def test_the_way_past_an_armed_step_is_closed() -> None:
    class Part:
        def ask(self) -> str | None:
            return "asked"

        async def step(self) -> None: ...

        hold = settle = book = step

    free, armed = Part(), Part()
    Failpoints({}).arm(ledger=free)
    Failpoints({"mid_body": Order("pause", pause_ms=1)}).arm(ledger=armed)
    assert free.ask() == "asked"
    assert armed.ask() is None
