"""Whatever happens to one exchange with the store, to the byte: it takes effect once, and its answer is its own."""

import itertools
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

from gateway.ledger.store import Store
from tests.contract.exchanges import EXCHANGES, Exchange, Scene, insisted
from tests.contract.keepers import StoreKeeper
from tests.faults.plans import Fault, Kind, Script, Side
from tests.faults.proxy import FaultProxy

DEADLINE_S = 0.1

# Faults of a whole message. Those that leave the client without an answer cost it its deadline.
WHOLE = {
    "reply eaten": Fault(Kind.EAT),
    "request eaten": Fault(Kind.EAT, Side.REQUEST),
    "some bytes of the reply eaten": Fault(Kind.EAT, at=3, size=2),
    "some bytes of the request eaten": Fault(Kind.EAT, Side.REQUEST, at=5, size=9),
    "reply stalled half-way": Fault(Kind.STALL, at=9),
    "request stalled half-way": Fault(Kind.STALL, Side.REQUEST, at=40),
    "reply late, but in time": Fault(Kind.DELAY, seconds=0.01),
    "reply too late": Fault(Kind.DELAY, seconds=DEADLINE_S * 1.5),
    "request late, but in time": Fault(Kind.DELAY, Side.REQUEST, seconds=0.01),
    "request too late": Fault(Kind.DELAY, Side.REQUEST, seconds=DEADLINE_S * 1.5),
    "request twice, one answer": Fault(Kind.TWICE, Side.REQUEST),
    "request twice, two answers": Fault(Kind.TWICE, Side.REQUEST, answers=2),
    "reply twice": Fault(Kind.TWICE),
    "reply once more, later": Fault(Kind.ECHO, seconds=0.01),
    "no more replies": Fault(Kind.HALF, at=5),
    "no more requests": Fault(Kind.HALF, Side.REQUEST, at=7),
}

pytestmark = pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)

Scenes = Callable[[], Scene]


@pytest.fixture(params=["valkey", "redis"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The two stores that this is asked of: what older and newer ones answer is held by the other promises."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def second(store_url: str, redis_url: str) -> bool:
    """Whether this is the second of the two."""
    return store_url == redis_url


@pytest.fixture
async def proxy(on_store: StoreKeeper) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(on_store.url, Script()) as made:
        yield made


@pytest.fixture
async def scenes(on_store: StoreKeeper, proxy: FaultProxy) -> AsyncIterator[Scenes]:
    """Makes scenes, each with an amount of its own."""
    sound, harmed = on_store.store, Store(proxy.url, deadline_s=DEADLINE_S)
    amounts = itertools.count(1_001)
    yield lambda: Scene(sound, harmed, next(amounts))
    await harmed.close()


async def told(proxy: FaultProxy, scenes: Scenes, exchange: Exchange, *faults: Fault | None) -> tuple[object, object]:
    """The answer and the books after this happened to the exchange, and to the one more that follows."""
    scene = scenes()
    await exchange.prepare(scene)
    proxy.plan = Script(*[None] * exchange.before, *faults)
    answer = await insisted(partial(exchange.ask, scene))
    assert proxy.plan.left == 0, "nothing was harmed"
    proxy.plan = Script()
    found = await scene.books()
    # What was left lying on the connection must not become anybody's answer.
    seen = await insisted(partial(scene.ledger(scene.harmed).balances, scene.path))
    assert scene.shown(seen) == scene.shown(await scene.ledger(scene.sound).balances(scene.path))
    return answer, found


async def undisturbed(proxy: FaultProxy, scenes: Scenes, exchange: Exchange) -> tuple[object, object, tuple[int, int]]:
    """What it comes to when nothing happens to it, and how many bytes its request and its reply have."""
    await told(proxy, scenes, exchange, None)  # the store has to know the script first
    proxy.keep_sizes = True
    answer, books = await told(proxy, scenes, exchange, None)
    sizes, proxy.keep_sizes = proxy.sizes[exchange.before], False
    assert min(sizes) > 0
    return answer, books, sizes


@pytest.mark.parametrize("fault", WHOLE.values(), ids=WHOLE)
async def test_an_exchange_takes_effect_once_whatever_happens_to_it(
    proxy: FaultProxy, scenes: Scenes, exchange: Exchange, fault: Fault
) -> None:
    answer, books, _ = await undisturbed(proxy, scenes, exchange)
    assert await told(proxy, scenes, exchange, fault) == (answer, books)


@pytest.mark.parametrize("side", Side)
async def test_an_exchange_cut_after_any_byte_takes_effect_once(
    proxy: FaultProxy, scenes: Scenes, exchange: Exchange, side: Side, second: bool
) -> None:
    answer, books, sizes = await undisturbed(proxy, scenes, exchange)
    # On the second store every third byte: what it answers differs in words, not in form.
    for at in range(0, sizes[side is Side.REPLY], 3 if second else 1):
        found = await told(proxy, scenes, exchange, Fault(Kind.CUT, side, at=at))
        assert found == (answer, books), f"cut after {at} bytes of the {side}"
