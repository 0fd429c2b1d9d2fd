"""The main job: a call through the gateway gives the image the upstream made, and books what it charged."""

from gateway.units import Credits
from tests.e2e.world import World


async def test_a_call_gets_the_simulators_image_and_its_charge_is_booked(here: World) -> None:
    answer = await here.generate({"prompt": "an astronaut on a horse", "width": 768, "height": 768})
    assert answer.status == 200
    assert answer.fields["content-type"] == "image/png"
    assert answer.body.startswith(b"\x89PNG")
    assert answer.fields["x-credits-cost"] == "87"
    assert answer.fields["x-dezgo-job-amount-usd"] == "0.0087"
    assert here.simulator.book.total_millicredits == 87_000
    (balance,) = await here.balances()
    assert (balance.spent, balance.held) == (Credits.whole(87), Credits.ZERO)
    audit = await here.audit()
    assert (audit.differences, audit.spent) == ((), Credits.whole(87))
