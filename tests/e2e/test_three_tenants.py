"""The story: three tenants spend at once until their budgets run out, and then all the books say the same.

Ledger, journal, metrics, log lines and the upstream's own book are compared to the millicredit.
"""

import asyncio
import hashlib
import itertools
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from gateway.ledger.budget import Balance, Path
from gateway.ledger.journal import pairs
from gateway.units import Credits
from tests.e2e.conftest import MakeWorld
from tests.e2e.test_account import picture
from tests.e2e.test_metrics import Samples, samples, total
from tests.e2e.world import World, until

TENANTS = """
tenants:
  studio-TAG:
    budgets: [{credits: 2000, every: month, zone: Europe/Berlin}, {credits: 700, every: day}]
    each_user: [{credits: 120, every: hour}]
  web-TAG:
    budgets: [{credits: 330, every: total}]
    teams:
      ads:
        budgets: [{credits: 110, every: week, starts_on: friday}]
        each_user: [{credits: 100, every: day, zone: Asia/Tokyo}]
      print: {}
  labs-TAG:
    budgets: [{credits: 900, every: total}, {credits: 260.5, every: day, zone: America/New_York}]
    users: {zoe: {budgets: [{credits: 55, every: month, starts_on: 15}]}}
"""

# What goes wrong upstream meanwhile; nothing that lets the upstream charge more than it says.
FAULTS = (
    *("status:503", "status:503 charged", "status:400", "status:400 charged", "html_5xx", "echo", "async_job"),
    *("charge:missing", "charge:duplicate", "charge:malformed", "charge:folded", "charge:huge", "slow:0.05"),
    *("price:1.1", "price:1.1", "price:1.1", "price:0.5", "price:0.9", "slow_body:0.05", "chunked"),
    *("cut:head", "cut:0", "cut:100", "cut:100 charge:missing", "garbage", "redirect:http://127.0.0.1:9/"),
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who spends. The patient let the others run out first, so that every kind of budget binds."""

    tenant: str
    team: str | None
    user: str
    patient: bool = False


CALLERS = (
    *(Caller("studio", None, user) for user in ("ann", "bob", "cat")),
    *(Caller("web", "ads", user) for user in ("dan", "eve")),
    *(Caller("web", "print", user, patient=True) for user in ("fay", "gil")),
    Caller("labs", None, "zoe"),
    *(Caller("labs", None, user, patient=True) for user in ("hal", "ian")),
)
PATIENT_CALLS, CALLS_MAX, LANES = 3, 200, 2
EXHAUSTED = "budget_exhausted"


@dataclass(slots=True)
class Sent:
    """One call as its client saw it."""

    caller: Caller
    body_sha256: str
    status: int = 0
    request_id: str = ""
    problem: Mapping[str, Any] = field(default_factory=dict)


# --- the calls --------------------------------------------------------------------------------------------------

Wire = tuple[str, str, str, bytes]


def _json(verb: str, path: str, **said: Any) -> Wire:
    return verb, path, "application/json", json.dumps(said).encode()


def _form(path: str, **said: str) -> Wire:
    return "POST", path, "application/x-www-form-urlencoded", urlencode(said).encode()


def _multipart(path: str, image: str, content: bytes, **said: str) -> Wire:
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in said.items()]
    head = f'--b\r\nContent-Disposition: form-data; name="{image}"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    body = "".join([*parts, head]).encode() + content + b"\r\n--b--\r\n"
    return "POST", path, "multipart/form-data; boundary=b", body


def _cheapest(mark: str) -> Wire:
    """A call of 6 credits."""
    return _json("POST", "/text2image", prompt=mark, steps=10)


def _jobs(image: bytes, marks: Iterator[str]) -> Iterator[Wire]:
    """One call after the other, no two with the same body; prices from 6 to 51 credits."""
    while True:
        yield _json("POST", "/text2image", prompt=next(marks), width=512, height=512)
        yield _form("/text2image", prompt=next(marks), steps="50", seed="")
        yield _multipart("/upscale", "image", image, note=next(marks))
        yield _json("GET", "/text2image", prompt=next(marks), width="320")
        yield _json("POST", "/text2image", prompt=next(marks), upscale=2, negative_prompt=None)
        yield _multipart("/image2image", "init_image", image, prompt=next(marks), strength="0.5")
        yield _json("POST", "/text2image_sdxl/", prompt=next(marks), steps=10)
        yield _cheapest(next(marks))


async def _call(here: World, caller: Caller, wire: Wire) -> Sent:
    verb, path, kind, body = wire
    sent = Sent(caller, hashlib.sha256(body).hexdigest())
    fields = {**here.key(caller.tenant, user=caller.user, team=caller.team), "Content-Type": kind}
    try:
        async with here.session.request(verb, here.url + path, data=body, headers=fields) as answer:
            sent.status, sent.request_id = answer.status, answer.headers["x-request-id"]
            seen = await answer.read()
    except aiohttp.ClientPayloadError:
        return sent
    here.canary.look("answer", seen)
    if answer.headers["content-type"] == "application/problem+json" and b'"reason"' in seen:
        sent.problem = json.loads(seen)
    return sent


async def _spend(here: World, caller: Caller, jobs: Iterator[Wire], calls: int) -> list[Sent]:
    """Call until not even the cheapest call fits any more, or `calls` times."""
    history: list[Sent] = []
    for wire in itertools.islice(jobs, calls):
        history.append(await _call(here, caller, wire))
        if history[-1].problem.get("reason") == EXHAUSTED:
            history.append(await _call(here, caller, _cheapest(f"{caller.user} {len(history)} {id(history)}")))
            if history[-1].problem.get("reason") == EXHAUSTED:
                break
    return history


async def _all_spend(here: World) -> list[Sent]:
    image, marks = picture(512, 512), (f"mark {number}" for number in itertools.count())
    jobs = {caller: _jobs(image, marks) for caller in CALLERS}

    async def together(calls: Mapping[Caller, int]) -> list[Sent]:
        lanes = [_spend(here, caller, jobs[caller], most) for caller, most in calls.items() for _ in range(LANES)]
        return [sent for history in await asyncio.gather(*lanes) for sent in history]

    sent = await together({caller: PATIENT_CALLS if caller.patient else CALLS_MAX for caller in CALLERS})
    sent += await together({caller: CALLS_MAX for caller in CALLERS if caller.patient})
    await here.settled()  # some of what was held has come back
    for caller in CALLERS:
        sent += await _spend(here, caller, jobs[caller], CALLS_MAX)
    return sent


# --- the books --------------------------------------------------------------------------------------------------


@dataclass
class Books:
    """What everybody wrote down."""

    here: World
    sent: list[Sent]
    lines: dict[str, dict[str, Any]]  # the log, by request id
    journals: dict[str, list[dict[str, str]]]  # by tenant, in order
    balances: dict[Caller, tuple[Balance, ...]]
    really: dict[str, int]  # what the upstream charged, in millicredits, by the hash of the request's body
    samples: Samples  # of the last scrape

    @property
    def held(self) -> list[dict[str, Any]]:
        """The lines of calls that were held."""
        return [line for line in self.lines.values() if "held" in line]

    def metric(self, name: str, **labels: str) -> int:  # in thousandths
        return round(total(self.samples, name, **labels) * 1000)


def milli(number: float) -> int:  # credits, as a line or a document says them
    return Credits.parse(str(number)).millicredits


async def _collect(here: World, sent: list[Sent]) -> Books:
    await here.settled()
    await until(lambda: sum(line["event"] == "request" for line in here.lines()) == len(sent))
    store = here.running.ledger._store
    journals = {
        tenant: [pairs(entry) for _, entry in await store.call("XRANGE", f"dgw:{{{tenant}}}:journal", "-", "+")]
        for tenant in here.settings.tenants
    }
    balances = {
        caller: await here.running.ledger.balances(Path(here.tenant(caller.tenant), caller.team, caller.user))
        for caller in CALLERS
    }
    really = {charge.body_sha256: charge.millicredits for charge in here.simulator.book.charges}
    assert len(really) == here.simulator.book.count
    lines = {line["request_id"]: line for line in here.lines() if line["event"] == "request"}
    return Books(here, sent, lines, journals, balances, really, await samples(here))


def _calls_and_holds_agree(books: Books) -> None:
    """Upstream got exactly one call for each hold, and none for a refused one."""
    held = [sent.body_sha256 for sent in books.sent if "held" in books.lines[sent.request_id]]
    arrived = [arrival.body_sha256 for arrival in books.here.simulator.received.newest]
    assert Counter(arrived) == Counter(held)
    assert books.here.simulator.received.counts.total() == len(held) == len(set(held)) > len(FAULTS)


def _every_call_is_booked_at_what_it_was(books: Books) -> None:
    """What is sure is what the upstream charged; what is not is the quote, or nothing after a failure without word."""
    for sent in books.sent:
        line, really = books.lines[sent.request_id], books.really.get(sent.body_sha256, 0)
        if "held" not in line:
            assert really == 0
            continue
        booked, quoted = milli(line["charged"]), milli(line["quoted"])
        if line["flag"] == "confirmed":
            assert booked == really
        else:
            assert booked == (0 if line.get("upstream_status", 0) >= 500 and not really else quoted) >= really
        assert milli(line["overrun"]) == max(0, booked - milli(line["held"]))
    flags = Counter(line["flag"] for line in books.held)
    assert flags["uncertain"] == 3
    assert flags["unconfirmed"] >= 7


def _the_journal_tells_the_same(books: Books) -> dict[tuple[str, str], tuple[int, int]]:
    """Each hold ends once, as its line says; no budget was ever promised more than its limit. Spent and overrun."""
    limits = {
        (balance.budget.name, books.here.tenant(caller.tenant)): balance.budget.limit.millicredits
        for caller, balances in books.balances.items()
        for balance in balances
    }
    spent: dict[tuple[str, str], int] = defaultdict(int)
    held: dict[tuple[str, str], int] = defaultdict(int)
    over: dict[tuple[str, str], int] = defaultdict(int)
    for tenant, entries in books.journals.items():
        assert Counter(entry["id"] for entry in entries if entry["op"] == "hold") == Counter(
            entry["id"] for entry in entries if entry["op"] == "settle"
        )
        for entry in entries:
            line, amount = books.lines[entry["id"]], int(entry["amount"])
            assert (line["tenant"], milli(line["held"])) == (tenant, amount)
            for place in ((tenant, place) for place in entry["budgets"].split(" ")):
                if entry["op"] == "hold":
                    held[place] += amount
                    assert spent[place] + held[place] <= limits[place[1].split("|")[0], tenant]
                else:
                    held[place] -= amount
                    spent[place] += int(entry["charged"])
                    over[place] += milli(line["overrun"])
            if entry["op"] == "settle":
                assert (int(entry["charged"]), entry["flag"]) == (milli(line["charged"]), line["flag"])
    assert not any(held.values())
    for place, amount in spent.items():
        assert amount <= limits[place[1].split("|")[0], place[0]] + over[place]
    return {place: (amount, over[place]) for place, amount in spent.items()}


def _balances_are_the_journals(books: Books, spent: Mapping[tuple[str, str], tuple[int, int]]) -> None:
    for caller, balances in books.balances.items():
        for balance in balances:
            end = "" if balance.span.end_ms is None else str(balance.span.end_ms)
            place = f"{balance.budget.name}|{balance.span.start_ms}|{end}"
            counted, _ = spent.get((books.here.tenant(caller.tenant), place), (0, 0))
            assert (balance.spent.millicredits, balance.held.millicredits) == (counted, 0)


def _metrics_are_the_lines(books: Books) -> None:
    charged: Counter[tuple[str, str, str]] = Counter()
    for line in books.held:
        charged[line["tenant"], line["method"], line["flag"]] += milli(line["charged"])
    for (tenant, method, flag), amount in charged.items():
        assert books.metric("credits_charged_total", tenant=tenant, method=method, flag=flag) == amount
    assert books.metric("credits_charged_total") == charged.total()
    for tenant, entries in books.journals.items():
        lines = [line for line in books.held if line["tenant"] == tenant]
        assert books.metric("credits_charged_total", tenant=tenant) == sum(
            int(entry["charged"]) for entry in entries if entry["op"] == "settle"
        )
        assert books.metric("credits_quoted_total", tenant=tenant) == sum(milli(line["quoted"]) for line in lines)
        assert books.metric("credits_overrun_total", tenant=tenant) == sum(milli(line["overrun"]) for line in lines)
        refused = sum((line["tenant"], line["reason"]) == (tenant, EXHAUSTED) for line in books.lines.values())
        assert books.metric("refusals_total", tenant=tenant, reason=EXHAUSTED) == 1000 * refused > 0
    assert books.metric("settlements_total") == 1000 * len(books.held)
    assert books.metric("requests_total") == 1000 * len(books.sent)


def _refusals_name_what_binds(books: Books) -> None:
    bound: set[str] = set()
    for sent in books.sent:
        problem, line = sent.problem, books.lines[sent.request_id]
        if problem.get("reason") != EXHAUSTED:
            assert line["reason"] != EXHAUSTED
            continue
        known = {balance.budget.name: balance for balance in books.balances[sent.caller]}
        limit = known[problem["budget"]].budget.limit
        assert problem["remaining"] < problem["quoted"]
        assert milli(problem["limit"]) == limit.millicredits
        assert (line["binding"], line["remaining"]) == (problem["budget"], problem["remaining"])
        assert (sent.status, "held" in line) == (402, False)
        bound.add(problem["budget"].partition(":")[0].partition("/")[0])
    assert bound == {"tenant", "team", "user", "each"}
    for caller in CALLERS:
        assert min(balance.remaining for balance in books.balances[caller]) < Credits.whole(6)


async def _the_sums_agree(books: Books) -> None:
    """Booked and really charged differ by exactly what was booked in doubt."""
    audits = [await books.here.running.ledger.audit(tenant) for tenant in books.journals]
    assert not any(audit.differences for audit in audits)
    doubtful = [sent for sent in books.sent if books.lines[sent.request_id].get("flag") in ("unconfirmed", "uncertain")]
    in_doubt = sum(milli(books.lines[sent.request_id]["charged"]) for sent in doubtful)
    really = sum(books.really.get(sent.body_sha256, 0) for sent in doubtful)
    booked = sum(audit.spent.millicredits for audit in audits)
    assert booked - in_doubt == books.here.simulator.book.total_millicredits - really


@pytest.mark.parametrize("flavour", ["direct", "rapidapi"])
async def test_three_tenants_spend_until_nothing_is_left_and_all_books_agree(
    make_world: MakeWorld, flavour: str
) -> None:
    async with make_world(flavour=flavour, tenants=TENANTS) as here:
        faults = [*FAULTS, *["no_seed"] * 8]
        random.Random(flavour).shuffle(faults)  # noqa: S311 - an order of faults, no secret
        here.simulator.faults.next(*faults)
        sent = await _all_spend(here)
        assert not here.simulator.faults._next
        books = await _collect(here, sent)
        _calls_and_holds_agree(books)
        _every_call_is_booked_at_what_it_was(books)
        spent = _the_journal_tells_the_same(books)
        _balances_are_the_journals(books, spent)
        _metrics_are_the_lines(books)
        _refusals_name_what_binds(books)
        await _the_sums_agree(books)
