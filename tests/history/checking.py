"""Checking: every answer of a history held against the journal, played through in the order it claims.

Found is: what was answered and is not so, what is so and nobody asked for, what was refused without cause, what
happened twice, and what happened in an order that those who asked have seen otherwise.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.ledger.budget import BudgetBook, Path
from tests.history.ops import Op, Row
from tests.history.order import NEVER, Caused, Order
from tests.history.replay import Entry, Life, Place, Replay, Step, Violation

# The windows a refusal may have been about are those around it: clocks of clients may be off by this.
_CLOCKS_MS = 2_000


@dataclass(frozen=True, slots=True)
class History:
    """One tenant's history, whole and at rest.

    Attributes:
        tenant: whose.
        book: its budgets.
        shortest_ttl_ms: no hold may expire before that.
        journal: every entry.
        ops: every question that was asked of it, in any order; sweeps of all tenants among them.
        final: each path's balances in the end.
        left_open: how many holds are open in the end.
        epoch_ms: what the calendar showed when the clock of `ops` showed 0.
    """

    tenant: str
    book: BudgetBook
    shortest_ttl_ms: int
    journal: Sequence[Entry]
    ops: Sequence[Op]
    final: Mapping[Path, tuple[Row, ...]]
    left_open: int = 0
    epoch_ms: int = 0


def check(history: History) -> list[Violation]:
    """All that must not be; nothing when all is well."""
    return _Checker(history).found()


class _Checker:
    def __init__(self, history: History) -> None:
        self._history = history
        self._replay = Replay(history.tenant, history.book, history.journal, shortest_ttl_ms=history.shortest_ttl_ms)
        self._violations = self._replay.violations
        self._lives = self._replay.lives
        self._by_id: dict[tuple[str, str], list[Op]] = defaultdict(list)
        self._claims: dict[str, list[Op]] = defaultdict(list)
        self._spans: dict[tuple[Path, int], tuple[Place, ...]] = {}
        for op in history.ops:
            self._by_id[op.kind, op.id].append(op)
            if op.verdict == "swept":
                for hold_id, _ in op.answer:
                    self._claims[hold_id].append(op)

    def found(self) -> list[Violation]:
        caused = [self._cause(position, entry) for position, entry in enumerate(self._history.journal)]
        self._order = Order(caused, len(caused))
        for one in caused:
            if self._order.lower(one.invoked_ns) >= one.position:
                self._blame("out of order", self._history.journal[one.position].fields["id"], one)
        checks = {
            "held": self._held,
            "exhausted": self._exhausted,
            "closed": self._closed,
            "ended": self._ended,
            "done": self._voided,
            "read": self._looked,
            "swept": self._swept,
            "adjusted": self._adjusted,
            "granted": self._granted,
            "refused": self._refused,
        }
        for op in self._history.ops:
            if op.verdict != "unknown":
                checks[op.verdict](op)
        self._once()
        self._in_the_end()
        return self._violations

    def _blame(self, kind: str, of: str, *context: object) -> None:
        self._violations.append(Violation(kind, of, context))

    # Why each entry is there.

    def _cause(self, position: int, entry: Entry) -> Caused:
        op, of = entry.fields["op"], entry.fields["id"]
        if op == "expire":
            return self._swept_by(position, of)
        if op == "hold":
            asked = self._by_id["hold", of]
            told = [one for one in asked if one.verdict == "held"]
            wanted = {one.asked[1] for one in asked}
            fits = int(entry.fields["amount"]) in wanted
        elif op in {"settle", "correct"}:
            asked = [*self._by_id["settle", of], *self._by_id["void", of]]
            told = [one for one in asked if one.verdict in {"ended", "done"}]
            ends = {one.asked if one.kind == "settle" else (0, "confirmed") for one in asked}
            fits = (int(entry.fields["charged"]), entry.fields["flag"]) in ends
        else:
            asked = self._by_id[op, of]
            told = [one for one in asked if one.verdict in {"adjusted", "granted"}]
            fits = all(_fits(op, one, entry) for one in asked)
        if not asked:
            self._blame("nobody asked", of, position, dict(entry.fields))
        elif not fits:
            self._blame("not as asked", of, position, dict(entry.fields), asked)
        return Caused(
            position,
            min((one.invoked_ns for one in asked), default=0),
            min((one.answered_ns for one in told), default=NEVER),
        )

    def _swept_by(self, position: int, hold_id: str) -> Caused:
        claims = self._claims.get(hold_id, [])
        if len(claims) > 1:
            self._blame("swept twice", hold_id, position, claims)
        if claims:
            return Caused(position, claims[0].invoked_ns, claims[0].answered_ns)
        if not any(op.verdict == "unknown" for op in self._by_id["sweep", ""]):
            self._blame("nobody asked", hold_id, position, dict(self._history.journal[position].fields))
        return Caused(position, 0, NEVER)

    # Whether each answer is so.

    def _held(self, op: Op) -> None:
        path, _ = op.asked
        hold_id, amount, _, rows = op.answer
        life = self._lives.get(op.id)
        if hold_id != op.id:
            self._blame("answer to another", op.id, op)
        elif life is None:
            self._blame("lost hold", op.id, op)
        elif (amount, str(path)) != (life.amount, life.path) or {row[0]: row[1] for row in rows} != dict(life.places):
            self._blame("answer to another", op.id, op, life)
        else:
            # Only who asked once and was answered at once is shown the very state that his hold made.
            sole = op.lost == 0 and len(self._by_id["hold", op.id]) == 1
            last = life.begun if sole else self._order.upper(op.answered_ns)
            if life.begun > self._order.upper(op.answered_ns):
                self._blame("out of order", op.id, op, life)
            elif not self._shown(rows, life.begun, last):
                self._blame("wrong balances", op.id, op, life, self._states(rows, life.begun))

    def _shown(self, rows: Iterable[Row], first: int, last: int) -> bool:
        """Whether these are the balances in one state from `first` to `last`."""
        lines = [(self._replay.lines.get((name, start)), state) for name, start, *state in rows]
        wanted = [(line, tuple(state)) for line, state in lines if line is not None]
        if any(line is None and any(state) for line, state in lines):
            return False
        return any(all(line.after(at) == state for line, state in wanted) for at in range(first, last + 1))

    def _states(self, rows: Iterable[Row], at: int) -> list[object]:
        lines = self._replay.lines
        return [(row[0], lines[row[0], row[1]].after(at) if (row[0], row[1]) in lines else None) for row in rows]

    def _exhausted(self, op: Op) -> None:
        path, amount = op.asked
        budget, limit, left, certain = op.answer
        same = self._by_id["hold", op.id]
        if op.id in self._lives and all(one.verdict == "exhausted" and one.answer[3] for one in same):
            self._blame("refused and held", op.id, op, self._lives[op.id])
        first, last = self._order.lower(op.invoked_ns), self._order.upper(op.answered_ns)
        for places in self._windows(path, op):
            for at in range(first, last + 1):
                if self._binding(places, amount, at) == (budget, limit, left):
                    return
        self._blame("refusal without cause", op.id, op, certain, first, last)

    def _windows(self, path: Path, op: Op) -> set[tuple[Place, ...]]:
        epoch_ms = self._history.epoch_ms
        asked_ms, told_ms = (at_ns // 1_000_000 + epoch_ms for at_ns in (op.invoked_ns, op.answered_ns))
        instants = asked_ms - _CLOCKS_MS, told_ms + _CLOCKS_MS
        return {self._places(path, instant // 60_000 * 60_000) for instant in instants}

    def _places(self, path: Path, instant_ms: int) -> tuple[Place, ...]:
        """Every balance on the path in the window of that minute: windows begin with one."""
        known = self._spans.get((path, instant_ms))
        if known is None:
            budgets = self._history.book.on_path(path)
            known = tuple((budget.name, budget.window.span(instant_ms).start_ms) for budget in budgets)
            self._spans[path, instant_ms] = known
        return known

    def _binding(self, places: Sequence[Place], amount: int, at: int) -> tuple[str, int, int] | None:
        """What a refusal in this state names: the tightest of those that cannot bear the amount."""
        found = None
        for place in places:
            line = self._replay.lines.get(place)
            spent, held, granted = line.after(at) if line is not None else (0, 0, 0)
            limit = self._replay.limit(place[0]) + granted
            left = max(0, limit - spent - held)
            if spent + held + amount > limit and (found is None or left < found[2]):
                found = place[0], limit, left
        return found

    def _closed(self, op: Op) -> None:
        life = self._lives.get(op.id)
        if life is not None and life.steps and life.steps[0][0] <= self._order.upper(op.answered_ns):
            return
        if not any(void.invoked_ns < op.answered_ns for void in self._by_id["void", op.id]):
            self._blame("closed without cause", op.id, op, life)

    def _ended(self, op: Op) -> None:
        hold_id, state, charged, flag, applied = op.answer
        life = self._lives.get(op.id)
        first, last = self._order.lower(op.invoked_ns), self._order.upper(op.answered_ns)
        if hold_id != op.id:
            self._blame("answer to another", op.id, op)
        elif life is None:
            if (state, charged, applied) != ("settled", 0, False) or not self._by_id["void", op.id]:
                self._blame("end of nothing", op.id, op)
        elif applied:
            if (charged, flag) != op.asked or (charged, flag) not in _ends(life, last):
                self._blame("lost end", op.id, op, life)
        elif state != "settled" or (charged, flag) not in _stood(_settled(life), first, last):
            self._blame("wrong end", op.id, op, life)

    def _voided(self, op: Op) -> None:
        life = self._lives.get(op.id)
        last = self._order.upper(op.answered_ns)
        if life is not None and not any(step[0] <= last for step in _settled(life)):
            self._blame("held after its void", op.id, op, life)

    def _looked(self, op: Op) -> None:
        (rows,) = op.answer
        names = tuple(budget.name for budget in self._history.book.on_path(op.asked[0]))
        if tuple(row[0] for row in rows) != names:
            self._blame("answer to another", str(op.asked[0]), op)
        elif not self._shown(rows, self._order.lower(op.invoked_ns), self._order.upper(op.answered_ns)):
            self._blame("wrong balances", str(op.asked[0]), op, self._states(rows, self._order.lower(op.invoked_ns)))

    def _swept(self, op: Op) -> None:
        for hold_id, charged in op.answer:
            if not hold_id.startswith(f"{self._history.tenant}/"):
                continue
            steps = self._lives[hold_id].steps if hold_id in self._lives else []
            if not steps or (steps[0][1], steps[0][2]) != ("expire", charged):
                self._blame("lost expiry", hold_id, op, steps)
            elif steps[0][0] > self._order.upper(op.answered_ns):
                self._blame("out of order", hold_id, op, steps)

    def _adjusted(self, op: Op) -> None:
        done = self._replay.done.get(op.id)
        operation_id, hold_id, before, after, _ = op.answer
        if operation_id != op.id or hold_id != op.asked[0]:
            self._blame("answer to another", op.id, op)
        elif done is None:
            self._blame("lost adjustment", op.id, op)
        elif (before, after) != (done.before, int(done.fields["charged"])):
            self._blame("wrong adjustment", op.id, op, done)

    def _granted(self, op: Op) -> None:
        done = self._replay.done.get(op.id)
        operation_id, budget, amount, _ = op.answer
        if operation_id != op.id or (op.kind == "grant" and (budget, amount) != op.asked[:2]):
            self._blame("answer to another", op.id, op)
        elif done is None or (int(done.fields["amount"]), done.fields["op"]) != (amount, op.kind):
            self._blame("lost grant", op.id, op, done)

    def _refused(self, op: Op) -> None:
        """An operator is refused only what could not be done in some state of then."""
        first, last = self._order.lower(op.invoked_ns), self._order.upper(op.answered_ns)
        life = self._lives.get(op.asked[0]) if op.kind in {"refund", "adjust"} else None
        ended = _stood(life.steps, first, last) if life is not None else set()
        code = op.answer[0]
        reasons = {
            "unknown": life is None or life.begun > first,
            "open": life is not None and (not life.steps or life.steps[0][0] > first),
            "too_much": any((op.kind == "refund" and (op.asked[1] or 0) > was) or was == 0 for was, _ in ended),
            "lapsed": op.kind == "revoke" and self._revoked(op),
        }
        if op.id in self._replay.done or not reasons.get(code, False):
            self._blame("refusal without cause", op.id, op, life)

    def _revoked(self, op: Op) -> bool:
        """Whether somebody else may have taken this grant back, or it may not have been given yet."""
        grant = self._replay.done.get(op.asked[0])
        taken = (done for done in self._replay.done.values() if done.fields["op"] == "revoke")
        return grant is None or any(done.fields["of"] == op.asked[0] for done in taken)

    # What all of them together come to.

    def _once(self) -> None:
        """Of all who were told that they did it, one did."""
        for (kind, of), ops in self._by_id.items():
            if kind == "settle":
                applied = sum(op.verdict == "ended" and op.answer[4] for op in ops)
            elif kind in {"refund", "adjust", "grant", "revoke"}:
                applied = sum(op.verdict in {"adjusted", "granted"} and op.answer[-1] for op in ops)
            else:
                continue
            if applied > 1:
                self._blame("done twice", of, ops)

    def _in_the_end(self) -> None:
        for hold_id, life in self._lives.items():
            if not life.steps:
                self._blame("never ended", hold_id, life)
        if self._history.left_open:
            self._blame("never ended", "", self._history.left_open)
        for path, rows in self._history.final.items():
            if not self._shown(rows, len(self._history.journal) - 1, len(self._history.journal) - 1):
                self._blame("wrong final balances", str(path), rows, self._states(rows, len(self._history.journal)))


def _fits(kind: str, op: Op, entry: Entry) -> bool:
    fields = entry.fields
    if kind == "grant":
        return op.asked[1] == int(fields["amount"]) and fields["budgets"].startswith(f"{op.asked[0]}|")
    if kind == "revoke":
        return bool(op.asked[0] == fields["of"])
    amount = int(fields["amount" if kind == "refund" else "charged"])
    return op.asked[0] == fields["of"] and op.asked[1] in {None if kind == "refund" else amount, amount}


def _ends(life: Life, last: int) -> set[tuple[int, str]]:
    """What somebody has ended or corrected it at, up to an entry."""
    return {(charged, flag) for at, op, charged, flag in life.steps if op in {"settle", "correct"} and at <= last}


def _settled(life: Life) -> list[Step]:
    """All that happened to it, once it was settled."""
    return [step for step in life.steps if step[1] != "expire"]


def _stood(steps: Sequence[Step], first: int, last: int) -> set[tuple[int, str]]:
    """All that was booked by these steps, in one state from `first` to `last`."""
    found, before = set(), None
    for at, _, charged, flag in steps:
        if at > last:
            break
        if at > first:
            found.add((charged, flag))
        else:
            before = charged, flag
    return found if before is None else {*found, before}
