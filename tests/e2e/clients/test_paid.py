"""Every paid call that is known to be made: same answer as without the gateway, same money in all three books."""

import asyncio
import hashlib
import re
from collections.abc import Sequence

import pytest

from gateway.simulator.book import Arrival
from gateway.units import Credits
from tests.e2e.clients import from_pictures, from_text, from_text_newer
from tests.e2e.clients.asking import Got, Shape
from tests.e2e.clients.others import ALL as OTHERS
from tests.e2e.clients.twin import through, twin
from tests.e2e.conftest import MakeWorld
from tests.e2e.world import World, until

PAID = (*from_text.SHAPES, *from_text_newer.SHAPES, *from_pictures.SHAPES)

# What both ways must say alike, where the upstream says it at all.
ALIKE = {
    "direct": ("content-type", "content-length", "x-input-seed", "x-dezgo-job-id", "x-dezgo-job-amount-usd"),
    "rapidapi": ("content-type", "content-length", "x-input-seed", "x-credits-cost"),
}
# Everything that may reach the upstream beside the key.
CARRIED = {"host", "accept", "content-type", "content-length", "accept-encoding", "x-rapidapi-host"}


@pytest.mark.parametrize("shape", PAID, ids=[shape.name for shape in PAID])
async def test_a_client_gets_what_it_would_get_without_the_gateway_and_the_money_agrees(
    shape: Shape, make_world: MakeWorld
) -> None:
    async with make_world(flavour=shape.flavour, drawn=True) as here, twin(shape.flavour) as (there, direct):
        answers = await asyncio.gather(*(shape.call(through(here, shape)) for _ in range(shape.at_once)))
        expected = await asyncio.gather(*(shape.call(direct) for _ in range(shape.at_once)))
        _look(here, answers)
        assert {_essence(shape, one) for one in answers} == {_essence(shape, one) for one in expected}
        _check_answers(shape, answers)
        _check_arrivals(here, answers, list(here.simulator.received.newest), there.received.newest[0])
        await _check_money(here, shape)


def _look(here: World, answers: Sequence[Got]) -> None:
    for answer in answers:
        here.canary.look("answer", repr(sorted(answer.fields.items())))
        here.canary.look("answer", answer.body)


def _essence(shape: Shape, answer: Got) -> tuple[object, ...]:
    digest = hashlib.sha256(answer.body).hexdigest()
    return answer.status, digest, *(answer.fields.get(name) for name in ALIKE[shape.flavour])


def _check_answers(shape: Shape, answers: Sequence[Got]) -> None:
    for answer in answers:
        assert answer.status == 200
        assert answer.fields["content-type"] == shape.kind
        assert len(answer.body) > 500
        assert answer.framing in (None, "length")
        assert answer.fields["x-credits-cost"] == str(shape.credits)
        assert [name for name in shape.reads if not re.fullmatch(r"[0-9a-f.]+", answer.fields[name])] == []
        assert "x-dezgo-balance-index" not in answer.fields
        assert "x-dezgo-auth-userid" not in answer.fields


def _check_arrivals(here: World, answers: Sequence[Got], arrived: list[Arrival], without: Arrival) -> None:
    """Each body arrived as it was sent, byte for byte, with its own type and nothing of the client's own."""
    sent = sorted((hashlib.sha256(one.sent).hexdigest(), one.sent_type) for one in answers)
    assert sorted((one.body_sha256 or "", one.field("content-type")) for one in arrived) == sent
    assert sorted(charge.body_sha256 for charge in here.simulator.book.charges) == [digest for digest, _ in sent]
    for one in arrived:
        assert (one.method, one.target) == (without.method, without.target.removesuffix("/"))
        assert one.field("accept") == without.field("accept")
        assert {name.lower() for name, _ in one.fields} <= CARRIED | {"x-dezgo-key", "x-rapidapi-key"}
        assert one.field("host") == here.simulator.url.removeprefix("http://")


async def _check_money(here: World, shape: Shape) -> None:
    total = Credits.whole(shape.credits * shape.at_once)
    book = here.simulator.book
    assert (book.count, book.total_millicredits) == (shape.at_once, total.millicredits)
    (balance,) = await here.balances()
    assert (balance.spent, balance.held) == (total, Credits.ZERO)
    audit = await here.audit()
    assert (audit.differences, audit.spent) == ((), total)
    await until(lambda: len(here.lines()) >= shape.at_once)
    lines = [line for line in here.lines() if line["event"] == "request"]
    quoted = shape.credits if shape.quoted is None else shape.quoted
    assert [(line["quoted"], line["charged"], line["flag"]) for line in lines] == [
        (quoted, shape.credits, "confirmed")
    ] * shape.at_once


def test_every_shape_of_the_list_is_replayed() -> None:
    replayed = {shape.name[:3] for shape in (*PAID, *OTHERS)}
    assert replayed >= {f"c{number:02}" for number in range(1, 42)}


def test_no_two_shapes_share_a_name() -> None:
    names = [shape.name for shape in (*PAID, *OTHERS)]
    assert len(names) == len(set(names))
