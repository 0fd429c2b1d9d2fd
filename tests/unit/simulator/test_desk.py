"""The desk without sockets: what takes time, and what happens when it takes too much."""

import asyncio

import pytest

from gateway.simulator.book import Book
from gateway.simulator.desk import Ask, Desk
from gateway.simulator.faults import Faults
from gateway.simulator.painter import Painter
from gateway.simulator.picture import Picture
from gateway.simulator.settings import SimulatorSettings

FIELDS = (("x-dezgo-key", "k"), ("content-type", "application/json"))


def ask(path: str, body: bytes = b'{"prompt":"p"}') -> Ask:
    return Ask("POST", path, FIELDS, body, "http://files.test")


@pytest.mark.parametrize(
    ("path", "body", "delay_s", "expected"),
    [
        ("/text2image", b'{"prompt":"p","steps":30}', 0.3, [0.6]),
        ("/text2image", b'{"prompt":"p","steps":150}', 0.3, [1.8]),
        ("/text2video_wan_2_6", b'{"prompt":"p"}', 0.3, [3.0]),
        ("/text2image", b'{"prompt":"p"}', 0, []),
    ],
)
async def test_work_takes_time_by_its_steps(
    monkeypatch: pytest.MonkeyPatch, path: str, body: bytes, delay_s: float, expected: list[float]
) -> None:
    waited: list[float] = []

    async def note(seconds: float) -> None:
        waited.append(round(seconds, 6))

    settings = SimulatorSettings(key="k", delay_s=delay_s)
    monkeypatch.setattr(asyncio, "sleep", note)
    answer, _ = await Desk(settings, Book(settings), Faults()).answer(ask(path, body))
    assert answer.status == 200
    assert waited == expected


async def test_a_picture_that_is_never_finished_is_not_booked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(self: Painter, picture: Picture) -> bytes:
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr(Painter, "paint", never)
    settings = SimulatorSettings(key="k", delay_s=0, body_timeout_s=0.01)
    book = Book(settings)
    answer, _ = await Desk(settings, book, Faults()).answer(ask("/text2image"))
    assert answer.status == 504
    assert book.count == 0
    with book.promised(book.balance):
        pass
