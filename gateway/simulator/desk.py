"""The desk: one request in, one answer out, and the books kept. Knows no sockets.

Money rule: what was made is booked when it is made, whatever becomes of the answer afterwards.
"""

import asyncio
import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal

from gateway.simulator import answers
from gateway.simulator.answers import Answer
from gateway.simulator.book import Book, ExhaustedError
from gateway.simulator.endpoints import PAID, PAID_BY_GET
from gateway.simulator.faults import NO_FAULT, Fault, Faults
from gateway.simulator.jobs import Jobs
from gateway.simulator.models import model_list
from gateway.simulator.order import SEED_MAX, Order, read_order
from gateway.simulator.painter import CONTENT_TYPES, VIDEO, Painter
from gateway.simulator.picture import Picture
from gateway.simulator.prices import price
from gateway.simulator.read import UnreadableError
from gateway.simulator.settings import SimulatorSettings

JOB_PATH = "/unstable/job/"
MODEL_LIST_PATH = "/info"
BALANCE_PATH = "/account/tx/last"
_BIG_BODY_BYTES = 256 * 1024
_WITHOUT_BODY = frozenset({*range(100, 200), 204, 304})
_NO_SEED_PATHS = frozenset({"/upscale", "/remove-background", "/text_moderation_simple"})


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, fully read. `fields` have lower-case names; `files_url` is where finished jobs lie."""

    method: str
    path: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    files_url: str

    def field(self, name: str) -> str | None:
        """The first value of the field `name`, or None."""
        return next((value for key, value in self.fields if key == name), None)


class Desk:
    """One simulated account at work."""

    def __init__(self, settings: SimulatorSettings, book: Book, faults: Faults) -> None:
        self._settings = settings
        self._flavour = settings.flavour
        self._book = book
        self._faults = faults
        self._jobs = Jobs()
        self._painter = Painter(hands=settings.drawing_hands, drawn=settings.drawn)
        self._drawn_lots = 0

    async def answer(self, ask: Ask, own_fault: Fault | None = None) -> tuple[Answer, Fault]:
        """The answer to `ask`, and what is still to go wrong while it is sent.

        `own_fault` came with the request and replaces whatever the switchboard holds.
        """
        refusal = self._refusal(ask)
        if refusal is not None:
            return self._signed(refusal), NO_FAULT
        paid = ask.path in PAID
        fault = own_fault if own_fault is not None else self._faults.take(ask.path, paid=paid)
        answer = await self._paid(ask, fault) if paid else self._free(ask, fault)
        return self._signed(_bent(answer, ask, fault)), fault

    async def file(self, job_id: str) -> Answer | None:
        """The product of a finished job; None for an unknown one."""
        job = self._jobs.find(job_id)
        return None if job is None else await self._made(job.order, job.seed)

    def _signed(self, answer: Answer) -> Answer:
        answer.fields += answers.house_fields(self._flavour)
        return answer

    def _refusal(self, ask: Ask) -> Answer | None:
        methods = _methods(ask.path)
        if not methods or (ask.path == BALANCE_PATH and self._flavour == "rapidapi"):
            return answers.not_found(self._flavour, ask.path)
        if ask.method not in methods:
            return answers.problem(405, "Method not allowed")
        keyless = ask.path == MODEL_LIST_PATH and self._flavour == "direct"
        name = "x-dezgo-key" if self._flavour == "direct" else "x-rapidapi-key"
        if not keyless and ask.field(name) != self._settings.key:
            return answers.refused_key(self._flavour)
        return None

    def _free(self, ask: Ask, fault: Fault) -> Answer:
        made_up = answers.faulty(self._flavour, fault)
        if made_up is not None:
            return made_up
        if ask.path == MODEL_LIST_PATH:
            return answers.as_json(model_list())
        if ask.path == BALANCE_PATH:
            return self._last_charge()
        state = self._jobs.poll(ask.path.removeprefix(JOB_PATH), ask.files_url)
        return answers.problem(404, "No such job") if state is None else answers.as_json(state)

    def _last_charge(self) -> Answer:
        last = self._book.charges[-1] if self._book.charges else None
        shown = {
            "_id": last.job if last else None,
            "index": last.index if last else 0,
            "balance": float(self._book.balance / 10_000),
        }
        return answers.as_json(shown)

    async def _paid(self, ask: Ask, fault: Fault) -> Answer:
        made_up = answers.faulty(self._flavour, fault)
        charged = fault.charged if fault.charged is not None else made_up is None
        if made_up is not None and not charged:
            return made_up
        try:
            order = await self._order(ask)
            credits = price(order, self._settings) * Decimal(fault.get("price") or 1)
            with self._book.promised(credits if charged else Decimal(0)):
                return await self._worked(ask, order, fault, made_up, credits if charged else None)
        except UnreadableError as problem:
            return answers.problem(400, problem.detail, title=problem.title)
        except ExhaustedError:
            return answers.exhausted(self._flavour)
        except TimeoutError:
            return answers.problem(504, "The work took too long")

    async def _order(self, ask: Ask) -> Order:
        arguments = (ask.path, ask.field("content-type") or "", ask.body, self._settings)
        if len(ask.body) > _BIG_BODY_BYTES:
            return await asyncio.to_thread(read_order, *arguments)
        return read_order(*arguments)

    async def _worked(
        self, ask: Ask, order: Order, fault: Fault, made_up: Answer | None, credits: Decimal | None
    ) -> Answer:
        """Make what is ordered and book it. `credits` None: nothing is booked."""
        seed = self._lot(SEED_MAX + 1) if order.seed is None else order.seed
        job = f"{self._lot(2**96):024x}"
        await self._take_time(order)
        if made_up is not None:
            answer = made_up
        elif "async_job" in fault or ask.path in self._settings.async_paths:
            self._jobs.add(job, order, seed)
            answer = answers.as_json({"tx": {"_id": job}})
        else:
            answer = await self._made(order, seed)
        if fault.status is not None:
            answer.status = fault.status
        if "no_seed" not in fault and made_up is None and ask.path not in _NO_SEED_PATHS:
            answer.fields.append(("x-input-seed", str(seed)))
        if credits is not None:
            self._take(ask, answer, fault, credits, job=job, seed=seed)
        return answer

    def _take(self, ask: Ask, answer: Answer, fault: Fault, credits: Decimal, *, job: str, seed: int) -> None:
        charge = self._book.take(
            job=job,
            path=ask.path,
            credits=credits,
            told=answers.told_amounts(self._flavour, credits, fault.get("charge")),
            status=answer.status,
            request_id=ask.field("x-request-id"),
            seed=seed,
            body=ask.body,
        )
        answer.fields += answers.money_fields(self._flavour, charge, self._book)

    async def _take_time(self, order: Order) -> None:
        times = 5 if order.endpoint.product == "video" else 1
        delay_s = self._settings.delay_s * times * (1 + order.steps / 30)
        if delay_s > 0:
            await asyncio.sleep(min(delay_s, 600.0))

    async def _made(self, order: Order, seed: int) -> Answer:
        product = order.endpoint.product
        if product == "video":
            return Answer(200, VIDEO, "video/mp4")
        if product == "verdict":
            return answers.as_json({"flagged": False})
        transparent = order.transparent or product == "cut_out"
        picture = Picture(order.prompt, seed, order.output_size, order.format, transparent)
        async with asyncio.timeout(self._settings.body_timeout_s):
            image = await self._painter.paint(picture)
        return Answer(200, image, CONTENT_TYPES[order.format])

    def _lot(self, below: int) -> int:
        """A number that looks random and is the same in every run with the same settings."""
        self._drawn_lots += 1
        digest = hashlib.sha256(f"{self._settings.seed}:{self._drawn_lots}".encode()).digest()
        return int.from_bytes(digest) % below


def _methods(path: str) -> frozenset[str]:
    """The methods a path has; none for an unknown path."""
    if path in PAID:
        return frozenset({"POST", "GET"}) if path in PAID_BY_GET else frozenset({"POST"})
    if path in {MODEL_LIST_PATH, BALANCE_PATH} or path.startswith(JOB_PATH):
        return frozenset({"GET"})
    return frozenset()


def _bent(answer: Answer, ask: Ask, fault: Fault) -> Answer:
    """The answer with the faults that touch what it says, not how it is sent."""
    if "cookie" in fault:
        answer.fields.append(("set-cookie", "simulator=1; Path=/"))
    if "echo" in fault:
        answer.fields += [(f"x-echo-{name}", value) for name, value in ask.fields]
        answer.body = json.dumps({"headers": ask.fields}).encode()
        answer.content_type = answers.JSON
    if answer.status in _WITHOUT_BODY:
        answer.body = b""
    return answer
