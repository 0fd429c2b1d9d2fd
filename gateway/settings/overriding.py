"""Overriding: `DEZGO_GATEWAY__LISTEN__PORT=9000` takes the place of `listen.port` in `gateway.yaml`.

Two underscores step into a section. A variable that begins like one of ours and names nothing is a fault: a
setting that is accepted and not obeyed is worse than none. Lists are set in the file only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import get_origin

from pydantic import BaseModel

from gateway.settings.explaining import options
from gateway.settings.faults import ENVIRONMENT, Fault, Trail, nearest, spell
from gateway.settings.scalars import Surprise, plain
from gateway.units import Credits

PREFIX = "DEZGO_GATEWAY__"

# What begins like this and steps with two underscores later on was surely meant for us.
_ALMOST = "DEZGO_GATEWAY_"

# What is never text.
_NUMBERS = (bool, int, float, Credits)


@dataclass
class Overrides:
    """What the environment sets.

    Attributes:
        values: by the way into `gateway.yaml`.
        names: the variable behind each value.
        faults: variables that name nothing or hold nothing readable.
    """

    values: dict[Trail, object] = field(default_factory=dict)
    names: dict[Trail, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def applied(self, value: dict[str, object]) -> dict[str, object]:
        """`value` with these values in place; what is given is not changed."""
        for trail, replacement in self.values.items():
            value = _replaced(value, trail, replacement)
        return value

    def refuse(self, name: str, message: str, hint: str, trail: Trail = ()) -> None:
        """Note a fault of the variable `name`."""
        where = spell(trail) if trail else spell((name,))
        self.faults.append(Fault(ENVIRONMENT, 0, 0, where, message, hint))


def read_overrides(environ: Mapping[str, str], model: type[BaseModel]) -> Overrides:
    """All of `environ` that is meant for `model`. Nothing is raised; values are never repeated in a fault."""
    leaves = list(_leaves(model, ()))
    known = {leaf.variable: (leaf.trail, leaf.text) for leaf in leaves if not leaf.many}
    lists = {leaf.variable for leaf in leaves if leaf.many}
    overrides = Overrides()
    for name in sorted(environ):
        if not _is_ours(name):
            continue
        if name not in known:
            near = nearest(name.upper(), known)
            hint = "lists are set in gateway.yaml only" if name in lists else near
            overrides.refuse(name, "overrides no setting", hint)
            continue
        trail, takes_text = known[name]
        value = environ[name] if takes_text and environ[name] else plain(environ[name])
        if isinstance(value, Surprise):
            overrides.refuse(name, value.message, f"set by {name}", trail)
        elif any(trail[: len(other)] == other for other in overrides.values):
            overrides.refuse(name, "is also set as a whole by another variable", f"unset {name} or the other", trail)
        else:
            overrides.values[trail] = value
            overrides.names[trail] = name
    return overrides


def _is_ours(name: str) -> bool:
    upper = name.upper()
    return upper.startswith(_ALMOST) and "__" in upper[len(_ALMOST) - 1 :]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One value of a model: the way to it, whether it may be text, whether it is a list."""

    trail: tuple[str, ...]
    text: bool
    many: bool

    @property
    def variable(self) -> str:
        return PREFIX + "__".join(self.trail).upper()


def _leaves(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[_Leaf]:
    for key, field_ in model.model_fields.items():
        kinds = [option for option in options(field_.annotation) if option is not NoneType]
        groups = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        for group in groups:
            yield from _leaves(group, (*above, key))
        single = [kind for kind in kinds if kind not in groups]
        if single:
            text = any(kind not in _NUMBERS for kind in single)
            yield _Leaf((*above, key), text, many=get_origin(single[0]) is tuple)


def _replaced(value: dict[str, object], trail: Trail, replacement: object) -> dict[str, object]:
    step = str(trail[0])
    if len(trail) == 1:
        return {**value, step: replacement}
    below = value.get(step)
    return {**value, step: _replaced(below if isinstance(below, dict) else {}, trail[1:], replacement)}
