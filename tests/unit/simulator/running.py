"""A simulator on a real socket, and a client to talk to it."""

import io
import json
from dataclasses import dataclass
from typing import Any

import aiohttp
from PIL import Image

from gateway.simulator import Simulator, SimulatorSettings, start_simulator

KEY = "the-master-key"


@dataclass(frozen=True)
class Got:
    """One answer, fully read."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name]

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def image(self) -> Image.Image:
        image = Image.open(io.BytesIO(self.body))
        image.load()
        return image


@dataclass(frozen=True)
class Running:
    """A simulator and a session; the key is added to every request unless `key` says otherwise."""

    simulator: Simulator
    session: aiohttp.ClientSession
    flavour: str

    @property
    def url(self) -> str:
        return self.simulator.url

    async def send(
        self, method: str, path: str, *, key: str | None = KEY, headers: dict[str, str] | None = None, **body: Any
    ) -> Got:
        name = "x-dezgo-key" if self.flavour == "direct" else "X-RapidAPI-Key"
        sent = {**({} if key is None else {name: key}), **(headers or {})}
        url = path if path.startswith("http") else self.url + path
        async with self.session.request(method, url, headers=sent, allow_redirects=False, **body) as response:
            fields = [(k.decode(), v.decode()) for k, v in response.raw_headers]
            return Got(response.status, fields, await response.read())

    async def make(self, path: str = "/text2image", fault: str = "", **params: Any) -> Got:
        """A paid call with a JSON body; `fault` queues one for it."""
        if fault:
            self.simulator.faults.next(fault)
        return await self.send("POST", path, json={"prompt": "a cat", **params})


async def run(**settings: Any) -> Running:
    chosen = SimulatorSettings(**{"key": KEY, "delay_s": 0, **settings})
    session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
    return Running(await start_simulator(chosen), session, chosen.flavour)


def png(width: int, height: int, kind: str = "PNG") -> bytes:
    """An uploaded image."""
    written = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(written, kind)
    return written.getvalue()
