"""The switchboard: which fault meets which call."""

import pytest

from gateway.simulator import faults as faults_module
from gateway.simulator.faults import NO_FAULT, Fault, FaultError, Faults


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "status:abc",
        "status",
        "slow:-1",
        "slow:601",
        "slow:nan",
        "cut:-1",
        "cut:",
        "charge:odd",
        "price:x",
        "redirect:",
        "echo:1",
        "slow:1 nonsense",
    ],
)
def test_a_fault_nobody_could_act_out_is_refused(text: str) -> None:
    with pytest.raises(FaultError):
        Fault.parse(text)


def test_words_combine_into_one_fault() -> None:
    fault = Fault.parse("status:503 charged slow:1.5 cut:head")
    assert (fault.status, fault.charged, fault.seconds("slow")) == (503, True, 1.5)
    assert fault.get("cut") == "head"
    assert "echo" not in fault


@pytest.mark.parametrize(("text", "charged"), [("", None), ("charged", True), ("uncharged", False)])
def test_whether_it_is_booked_can_be_said_or_left_open(text: str, charged: bool | None) -> None:
    assert Fault.parse(text).charged is charged


def test_queued_faults_come_once_and_in_order_then_the_lasting_one() -> None:
    faults = Faults()
    faults.always("status:500")
    faults.next("status:501", "status:502")
    taken = [faults.take("/text2image", paid=True).status for _ in range(4)]
    assert taken == [501, 502, 500, 500]


def test_a_fault_with_a_path_waits_for_that_path() -> None:
    faults = Faults()
    faults.next("status:501", path="/upscale")
    faults.always("status:502", path="/info")
    assert faults.take("/text2image", paid=True) is NO_FAULT
    assert faults.take("/info", paid=False).status == 502
    assert faults.take("/upscale", paid=True).status == 501
    assert faults.take("/upscale", paid=True) is NO_FAULT


def test_a_fault_without_a_path_spares_free_paths() -> None:
    faults = Faults()
    faults.next("status:501")
    faults.always("status:502")
    assert faults.take("/info", paid=False) is NO_FAULT
    assert faults.take("/text2image", paid=True).status == 501


def test_a_lasting_fault_ends_when_told() -> None:
    faults = Faults()
    faults.always("status:500")
    faults.always(None)
    assert faults.take("/text2image", paid=True) is NO_FAULT
    faults.next("status:500")
    faults.clear()
    assert faults.take("/text2image", paid=True) is NO_FAULT


def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults_module, "QUEUED_MAX", 2)
    faults = Faults()
    faults.next("echo", "echo")
    with pytest.raises(FaultError):
        faults.next("echo")
