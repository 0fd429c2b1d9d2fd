"""The process that reads large bodies: the same answers as here, no secret, and whatever becomes of it, a next one."""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gateway.errors import BadBody, BadImage, BadParameter, Busy, DuplicateParameter, GatewayError, UnsupportedMediaType
from gateway.parse.limits import Limits
from gateway.parse.read import read_job
from gateway.web import reader as module
from gateway.web.reader import Reader
from gateway.web.reading import MESSAGE_BYTES_MAX, Asked, ReadingError, answer, framed, unframed
from tests.bench.overload.attack import FORM, body_of
from tests.unit.parse.methods import METHODS, PICTURE, TEXT

JSON = ("application/json",)
ASKED = Asked(TEXT, JSON, "", Limits())
TWICE = Asked(TEXT, JSON, "steps=1", Limits())


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    made = Reader()
    yield made
    await made.close()


@contextmanager
def stored(body: bytes) -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        file.write(body)
        file.flush()
        yield file.fileno()


async def asked(reader: Reader, body: bytes = b'{"steps": 20}', question: Asked = ASKED) -> int | None:
    """How many steps the body asks for."""
    with stored(body) as file:
        return (await reader.job(question, file)).steps


def process_of(reader: Reader) -> int:
    assert reader._process is not None
    return reader._process.pid


def is_alive(pid: int) -> bool:
    """Whether it runs; one that nobody has waited for yet does not."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def environ_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("kind", ["json", "multipart"])
async def test_a_large_picture_is_read_as_it_is_here(reader: Reader, kind: str) -> None:
    body = body_of(kind, 3_000_000)
    assert len(body) == 3_000_000  # what the overload bench announces
    types = JSON if kind == "json" else (FORM,)
    question = Asked(PICTURE, types, "", Limits())
    with stored(body) as file:
        found = await reader.job(question, file)
    assert found == read_job(PICTURE, content_type=types, query="", body=body, limits=Limits())
    assert found.image is not None


@pytest.mark.parametrize(
    ("question", "body", "refusal"),
    [
        (ASKED, b"{", BadBody("the body is not JSON in UTF-8")),
        (ASKED, b'{"steps": 0}', BadParameter("steps", "must be a whole number from 1 to 1000")),
        (
            Asked(TEXT, JSON, "steps=1", Limits()),
            b"{}",
            DuplicateParameter("steps", "belongs in the body, not in the URL"),
        ),
        (Asked(PICTURE, JSON, "", Limits()), b'{"init_image": "QUJD"}', BadImage("init_image", "type")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, GatewayError) else "",
)
async def test_a_refusal_is_the_same_as_here(
    reader: Reader, question: Asked, body: bytes, refusal: GatewayError
) -> None:
    with pytest.raises(type(refusal)) as caught:
        await asked(reader, body, question)
    assert vars(caught.value) == vars(refusal)
    assert await asked(reader) == 20


async def test_a_type_nobody_reads_is_refused(reader: Reader) -> None:
    with pytest.raises(UnsupportedMediaType):
        await asked(reader, b"x", Asked(TEXT, ("text/plain",), "", Limits()))


async def test_one_process_answers_all_questions(reader: Reader) -> None:
    assert [await asked(reader, b'{"steps": %d}' % steps) for steps in (10, 20, 30)] == [10, 20, 30]
    first = process_of(reader)
    assert await asked(reader) == 20
    assert process_of(reader) == first


async def test_a_process_that_was_killed_is_replaced_and_nobody_notices(reader: Reader) -> None:
    await asked(reader)
    first = process_of(reader)
    os.kill(first, signal.SIGKILL)
    assert await asked(reader) == 20
    assert process_of(reader) != first


async def test_a_process_that_dies_of_a_question_is_busy_after_a_second_try(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CODE", "import sys; sys.exit(1)")
    with pytest.raises(Busy):
        await asked(reader)
    monkeypatch.undo()
    assert await asked(reader) == 20


async def test_a_process_that_cannot_be_started_is_busy(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_files()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(Busy):
        await asked(reader)
    assert open_files() == before


async def test_a_process_that_hangs_is_ended(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    await asked(reader)
    hung = process_of(reader)
    os.kill(hung, signal.SIGSTOP)
    monkeypatch.setattr(module, "ANSWER_TIMEOUT_S", 0.2)
    with pytest.raises(Busy):
        await asked(reader)
    assert not is_alive(hung)
    monkeypatch.undo()
    assert await asked(reader) == 20


async def test_the_answer_of_who_no_longer_waits_is_never_anothers(reader: Reader) -> None:
    await asked(reader)
    for turns in range(12):
        with stored(b'{"steps": 11}') as file:
            waiting = asyncio.create_task(reader.job(ASKED, file))
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
        assert await asked(reader) == 20


async def test_it_knows_nothing_of_our_environment(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEZGO_GATEWAY__SECRETS__UPSTREAM_KEY", "the-master-key-itself")
    await asked(reader)
    environ = environ_of(process_of(reader))
    assert b"PYTHONPATH=" in environ
    assert b"the-master-key-itself" not in environ
    assert b"DEZGO" not in environ


async def test_closing_ends_it_and_a_second_time_does_nothing(reader: Reader) -> None:
    await asked(reader)
    pid = process_of(reader)
    await reader.close()
    await reader.close()
    assert not is_alive(pid)


def test_it_ends_with_whoever_started_it() -> None:
    code = (
        "import asyncio, tempfile\n"
        "from tests.unit.web.test_reader import *\n"
        "async def main():\n"
        "    reader = Reader(); await asked(reader); print(process_of(reader), flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:  # noqa: S603 - our own
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    _until(lambda: not is_alive(pid))


def _until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


async def test_what_nobody_expects_is_told_by_its_class_alone(reader: Reader) -> None:
    with stored(b"") as nothing:  # bodies of no bytes are never large
        assert str(answer(ASKED, nothing)) == "ValueError"
        with pytest.raises(ReadingError, match=r"\AValueError\Z"):
            await reader.job(ASKED, nothing)
    assert await asked(reader) == 20


async def test_a_question_that_is_too_long_is_busy(reader: Reader) -> None:
    with pytest.raises(Busy):
        await asked(reader, question=Asked(TEXT, JSON, "x" * MESSAGE_BYTES_MAX, Limits()))


def test_a_message_is_whole_or_not_there() -> None:
    message = framed(ASKED)
    assert all(unframed(message[:count]) == () for count in range(len(message)))
    assert unframed(message) == (ASKED,)
    with pytest.raises(ValueError, match="too long"):
        unframed(b"\xff" * 8)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_method_is_the_same_on_the_other_side(method: object) -> None:
    again = pickle.loads(pickle.dumps(method))  # noqa: S301 - our own
    assert again == method
    assert again.parameters == method.parameters  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(again)) == method  # noqa: S301 - our own
