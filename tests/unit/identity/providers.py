"""A scripted provider of keys, and a verifier in front of it on a clock of its own."""

import asyncio
from collections import deque

import pytest

from gateway.errors import GatewayError
from gateway.identity.jwks import JwksSource
from gateway.identity.mint import SigningKey, mint_token
from gateway.identity.principal import Principal
from gateway.identity.verify import Issuer, Verifier
from tests.unit.identity.tokens import AUDIENCE, ISSUER, NOW, Clock, code_of, jwks_of, signer

OLD, NEW = signer("ed25519", kid="old"), signer("ed25519", kid="new", name="b")
HOUR_S = 3600


class Provider:
    """A scripted provider: what it answers, how often it was asked, and a gate that can hold it back."""

    def __init__(self, *keys: SigningKey) -> None:
        self.answer: bytes | Exception = jwks_of(*keys)
        self.asked = 0
        self.arrived = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> bytes:
        self.asked += 1
        self.arrived.set()
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Naps:
    """Sleeping that ends when the test says so; remembers how long each was meant to be."""

    def __init__(self) -> None:
        self.asked_s: deque[float] = deque()
        self._next: asyncio.Queue[None] = asyncio.Queue()
        self._begun: asyncio.Queue[None] = asyncio.Queue()

    async def __call__(self, seconds: float) -> None:
        self.asked_s.append(seconds)
        self._begun.put_nowait(None)
        await self._next.get()

    async def begun(self) -> float:
        """Wait for the next nap to begin."""
        await asyncio.wait_for(self._begun.get(), 10)
        return self.asked_s[-1]

    def end(self) -> None:
        """End it."""
        self._next.put_nowait(None)


class House:
    """A verifier with one provider, on a clock of its own."""

    def __init__(self) -> None:
        self.clock, self.provider, self.naps = Clock(1000.0), Provider(OLD), Naps()
        self.source = JwksSource(self.provider, clock=self.clock, sleep=self.naps, wait_s=5.0)
        issuer = Issuer(ISSUER, frozenset({AUDIENCE}), jwks=self.source)
        self.verifier = Verifier([issuer], clock=lambda: NOW)

    async def verify(self, key: SigningKey) -> Principal:
        return await self.verifier.verify(minted(key))

    async def code(self, key: SigningKey) -> str:
        with pytest.raises(GatewayError) as refused:
            await self.verify(key)
        return code_of(refused.value)


MINTED: dict[str | None, str] = {}


def minted(key: SigningKey) -> str:
    """One token per key id: the cache must see the same one again."""
    text = MINTED.get(key.verifying.kid)
    if text is None:
        text = mint_token(key, issuer=ISSUER, audience=AUDIENCE, tenant="acme", ttl_s=600, now=NOW)
    return MINTED.setdefault(key.verifying.kid, text)
