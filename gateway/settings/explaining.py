"""Explaining: what pydantic found wrong -> faults with our own words, a place, and the nearest known key.

Also the one reading of the models' annotations, which says what keys there are: for hints, and for the names
of overriding variables.
"""

import re
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from gateway.settings.faults import ENVIRONMENT, Fault, Trail, nearest, spell
from gateway.settings.reading import Document

# pydantic's kinds of error -> what we say and advise. Its own sentences echo values and speak of Python.
_SENTENCES: dict[str, tuple[str, str]] = {
    "missing": ("is missing", ""),
    "extra_forbidden": ("is not a known key", ""),
    "int_type": ("must be a whole number", "write the digits alone, without quotes or unit"),
    "float_type": ("must be a number", "write the digits alone, without quotes or unit"),
    "string_type": ("must be text", "put it in quotes"),
    "bool_type": ("must be true or false", "without quotes"),
    "model_type": ("must be a mapping of keys to values", ""),
    "model_attributes_type": ("must be a mapping of keys to values", ""),
    "mapping_type": ("must be a mapping of keys to values", ""),
    "dict_type": ("must be a mapping of keys to values", ""),
    "tuple_type": ("must be a list", "one item per line, each after a dash"),
    "greater_than_equal": ("must be at least {ge}", ""),
    "greater_than": ("must be more than {gt}", ""),
    "less_than_equal": ("must be at most {le}", ""),
    "literal_error": ("must be {expected}", ""),
    "enum": ("must be {expected}", ""),
    "union_tag_invalid": ("must be one of {expected_tags}", ""),
    "union_tag_not_found": ("is missing", ""),
    "too_short": ("needs at least {min_length}", ""),
    "too_long": ("takes at most {max_length}", ""),
    "string_too_short": ("must not be empty", ""),
    "string_too_long": ("must have at most {max_length} characters", ""),
}
_ABSENT = frozenset({"missing", "union_tag_not_found"})
_CHOICES = frozenset({"literal_error", "enum", "union_tag_invalid"})
_FALLBACK = ("is not valid", "")

# What pydantic appends to the way to a mapping's key.
_KEY = "[key]"


def explained(
    document: Document, error: ValidationError, model: type[BaseModel], overrides: Mapping[Trail, str]
) -> list[Fault]:
    """Every error of `error` as a fault, but for values the reader already found unreadable.

    Args:
        document: what was validated, with its places.
        error: what pydantic says of it.
        model: what it was validated against.
        overrides: values that came from the environment, and the variables' names.
    """
    faults = []
    for found in error.errors(include_url=False, include_input=False):
        kind, facts = found["type"], found.get("ctx", {})
        trail = _trail(document.value, found["loc"], kind, facts)
        if any(trail[:length] in document.spoiled for length in range(len(trail) + 1)):
            continue
        if kind == "too_short" and _length(_at(document.value, trail)) >= facts["min_length"]:
            continue  # pydantic counts sound items only, and the others have their own faults
        message, hint = _sentence(kind, facts)
        if kind == "extra_forbidden":
            hint = nearest(str(trail[-1]), keys_at(model, trail[:-1]))
        if kind in _CHOICES:
            hint = _choice(_at(document.value, trail), facts)
        key = kind == "extra_forbidden" or found["loc"][-1:] == (_KEY,)
        faults.append(fault_at(document, overrides, trail, message, hint, key=key))
    return faults


def fault_at(
    document: Document, overrides: Mapping[Trail, str], trail: Trail, message: str, hint: str, *, key: bool = False
) -> Fault:
    """A fault at `trail`, laid to the variable that set it or else to its place in the file."""
    name = next((overrides[t] for length in range(len(trail) + 1) if (t := trail[:length]) in overrides), None)
    if name is None:
        return document.fault(trail, message, hint, key=key)
    return Fault(ENVIRONMENT, 0, 0, spell(trail), message, "; ".join(filter(None, (f"set by {name}", hint))))


def _sentence(kind: str, facts: Mapping[str, Any]) -> tuple[str, str]:
    if kind == "refused":
        return facts["words"], facts["hint"]
    message, hint = _SENTENCES.get(kind, _FALLBACK)
    return message.format_map(facts), hint


def _choice(value: object, facts: Mapping[str, Any]) -> str:
    expected = re.findall(r"'([^']*)'", facts.get("expected") or facts.get("expected_tags") or "")
    return nearest(value, expected) if isinstance(value, str) else ""


def _trail(value: object, loc: Trail, kind: str, facts: Mapping[str, Any]) -> Trail:
    """`loc` without the names pydantic gives to the members of a union, and with the way a validator added."""
    trail: Trail = ()
    for place, step in enumerate(loc):
        if _has(value, step) or (kind == "missing" and place == len(loc) - 1):
            trail = (*trail, step)
            value = _below(value, step)
    for step in facts.get("at", ()):
        trail = (*trail, step)
    return (*trail, "kind") if kind in ("union_tag_invalid", "union_tag_not_found") else trail


def _has(value: object, step: str | int) -> bool:
    if isinstance(value, dict):
        return step in value
    return isinstance(value, tuple) and isinstance(step, int) and step < len(value)


def _below(value: object, step: str | int) -> object:
    if isinstance(value, dict):
        return value.get(step)
    return value[step] if isinstance(value, tuple) and isinstance(step, int) and step < len(value) else None


def _length(value: object) -> int:
    return len(value) if isinstance(value, tuple | dict) else 0


def _at(value: object, trail: Trail) -> object:
    for step in trail:
        value = _below(value, step)
    return value


def options(annotation: object) -> Iterator[object]:
    """The plain types `annotation` allows: unions and annotations are taken apart."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from options(get_args(annotation)[0])
    elif origin is Union or isinstance(annotation, types.UnionType):
        for member in get_args(annotation):
            yield from options(member)
    else:
        yield annotation


def keys_at(model: type[BaseModel], trail: Trail) -> set[str]:
    """The keys known at `trail` below `model`; none where names are free."""
    level: list[object] = [model]
    for step in trail:
        level = [below for annotation in level for below in _step(annotation, step)]
    return {key for annotation in level for m in _models(annotation) for key in m.model_fields}


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    for option in options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            yield option


def _step(annotation: object, step: str | int) -> Iterator[object]:
    for option in options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            if step in option.model_fields:
                yield option.model_fields[str(step)].annotation
        elif get_origin(option) is tuple:
            yield get_args(option)[0]
        elif get_origin(option) is not Literal and get_args(option):
            yield get_args(option)[-1]
