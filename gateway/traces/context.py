"""Context: `traceparent` and `tracestate` by the W3C's rules (Trace Context, levels 1 and 2). Pure.

1. A malformed, doubled or all-zero `traceparent` counts as none, and its `tracestate` with it.
2. A malformed `tracestate` is dropped alone.
3. What is sent on is version 00, whatever came.
"""

import re
from dataclasses import dataclass

from gateway.messages import Fields

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"

MEMBERS_MAX = 32

# What is passed on of a `tracestate`. Long members go first, then the last ones.
STATE_CHARACTERS_MAX = 512
MEMBER_CHARACTERS_MAX = 128

SAMPLED = 0x01
# Flags that have a meaning: sampled, and that the trace id is random.
FLAGS_KNOWN = 0x03

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]*)?", re.ASCII)
_KEY = r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER = re.compile(rf"({_KEY})={_VALUE}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Context:
    """Where a caller stands in its trace.

    Attributes:
        trace_id: 32 hex digits, not all zero.
        span_id: of the caller's own span, 16 hex digits, not all zero.
        flags: 0 to 3; see `SAMPLED`.
        state: the members of `tracestate`, as they are passed on.
    """

    trace_id: str
    span_id: str
    flags: int
    state: tuple[str, ...] = ()

    def fields(self) -> Fields:
        """What says so to the next one."""
        parent = (TRACEPARENT, f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}")
        return (parent, (TRACESTATE, ",".join(self.state))) if self.state else (parent,)


def read_context(fields: Fields) -> Context | None:
    """The caller's place in a trace as `fields` (names in lower case) say; None for none."""
    parents = [value for name, value in fields if name == TRACEPARENT]
    found = _PARENT.fullmatch(parents[0].strip(" \t")) if len(parents) == 1 else None
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest is not None) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return Context(trace_id, span_id, int(flags, 16) & FLAGS_KNOWN, _state(fields))


def _state(fields: Fields) -> tuple[str, ...]:
    said = ",".join(value for name, value in fields if name == TRACESTATE)
    members = [member for piece in said.split(",") if (member := piece.strip(" \t"))]
    found = [_MEMBER.fullmatch(member) for member in members[: MEMBERS_MAX + 1]]
    keys = [member[1] for member in found if member is not None]
    if len(members) > MEMBERS_MAX or len(set(keys)) != len(members):
        return ()
    return _shortened(members)


def _shortened(members: list[str]) -> tuple[str, ...]:
    if len(",".join(members)) > STATE_CHARACTERS_MAX:
        members = [member for member in members if len(member) <= MEMBER_CHARACTERS_MAX]
    while len(",".join(members)) > STATE_CHARACTERS_MAX:
        members.pop()
    return tuple(members)
