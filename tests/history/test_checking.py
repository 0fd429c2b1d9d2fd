"""A history that is so is found to be so, and every way in which it could be otherwise is found."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.history.checking import History, check
from tests.history.ops import Op
from tests.history.replay import Entry
from tests.history.telling import ANN, TENANT, told

ONE, TWO, THREE, FOUR = "t/one", "t/two", "t/three", "t/four"
FAR_NS = 10**18


def kinds(history: History) -> set[str]:
    return {violation.kind for violation in check(history)}


def at(history: History, op: str, of: str) -> int:
    """Where in the journal this is."""
    found = (n for n, entry in enumerate(history.journal) if (entry.fields["op"], entry.fields["id"]) == (op, of))
    return next(found)


def with_journal(history: History, change: Callable[[list[Entry]], object]) -> History:
    journal = list(history.journal)
    change(journal)
    return replace(history, journal=journal)


def said(entry: Entry, **fields: str) -> Entry:
    return Entry(entry.at_ms, {**entry.fields, **fields})


def with_entry(history: History, op: str, of: str, /, **fields: str) -> History:
    """The journal says something else there."""
    where = at(history, op, of)
    return with_journal(history, lambda journal: journal.__setitem__(where, said(journal[where], **fields)))


def with_op(history: History, which: Mapping[str, object], change: Callable[[Op], Op]) -> History:
    """The first op that is like this was another."""
    ops = list(history.ops)
    found = next(n for n, op in enumerate(ops) if all(getattr(op, name) == value for name, value in which.items()))
    ops[found] = change(ops[found])
    return replace(history, ops=ops)


def answered(history: History, which: Mapping[str, object], *, at: int, answer: Any) -> History:
    """One fact of an answer was another."""
    return with_op(history, which, lambda op: op._replace(answer=(*op.answer[:at], answer, *op.answer[at + 1 :])))


def one_more(history: History, op: str, of: str, /, **fields: str) -> History:
    """The journal has an entry twice; the second time a little changed."""
    where = at(history, op, of)
    return with_journal(history, lambda journal: journal.insert(where + 1, said(journal[where], **fields)))


def without(history: History, op: str, of: str) -> History:
    where = at(history, op, of)
    return with_journal(history, lambda journal: journal.pop(where))


def early(history: History, journal: list[Entry]) -> Entry:
    """The expiry, as if it had been written when the first hold was."""
    return Entry(journal[0].at_ms, journal[at(history, "expire", TWO)].fields)


def swapped_answers(history: History) -> History:
    """The holds of ann and bob were given each other's answer, as on a connection that has lost one."""
    ops = list(history.ops)
    one, two = (next(n for n, op in enumerate(ops) if op.id == of and op.verdict == "held") for of in (ONE, TWO))
    ops[one], ops[two] = ops[one]._replace(answer=ops[two].answer), ops[two]._replace(answer=ops[one].answer)
    return replace(history, ops=ops)


def refused(history: History, amount: int, *, after: str) -> History:
    """Somebody was refused, right after this id was first held."""
    held = next(op for op in history.ops if op.id == after)
    ns = held.answered_ns
    facts = ("each:ads:ann/hour", 40, 20, True)
    return replace(history, ops=[*history.ops, Op("hold", "t/new", (ANN, amount), ns, ns + 1, "exhausted", facts)])


HELD_ONE = {"id": ONE, "verdict": "held"}
SETTLED_ONE = {"id": ONE, "verdict": "ended"}

LIES: dict[str, tuple[str, Callable[[History], History]]] = {
    "a hold is settled twice": ("ended twice", lambda h: one_more(h, "settle", ONE)),
    "a hold is settled and expires": ("ended twice", lambda h: one_more(h, "expire", TWO, op="settle")),
    "a hold is written twice": ("held twice", lambda h: one_more(h, "hold", ONE)),
    "a hold passes a limit": ("over-admission", lambda h: one_more(h, "hold", ONE, id="t/new", amount="21")),
    "a hold nobody asked for": ("nobody asked", lambda h: one_more(h, "hold", ONE, id="t/new", amount="1")),
    "an end nobody asked for": ("not as asked", lambda h: with_entry(h, "settle", ONE, charged="17")),
    "an end under another flag": ("not as asked", lambda h: with_entry(h, "settle", ONE, flag="uncertain")),
    "a hold of another amount than asked": ("not as asked", lambda h: with_entry(h, "hold", TWO, amount="12")),
    "an end of another amount than held": ("wrong amount", lambda h: with_entry(h, "settle", ONE, amount="19")),
    "an end in another's budgets": ("wrong budgets", lambda h: with_entry(h, "settle", ONE, path="t/ads/bob")),
    "a hold past one of its budgets": (
        "wrong budgets",
        lambda h: with_entry(h, "hold", TWO, budgets=h.journal[0].fields["budgets"].rpartition(" ")[0]),
    ),
    "a hold in a window that is not now": (
        "wrong window",
        lambda h: with_journal(h, lambda j: j.__setitem__(0, Entry(j[0].at_ms + 86_400_000, j[0].fields))),
    ),
    "an answered hold that is lost": ("lost hold", lambda h: without(without(h, "hold", TWO), "expire", TWO)),
    "an answered end that is lost": ("lost end", lambda h: without(h, "settle", ONE)),
    "an answered expiry that is lost": ("lost expiry", lambda h: without(h, "expire", TWO)),
    "an answered refund that is lost": ("lost adjustment", lambda h: without(h, "refund", "back")),
    "an answered grant that is lost": ("lost grant", lambda h: without(h, "grant", "more")),
    "an end of no hold": ("end of nothing", lambda h: without(h, "hold", ONE)),
    "an expiry before its time": (
        "early expiry",
        lambda h: with_journal(h, lambda j: j.__setitem__(at(h, "expire", TWO), early(h, j))),
    ),
    "an expiry at another amount": ("wrong expiry", lambda h: with_entry(h, "expire", TWO, charged="10")),
    "a correction of what had not expired": (
        "correction of no expiry",
        lambda h: one_more(h, "settle", ONE, op="correct"),
    ),
    "a refund of more than is booked": ("wrong adjustment", lambda h: with_entry(h, "refund", "back", amount="19")),
    "a grant taken back twice": ("revocation of no grant", lambda h: one_more(h, "revoke", "less", id="again")),
    "a kind of entry nobody knows": ("strange entry", lambda h: with_entry(h, "hold", TWO, op="gift")),
    "answers given to each other's questions": ("answer to another", swapped_answers),
    "another hold's id answered": ("answer to another", lambda h: answered(h, HELD_ONE, at=0, answer=TWO)),
    "another amount answered": ("answer to another", lambda h: answered(h, HELD_ONE, at=1, answer=19)),
    "another settlement's id answered": ("answer to another", lambda h: answered(h, SETTLED_ONE, at=0, answer=TWO)),
    "another refund answered": ("answer to another", lambda h: answered(h, {"id": "back"}, at=0, answer="more")),
    "another budget's grant answered": ("answer to another", lambda h: answered(h, {"id": "more"}, at=1, answer="x")),
    "an end at another charge answered": ("lost end", lambda h: answered(h, SETTLED_ONE, at=2, answer=20)),
    "two told that they ended it": (
        "done twice",
        lambda h: replace(h, ops=[*h.ops, next(op for op in h.ops if op.id == ONE and op.verdict == "ended")]),
    ),
    "two told that they swept it": (
        "swept twice",
        lambda h: replace(h, ops=[*h.ops, next(op for op in h.ops if op.verdict == "swept")]),
    ),
    "balances that never were": (
        "wrong balances",
        lambda h: answered(h, {"kind": "balances"}, at=0, answer=h.ops[0].answer[3]),
    ),
    "a hold's balances that never were": (
        "wrong balances",
        lambda h: answered(
            h, {"id": TWO}, at=3, answer=h.final[ANN][:2] + next(o for o in h.ops if o.id == TWO).answer[3][2:]
        ),
    ),
    "a refusal where there was room": ("refusal without cause", lambda h: refused(h, 20, after=ONE)),
    "a refusal that names another budget": (
        "refusal without cause",
        lambda h: answered(h, {"id": "t/refused"}, at=0, answer="tenant/total"),
    ),
    "a refusal that names other numbers": (
        "refusal without cause",
        lambda h: answered(h, {"id": "t/refused"}, at=2, answer=19),
    ),
    "refused for certain, and held": (
        "refused and held",
        lambda h: with_op(
            h, {"id": TWO}, lambda op: op._replace(verdict="exhausted", answer=("tenant/total", 100, 0, True))
        ),
    ),
    "an operator refused without cause": (
        "refusal without cause",
        lambda h: with_op(h, {"id": "much"}, lambda op: op._replace(asked=(ONE, 1))),
    ),
    "an id closed without cause": (
        "closed without cause",
        lambda h: replace(h, ops=[op for op in h.ops if op.kind != "void" or op.id != "t/never"]),
    ),
    "a void that voided nothing": ("held after its void", lambda h: without(h, "settle", THREE)),
    "an order that somebody saw otherwise": (
        "out of order",
        lambda h: with_op(h, {"id": TWO}, lambda op: op._replace(invoked_ns=FAR_NS, answered_ns=FAR_NS + 1)),
    ),
    "a hold that never ends": ("never ended", lambda h: without(h, "expire", TWO)),
    "a hold the store has open": ("never ended", lambda h: replace(h, left_open=1)),
    "final balances that do not follow": (
        "wrong final balances",
        lambda h: replace(h, final={ANN: tuple((*row[:2], row[2] + 1, *row[3:]) for row in h.final[ANN])}),
    ),
}


async def test_a_history_that_happened_is_sound() -> None:
    history = await told()
    assert check(history) == []
    ops = {entry.fields["op"] for entry in history.journal}
    assert ops == {"hold", "settle", "expire", "correct", "refund", "adjust", "grant", "revoke"}
    verdicts = {op.verdict for op in history.ops}
    assert verdicts == {
        "held",
        "exhausted",
        "closed",
        "ended",
        "done",
        "read",
        "swept",
        "adjusted",
        "granted",
        "refused",
    }


@pytest.mark.parametrize(("kind", "lie"), LIES.values(), ids=LIES)
async def test_a_lie_is_found(kind: str, lie: Callable[[History], History]) -> None:
    found = kinds(lie(await told()))
    assert kind in found, found


async def test_an_answer_that_never_came_explains_nothing_and_needs_no_explanation() -> None:
    """Unknown, the same end is allowed whether it is in the journal or not."""
    history = await told()
    unknown = with_op(history, SETTLED_ONE, lambda op: op._replace(verdict="unknown", answer=("timeout",)))
    assert check(unknown) == []


async def test_of_concurrent_questions_any_order_is_taken_that_explains_the_answers() -> None:
    """The refusal came before one's end or after, as long as it was under way at both instants."""
    history = await told()
    first_ns, last_ns = min(op.invoked_ns for op in history.ops), max(op.answered_ns for op in history.ops)
    wide = with_op(history, {"id": "t/refused"}, lambda op: op._replace(invoked_ns=first_ns, answered_ns=last_ns))
    assert check(wide) == []


async def test_a_violation_shows_what_it_is_about() -> None:
    history = await told()
    found = next(v for v in check(one_more(history, "settle", ONE)) if v.kind == "ended twice")
    assert found.of == ONE
    assert TENANT in str(found.context)
