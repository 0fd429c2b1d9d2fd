"""Replay: the journal, taken as the order of events, played through a ledger of a few dictionaries.

Each entry is judged where it stands: a hold must be one that all its budgets could bear, an end must be of an open
hold, of its amount, in its windows. What every balance and every hold was after each entry is kept, for answers to be
held against. It is not for journals that were trimmed, nor for grants that lapse within it before their window does.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from gateway.ledger import keys
from gateway.ledger.budget import BudgetBook, Path

Place = tuple[str, int]
State = tuple[int, int, int]  # spent, held, granted
Step = tuple[int, str, int, str]  # place in the journal, op, charged, flag
NOTHING: State = (0, 0, 0)

# The store stamps an entry when it is written, and looks at its clock a little earlier.
_CLOCK_MS = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the journal: when, and its fields."""

    at_ms: int
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be.

    Attributes:
        kind: in a word or two, the same for all of its kind.
        of: which hold or operation.
        context: the least that shows it.
    """

    kind: str
    of: str
    context: tuple[object, ...]


@dataclass(slots=True)
class Line:
    """One balance after every entry that moved it."""

    at: list[int] = field(default_factory=list)
    states: list[State] = field(default_factory=list)

    @property
    def last(self) -> State:
        """As it stands in the end."""
        return self.states[-1] if self.states else NOTHING

    def add(self, position: int, state: State) -> None:
        """So it was after this entry."""
        self.at.append(position)
        self.states.append(state)

    def after(self, position: int) -> State:
        """So it was after this entry."""
        found = bisect_right(self.at, position)
        return self.states[found - 1] if found else NOTHING


@dataclass(slots=True)
class Life:
    """One hold.

    Attributes:
        begun: the place of its entry in the journal.
        steps: what came after, as (place, op, charged, flag).
    """

    begun: int
    at_ms: int
    amount: int
    path: str
    budgets: str
    places: tuple[Place, ...]
    steps: list[Step] = field(default_factory=list)

    @property
    def charged(self) -> int:
        """What is booked for it."""
        return self.steps[-1][2] if self.steps else 0


@dataclass(frozen=True, slots=True)
class Done:
    """What one operation did: where, by which entry, and what was booked before it."""

    position: int
    fields: Mapping[str, str]
    before: int


class Replay:
    """Plays a tenant's journal.

    Args:
        tenant: whose.
        book: its budgets.
        entries: its whole journal.
        shortest_ttl_ms: no hold expires before that.
    """

    def __init__(self, tenant: str, book: BudgetBook, entries: Sequence[Entry], *, shortest_ttl_ms: int) -> None:
        self.tenant, self.entries = tenant, entries
        self.lines: dict[Place, Line] = {}
        self.lives: dict[str, Life] = {}
        self.done: dict[str, Done] = {}
        self.violations: list[Violation] = []
        self._book = book
        self._ttl_ms = shortest_ttl_ms
        self._limits: dict[str, int] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._read: dict[str, tuple[keys.Place, ...]] = {}
        self._grants: dict[str, tuple[Place, int, bool]] = {}
        steps = self._steps()
        for position, entry in enumerate(entries):
            step = steps.get(entry.fields["op"])
            if step is None:
                self._blame("strange entry", entry.fields["id"], position)
            else:
                step(position, entry)

    def _steps(self) -> dict[str, Callable[[int, Entry], None]]:
        ends = dict.fromkeys(("settle", "expire"), self._end)
        return {
            **ends,
            "hold": self._hold,
            "correct": self._correct,
            "refund": self._adjust,
            "adjust": self._adjust,
            "grant": self._grant,
            "revoke": self._revoke,
        }

    def limit(self, budget: str) -> int:
        """The budget's own limit; -1 for none of this name."""
        if budget not in self._limits:
            found = self._book.named(self.tenant, budget)
            self._limits[budget] = -1 if found is None else found.limit.millicredits
        return self._limits[budget]

    def _blame(self, kind: str, of: str, position: int, *more: object) -> None:
        self.violations.append(Violation(kind, of, (position, dict(self.entries[position].fields), *more)))

    def _move(self, position: int, places: Sequence[Place], spent: int, held: int, granted: int = 0) -> None:
        for place in places:
            line = self.lines.get(place)
            if line is None:
                line = self.lines[place] = Line()
            was = line.last
            line.add(position, (was[0] + spent, was[1] + held, was[2] + granted))

    def _hold(self, position: int, entry: Entry) -> None:
        fields = entry.fields
        amount, hold_id = int(fields["amount"]), fields["id"]
        places = self._places(position, entry)
        if hold_id in self.lives:
            self._blame("held twice", hold_id, position, self.lives[hold_id])
        for place in places:
            spent, held, granted = self.lines[place].last if place in self.lines else NOTHING
            if spent + held + amount > self.limit(place[0]) + granted:
                self._blame("over-admission", hold_id, position, place, (spent, held, granted), self.limit(place[0]))
        self.lives[hold_id] = Life(position, entry.at_ms, amount, fields["path"], fields["budgets"], places)
        self._move(position, places, 0, amount)

    def _places(self, position: int, entry: Entry) -> tuple[Place, ...]:
        """Where a hold must count: in every budget on its path, in the window of now."""
        written, path = entry.fields["budgets"], entry.fields["path"]
        found = self._read.get(written)
        if found is None:
            found = self._read[written] = keys.read(written)
            for place in found:
                budget = self._book.named(self.tenant, place.name)
                if budget is None or budget.window.span(place.span.start_ms) != place.span:
                    self._blame("no such window", entry.fields["id"], position, str(place))
        if path not in self._names:
            _, team, user = (None if part == "-" else unquote(part) for part in path.split("/"))
            on_path = self._book.on_path(Path(self.tenant, team, user))
            self._names[path] = tuple(budget.name for budget in on_path)
        if tuple(place.name for place in found) != self._names[path]:
            self._blame("wrong budgets", entry.fields["id"], position, self._names[path])
        if not all(place.span.holds(entry.at_ms) or place.span.holds(entry.at_ms - _CLOCK_MS) for place in found):
            self._blame("wrong window", entry.fields["id"], position)
        return tuple((place.name, place.span.start_ms) for place in found)

    def _end(self, position: int, entry: Entry) -> None:
        fields, life = entry.fields, self.lives.get(entry.fields["id"])
        if life is None:
            self._blame("end of nothing", fields["id"], position)
            return
        if life.steps:
            self._blame("ended twice", fields["id"], position, life.steps)
        self._same(life, position, fields["id"])
        charged = int(fields["charged"])
        if fields["op"] == "expire":
            if (charged, fields["flag"]) != (life.amount, "uncertain"):
                self._blame("wrong expiry", fields["id"], position, life.amount)
            if entry.at_ms + _CLOCK_MS < life.at_ms + self._ttl_ms:
                self._blame("early expiry", fields["id"], position, life.at_ms)
        life.steps.append((position, fields["op"], charged, fields["flag"]))
        self._move(position, life.places, charged, -life.amount)

    def _same(self, life: Life, position: int, hold_id: str) -> None:
        """An end speaks of the amount and the windows of its hold."""
        fields = self.entries[position].fields
        if int(fields["amount"]) != life.amount:
            self._blame("wrong amount", hold_id, position, life.amount)
        if (fields["budgets"], fields["path"]) != (life.budgets, life.path):
            self._blame("wrong budgets", hold_id, position, life.budgets)

    def _correct(self, position: int, entry: Entry) -> None:
        fields, life = entry.fields, self.lives.get(entry.fields["id"])
        if life is None or [step[1] for step in life.steps] != ["expire"]:
            self._blame("correction of no expiry", fields["id"], position, life)
            return
        self._same(life, position, fields["id"])
        charged, before = int(fields["charged"]), life.charged
        life.steps.append((position, "correct", charged, fields["flag"]))
        self._move(position, life.places, charged - before, 0)

    def _adjust(self, position: int, entry: Entry) -> None:
        fields, life = entry.fields, self.lives.get(entry.fields["of"])
        if life is None or not life.steps or fields["id"] in self.done:
            self._blame("adjustment of no end", fields["id"], position, life)
            return
        before, amount, after = life.charged, int(fields["amount"]), int(fields["charged"])
        if (
            after < 0
            or (fields["op"] == "refund" and after != before - amount)
            or (fields["op"] == "adjust" and amount != before)
        ):
            self._blame("wrong adjustment", fields["id"], position, before)
        self.done[fields["id"]] = Done(position, fields, before)
        life.steps.append((position, fields["op"], after, fields["flag"]))
        self._move(position, life.places, after - before, 0)

    def _grant(self, position: int, entry: Entry) -> None:
        fields = entry.fields
        (found,) = keys.read(fields["budgets"])
        place = found.name, found.span.start_ms
        if fields["id"] in self.done:
            self._blame("granted twice", fields["id"], position)
        self.done[fields["id"]] = Done(position, fields, 0)
        self._grants[fields["id"]] = (place, int(fields["amount"]), True)
        self._move(position, (place,), 0, 0, int(fields["amount"]))

    def _revoke(self, position: int, entry: Entry) -> None:
        fields = entry.fields
        place, amount, live = self._grants.get(fields["of"], (("", 0), 0, False))
        if not live or amount != int(fields["amount"]) or fields["id"] in self.done:
            self._blame("revocation of no grant", fields["id"], position)
            return
        self.done[fields["id"]] = Done(position, fields, 0)
        self._grants[fields["of"]] = (place, amount, False)
        self._move(position, (place,), 0, 0, -amount)
