"""Logs: structlog set-up, and how any event becomes one line.

1. A line is one JSON object in ASCII, its values at most 256 characters; whatever a client sent, it stays one line.
2. Redaction comes last, over the whole line. A value that is cut is redacted before it is cut.
3. Logging never raises and never waits: lines go to a bounded queue, one thread writes, what finds no room is counted.
4. Of a foreign exception only its class and its places in code are shown, neither its text nor its locals.
"""

import contextlib
import json
import logging
import math
import re
import sys
import time
import traceback
from collections import deque
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from types import CodeType
from typing import Any, BinaryIO, TextIO

import structlog

from gateway.logs.canonical import canonical, spelt
from gateway.logs.pipe import LogPipe
from gateway.logs.redaction import HoldsSecret, Redaction
from gateway.logs.turns import Turn
from gateway.receipt import Receipt
from gateway.units import Credits

VALUE_CHARACTERS_MAX = 256

# A value longer than this is not even searched for secrets: nothing of it is shown.
SEARCHED_CHARACTERS_MAX = 4_096
LINE_CHARACTERS_MAX = 32_768

_ITEMS_MAX, _DEPTH_MAX = 64, 3
_FRAMES_MAX, _CAUSES_MAX = 20, 5
_UNLOGGABLE = '{"level":"error","event":"unloggable_line"}'
_WITHHELD = '{"level":"error","event":"withheld_line"}'

_SPELL = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode

# What JSON spells otherwise.
_ESCAPED = re.compile(r"[^ !#-\[\]-~]")

Event = MutableMapping[str, Any]


def _now() -> str:
    """The time in UTC to the millisecond, as RFC 3339 writes it."""
    seconds, millis = divmod(time.time_ns() // 1_000_000, 1_000)
    return f"{_second(seconds)}.{millis:03d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


class Logs:
    """The log of one process, from `start` to `stop`: structlog's, and whatever goes to the standard library's root.

    Args:
        level: least severe level: `debug`, `info`, `warning` or `error`.
        stream: where lines go; its buffers are passed by.
        secrets: never shown, in no spelling; see `Redaction`.
        holds_secret: says of bytes whether they hold a secret; then nothing of them is shown.
        lines_max: lines that may wait to be written.
        turn: of several processes that write to the same stream; None for the only one.
    """

    def __init__(
        self,
        *,
        level: str,
        stream: TextIO | BinaryIO,
        secrets: tuple[str, ...] = (),
        holds_secret: HoldsSecret | None = None,
        lines_max: int = 10_000,
        turn: Turn | None = None,
    ) -> None:
        self._level = logging.getLevelNamesMapping()[level.upper()]
        self._pipe = LogPipe(stream, lines_max=lines_max, turn=turn)
        self._writer = LineWriter(Redaction(secrets, holds_secret))
        self._rules: dict[str, Any] = {
            "processors": [
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                self._writer.render,
                self._writer.redact,
            ],
            "wrapper_class": structlog.make_filtering_bound_logger(self._level),
            "logger_factory": lambda *_: _Outlet(self._pipe),
        }
        self._log = structlog.wrap_logger(_Outlet(self._pipe), self._rules["processors"], self._rules["wrapper_class"])
        self._former: tuple[list[logging.Handler], int] | None = None

    def start(self) -> None:
        """Start to write, and take over structlog and the standard library's root logger."""
        self._pipe.start()
        structlog.configure(**self._rules)
        root = logging.getLogger()
        self._former = root.handlers[:], root.level
        root.handlers[:] = [_FromStandardLibrary(self._pipe, self._writer)]
        root.setLevel(self._level)

    def stop(self, timeout_s: float = 2.0) -> None:
        """Give back what `start` took over and write what waits, for `timeout_s` at most."""
        if self._former is not None:
            root = logging.getLogger()
            root.handlers[:], level = self._former
            root.setLevel(level)
            self._former = None
            structlog.reset_defaults()
        self._pipe.stop(timeout_s)

    def hide(self, secret: str) -> None:
        """From now on hide `secret` too."""
        self._writer.hide(secret)

    @property
    def dropped(self) -> int:
        """How many lines could not be written."""
        return self._pipe.dropped

    def request(self, receipt: Receipt, left_out: int | None = None) -> None:
        """Write the line of one request; see `canonical`. The one line with a short way."""
        if self._level > logging.INFO:
            return
        try:
            facts = canonical(receipt, left_out)
            line = self._writer.short("info", facts)
            if line is None:
                self._write("info", {name: value for name, value in facts.items() if value is not None})
            else:
                self._pipe.put(line)
        except Exception:  # noqa: BLE001, S110 - rule 3: what is no line at all is not worth a request
            pass

    def event(self, name: str, **facts: Any) -> None:
        """Write that something happened that an operator should know of."""
        self._write("warning", {**facts, "event": name})

    def broken(self, error: BaseException, **facts: Any) -> None:
        """Write that `error`, which nobody expected, ended something: its class and where it came from."""
        self._write("error", {**facts, "event": "broken", "exc_info": error})

    def _write(self, level: str, facts: Mapping[str, Any]) -> None:
        # Rule 3. What is no line at all is not worth a request.
        with contextlib.suppress(Exception):
            fields = {str(name): value for name, value in facts.items() if name not in ("ts", "level")}
            getattr(self._log, level)(fields.pop("event", "unnamed"), **fields)


def configure_logging(
    level: str,
    stream: TextIO | BinaryIO,
    *,
    secrets: tuple[str, ...] = (),
    holds_secret: HoldsSecret | None = None,
) -> Logs:
    """A started `Logs`; whoever calls this stops it."""
    logs = Logs(level=level, stream=stream, secrets=secrets, holds_secret=holds_secret)
    logs.start()
    return logs


class LineWriter:
    """Event -> one line of text, in two steps that fit structlog's processors and never raise."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction

    def hide(self, secret: str) -> None:
        """From now on hide `secret` too."""
        self._redaction = self._redaction.also(secret)

    def render(self, _: object, __: str, event: Event) -> str:
        """`event` as one JSON object in ASCII; a fixed line when that cannot be."""
        try:
            facts = dict(event)
            if "exc_info" in facts:
                facts |= _blame(facts.pop("exc_info"))
            facts.pop("ts", None)
            head = {"ts": _now(), "level": facts.pop("level", None), "event": facts.pop("event", None)}
            line = _SPELL(self._tame_all(head, 0) | self._tame_all(facts, 0))
        except Exception:  # noqa: BLE001 - rule 3
            return _UNLOGGABLE
        return line if len(line) <= LINE_CHARACTERS_MAX else _UNLOGGABLE

    def short(self, level: str, facts: dict[str, Any]) -> bytes | None:
        """What `canonical` returned as `render` and `redact` would write it; None when it needs taming or hiding."""
        try:
            facts["ts"], facts["level"] = _now(), level
            line = spelt(facts)
            # What was escaped may have been a secret before; null is a number that is none.
            if (
                not line.isascii()
                or line.find(b"\\") >= 0
                or line.find(b":null") >= 0
                or len(line) > LINE_CHARACTERS_MAX
            ):
                return None
            if [True for value in facts.values() if type(value) is str and len(value) > VALUE_CHARACTERS_MAX]:
                return None
            return None if self._redaction.is_needed(line) else line
        except Exception:  # noqa: BLE001 - rule 3
            return None

    def redact(self, _: object, __: str, line: str) -> str:
        """`line` without secrets; a fixed line when it is no JSON object without them."""
        try:
            clean = self._redaction(line)
            if clean != line and not isinstance(json.loads(clean), dict):
                return _WITHHELD
        except Exception:  # noqa: BLE001 - rule 3; a line that was not searched is not shown
            return _WITHHELD
        return clean

    def _tame_all(self, facts: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        return {self._text(str(name)): self._tame(facts[name], depth) for name in list(facts)[:_ITEMS_MAX]}

    def _tame(self, value: Any, depth: int) -> Any:
        """`value` in JSON's own types, bounded; of anything unknown only the class."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Credits):
            return value.as_number()
        if isinstance(value, int) and abs(value) < 2**63:
            return int(value)
        if isinstance(value, float) and math.isfinite(value):
            return float(value)
        if depth < _DEPTH_MAX:
            if isinstance(value, Mapping):
                return self._tame_all(value, depth + 1)
            if isinstance(value, list | tuple | set | frozenset):
                return [self._tame(item, depth + 1) for item in list(value)[:_ITEMS_MAX]]
        return f"<{type(value).__name__}>"

    def _text(self, text: str) -> str:
        if len(text) > SEARCHED_CHARACTERS_MAX:
            return f"<{len(text)} characters>"
        if not text.isascii():
            # Half a surrogate pair is no text: strict readers of JSON refuse the whole line for it.
            text = text.encode("utf-8", "replace").decode("utf-8")
        if len(text) > VALUE_CHARACTERS_MAX or _ESCAPED.search(text):
            # Before it is cut, or spelt otherwise by JSON; what JSON leaves as it is, the whole line's search finds.
            text = self._redaction(text)
        return text[:VALUE_CHARACTERS_MAX]


def _blame(exc_info: object) -> dict[str, Any]:
    """What is shown of an exception: classes from the outermost to its first cause, and where it came from."""
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if error is True:
        error = sys.exc_info()[1]
    if not isinstance(error, BaseException):
        return {}
    steps = deque(traceback.walk_tb(error.__traceback__), maxlen=_FRAMES_MAX)
    frames = [_place(frame.f_code, line) for frame, line in steps]
    kinds: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(kinds) < _CAUSES_MAX:
        kinds.append(type(cause).__name__)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return {"exception": kinds, "frames": frames}


def _place(code: CodeType, line: int) -> str:
    """File with its folder, line and function; the rest of the path is the machine's."""
    return f"{'/'.join(code.co_filename.split('/')[-2:])}:{line} {code.co_name}"


class _Outlet:
    """structlog's last step: whatever the level, the line goes to the pipe."""

    def __init__(self, pipe: LogPipe) -> None:
        self._pipe = pipe

    def info(self, line: str) -> None:
        self._pipe.put(line.encode("ascii", "replace"))

    debug = warning = error = critical = exception = info


class _FromStandardLibrary(logging.Handler):
    """Takes the standard library's records the same way."""

    def __init__(self, pipe: LogPipe, writer: LineWriter) -> None:
        super().__init__()
        self._pipe = pipe
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record`; one that cannot be put together is named by its logger alone."""
        try:
            said = record.getMessage()
        except Exception:  # noqa: BLE001 - rule 3
            said = "unreadable_record"
        event: Event = {
            "event": said,
            "level": record.levelname.lower(),
            "logger": record.name,
            "exc_info": record.exc_info,
        }
        line = self._writer.redact(None, "", self._writer.render(None, "", event))
        self._pipe.put(line.encode("ascii", "replace"))
