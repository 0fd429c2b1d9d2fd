"""A whole gateway behind a socket, fed with raw messages; everything around it is well."""

import asyncio
import json
import re
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.ledger.embedded import EmbeddedStore
from gateway.problems import TABLE
from gateway.units import Credits
from gateway.web.server import _Protocol
from tests.e2e.raw import DEADLINE_S
from tests.e2e.refusals import MARK
from tests.e2e.world import World, world
from tests.fuzz.messages import APP, GONE, POOR, RICH, WAIT, Piece, pieces
from tests.fuzz.trying import Check

# What a `WAIT` waits at most: long enough for a whole call.
_WAIT_MS_MAX = 10

_TENANTS = """
tenants:
  rich-TAG: {budgets: [{credits: 1000000000, every: month}]}
  poor-TAG: {budgets: [{credits: 40, every: total}]}
"""
_LISTEN = "listen: {host: 127.0.0.1, port: 0"
_BROWSERS = (_LISTEN, f'{_LISTEN}, cors_origins: ["{APP.decode()}"]')

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2}) [ -~]*")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([ -~]*)")

# Every field that an answer may have.
_SEEN = {
    *("allow", "cache-control", "connection", "content-disposition", "content-length", "content-type", "date"),
    *("idempotency-replayed", "ratelimit", "ratelimit-policy", "retry-after", "server", "transfer-encoding", "vary"),
    *("www-authenticate", "x-credits-cost", "x-dezgo-balance-total-usd", "x-dezgo-job-amount-usd", "x-dezgo-job-id"),
    *("x-input-seed", "x-ratelimit-credits-limit", "x-ratelimit-credits-remaining", "x-ratelimit-credits-reset"),
    *("x-request-id", "access-control-allow-headers", "access-control-allow-methods", "access-control-allow-origin"),
    *("access-control-expose-headers", "access-control-max-age"),
}

# The statuses each reason may come with.
_STATUSES = {
    error.reason: {row.status} | ({row.other.status} if row.other is not None else set())
    for error, row in TABLE.items()
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it came; `reason` is empty where the gateway refused nothing."""

    status: int
    fields: dict[str, str]
    body: bytes
    reason: str = ""
    detail: str = ""

    @property
    def paid(self) -> Credits:
        """What the gateway says that this call was charged, now and not earlier."""
        said = self.fields.get("x-credits-cost")
        fresh = said is not None and "idempotency-replayed" not in self.fields and not self.reason
        return Credits.parse(said) if said is not None and fresh else Credits.ZERO


@contextmanager
def opened() -> Iterator[Check]:
    """A gateway, for as long as it is fed. Its books are recounted at the end."""
    with asyncio.Runner() as runner:
        over, ready = asyncio.Event(), asyncio.Queue[World]()
        life = runner.get_loop().create_task(_live(ready, over))
        try:
            here = runner.run(_first(ready, life))
            yield lambda content: runner.run(_fed(here, content))
        finally:
            over.set()
            runner.run(_ended(life))


async def _live(ready: "asyncio.Queue[World]", over: asyncio.Event) -> None:
    """The world's whole life in one task."""
    with tempfile.TemporaryDirectory() as name:
        async with _world(Path(name)) as here:
            ready.put_nowait(here)
            await over.wait()
            for tenant in ("rich", "poor"):
                assert not (await here.audit(tenant)).differences


@asynccontextmanager
async def _world(directory: Path) -> AsyncIterator[World]:
    async with EmbeddedStore(directory / "store") as store:
        tag = secrets.token_hex(4)
        async with world(directory, store.url, tag, tenants=_TENANTS, replaced=[_BROWSERS]) as here:
            yield here


async def _first(ready: "asyncio.Queue[World]", life: "asyncio.Task[None]") -> World:
    waiting = asyncio.create_task(ready.get())
    await asyncio.wait([waiting, life], return_when=asyncio.FIRST_COMPLETED)
    if life.done():
        waiting.cancel()
        await life
    return await waiting


async def _ended(life: "asyncio.Task[None]") -> None:
    await life


async def _fed(here: World, content: bytes) -> str:
    """Send one message, read every answer, and look at the books."""
    before = here.simulator.book.total_millicredits
    tokens = {RICH: here.token().encode(), POOR: here.token("poor").encode()}
    shown, stayed = await _exchanged(here, content, tokens)
    await _quiet()
    here.canary.look("raw answers", shown)
    assert not here.canary.found, "the key"
    for hidden in (*tokens.values(), MARK.encode(), b"aiohttp", b"Python", b"Traceback"):
        assert hidden not in shown, "an echo"
    answers = list(_answers(shown, headless=b"HEAD" in content)) if stayed else []
    taken = here.simulator.book.total_millicredits - before
    # Refused is free, and what was paid for is answered, unless the client did not stay for it.
    assert not stayed or sum(answer.paid.millicredits for answer in answers) == taken, "paid and not answered"
    assert await _spent(here) == here.simulator.book.total_millicredits, "the books differ"
    outcome = " ".join(f"{answer.status}{answer.reason}{answer.detail}" for answer in answers)
    return f"{'accepted' if taken else 'free'} {outcome}"


async def _exchanged(here: World, content: bytes, tokens: dict[bytes, bytes]) -> tuple[bytes, bool]:
    """Everything the gateway says to `content`, and whether the client stayed to hear it."""
    shown = bytearray()
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.running.port, limit=2**20)
        tasks.create_task(_hear(reader, shown))
        stayed = await _say(writer, pieces(content, tokens), shown)
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return bytes(shown), stayed


async def _say(writer: asyncio.StreamWriter, said: Iterator[Piece], shown: bytearray) -> bool:
    """Write every piece; false when the client is gone then."""
    for piece in said:
        writer.write(piece.content)
        await (_answered(shown) if piece.stop == WAIT else asyncio.sleep(0))
        if piece.stop == GONE:
            writer.transport.abort()
            return False
    with suppress(OSError):  # the gateway may have closed already
        writer.write_eof()
    return True


async def _answered(shown: bytearray) -> None:
    """Wait until something has come and no more comes, or a while."""
    began = known = len(shown)
    for _ in range(_WAIT_MS_MAX):
        await asyncio.sleep(0.001)
        if known > began and len(shown) == known:
            return
        known = len(shown)


async def _hear(reader: asyncio.StreamReader, shown: bytearray) -> None:
    """Take all that comes; a reset ends it as a close does."""
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            shown += piece


async def _quiet() -> None:
    """Wait until nobody serves a connection any more."""
    async with asyncio.timeout(DEADLINE_S):
        while any(_serves(task) for task in asyncio.all_tasks()):  # noqa: ASYNC110 - nobody says so
            await asyncio.sleep(0.0005)


def _serves(task: "asyncio.Task[object]") -> bool:
    frame = getattr(task.get_coro(), "cr_frame", None)
    return frame is not None and isinstance(frame.f_locals.get("self"), _Protocol)


async def _spent(here: World) -> int:
    """Millicredits spent by both tenants; nothing is held."""
    spent = 0
    for tenant in ("rich", "poor"):
        (balance,) = await here.balances(tenant)
        assert balance.held == Credits.ZERO, "held"
        spent += balance.spent.millicredits
    return spent


# --- answers ------------------------------------------------------------------------------------------------------


def _answers(shown: bytes, *, headless: bool) -> Iterator[Answer]:
    """Every answer in `shown`, each of them whole and fit.

    Args:
        shown: what the gateway sent.
        headless: some request may have been a HEAD, whose answer announces a body that never comes.
    """
    while shown:
        head, end, shown = shown.partition(b"\r\n\r\n")
        assert end, "a head without an end"
        status, fields = _head(head)
        if status == 100:
            assert not fields
            continue
        bodyless = status in (204, 304) or (headless and not shown) or (headless and shown.startswith(b"HTTP/1."))
        body, shown = (b"", shown) if bodyless else _body(fields, shown)
        yield _fit(Answer(status, fields, body), bodyless=bodyless)


def _head(head: bytes) -> tuple[int, dict[str, str]]:
    line, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(line)
    found = [_FIELD.fullmatch(each) for each in lines]
    assert status, "no status line"
    assert all(found), "no field"
    fields = {each[1].decode().lower(): each[2].decode() for each in found if each}
    assert len(fields) == len(lines), "a field twice"
    assert set(fields) <= _SEEN, f"an unknown field {sorted(set(fields) - _SEEN)}"
    return int(status[1]), fields


def _body(fields: dict[str, str], shown: bytes) -> tuple[bytes, bytes]:
    """An answer's body, and what follows it."""
    if "transfer-encoding" in fields:
        assert fields["transfer-encoding"] == "chunked"
        assert "content-length" not in fields
        return _chunks(shown)
    if "content-length" not in fields:
        return shown, b""
    count = int(fields["content-length"])
    assert len(shown) >= count, "a body cut short"
    return shown[:count], shown[count:]


def _chunks(shown: bytes) -> tuple[bytes, bytes]:
    body = bytearray()
    while True:
        line, _, shown = shown.partition(b"\r\n")
        assert line, "a body cut short"
        size = int(line, 16)
        assert shown[size : size + 2] == b"\r\n", "a chunk without its end"
        body += shown[:size]
        shown = shown[size + 2 :]
        if not size:
            return bytes(body), shown


def _fit(answer: Answer, *, bodyless: bool) -> Answer:
    """The same answer, once it is sure that the gateway made it or let it pass."""
    assert answer.fields["server"] == "dezgo-gateway"
    # Everything around the gateway is well, so it has nobody to complain of but the client.
    assert answer.status < 500, f"{answer.status} {answer.body[:200]!r}"
    assert re.fullmatch(r"[0-9a-f]{32}", answer.fields["x-request-id"])
    if answer.fields.get("content-type") != "application/problem+json" or bodyless:
        return answer
    told = json.loads(answer.body)
    if "reason" not in told:
        return answer  # the upstream's own words
    assert answer.status in _STATUSES[told["reason"]]
    assert told["status"] == answer.status
    assert told["instance"].endswith(answer.fields["x-request-id"])
    assert answer.fields["cache-control"] == "no-store"
    return Answer(answer.status, answer.fields, answer.body, told["reason"], told["detail"])
