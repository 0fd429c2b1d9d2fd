"""The canonical line: what a receipt becomes, and that the short way writes what the long one would."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.logs.canonical import canonical
from gateway.logs.lines import LineWriter
from gateway.logs.redaction import Redaction
from gateway.receipt import Receipt
from gateway.units import Credits

KEY = "DEZGO-" + "0123456789ABCDEF" * 4
SECRET = 'p%ss"word\\of~thé-store'
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"

RECEIPT = Receipt(
    "4f2a",
    0.0,
    route="text2image",
    verb="POST",
    tenant="acme",
    team="ads",
    user="alice",
    token_id="9c1f",
    method="text2image",
    pixels=262_144,
    steps=30,
    quoted=Credits.whole(19),
    held=Credits.whole(19),
    charged=Credits(20_500),
    flag="confirmed",
    outcome="served",
    status=200,
    upstream_status=200,
    total_s=1.25,
    tariff_version="2026-01",
)


def known(receipt: Receipt) -> dict[str, Any]:
    """What its line says, but for time and level."""
    return {name: value for name, value in canonical(receipt).items() if value is not None}


def short(receipt: Receipt, *secrets: str) -> bytes | None:
    """Its line, if it is written the short way."""
    return LineWriter(Redaction(secrets)).short("info", canonical(receipt))


def test_a_receipt_becomes_one_line_of_plain_numbers() -> None:
    found = known(RECEIPT)
    assert found["event"] == "request"
    assert (found["quoted"], found["held"], found["charged"]) == (19, 19, 20.5)
    assert (found["overrun"], found["drift"]) == (1.5, 1.5)
    assert found["total_ms"] == 1250
    assert all(isinstance(value, str | int | float | bool) for value in found.values())


def test_what_is_not_known_is_left_out_and_what_is_zero_is_not() -> None:
    found = known(replace(RECEIPT, team=None, charged=Credits.ZERO))
    assert "team" not in found
    assert "upstream_ms" not in found
    assert (found["charged"], found["overrun"], found["bytes_in"], found["client_gone"]) == (0, 0, 0, False)
    line = short(Receipt("4f2a", 0.0))
    assert line is not None
    assert None not in json.loads(line).values()


def test_every_fact_of_a_receipt_has_its_place() -> None:
    kept = {field.name.removesuffix("_s") for field in fields(Receipt)}
    shown = {name.removesuffix("_ms").removesuffix("_s") for name in known(full_receipt())}
    assert kept - shown == {"started", "hold_began", "upstream_began"}
    assert shown - kept == {"event", "overrun", "drift"}


def full_receipt() -> Receipt:
    """A receipt in which everything is known."""
    return replace(RECEIPT, **_filled())


def test_a_line_with_everything_in_it_is_whole_and_written_the_short_way() -> None:
    found = known(full_receipt())
    line = LineWriter(Redaction(())).short("info", canonical(full_receipt(), 3))
    assert line is not None
    said = json.loads(line)
    assert list(said) == ["ts", "level", *found, "left_out"]
    assert {**said, **found, "left_out": 3} == said


_TEXT = st.text(st.characters(codec=None, categories=None), max_size=300)
_TIME = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)


@given(_TEXT, _TEXT | st.none(), st.integers(0, 10**12), _TIME)
def test_the_short_way_writes_what_the_long_one_does_or_leaves_it_to_that(
    user: str, model: str | None, millicredits: int, total_s: float
) -> None:
    receipt = replace(RECEIPT, user=user, model=model, charged=Credits(millicredits), total_s=total_s)
    line = short(receipt)
    if line is not None:
        said = json.loads(line)
        long = LineWriter(Redaction(())).render(None, "", {**known(receipt), "level": "info"})
        assert said == json.loads(long) | {"ts": said["ts"]}
        assert line.isascii()


@pytest.mark.parametrize("text", ["a" * 257, 'a"b', "a\\b", "é", "a\nb", "\ud800", KEY, TOKEN, SECRET, SECRET[::-1]])
def test_what_needs_taming_or_hiding_is_not_written_the_short_way(text: str) -> None:
    for name in ("user", "model", "binding", "items"):
        said: dict[str, Any] = {name: text}
        assert short(replace(RECEIPT, **said), SECRET) is None


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_not_written_the_short_way(number: float) -> None:
    facts = canonical(RECEIPT)
    facts["hold_ms"] = number
    assert LineWriter(Redaction(())).short("info", facts) is None


def _filled() -> dict[str, Any]:
    amounts = {"remaining": Credits.ZERO, "saving": Credits.whole(150), "ceiling": Credits.ZERO, "reset_s": 0}
    amounts |= {"items": "image:181", "size": "1024x1024", "model": "sdxl_1024px", "hold_id": "4f2a"}
    ids = {"trace_id": "0" * 31 + "1", "span_id": "0" * 15 + "1", "job_id": "5f0c", "seed": "7", "parameter": "steps"}
    durations = dict.fromkeys(("hold_s", "queued_s", "upstream_head_s", "upstream_s"), 0.1)
    repeat = {"once": "0123456789ab", "replayed": True}
    known = {"upscaled": False, "loras": 0, "binding": "tenant/day", "code": "timeout", "client": "::1"}
    return {**amounts, **ids, **durations, **repeat, **known}
