"""Layout: in which windows a path's budgets stand, and what a hold says of them, put together once per window. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.ledger import keys
from gateway.ledger.budget import Budget, Path
from gateway.ledger.window import Span

_LAYOUTS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Layout:
    """Some budgets in the windows of one instant.

    Attributes:
        budgets: on one path, in order.
        spans: the window of each.
        places: where they are kept, as `keys.written`.
        limits: for each its limit in millicredits, start and end of its window in ms; the end empty for none.
        common: the time they have in common: as long as it lasts, this holds.
    """

    budgets: tuple[Budget, ...]
    spans: tuple[Span, ...]
    places: str
    limits: tuple[str, ...]
    common: Span

    @classmethod
    def at(cls, budgets: Sequence[Budget], now_ms: int) -> "Layout":
        """The layout of `budgets` at this instant."""
        spans = tuple(budget.window.span(now_ms) for budget in budgets)
        limits: list[str] = []
        for budget, span in zip(budgets, spans, strict=True):
            ends = "" if span.end_ms is None else str(span.end_ms)
            limits += [str(budget.limit.millicredits), str(span.start_ms), ends]
        places = keys.written([keys.Place.of(budget, span) for budget, span in zip(budgets, spans, strict=True)])
        return cls(tuple(budgets), spans, places, tuple(limits), _common(spans))


class Layouts:
    """The newest layout of each path."""

    def __init__(self) -> None:
        self._known: dict[Path, Layout] = {}

    def of(self, path: Path, budgets: tuple[Budget, ...], now_ms: int) -> Layout:
        """The layout of `budgets`, which are those on `path`, at this instant."""
        known = self._known.get(path)
        if known is None or known.budgets != budgets or not known.common.holds(now_ms):
            if len(self._known) >= _LAYOUTS_KEPT:
                self._known.clear()
            known = self._known[path] = Layout.at(budgets, now_ms)
        return known


def _common(spans: Sequence[Span]) -> Span:
    ends = [span.end_ms for span in spans if span.end_ms is not None]
    return Span(max((span.start_ms for span in spans), default=0), min(ends, default=None))
